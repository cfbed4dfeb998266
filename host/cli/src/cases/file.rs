//! The files of cases: read, bounded, and checked. It knows the format and nothing of running.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::super::authoring::beneath;
use super::content::{Content, Json, Texts, stays_below};
use crate::compile::bounded::utf8;
use crate::egress::{ParsedRequest, RawRequest, RawTarget};

/// The largest file of cases, in bytes.
const MOST_FILE: u64 = 4 << 20;

/// What all files of cases have, with the files that they name, in bytes: it is held until the run ends.
const MOST_HELD: u64 = 256 << 20;

/// Cases of one run.
const MOST_CASES: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Case>,
}

/// One call, what surrounds it, and what has to come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The file it is in.
    #[serde(skip)]
    pub(super) file: String,
    pub(super) name: String,
    pub(super) function: String,
    #[serde(default)]
    pub(super) arguments: Option<Json>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) config: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) http: Vec<Exchange>,
    #[serde(default)]
    pub(super) dir: BTreeMap<String, Dir>,
    #[serde(default)]
    pub(super) kv: BTreeMap<String, Bucket>,
    pub(super) result: Option<Json>,
    pub(super) contains: Option<Json>,
    pub(super) text: Option<String>,
    pub(super) text_contains: Option<Texts>,
    pub(super) error: Option<WantedError>,
    pub(super) fault: Option<String>,
}

/// A request that is expected, and what answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    pub(super) request: Wanted,
    #[serde(default)]
    pub(super) request_headers: BTreeMap<String, String>,
    pub(super) request_body: Option<String>,
    pub(super) request_json: Option<Json>,
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Content>,
    pub(super) json: Option<Json>,
    pub(super) fails: Option<Failure>,
}

/// `METHOD URL`, read as a guest's request is.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Wanted {
    pub(super) text: String,
    pub(super) asked: ParsedRequest,
}

/// How a request ends without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Failure {
    Unreachable,
    Timeout,
    Tls,
    Protocol,
    Denied,
}

/// A directory before and after the call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dir {
    #[serde(default)]
    pub(super) access: Access,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) after: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) gone: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Access {
    #[default]
    Read,
    ReadWrite,
}

impl Access {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

/// A bucket before and after the call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    #[serde(default)]
    pub(super) entries: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) after: BTreeMap<String, Content>,
    #[serde(default)]
    pub(super) gone: Vec<String>,
}

/// The tool's own error that is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedError {
    pub(super) code: String,
    pub(super) message: Option<String>,
    pub(super) message_contains: Option<Texts>,
    pub(super) retry_after: Option<u32>,
    pub(super) data: Option<Json>,
}

impl TryFrom<String> for Wanted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let like = "write a method and a URL, like \"GET https://example.org/orders/7\"";
        let (method, url) = text.split_once(' ').ok_or(like)?;
        let target = RawTarget::Url(url.trim_start());
        let asked = ParsedRequest::parse(&RawRequest { method, target });
        let asked = asked.map_err(|error| format!("{error}; {like}"))?;
        Ok(Self { text, asked })
    }
}

/// Reads every case of a folder, in the order of the files' names.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let listed = fs::read_dir(folder)
        .with_context(|| format!("there is no folder of cases {}; write `cases/*.toml` there, or name another folder with --cases", folder.display()))?;
    let mut files = Vec::new();
    for entry in listed {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    let mut room = MOST_HELD;
    for path in files {
        let name = path.file_name().unwrap_or_default();
        let bytes = beneath(folder, Path::new(name), MOST_FILE.min(room))
            .with_context(|| format!("cannot read {}", path.display()))?;
        room = room.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let name = name.to_string_lossy();
        let text = utf8(bytes).with_context(|| format!("cannot read {}", path.display()))?;
        for mut case in parse(&text).with_context(|| path.display().to_string())? {
            let place = format!("{}: the case {:?}", path.display(), case.name);
            case.load(folder, &mut room).context(place)?;
            case.file = name.to_string();
            cases.push(case);
        }
        ensure!(
            cases.len() <= MOST_CASES,
            "there are more than {MOST_CASES} cases"
        );
    }
    ensure!(
        !cases.is_empty(),
        "{} has no cases: write `[[case]]` into a file of it that ends in .toml",
        folder.display()
    );
    Ok(cases)
}

/// The cases of one file, before the files are read that they name.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Case>> {
    let file: File = toml::from_str(text)?;
    let mut names = BTreeSet::new();
    for case in &file.case {
        let place = || format!("the case {:?}", case.name);
        ensure!(names.insert(&case.name), "{} is there twice", place());
        case.check().with_context(place)?;
    }
    Ok(file.case)
}

impl Case {
    /// What the types do not say.
    fn check(&self) -> anyhow::Result<()> {
        let result = [
            self.result.is_some(),
            self.contains.is_some(),
            self.text.is_some(),
            self.text_contains.is_some(),
        ];
        let of_result = result.contains(&true);
        let kinds = [of_result, self.error.is_some(), self.fault.is_some()];
        match kinds.iter().filter(|there| **there).count() {
            1 => {}
            0 => bail!(
                "says nothing of what has to come of it: write `result`, `contains`, `text`, `text_contains`, `error` or `fault`"
            ),
            _ => bail!("expects a result, an error and a fault at once: write one of them"),
        }
        let object = self
            .arguments
            .as_ref()
            .is_none_or(|json| json.0.is_object());
        ensure!(object, "`arguments` must be a JSON object");
        self.http.iter().try_for_each(Exchange::check)?;
        for (path, dir) in &self.dir {
            let reads =
                dir.access == Access::Read && !(dir.after.is_empty() && dir.gone.is_empty());
            ensure!(
                !reads,
                "nothing changes in {path:?}, whose access is \"read\": delete `after` and `gone`, or write `access = \"read-write\"`"
            );
            let paths = dir.files.keys().chain(dir.after.keys()).chain(&dir.gone);
            for inner in paths {
                ensure!(
                    stays_below(Path::new(inner)),
                    "{inner:?} is no path below {path:?}"
                );
            }
            named_once(path, &dir.after, &dir.gone)?;
        }
        for (name, bucket) in &self.kv {
            named_once(name, &bucket.after, &bucket.gone)?;
        }
        Ok(())
    }

    /// Puts the content of the files in that are named.
    fn load(&mut self, folder: &Path, room: &mut u64) -> anyhow::Result<()> {
        let bodies = self
            .http
            .iter_mut()
            .filter_map(|exchange| exchange.body.as_mut());
        let dirs = self.dir.values_mut();
        let files = dirs.flat_map(|dir| dir.files.values_mut().chain(dir.after.values_mut()));
        let buckets = self.kv.values_mut();
        let entries =
            buckets.flat_map(|one| one.entries.values_mut().chain(one.after.values_mut()));
        for content in bodies.chain(files).chain(entries) {
            content.load(folder, room)?;
        }
        Ok(())
    }
}

fn named_once(
    what: &str,
    after: &BTreeMap<String, Content>,
    gone: &[String],
) -> anyhow::Result<()> {
    let both = gone.iter().find(|name| after.contains_key(*name));
    both.map_or(Ok(()), |name| {
        bail!("{name:?} of {what:?} is in `after` and in `gone`")
    })
}

impl Exchange {
    fn check(&self) -> anyhow::Result<()> {
        let request = &self.request.text;
        let responds = self.status.is_some()
            || !self.headers.is_empty()
            || self.body.is_some()
            || self.json.is_some();
        ensure!(
            self.fails.is_none() || !responds,
            "the exchange {request:?} fails: it has no `status`, `headers`, `body` or `json`"
        );
        ensure!(
            self.body.is_none() || self.json.is_none(),
            "the exchange {request:?} has a `body` and a `json`: keep one"
        );
        ensure!(
            self.request_body.is_none() || self.request_json.is_none(),
            "the exchange {request:?} has a `request_body` and a `request_json`: keep one"
        );
        let judged = self.request_body.is_some()
            || self.request_json.is_some()
            || !self.request_headers.is_empty();
        ensure!(
            !(judged && self.fails == Some(Failure::Denied)),
            "the exchange {request:?} is refused: nobody sees its headers and its body"
        );
        if let Some(status) = self.status {
            ensure!(
                (200..=599).contains(&status),
                "the exchange {request:?}: {status} is no status of a response"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The example of the format's own page.
    #[test]
    fn the_example_is_sound() {
        let page = include_str!("../../../../guest-sdk/CASES.md");
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let file: File = toml::from_str(example).unwrap();
        assert_eq!(file.case.len(), 5);
        for case in &file.case {
            case.check().unwrap();
        }
    }
}
