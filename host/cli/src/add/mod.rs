//! `add`: a component's section in the manifest. What it asks for is shown before anything is written;
//! nothing is written unless the whole is sound, and of what an author wrote nothing gets in but the
//! section of that one tool.

mod asks;
mod place;
mod rows;
mod skeleton;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rustix::fs::{Access, access};
use serde_json::json;

use self::asks::{Asked, Section};
use self::place::{Beside, Place};
use super::authoring::{self, MOST_COMPONENT, name_of};
use super::diagnostics::Diagnostics;
use super::start::{HostConfig, MOST_MANIFEST};
use super::table::{bold, green, table};
use super::written::Turn;
use super::{Setting, out};
use crate::catalog::{self, Change, LockedTool, Places};
use crate::compile;
use crate::compile::{Cache, Compiler, Kind, Looked, bounded, embedded_manifest};
use crate::manifest::{self, Manifest};
use crate::sandbox::Sandbox;
use crate::terms::{Clock, printable};

/// What was typed behind `add`.
#[derive(clap::Args)]
pub(super) struct Typed {
    /// The component, or a core module of WASI preview 1, which is made one.
    component: PathBuf,
    /// What to call the tool; by default as its author does.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Let the tool's requests carry this secret of the manifest, as it asks for. May be repeated.
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Let the tool have what is in the buckets that a tool of this name had before.
    #[arg(long)]
    keep_buckets: bool,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A component that is to be added.
struct Component {
    bytes: Vec<u8>,
    looked: Looked,
    /// It was a core module.
    adapted: bool,
}

/// The section that would be written for what an author's text asks for, under this name and with the
/// component at this path.
///
/// # Errors
///
/// It is no `tool.toml` of one tool, or asks for what is the operator's alone.
pub fn asked_section(text: &str, name: &str, component: &str) -> anyhow::Result<String> {
    let section = Asked::read(text)?.section(name, component)?;
    Ok(section.text)
}

/// Adds a tool to the manifest.
pub(super) async fn add(setting: &Setting, typed: &Typed) -> anyhow::Result<ExitCode> {
    let component = read(&typed.component)?;
    let path = std::path::absolute(&setting.manifest)?;
    let before = existing(&path)?;
    let shown = typed.component.display().to_string();
    let asks = embedded_manifest::embedded(&component.bytes)
        .map_err(|fault| anyhow::anyhow!("{shown}: {}", fault.say))?;
    let asked = asks.map(|text| Asked::read(&text)).transpose()?;
    let name = name(typed, asked.as_ref())?;
    if let Some(taken) = before
        .manifest()?
        .tools
        .iter()
        .find(|tool| *tool.name == *name)
    {
        bail!(
            "there is a tool `{name}` on line {} of {}; choose another name with --name",
            taken.line,
            setting.manifest.display()
        );
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    let place = Place::of(&typed.component, base, &name, component.adapted)?;
    let section = match &asked {
        Some(asked) => asked.section(&name, &place.written)?,
        None => skeleton::section(&name, &place.written, &component.looked),
    };
    let text = before.with(&section.text);
    let config = checked(setting, &before, &text, &section)?;
    consent(typed, &section, &before)?;
    if !setting.json {
        show(&section, &component);
    }
    // Before anything is written, and so also where nothing will be: what refuses the one refuses the
    // other.
    config.lock()?;
    config.refuse_exposed_files()?;
    if !typed.keep_buckets {
        refuse_heirs(&config, &name).await?;
    }
    let lock_file = config.lock_path();
    let mut files = [&*path, &lock_file].into_iter().chain(place.new_file());
    files.try_for_each(writable)?;
    // A program has no functions before somebody has described them.
    let described = config
        .manifest
        .tools
        .iter()
        .any(|tool| *tool.name == *name && !tool.uses.is_empty());
    let pinned = component.looked.kind != Kind::Command || described;
    let locked = match pinned {
        true => Some(lock(&config, &section, &component.bytes, typed.dry_run)?),
        false => None,
    };
    if typed.dry_run {
        if setting.json {
            out::json(&told(&section, &place, &[]))?;
        }
        tell!("nothing was written (--dry-run)");
        return Ok(ExitCode::SUCCESS);
    }
    config.exposed_files().into_result()?;
    let changes = write(&config, &before, (&section, locked), || {
        place.bring(&component.bytes)
    })?;
    if setting.json {
        out::json(&told(&section, &place, &changes))?;
        return Ok(ExitCode::SUCCESS);
    }
    for change in &changes {
        say!("{}", change.to_string().trim_end());
    }
    let manifest = setting.manifest.display();
    match pinned {
        false => tell!(
            "{} {} is in {manifest}; it is a program: say there what its functions are, then run `toolhost lock`",
            green("ok"),
            bold(&name)
        ),
        true => tell!(
            "{} {} is in {manifest}, and locked; look at its section before you serve it",
            green("ok"),
            bold(&name)
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Component> {
    let bytes = authoring::bounded(file, MOST_COMPONENT)?;
    let said = |fault: crate::terms::Fault| {
        let detail = fault.detail.map(|detail| format!(" ({detail})"));
        let detail = detail.unwrap_or_default();
        // Names of the file's own stand in it: it stays one line.
        let why = format!("{}{detail}", fault.say);
        anyhow::anyhow!("{}: {}", file.display(), printable(&why))
    };
    let looked = compile::look(&bytes).map_err(said)?;
    let adapted = matches!(looked.kind, Kind::Preview1 | Kind::World | Kind::Core);
    let (bytes, looked) = match adapted {
        true => {
            let bytes = compile::adapt(&bytes, &Compiler::this_program()).map_err(said)?;
            let looked = compile::look(&bytes).map_err(said)?;
            (bytes, looked)
        }
        false => (bytes, looked),
    };
    compile::inspect(&bytes, looked.wasi).map_err(said)?;
    Ok(Component {
        bytes,
        looked,
        adapted,
    })
}

/// The operator's file as it is.
struct Before {
    /// Nothing where there is no file.
    text: Option<String>,
    name: String,
}

fn existing(path: &Path) -> anyhow::Result<Before> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text = match bounded::text(path, MOST_MANIFEST) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    Ok(Before { text, name })
}

impl Before {
    /// What the file says; one that is not there says the least that one can.
    fn manifest(&self) -> anyhow::Result<Manifest> {
        let text = self.text.as_deref().unwrap_or("schema = 1\n");
        manifest::parse(&self.name, text).map_err(|problems| anyhow::anyhow!("{problems}"))
    }

    /// What stands between what is there and a section.
    fn joint(&self) -> &'static str {
        match &self.text {
            None => "schema = 1\n\n",
            Some(text) if text.is_empty() || text.ends_with("\n\n") => "",
            Some(text) if text.ends_with('\n') => "\n",
            Some(_) => "\n\n",
        }
    }

    /// The file with a section at its end.
    fn with(&self, section: &str) -> String {
        format!(
            "{}{}{section}",
            self.text.as_deref().unwrap_or_default(),
            self.joint()
        )
    }

    /// Whether the file is as it was.
    fn is_still(&self, path: &Path) -> anyhow::Result<()> {
        ensure!(
            existing(path)?.text == self.text,
            "{} was changed meanwhile; run it again",
            path.display()
        );
        Ok(())
    }

    /// Writes the section behind what is there, which stays byte for byte.
    fn append(&self, path: &Path, section: &str) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(cannot)?;
        let more = format!("{}{section}", self.joint());
        file.write_all(more.as_bytes())
            .inspect_err(|_| {
                // A part of it would be no manifest. What is there is only more than there was.
                let length = self.text.as_ref().map_or(0, String::len);
                let _ = file.set_len(u64::try_from(length).unwrap_or(u64::MAX));
            })
            .with_context(cannot)
    }
}

fn name(typed: &Typed, asked: Option<&Asked>) -> anyhow::Result<String> {
    let name = match (&typed.name, asked) {
        (Some(name), _) => name.clone(),
        (None, Some(asked)) => asked.name.clone(),
        (None, None) => name_of(&typed.component),
    };
    ensure!(
        manifest::is_tool_name(&name),
        "`{}` is no name for a tool: 1 to 32 of `a-z`, `0-9`, `_`, a letter first",
        printable(&name)
    );
    Ok(name)
}

/// The manifest with the section, if it is sound, and if it says of everything else what it said
/// before.
fn checked(
    setting: &Setting,
    before: &Before,
    text: &str,
    section: &Section,
) -> anyhow::Result<HostConfig> {
    let secrets = &before.manifest()?.secrets;
    for (secret, to) in &section.secrets {
        let suggestion = section.suggestion(secret);
        ensure!(
            secrets.contains_key(secret.as_str()),
            "it asks that its requests to {to} carry a secret `{secret}`, which {} does not have. Write it there first, for example:\n\n[secret.{secret}]\n{suggestion}",
            before.name
        );
    }
    let config = HostConfig::of(setting, text.to_owned())
        .context("with the tool's section the manifest would not be sound; nothing was written")?;
    let (mut after, before) = (config.manifest.clone(), before.manifest()?);
    let own = after
        .tools
        .iter()
        .position(|tool| *tool.name == *section.name);
    let own = own.map(|at| after.tools.remove(at));
    // Whatever was tried with the text: only the one tool is new.
    ensure!(
        own.is_some() && after == before,
        "what the tool asks for would change more than its own section; nothing was written"
    );
    Ok(config)
}

/// A credential goes where the operator says, not where a component does.
fn consent(typed: &Typed, section: &Section, before: &Before) -> anyhow::Result<()> {
    for (secret, to) in &section.secrets {
        ensure!(
            typed.secret.contains(secret),
            "it asks that its requests to {to} carry the secret `{secret}` of {}; if they may, add --secret {secret}",
            before.name
        );
    }
    let used = |name: &&String| section.secrets.iter().any(|(secret, _)| secret == *name);
    match typed.secret.iter().find(|name| !used(name)) {
        Some(name) => bail!(
            "it does not ask for the secret `{}`: leave out --secret",
            printable(name)
        ),
        None => Ok(()),
    }
}

/// Refuses a tool under the name of one that kept something: it would find that in its buckets.
async fn refuse_heirs(config: &HostConfig, name: &str) -> anyhow::Result<()> {
    config.left_by(name).await?.map_or(Ok(()), |left| {
        bail!("{left}: add it with --keep-buckets if it may, or under another name with --name")
    })
}

/// Whether a file could be written, told without writing.
fn writable(file: &Path) -> anyhow::Result<()> {
    let there = file
        .ancestors()
        .find(|path| path.symlink_metadata().is_ok());
    let there = there.unwrap_or(Path::new("/"));
    let cannot = || format!("cannot write {}", file.display());
    let asked = match there == file {
        true => Access::WRITE_OK,
        false => Access::WRITE_OK | Access::EXEC_OK,
    };
    access(there, asked).with_context(cannot)?;
    ensure!(
        there == file || there.is_dir(),
        "{}: {} is not a folder",
        cannot(),
        there.display()
    );
    Ok(())
}

/// What the component is and offers, asked before anything of it is in its place. A `passing` answer
/// leaves nothing in the state folder.
fn lock(
    config: &HostConfig,
    section: &Section,
    component: &[u8],
    passing: bool,
) -> anyhow::Result<LockedTool> {
    let aside = tempfile::tempdir().context("cannot make a folder for what is asked")?;
    let file = aside.path().join("component.wasm");
    fs::write(&file, component).with_context(|| format!("cannot write {}", file.display()))?;
    let mut manifest = config.manifest.clone();
    manifest.tools.retain(|tool| *tool.name == *section.name);
    for tool in &mut manifest.tools {
        Arc::make_mut(tool).component = file.clone();
    }
    let sandbox = Sandbox::new(Clock::SYSTEM)?;
    let cache = match passing {
        true => Cache::open(aside.path().join("compiled"), Compiler::this_program())
            .context("cannot open a folder of compiled components")?,
        false => config.cache()?,
    };
    let world = config.bare_world();
    let runtime = tokio::runtime::Handle::current();
    let locked = tokio::task::block_in_place(|| {
        let places = Places {
            base: &config.base,
            cache: &cache,
            world: &world,
        };
        catalog::lock_tools(&sandbox, &manifest, places, &runtime, &|_| {})
    });
    let mut lock = locked.map_err(|troubles| Diagnostics::refuse(config, troubles))?;
    let (_, tool) = lock.tools.pop_first().context("the tool was not locked")?;
    let troubles: Vec<_> = manifest
        .tools
        .iter()
        .flat_map(|spec| catalog::idle(spec, &tool))
        .collect();
    match troubles.is_empty() {
        true => Ok(tool),
        false => Err(Diagnostics::refuse(config, troubles)),
    }
}

/// Brings the component, pins the tool and writes its section, all or nothing, and says what changed in
/// the lock. The section comes last: what is not in the manifest does nothing.
fn write(
    config: &HostConfig,
    before: &Before,
    (section, locked): (&Section, Option<LockedTool>),
    bring: impl FnOnce() -> anyhow::Result<Beside>,
) -> anyhow::Result<Vec<Change>> {
    let _turn = Turn::of(&config.base)?;
    // Before anything is written: another command may have had its turn since it was read.
    before.is_still(&config.path)?;
    let old = config.lock()?;
    let brought = bring()?.keep()?;
    let mut new = old.clone();
    let pinned = locked.map(|locked| new.tools.insert(section.name.clone(), locked));
    let undo = |error: anyhow::Error| {
        let undone = match pinned.is_some() {
            true => config.write_lock(&old),
            false => Ok(()),
        };
        match undone {
            Ok(()) => error,
            Err(more) => error.context(format!("the lock has the tool all the same: {more:#}")),
        }
    };
    if pinned.is_some() {
        config.write_lock(&new)?;
    }
    before.append(&config.path, &section.text).map_err(undo)?;
    brought.stay();
    Ok(old.changes(&new))
}

fn told(section: &Section, place: &Place, changes: &[Change]) -> serde_json::Value {
    json!({
        "tool": section.name,
        "component": place.written,
        "asks": section.rows,
        "section": section.text,
        "changes": changes,
    })
}

fn show(section: &Section, component: &Component) {
    if component.adapted {
        tell!("it is a core module; a component is made of it");
    }
    if section.rows.is_empty() {
        tell!("{} asks for nothing", bold(&section.name));
    } else {
        let mut shown = table(&["for", section.heading, "because"]);
        for row in &section.rows {
            let what: Vec<_> = row.what.lines().map(printable).collect();
            shown.add_row([
                printable(&row.owner),
                what.join("\n").into(),
                printable(&row.why),
            ]);
        }
        say!("{shown}\n");
    }
    for line in section.text.lines() {
        say!("{}", printable(line));
    }
    say!("");
}
