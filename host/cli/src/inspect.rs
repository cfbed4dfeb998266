//! `inspect`: what a file is, what it asks for, what it offers, and what this host would refuse of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::authoring::{AuthoringEnv, MOST_COMPONENT, bounded};
use super::table::{bold, green, red, size, table};
use super::{Setting, out};
use crate::catalog;
use crate::compile;
use crate::compile::{Compiler, Kind, Looked, embedded_manifest};
use crate::grants;
use crate::grants::CAPABILITIES;
use crate::manifest;
use crate::sandbox::LeftOut;
use crate::terms::printable;
use crate::terms::{Definition, Fault, Wasi};

/// A report as programs read it. Schemas keep their order, which they would lose in a `Value`.
#[derive(Serialize)]
struct Written<'a> {
    file: &'a Path,
    bytes: usize,
    sha256: String,
    kind: Option<Kind>,
    wasi: Option<&'static str>,
    imports: BTreeMap<&'static str, Vec<&'a str>>,
    exports: Option<&'a [String]>,
    functions: &'a [Definition],
    left_out: &'a [LeftOut],
    tool_toml: Option<&'a str>,
    notes: &'a [&'static str],
    refused: &'a [String],
    runs: bool,
}

/// All that is known of a file.
#[derive(Default)]
struct Report {
    looked: Option<Looked>,
    functions: Vec<Definition>,
    left_out: Vec<LeftOut>,
    /// Its `tool.toml`.
    asks: Option<String>,
    /// Why this host does not run it.
    refused: Vec<String>,
    notes: Vec<&'static str>,
}

/// Looks at a file. 0: the host can run it, or `add` can make it so; 1: it cannot.
pub(super) async fn inspect(setting: &Setting, file: &Path) -> anyhow::Result<ExitCode> {
    let bytes = bounded(file, MOST_COMPONENT)?;
    let mut report = Report::default();
    match compile::look(&bytes) {
        Ok(looked) => report.read(file, &bytes, looked)?,
        Err(fault) => report.refused.push(said(&fault)),
    }
    if setting.json {
        out::json(&report.json(file, &bytes))?;
    } else {
        report.print(file, &bytes);
    }
    Ok(match report.refused.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn said(fault: &Fault) -> String {
    match &fault.detail {
        Some(detail) => format!("{} ({detail})", fault.say),
        None => fault.say.to_string(),
    }
}

impl Report {
    fn read(&mut self, file: &Path, bytes: &[u8], looked: Looked) -> anyhow::Result<()> {
        match looked.kind {
            Kind::Preview1 | Kind::World | Kind::Core => self.read_module(bytes),
            Kind::Tool
            | Kind::Command
            | Kind::Typed
            | Kind::Proxy
            | Kind::Package
            | Kind::Silent => {
                self.read_component(file, bytes, &looked)?;
            }
        }
        self.looked = Some(looked);
        Ok(())
    }

    fn read_module(&mut self, bytes: &[u8]) {
        let adapted = compile::adapt(bytes, &Compiler::this_program()).and_then(|component| {
            let wasi = compile::look(&component)?.wasi;
            compile::inspect(&component, wasi)
        });
        match adapted {
            Ok(_) => self.notes.push("`toolhost add` makes a component of it"),
            Err(fault) => self.refused.push(said(&fault)),
        }
    }

    fn read_component(&mut self, file: &Path, bytes: &[u8], looked: &Looked) -> anyhow::Result<()> {
        match embedded_manifest::embedded(bytes) {
            Ok(asks) => self.asks = asks,
            Err(fault) => self.refused.push(said(&fault)),
        }
        if let Err(fault) = compile::inspect(bytes, looked.wasi) {
            self.refused.push(said(&fault));
            return Ok(());
        }
        if looked.wasi == Wasi::V03 {
            self.notes
                .push("it is of WASI 0.3: its tool's section says so with `wasi = \"0.3\"`");
        }
        let authoring = AuthoringEnv::open()?;
        let file = std::path::absolute(file)?;
        let config = tokio::task::block_in_place(|| {
            catalog::open_component(&authoring.sandbox, &file, looked.wasi, &authoring.cache)
        });
        let prepared = match config {
            Ok(loaded) => loaded.prepared,
            Err(why) => {
                self.refused.push(why);
                return Ok(());
            }
        };
        if let Some(typed) = prepared.typed() {
            self.left_out = typed.left_out().to_vec();
            if looked.kind == Kind::Command {
                self.notes.push(
                    "it is a program: its functions are what the manifest makes of its arguments",
                );
            } else if typed.functions().next().is_none() {
                self.refused
                    .push("it has no function that an agent could call".to_owned());
            }
            if typed.functions().next().is_none() {
                return Ok(());
            }
        }
        match authoring.lock(&asking(&file, looked.wasi)?) {
            Ok(mut lock) => {
                let locked = lock.tools.pop_first();
                self.functions = locked.map(|(_, tool)| tool.functions).unwrap_or_default();
            }
            Err(error) => {
                let why = format!("{error:#}");
                let why = why.strip_prefix(ASKED).unwrap_or(&why);
                self.refused.push(why.to_owned());
            }
        }
        Ok(())
    }

    fn imports(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let Some(looked) = &self.looked else {
            return groups;
        };
        for import in &looked.imports {
            let group = match looked.kind {
                Kind::Preview1 | Kind::World | Kind::Core => "core",
                _ if grants::provided_by(import).is_none() => "unknown",
                _ => grants::power(import),
            };
            groups.entry(group).or_default().push(import);
        }
        if !looked.types.is_empty() {
            let types = looked.types.iter().map(String::as_str);
            groups.insert("types", types.collect());
        }
        groups
    }

    fn json<'a>(&'a self, file: &'a Path, bytes: &[u8]) -> Written<'a> {
        let looked = self.looked.as_ref();
        Written {
            file,
            bytes: bytes.len(),
            sha256: hex::encode(Sha256::digest(bytes)),
            kind: looked.map(|looked| looked.kind),
            wasi: looked.map(|looked| looked.wasi.as_str()),
            imports: self.imports(),
            exports: looked.map(|looked| looked.exports.as_slice()),
            functions: &self.functions,
            left_out: &self.left_out,
            tool_toml: self.asks.as_deref(),
            notes: &self.notes,
            refused: &self.refused,
            runs: self.refused.is_empty(),
        }
    }

    fn print(&self, file: &Path, bytes: &[u8]) {
        let name = file.display().to_string();
        let kind = self
            .looked
            .as_ref()
            .map_or("no WebAssembly that can be read", |looked| {
                looked.kind.words()
            });
        let mut shown = table(&["file", "size", "what it is"]);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        shown.add_row([printable(&name), size(length).into(), kind.into()]);
        say!("{shown}\nsha256 {}", hex::encode(Sha256::digest(bytes)));
        let imports = self.imports();
        if !imports.is_empty() {
            let mut shown = table(&["for", "in this host", "it imports"]);
            for (power, names) in &imports {
                if *power == "core" {
                    for (module, names) in by_module(names) {
                        shown.add_row([printable(module), answered(module).into(), names.into()]);
                    }
                    continue;
                }
                let names: Vec<Cow<'_, str>> = names.iter().map(|name| printable(name)).collect();
                shown.add_row([*power, treatment(power), &names.join("\n")]);
            }
            say!("\n{shown}");
        }
        if let Some(looked) = self
            .looked
            .as_ref()
            .filter(|looked| !looked.exports.is_empty())
        {
            let names: Vec<Cow<'_, str>> =
                looked.exports.iter().map(|name| printable(name)).collect();
            say!("\n{}\n{}", bold("IT EXPORTS"), indented(&names.join("\n")));
        }
        for function in &self.functions {
            let signature = format!("{}{}", function.name, parameters(function));
            say!(
                "\n{}\n{}",
                bold(&printable(&signature)),
                indented(&function.description)
            );
        }
        if !self.left_out.is_empty() {
            let mut shown = table(&["left out", "why"]);
            for one in &self.left_out {
                shown.add_row([printable(&one.export), printable(&one.why)]);
            }
            say!("\n{shown}");
        }
        if let Some(asks) = &self.asks {
            say!(
                "\n{}\n{}",
                bold("IT ASKS FOR (its tool.toml)"),
                indented(asks.trim_end())
            );
        }
        for note in &self.notes {
            tell!("{} {note}", green("note"));
        }
        for why in &self.refused {
            tell!("{} {}", red("refused"), printable(why));
        }
        if !self.functions.is_empty() {
            let count = match self.functions.len() {
                1 => "1 function; --json has its schemas".to_owned(),
                more => format!("{more} functions; --json has their schemas"),
            };
            tell!("{} {count}", green("ok"));
        }
    }
}

/// How what is wrong with the one tool of `asking` begins.
const ASKED: &str = "tool `it`: ";

/// A manifest that grants a component nothing, to ask it what it offers.
fn asking(file: &Path, wasi: Wasi) -> anyhow::Result<manifest::Manifest> {
    let generation = match wasi {
        Wasi::V02 => String::new(),
        Wasi::V03 => format!("wasi = \"{}\"\n", wasi.as_str()),
    };
    let text = format!("[tool.it]\ncomponent = \"it.wasm\"\n{generation}");
    let mut manifest = manifest::parse_part("what is asked", &text)
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    for tool in &mut manifest.tools {
        std::sync::Arc::make_mut(tool).component = file.to_owned();
    }
    Ok(manifest)
}

/// What a component finds behind such an import.
fn treatment(power: &str) -> &'static str {
    match power {
        "sockets" => "always refused",
        "types" => "nothing is needed of it: it only names types",
        "unknown" => "not provided",
        name => {
            let known = CAPABILITIES.iter().find(|known| known.name == name);
            let granting = known.and_then(|known| known.grant.as_ref());
            granting.map_or("always there", |granting| granting.finds)
        }
    }
}

/// A core module's imports by the module they are of, each line as long as a terminal is wide.
fn by_module<'a>(imports: &[&'a str]) -> BTreeMap<&'a str, String> {
    let mut modules: BTreeMap<&str, String> = BTreeMap::new();
    for import in imports {
        // The version of an interface has two dots in it.
        let version = import.find('@').unwrap_or(0);
        let mut dots = import.match_indices('.').map(|(at, _)| at);
        let dot = match version {
            0 => dots.next(),
            _ => dots.filter(|at| *at > version).nth(2),
        };
        let (module, name) = import.split_at(dot.unwrap_or(import.len()));
        let name = name.trim_start_matches('.');
        let names = modules.entry(module).or_default();
        let line = names.lines().last().unwrap_or_default().len();
        match line {
            0 => {}
            _ if line + name.len() < 60 => names.push_str(", "),
            _ => names.push_str(",\n"),
        }
        names.push_str(&printable(name));
    }
    modules
}

/// Who answers what a core module imports of this module.
fn answered(module: &str) -> &'static str {
    match module {
        "wasi_snapshot_preview1" => "by the adapter",
        interface if grants::provided_by(interface).is_some() => {
            treatment(grants::power(interface))
        }
        _ => "not provided",
    }
}

/// What a function takes: `(url: string, start?: integer)`.
fn parameters(function: &Definition) -> String {
    let schema = &function.input_schema;
    let required = schema.as_map().get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let parameters = schema.properties().map(|(name, schema)| {
        let mut kinds = Vec::new();
        gather(schema, &mut kinds);
        let kind = match kinds.is_empty() {
            true => "any".to_owned(),
            false => kinds.join("|"),
        };
        let mark = if is_required(name) { "" } else { "?" };
        format!("{name}{mark}: {kind}")
    });
    format!("({})", parameters.collect::<Vec<_>>().join(", "))
}

/// The kinds of values that a schema takes, each once; what is left out is said by the mark.
fn gather<'s>(schema: &'s Value, kinds: &mut Vec<&'s str>) {
    let mut add = |kind: &'s str| {
        if kind != "null" && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    match schema.get("type") {
        Some(Value::String(kind)) => add(kind),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).for_each(add),
        _ if is_words(schema) => add("string"),
        _ => {
            let any = schema.get("anyOf").and_then(Value::as_array);
            any.into_iter().flatten().for_each(|one| gather(one, kinds));
        }
    }
}

fn is_words(schema: &Value) -> bool {
    let names = schema.get("enum").and_then(Value::as_array);
    names.is_some_and(|names| names.iter().all(Value::is_string))
}

/// Lines of a foreign text, set off from what the host says.
fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {}", printable(line)));
    lines.collect::<Vec<_>>().join("\n")
}
