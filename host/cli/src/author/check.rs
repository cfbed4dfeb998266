//! The component of a build, looked at as the host will: what it is, what it imports, what it offers,
//! and whether what its author asks for can be used by it.
//!
//! It does not know how it was built.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::super::authoring::{MOST_COMPONENT, bounded};
use super::super::start::private_folder;
use super::project::Project;
use super::refused;
use crate::capability::SharedServices;
use crate::catalog::{self, LockedTool, Places};
use crate::compile;
use crate::compile::{Cache, Compiler, embedded_manifest};
use crate::sandbox::Sandbox;
use crate::terms::Clock;
use toolhost_outbound::dial::Dialer;

/// What a build came to.
pub(super) struct Built {
    /// The tool's name.
    pub(super) name: String,
    /// The component in the project's folder.
    pub(super) component: PathBuf,
    /// Its size, in bytes.
    pub(super) bytes: usize,
    /// What it is and offers.
    pub(super) tool: LockedTool,
}

/// Checks what a language's tools made, puts what the tool asks for into it, and puts it into the
/// project's folder. Nothing is there changed unless all is well.
pub(super) fn take_over(project: &Project, made: &Path, runtime: &Handle) -> anyhow::Result<Built> {
    let bytes = bounded(made, MOST_COMPONENT)?;
    let imports = compile::look(&bytes)
        .map_err(|fault| refused(fault.say))?
        .imports;
    if project.language.has_runtime() {
        refuse_stubs(&imports)?;
    }
    let bytes = match &project.wishes {
        Some(text) => embedded_manifest::embed(&bytes, text).map_err(|fault| refused(fault.say))?,
        None => bytes,
    };
    let state = project.folder.join(".toolhost");
    private_folder(&state)?;
    let cache = Cache::open(state.join("compiled"), Compiler::this_program())
        .context("cannot open the folder of compiled components")?;
    let beside = state.join(format!("built-{}.wasm", std::process::id()));
    std::fs::write(&beside, &bytes)
        .with_context(|| format!("cannot write {}", beside.display()))?;
    let placed = look(project, &beside, &cache, runtime).and_then(|(name, tool)| {
        let component = project.folder.join(format!("{name}.wasm"));
        let before = bounded(&component, MOST_COMPONENT).map(|old| Sha256::digest(&old).into());
        // In one step: whoever watches it never sees half of it.
        std::fs::rename(&beside, &component)
            .with_context(|| format!("cannot write {}", component.display()))?;
        if let Ok(before) = before
            && before != tool.digest
        {
            // It is in the way and no more, should it stay.
            let _ = cache.forget(&before);
        }
        Ok(Built {
            name,
            component,
            bytes: bytes.len(),
            tool,
        })
    });
    if placed.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    placed
}

/// A runtime that imports nothing was built with stand-ins for everything outside: its clock stands
/// still or traps, its randomness is the same in every call.
fn refuse_stubs(imports: &[String]) -> anyhow::Result<()> {
    let wasi = |import: &String| import.starts_with("wasi:");
    if imports.iter().any(wasi) {
        return Ok(());
    }
    Err(refused(
        "it was built with WASI stubbed out: its clock and its randomness would trap or be the same \
         in every call. Build it without `--stub-wasi` and the like; what the tool is not granted \
         refuses anyway",
    ))
}

fn look(
    project: &Project,
    component: &Path,
    cache: &Cache,
    runtime: &Handle,
) -> anyhow::Result<(String, LockedTool)> {
    let manifest = project.tool(component.to_owned())?;
    let spec = manifest.tools.first().context("a tool")?;
    // Nothing outside: a component is asked what it is without any power.
    let world = SharedServices::new(
        Arc::new(Dialer::new()),
        Arc::default(),
        &project.folder,
        &project.folder.join(".toolhost"),
        Clock::SYSTEM,
    );
    let places = Places {
        base: &project.folder,
        cache,
        world: &world,
    };
    let sandbox = Sandbox::new(Clock::SYSTEM)?;
    let mut lock = catalog::lock_tools(&sandbox, &manifest, places, runtime, &|_| ())
        .map_err(|troubles| refused(told(&troubles)))?;
    let tool = lock.tools.remove(&*spec.name).context("the tool")?;
    let idle = catalog::idle(spec, &tool);
    if !idle.is_empty() {
        return Err(refused(told(&idle)));
    }
    Ok((spec.name.to_string(), tool))
}

fn told(troubles: &[catalog::Trouble]) -> String {
    let said = troubles.iter().map(|trouble| {
        format!(
            "error: {}\n  --> tool.toml:{}",
            trouble.message, trouble.line
        )
    });
    said.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_imports_no_wasi_is_refused() {
        let refused = |imports: &[&str]| {
            let imports: Vec<String> = imports.iter().map(|one| (*one).to_owned()).collect();
            refuse_stubs(&imports).is_err()
        };
        assert!(refused(&[]));
        assert!(refused(&["toolhost:tool/http@0.1.0"]));
        assert!(!refused(&[
            "toolhost:tool/http@0.1.0",
            "wasi:random/random@0.2.9"
        ]));
    }
}
