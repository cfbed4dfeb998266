//! Which component is tested, with which cases, and what its author asks for. It runs nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::super::authoring::{MOST_COMPONENT, beneath, bounded, name_of};
use crate::compile;
use crate::compile::bounded::utf8;
use crate::compile::embedded_manifest;
use crate::manifest;
use crate::terms::{Fault, Wasi};

/// What an author asks for.
const TOOL_TOML: &str = "tool.toml";

/// Where builds leave a component, below the tool's folder or below one above it.
const BUILT: [&str; 2] = ["target/wasm32-wasip2/guest", "target/wasm32-wasip2/release"];

/// What a run is about.
pub(super) struct Found {
    /// Absolute.
    pub(super) component: PathBuf,
    /// The folder of cases.
    pub(super) cases: PathBuf,
    /// What to call the tool.
    pub(super) name: String,
    /// What its author asks for.
    pub(super) asks: Option<Asks>,
    /// The generation of WASI that it needs, where nobody says so.
    pub(super) wasi: Wasi,
}

/// A `tool.toml`.
pub(super) struct Asks {
    /// Where it is.
    pub(super) place: String,
    pub(super) text: String,
}

/// Finds all of it from what was typed.
pub(super) fn find(
    tool: &Path,
    component: Option<&Path>,
    cases: Option<&Path>,
) -> anyhow::Result<Found> {
    let meta = fs::metadata(tool).with_context(|| {
        format!(
            "there is neither a folder nor a component {}",
            tool.display()
        )
    })?;
    let (folder, named) = match meta.is_dir() {
        true => (tool, component),
        false => {
            let parent = tool.parent().unwrap_or(Path::new(""));
            (parent, component.or(Some(tool)))
        }
    };
    let folder = std::path::absolute(folder.join("."))?;
    let asks = own(&folder)?;
    let component = match named {
        Some(named) => named.to_owned(),
        None => built(&folder, asks.as_ref())?,
    };
    let component = std::path::absolute(component)?;
    let (asks, wasi) = match asks {
        Some(asks) => (Some(asks), Wasi::default()),
        None => carried(&component)?,
    };
    let cases = cases.map_or_else(|| folder.join("cases"), Path::to_owned);
    let name = asks.as_ref().and_then(|asks| name_in(&asks.text));
    Ok(Found {
        name: name.unwrap_or_else(|| name_of(&component)),
        component,
        cases,
        asks,
        wasi,
    })
}

/// The folder's own.
fn own(folder: &Path) -> anyhow::Result<Option<Asks>> {
    let path = folder.join(TOOL_TOML);
    let most = u64::try_from(embedded_manifest::MOST)?;
    let bytes = match beneath(folder, Path::new(TOOL_TOML), most) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let text = utf8(bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let place = path.display().to_string();
    Ok(Some(Asks { place, text }))
}

/// The component's, and the generation of WASI that it needs.
fn carried(component: &Path) -> anyhow::Result<(Option<Asks>, Wasi)> {
    let bytes = bounded(component, MOST_COMPONENT)?;
    // What is no component at all is named where it is loaded.
    if !compile::is_component(&bytes) {
        return Ok((None, Wasi::default()));
    }
    let said = |fault: Fault| anyhow::anyhow!("{}: {}", component.display(), fault.say);
    let wasi = compile::look(&bytes).map_err(said)?.wasi;
    let text = embedded_manifest::embedded(&bytes).map_err(said)?;
    let place = format!("{} in {}", TOOL_TOML, component.display());
    Ok((text.map(|text| Asks { place, text }), wasi))
}

/// The component that a build left: the one that `tool.toml` names, or else the newest.
fn built(folder: &Path, asks: Option<&Asks>) -> anyhow::Result<PathBuf> {
    let named = asks.and_then(|asks| {
        let part = manifest::parse_part(&asks.place, &asks.text).ok()?;
        Some(folder.join(&part.tools.first()?.component))
    });
    if let Some(named) = named.filter(|named| named.is_file()) {
        return Ok(named);
    }
    let name = asks.and_then(|asks| name_in(&asks.text));
    let name = name.unwrap_or_else(|| name_of(folder));
    let file = format!("{name}.wasm");
    let own = ["", "dist"].map(|below| folder.join(below));
    let above = folder
        .ancestors()
        .flat_map(|folder| BUILT.map(|built| folder.join(built)));
    let files = own
        .into_iter()
        .chain(above)
        .map(|folder| folder.join(&file));
    let newest = files.filter_map(|file| {
        let written = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?;
        Some((written.modified().ok()?, file))
    });
    match newest.max() {
        Some((_, file)) => Ok(file),
        None => bail!(
            "there is no component {file} for {}; run `toolhost build` there, or name it with --component",
            folder.display()
        ),
    }
}

/// The name of the one tool that a `tool.toml` is about.
fn name_in(text: &str) -> Option<String> {
    let part = manifest::parse_part(TOOL_TOML, text).ok()?;
    Some(part.tools.first()?.name.to_string())
}
