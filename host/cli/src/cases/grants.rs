//! What a case is granted: what `tool.toml` says, with temporary folders and the case's own values, or
//! exactly what the case says where there is none. It runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use url::Host;

use crate::egress::{Origin, is_localhost, is_public};
use crate::grants;
use crate::manifest::{self, FunctionSpec, Manifest, ToolSpec};
use crate::terms::Wasi;

use super::file::{Access, Case, Failure};
use super::find::Found;
use super::judge::Difference;

/// Where the grants of all cases come from.
pub(super) enum Source {
    /// From a `tool.toml`.
    Written(Box<Manifest>),
    /// From the cases themselves.
    Derived { name: String, wasi: Wasi },
}

/// What one case runs with.
pub(super) struct Granted {
    /// One tool, with the case's folders and values.
    pub(super) manifest: Manifest,
    pub(super) tool: Arc<ToolSpec>,
    /// What the case's function has.
    pub(super) spec: Arc<FunctionSpec>,
    /// What of it the case needs, beyond requests.
    pub(super) needs: Vec<Need>,
}

/// Something of the outside that a case needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Need {
    /// `GET https://api.github.com/search/issues`, `read /notes`, ...
    pub(super) what: String,
    /// The grant: `http.api, line 9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
}

impl Source {
    pub(super) fn new(found: &Found) -> anyhow::Result<Self> {
        let Some(asks) = &found.asks else {
            let name = found.name.clone();
            let wasi = found.wasi;
            return Ok(Self::Derived { name, wasi });
        };
        match manifest::parse_part(&asks.place, &asks.text) {
            Ok(manifest) if manifest.tools.len() == 1 => Ok(Self::Written(Box::new(manifest))),
            Ok(manifest) => bail!(
                "{} has {} tools; it is to have one section [tool.<name>]",
                asks.place,
                manifest.tools.len()
            ),
            Err(problems) => bail!("{problems}"),
        }
    }

    /// The tool as it is asked what it is: before there is a case.
    pub(super) fn bare(&self) -> anyhow::Result<Manifest> {
        match self {
            Self::Written(manifest) => Ok(Manifest::clone(manifest)),
            Self::Derived { name, wasi } => parsed(&section(name, *wasi, &[])),
        }
    }

    /// What a case is granted, or what it says and is not granted. `component` is the tool's file.
    pub(super) fn granted(
        &self,
        case: &Case,
        component: &std::path::Path,
    ) -> anyhow::Result<Result<Granted, Vec<Difference>>> {
        let mut manifest = match self {
            Self::Written(manifest) => Manifest::clone(manifest),
            Self::Derived { name, wasi } => parsed(&section(name, *wasi, &[case]))?,
        };
        let [tool] = manifest.tools.as_slice() else {
            bail!("a tool.toml with several tools came to a case");
        };
        let mut spec = FunctionSpec::clone(tool.function(&case.function));
        let written = matches!(self, Self::Written(_));
        let (needs, missing) = adapt(&mut spec, case, &tool.name, written);
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        let spec = Arc::new(spec);
        let mut tool = ToolSpec::clone(tool);
        tool.component = component.to_owned();
        tool.functions
            .insert(case.function.as_str().into(), spec.clone());
        let tool = Arc::new(tool);
        manifest.tools = vec![tool.clone()];
        Ok(Ok(Granted {
            manifest,
            tool,
            spec,
            needs,
        }))
    }
}

fn parsed(text: &str) -> anyhow::Result<Manifest> {
    manifest::parse_part("the grants that the case needs", text)
        .map_err(|problems| anyhow::anyhow!("{problems}"))
}

/// The folder of a directory grant, below a case's own.
pub(super) fn folder(at: usize) -> PathBuf {
    PathBuf::from(format!("dirs/{at}"))
}

/// Puts a case's folders and values in the place of what is written; says what it needs, and what of
/// that nothing grants.
fn adapt(
    spec: &mut FunctionSpec,
    case: &Case,
    tool: &str,
    written: bool,
) -> (Vec<Need>, Vec<Difference>) {
    let (mut needs, mut missing) = (Vec::new(), Vec::new());
    let grants = &mut spec.grants;
    let mut need = |what: String, by: Result<String, String>| match by {
        Ok(by) => needs.push(Need {
            what,
            by: written.then_some(by),
        }),
        Err(hint) => missing.push(Difference::plain(format!(
            "tool.toml does not grant it: {what} ({hint})"
        ))),
    };
    for (at, grant) in grants.dir.iter_mut().enumerate() {
        grant.host = folder(at);
    }
    for (path, dir) in &case.dir {
        let wanted = dir.access.as_str();
        let found = grants.dir.iter().find(|grant| grant.guest == *path);
        let by = match found {
            None => Err(format!(
                "write a section [tool.{tool}.dir.<name>] with guest = {path:?}"
            )),
            Some(grant)
                if dir.access == Access::ReadWrite && grant.access == grants::DirAccess::Read =>
            {
                Err(format!(
                    "`{}` on line {} is access = \"read\"",
                    grant.name, grant.line
                ))
            }
            Some(grant) => Ok(format!("dir.{}, line {}", grant.name, grant.line)),
        };
        need(format!("{wanted} {path}"), by);
    }
    for (name, value) in &case.env {
        let found = grants.env.iter_mut().find(|grant| grant.name == *name);
        let by = found.map(|grant| {
            grant.value.clone_from(value);
            format!("env, line {}", grant.line)
        });
        need(
            format!("env {name}"),
            by.ok_or_else(|| format!("write `env = {{ {name} = \"...\" }}`")),
        );
    }
    for (key, value) in &case.config {
        let found = grants.config.iter_mut().find(|grant| grant.key == *key);
        let by = found.map(|grant| {
            grant.value.clone_from(value);
            format!("config, line {}", grant.line)
        });
        need(
            format!("config {key}"),
            by.ok_or_else(|| format!("write `config = {{ {key} = \"...\" }}`")),
        );
    }
    for name in case.kv.keys() {
        let found = grants.kv.iter().find(|grant| *grant.name == **name);
        let by = found.map(|grant| format!("kv.{name}, line {}", grant.line));
        need(
            format!("kv {name}"),
            by.ok_or_else(|| format!("write a section [tool.{tool}.kv.{name}]")),
        );
    }
    (needs, missing)
}

/// The rules of one origin.
#[derive(Default)]
struct Rules {
    grant: String,
    private: Option<String>,
    /// What changes nothing.
    safe: BTreeSet<String>,
    /// What may, by function.
    others: BTreeMap<String, BTreeSet<String>>,
}

/// The section of a `tool.toml` that grants what these cases say, and nothing else.
pub(super) fn section(name: &str, wasi: Wasi, cases: &[&Case]) -> String {
    let mut text = format!(
        "[tool.{name}]\ncomponent = {}\n",
        quoted(&format!("{name}.wasm"))
    );
    if wasi != Wasi::default() {
        let _ = writeln!(text, "wasi = {}", quoted(wasi.as_str()));
    }
    let values = |of: fn(&Case) -> &BTreeMap<String, String>| {
        let all: BTreeMap<&String, &String> =
            cases.iter().rev().flat_map(|case| of(case)).collect();
        let pairs = all
            .into_iter()
            .map(|(name, value)| format!("{} = {}", key(name), quoted(value)));
        pairs.collect::<Vec<_>>().join(", ")
    };
    for (key, values) in [
        ("env", values(|case| &case.env)),
        ("config", values(|case| &case.config)),
    ] {
        if !values.is_empty() {
            let _ = writeln!(text, "{key} = {{ {values} }}");
        }
    }
    let origins = origins(cases);
    for (url, rules) in &origins {
        let _ = write!(
            text,
            "\n[tool.{name}.http.{}]\nurl = {}\n",
            rules.grant,
            quoted(url)
        );
        if !rules.safe.is_empty() {
            let _ = writeln!(text, "allow = {}", list(&rules.safe));
        }
        if let Some(private) = &rules.private {
            let _ = writeln!(text, "private = [{}]", quoted(private));
        }
    }
    directories(&mut text, name, cases);
    let buckets: BTreeSet<&String> = cases.iter().flat_map(|case| case.kv.keys()).collect();
    for bucket in buckets {
        let _ = write!(
            text,
            "\n[tool.{name}.kv.{}]\nbytes = \"1MiB\"\nkeys = 1000\n",
            key(bucket)
        );
    }
    for rules in origins.values() {
        for (function, others) in &rules.others {
            let _ = write!(
                text,
                "\n[tool.{name}.function.{}.http.{}]\nallow = {}\n",
                key(function),
                rules.grant,
                list(others)
            );
        }
    }
    text
}

fn origins(cases: &[&Case]) -> BTreeMap<String, Rules> {
    let mut origins: BTreeMap<String, Rules> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for case in cases {
        let granted = case
            .http
            .iter()
            .filter(|one| one.fails != Some(Failure::Denied));
        for asked in granted.map(|exchange| &exchange.request.asked) {
            let rules = origins
                .entry(asked.origin.to_string())
                .or_insert_with(|| Rules {
                    grant: grant_name(&asked.origin, &mut names),
                    private: private(&asked.origin),
                    ..Rules::default()
                });
            let rule = format!("{} {}", asked.method, asked.path.as_str());
            if asked.method.is_safe() {
                rules.safe.insert(rule);
            } else {
                rules
                    .others
                    .entry(case.function.clone())
                    .or_default()
                    .insert(rule);
            }
        }
    }
    origins
}

/// A name for the grant of an origin, which no other one has.
fn grant_name(origin: &Origin, taken: &mut BTreeSet<String>) -> String {
    let host = origin.host_text();
    let clean = |c: char| {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            c
        } else {
            '-'
        }
    };
    let mut base: String = host.chars().map(clean).take(24).collect();
    if !base.starts_with(|c: char| c.is_ascii_lowercase()) {
        base.insert(0, 'h');
    }
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

/// The network that a grant has to name for an origin that is not on the internet.
fn private(origin: &Origin) -> Option<String> {
    match &origin.host {
        Host::Domain(name) => is_localhost(name).then(|| "127.0.0.0/8".to_owned()),
        Host::Ipv4(ip) => (!is_public((*ip).into())).then(|| format!("{ip}/32")),
        Host::Ipv6(ip) => (!is_public((*ip).into())).then(|| format!("{ip}/128")),
    }
}

/// Directories that everybody only reads are the tool's, others those of the functions.
fn directories(text: &mut String, name: &str, cases: &[&Case]) {
    let mut wanted: BTreeMap<&String, BTreeMap<&String, Access>> = BTreeMap::new();
    for case in cases {
        for (path, dir) in &case.dir {
            let access = wanted
                .entry(path)
                .or_default()
                .entry(&case.function)
                .or_default();
            *access = dir.access.max(*access);
        }
    }
    for (at, (path, functions)) in wanted.into_iter().enumerate() {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let base: String = path.trim_matches('/').chars().map(clean).take(24).collect();
        let grant = format!("d{at}-{base}");
        let grant = if base.starts_with(|c: char| c.is_ascii_lowercase()) && at == 0 {
            base
        } else {
            grant
        };
        let mut one = |owner: String, access: Access| {
            let host = quoted(&format!("./{}", path.trim_matches('/')));
            let _ = write!(
                text,
                "\n[{owner}.dir.{grant}]\nhost = {host}\nguest = {}\naccess = {}\n",
                quoted(path),
                quoted(access.as_str())
            );
        };
        if functions.values().all(|access| *access == Access::Read) {
            one(format!("tool.{name}"), Access::Read);
            continue;
        }
        for (function, access) in functions {
            one(format!("tool.{name}.function.{}", key(function)), access);
        }
    }
}

fn list(rules: &BTreeSet<String>) -> String {
    match rules.len() {
        1 => format!(
            "[{}]",
            rules.iter().map(|rule| quoted(rule)).collect::<String>()
        ),
        _ => {
            let lines = rules.iter().map(|rule| format!("    {},\n", quoted(rule)));
            format!("[\n{}]", lines.collect::<String>())
        }
    }
}

/// A text in TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key in TOML.
fn key(text: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match !text.is_empty() && text.bytes().all(bare) {
        true => text.to_owned(),
        false => quoted(text),
    }
}
