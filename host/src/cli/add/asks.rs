//! What a tool's author asks for, read as what a stranger wrote: into the section of one tool, and into
//! rows that say what it would get. It writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use toml_edit::{Decor, DocumentMut, Item, RawString, Table, value};

use crate::capability::dir::Access;
use crate::capability::http::{HttpGrant, Way};
use crate::manifest::{self, FunctionSpec, Grants, Manifest, SecretPlace, ToolSpec};
use crate::terms::{Limits, is_hidden};

/// What an author's text is called in what is said of it.
const TEXT: &str = "the tool.toml in the component";

/// The longest reason that is shown, in characters.
const LONGEST: usize = 400;

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

/// One thing that is asked for.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Row {
    /// All functions, or which one.
    pub(super) owner: String,
    pub(super) what: String,
    /// The author's reason.
    pub(super) why: String,
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
fn sections(tool: &ToolSpec) -> impl Iterator<Item = (Option<&str>, &FunctionSpec)> {
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

/// Comments above tables and keys, by their path within the tool.
fn collect(path: &str, table: &Table, reasons: &mut BTreeMap<String, String>) {
    for (key, item) in table.iter() {
        let at = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        let above = match item {
            Item::Table(inner) => {
                collect(&at, inner, reasons);
                comment(inner.decor())
            }
            _ => table
                .key(key)
                .map(|key| comment(key.leaf_decor()))
                .unwrap_or_default(),
        };
        if !above.is_empty() {
            reasons.insert(at, above);
        }
    }
}

/// The comment in front of something.
fn comment(decor: &Decor) -> String {
    let text = decor
        .prefix()
        .and_then(RawString::as_str)
        .unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix('#'));
    let whole = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let whole = whole.trim();
    match whole.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", whole.get(..end).unwrap_or_default()),
        None => whole.to_owned(),
    }
}

/// What the tool would get, section by section; what a function has of its tool is not said again.
fn rows(tool: &ToolSpec, reasons: &BTreeMap<String, String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (function, spec) in sections(tool) {
        let (owner, prefix, inherited) = match function {
            None => ("all functions".to_owned(), String::new(), None),
            Some(name) => (
                name.to_owned(),
                format!("function.{name}"),
                Some(&*tool.all),
            ),
        };
        for (path, what) in asked(spec, inherited) {
            let at = [prefix.as_str(), &path]
                .into_iter()
                .filter(|part| !part.is_empty());
            let at = at.collect::<Vec<_>>().join(".");
            // The nearest comment above it, up to the section's.
            let paths = std::iter::successors(Some(at.as_str()), |at| {
                at.rsplit_once('.').map(|(above, _)| above)
            });
            let section = (!prefix.is_empty()).then_some(prefix.as_str());
            let why = paths
                .chain(section)
                .filter(|at| *at != "function")
                .find_map(|at| reasons.get(at));
            let why = why.or_else(|| reasons.get("").filter(|_| function.is_none()));
            rows.push(Row {
                owner: owner.clone(),
                what,
                why: why
                    .filter(|why| !why.is_empty())
                    .cloned()
                    .unwrap_or_else(|| "-".to_owned()),
            });
        }
    }
    rows
}

/// What a section adds to what it inherits: the path of each in the section, and in words.
fn asked(spec: &FunctionSpec, inherited: Option<&FunctionSpec>) -> Vec<(String, String)> {
    let none = Grants::default();
    let had = inherited.map_or(&none, |spec| &spec.grants);
    let grants = &spec.grants;
    let mut all = Vec::new();
    for grant in &grants.http {
        let known = had.http.iter().find(|known| known.name == grant.name);
        if let Some(what) = requests(grant, known.map(|known| &**known)) {
            all.push((format!("http.{}", grant.name), what));
        }
    }
    for grant in grants.dir.iter().filter(|grant| !had.dir.contains(grant)) {
        let verb = match grant.access {
            Access::Read => "reads",
            Access::ReadWrite => "reads and writes",
        };
        all.push((
            format!("dir.{}", grant.name),
            format!("{verb} {} as {}", grant.host.display(), grant.guest),
        ));
    }
    for grant in grants.kv.iter().filter(|grant| !had.kv.contains(grant)) {
        all.push((
            format!("kv.{}", grant.name),
            format!(
                "keeps up to {} bytes in the bucket {}",
                grant.bytes, grant.name
            ),
        ));
    }
    for grant in grants.env.iter().filter(|grant| !had.env.contains(grant)) {
        all.push((
            "env".to_owned(),
            format!("the variable {} = {:?}", grant.name, grant.value),
        ));
    }
    for grant in grants
        .config
        .iter()
        .filter(|grant| !had.config.contains(grant))
    {
        all.push((
            "config".to_owned(),
            format!("the value {} = {:?}", grant.key, grant.value),
        ));
    }
    if let Some(grant) = grants.log.filter(|grant| had.log != Some(*grant)) {
        all.push((
            "log".to_owned(),
            format!("writes to the log from {:?} on", grant.level),
        ));
    }
    let usual = inherited.map_or(Limits::DEFAULT, |spec| spec.limits);
    if spec.limits != usual {
        all.push(("limits".to_owned(), "limits of its own".to_owned()));
    }
    all
}

/// What a grant adds to the one of the same name that is there already.
fn requests(grant: &HttpGrant, known: Option<&HttpGrant>) -> Option<String> {
    let fresh = |rule: &&crate::capability::http::Rule| {
        known.is_none_or(|known| !known.allow.contains(rule))
    };
    let rules: Vec<&str> = grant
        .allow
        .iter()
        .filter(fresh)
        .map(|rule| &*rule.text)
        .collect();
    if known.is_some() && rules.is_empty() {
        return None;
    }
    let mut what = format!("{}: {}", grant.origin, rules.join(", "));
    if known.is_none() {
        if !grant.private.is_empty() {
            let networks = grant
                .private
                .iter()
                .map(|net| format!("{}/{}", net.address, net.prefix));
            what.push_str(&format!(
                "\nreaches the private network {}",
                networks.collect::<Vec<_>>().join(", ")
            ));
        }
        if let Some(auth) = &grant.auth {
            what.push_str(&format!("\nwith the secret `{}`", auth.secret()));
        }
    }
    Some(what)
}
