//! What a tool's author asks for, read as what a stranger wrote: into the section of one tool, and into
//! rows that say what it would get. It writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use toml_edit::{DocumentMut, Item, Table, value};

use super::rows::{Row, collect, comment, rows};
use crate::egress::Way;
use crate::manifest::{self, FunctionSpec, Manifest, SecretPlace, ToolSpec};
use crate::terms::is_hidden;

/// What an author's text is called in what is said of it.
const TEXT: &str = "the tool.toml in the component";

/// What one author asks for.
pub(super) struct Asked {
    /// What he calls the tool.
    pub(super) name: String,
    document: DocumentMut,
    manifest: Manifest,
    tool: Arc<ToolSpec>,
}

/// A section that could be written.
pub(super) struct Section {
    /// The tool.
    pub(super) name: String,
    /// The section's text.
    pub(super) text: String,
    /// What is asked for.
    pub(super) rows: Vec<Row>,
    /// What the rows are.
    pub(super) heading: &'static str,
    /// Secrets that its requests are to carry, and where to.
    pub(super) secrets: Vec<(String, String)>,
    /// Where the author takes these secrets from.
    pub(super) suggested: BTreeMap<String, String>,
}

impl Section {
    /// How a secret's section could begin.
    pub(super) fn suggestion(&self, secret: &str) -> String {
        let known = self.suggested.get(secret).cloned();
        known.unwrap_or_else(|| {
            format!(
                "env = \"{}\"",
                secret.to_ascii_uppercase().replace('-', "_")
            )
        })
    }
}

impl Asked {
    /// Reads an author's text.
    ///
    /// # Errors
    ///
    /// It is no `tool.toml` of one tool, or asks for what is the operator's alone.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let text = text.replace("\r\n", "\n");
        let unseen = |c: char| c != '\n' && c != '\t' && (c.is_control() || is_hidden(c));
        if let Some((at, c)) = text.char_indices().find(|(_, c)| unseen(*c)) {
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            bail!(
                "{TEXT} holds a character that nobody sees ({}) on line {line}",
                c.escape_unicode()
            );
        }
        let manifest = manifest::parse_part(TEXT, &text).map_err(|problems| {
            anyhow::anyhow!("what the tool asks for cannot be used:\n{problems}")
        })?;
        let [tool] = manifest.tools.as_slice() else {
            bail!(
                "{TEXT} has {} tools; it may only speak of its own",
                manifest.tools.len()
            );
        };
        let tool = tool.clone();
        sections(&tool).try_for_each(|(_, spec)| own(spec))?;
        let document = text.parse().context(TEXT)?;
        Ok(Self {
            name: tool.name.to_string(),
            document,
            manifest,
            tool,
        })
    }

    /// The section under this name, with the component where it lies.
    ///
    /// # Errors
    ///
    /// The text is in another form than sections.
    pub(super) fn section(&self, name: &str, component: &str) -> anyhow::Result<Section> {
        let form = || {
            format!(
                "{TEXT} is to be written in sections: [tool.{}], [tool.{}.http.api], ...",
                self.name, self.name
            )
        };
        let tools = self
            .document
            .get("tool")
            .and_then(Item::as_table)
            .with_context(form)?;
        let mut own = tools
            .get(&self.name)
            .and_then(Item::as_table)
            .with_context(form)?
            .clone();
        ensure!(!own.is_dotted() && !own.is_implicit(), form());
        let mut reasons = BTreeMap::new();
        reasons.insert(String::new(), comment(own.decor()));
        collect("", &own, &mut reasons);
        own.insert("component", value(component));
        let mut tools = Table::new();
        tools.set_implicit(true);
        tools.insert(name, Item::Table(own));
        let mut document = DocumentMut::new();
        document.insert("tool", Item::Table(tools));
        let text = document.to_string();
        let text = format!("{}\n", text.trim());
        self.same(name, &text)?;
        Ok(Section {
            name: name.to_owned(),
            text,
            rows: rows(&self.tool, &reasons),
            heading: "it asks for",
            secrets: self.secrets(),
            suggested: self.suggested(),
        })
    }

    /// Whether a text says of its one tool what the author said, and nothing else.
    fn same(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut whole = text.to_owned();
        for secret in self.manifest.secrets.keys() {
            whole.push_str(&format!("[secret.{secret}]\nenv = \"X\"\n"));
        }
        let again = manifest::parse_part(TEXT, &whole).map_err(|problems| {
            anyhow::anyhow!("what the tool asks for cannot be used:\n{problems}")
        })?;
        let one = matches!(again.tools.as_slice(), [tool] if *tool.name == *name);
        let first = text
            .lines()
            .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let header = first.map(str::trim) == Some(&format!("[tool.{name}]"));
        ensure!(
            one && header,
            "{TEXT} is to be written in sections, [tool.{}] first",
            self.name
        );
        Ok(())
    }

    fn secrets(&self) -> Vec<(String, String)> {
        let grants = sections(&self.tool).flat_map(|(_, spec)| &spec.grants.http);
        let mut all: Vec<_> = grants
            .filter_map(|grant| {
                Some((
                    grant.auth.as_ref()?.secret().to_owned(),
                    grant.origin.to_string(),
                ))
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    fn suggested(&self) -> BTreeMap<String, String> {
        let place = |place: &SecretPlace| match place {
            SecretPlace::Env(variable) => Some(format!("env = \"{variable}\"")),
            // A stranger's file or program is no suggestion.
            SecretPlace::File(_) | SecretPlace::Command(_) => None,
        };
        let all = self.manifest.secrets.iter();
        all.filter_map(|(name, spec)| Some((name.to_string(), place(&spec.place)?)))
            .collect()
    }
}

/// A tool's sections: its own, which holds for all functions, and those of functions.
pub(super) fn sections(tool: &ToolSpec) -> impl Iterator<Item = (Option<&str>, &FunctionSpec)> {
    let all = std::iter::once((None, &*tool.all));
    all.chain(
        tool.functions
            .iter()
            .map(|(name, spec)| (Some(&**name), &**spec)),
    )
}

/// Whether a section keeps to what a component's author may ask for.
fn own(spec: &FunctionSpec) -> anyhow::Result<()> {
    for grant in &spec.grants.dir {
        let mut parts = grant.host.components();
        let inner = parts.all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )
        });
        ensure!(
            inner,
            "{TEXT} asks for the directory {:?}, which is not below the manifest's folder; if it is to have it, write that grant yourself",
            grant.host
        );
    }
    for grant in &spec.grants.http {
        ensure!(
            grant.way == Way::default(),
            "{TEXT} says which proxy or certificates the grant `{}` uses; that is the operator's to say",
            grant.name
        );
    }
    Ok(())
}
