//! The lock file: what each tool was when its operator looked at it. A component that changed since
//! is refused until the operator has seen the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::terms::{Definition, Hints, SchemaDocument};

/// All that is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By the tool's name.
    pub tools: BTreeMap<String, LockedTool>,
}

/// One pinned tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedTool {
    /// SHA-256 of the component.
    pub digest: [u8; 32],
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports and agents cannot call, with the reasons.
    pub left_out: Vec<String>,
    /// What it offers.
    pub functions: Vec<Definition>,
}

/// The file's form. Schemas are JSON text: TOML has no null, and they are to be read as they are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    #[serde(default, rename = "tool", skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolEntry {
    name: Spanned<String>,
    sha256: String,
    imports: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    #[serde(default, rename = "function")]
    functions: Vec<FunctionEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionEntry {
    name: Spanned<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    input_schema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_schema: Option<String>,
    #[serde(default)]
    hints: Hints,
}

const HEADER: &str = "# Written by `toolhost lock`. It pins what each tool is and says: read its changes like code.\n\n";

/// The largest lock file that is read, in bytes.
pub const MOST_LOCK: u64 = 32 << 20;

/// What to do about a lock file that cannot be used.
const REMEDY: &str = "Run `toolhost lock`, which writes it anew and shows what it cannot compare as new; or take it back from where it is kept";

/// A lock file that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}. {REMEDY}{detail}")]
pub struct Damaged {
    why: String,
    /// The parser's own words, on lines of their own.
    detail: String,
    /// What can be read of it: where a merge left its marks, the side of whoever merged.
    pub rest: Lock,
}

impl Damaged {
    /// Damage of which nothing else is known.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            detail: String::new(),
            rest: Lock::default(),
        }
    }

    /// What is wrong with it, without what to do.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// Where a merge left its first mark, as a line from 1, and the text as it was on the side of whoever
/// merged. None where there is no such mark.
fn merged(text: &str) -> Option<(usize, String)> {
    let is_mark = |line: &str, mark: &str| {
        let rest = line.strip_prefix(mark);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let first = text.lines().position(|line| is_mark(line, "<<<<<<<"))?;
    let mut ours = String::with_capacity(text.len());
    let (mut is_torn, mut taken) = (false, true);
    for line in text.lines() {
        if is_mark(line, "<<<<<<<") {
            (is_torn, taken) = (true, true);
        } else if is_torn && is_mark(line, ">>>>>>>") {
            (is_torn, taken) = (false, true);
        } else if is_torn && (is_mark(line, "|||||||") || is_mark(line, "=======")) {
            taken = false;
        } else if taken {
            ours.push_str(line);
            ours.push('\n');
        }
    }
    Some((first + 1, ours))
}

/// The line that a name stands on, from 1. For what is wrong only: it reads the text from its begin.
fn line_of(text: &str, name: &Spanned<String>) -> usize {
    let before = text.get(..name.span().start).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// Refuses a name that stands twice: which of the two was looked at would be anybody's guess.
fn once<'a>(
    text: &str,
    what: &str,
    names: impl Iterator<Item = &'a Spanned<String>>,
) -> Result<(), String> {
    let mut known = BTreeMap::new();
    for name in names {
        if let Some(first) = known.insert(name.get_ref(), name) {
            return Err(format!(
                "the lock file has the {what} `{}` twice, on lines {} and {}",
                name.get_ref(),
                line_of(text, first),
                line_of(text, name)
            ));
        }
    }
    Ok(())
}

impl Lock {
    /// Reads a lock file's text.
    ///
    /// # Errors
    ///
    /// What is wrong, how to make it anew, and what could be read all the same.
    pub fn parse(text: &str) -> Result<Self, Damaged> {
        let error = match toml::from_str(text) {
            Ok(file) => return Self::read(text, file).map_err(Damaged::new),
            Err(error) => error,
        };
        // A text of a tool's own may look like a mark: only what cannot be read is taken for a merge.
        if let Some((line, ours)) = merged(text) {
            let rest = toml::from_str(&ours).ok();
            let rest = rest.and_then(|file| Self::read(&ours, file).ok());
            return Err(Damaged {
                rest: rest.unwrap_or_default(),
                ..Damaged::new(format!(
                    "a merge left its marks in the lock file (line {line})"
                ))
            });
        }
        Err(Damaged {
            detail: format!("\n{error}"),
            ..Damaged::new("the lock file is damaged")
        })
    }

    fn read(text: &str, file: File) -> Result<Self, String> {
        if file.schema != 1 {
            return Err(format!(
                "the lock file has schema {}; this host knows 1",
                file.schema
            ));
        }
        once(text, "tool", file.tools.iter().map(|entry| &entry.name))?;
        let tools = file.tools.into_iter().map(|entry| {
            let name = entry.name.clone();
            let functions = entry.functions.iter().map(|entry| &entry.name);
            once(text, "function", functions)?;
            let damaged = |error| {
                format!(
                    "the lock file's entry `{}` (line {}) is damaged: {error}",
                    name.get_ref(),
                    line_of(text, &name)
                )
            };
            let tool = entry.read().map_err(damaged)?;
            Ok((name.into_inner(), tool))
        });
        Ok(Self {
            tools: tools.collect::<Result<_, String>>()?,
        })
    }

    /// The lock file's text.
    ///
    /// # Errors
    ///
    /// When a value cannot be written as TOML: a defect.
    pub fn text(&self) -> Result<String, String> {
        let tools = self
            .tools
            .iter()
            .map(|(name, tool)| ToolEntry::write(name, tool))
            .collect();
        let body = toml::to_string_pretty(&File { schema: 1, tools })
            .map_err(|error| error.to_string())?;
        Ok(format!("{HEADER}{body}"))
    }

    /// What differs in `new`, tool by tool.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let names: BTreeSet<&String> = self.tools.keys().chain(new.tools.keys()).collect();
        let mut changes = Vec::new();
        for name in names {
            let lines = match (self.tools.get(name), new.tools.get(name)) {
                (None, Some(tool)) => {
                    let mut lines = vec![format!("+ new, sha256 {}", hex::encode(tool.digest))];
                    let names: Vec<&str> = tool.functions.iter().map(|f| f.name.as_str()).collect();
                    lines.push(format!("+ functions {}", names.join(", ")));
                    let left_out = tool.left_out.iter();
                    lines.extend(left_out.map(|one| format!("+ left out {one}")));
                    lines
                }
                (Some(_), None) => vec!["- removed".to_owned()],
                (Some(old), Some(new)) => old.differences(new),
                (None, None) => Vec::new(),
            };
            if !lines.is_empty() {
                changes.push(Change {
                    tool: name.clone(),
                    lines,
                });
            }
        }
        changes
    }
}

/// What differs in one tool, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The tool's name.
    pub tool: String,
    /// The differences.
    pub lines: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.tool)?;
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl LockedTool {
    fn differences(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.digest != new.digest {
            lines.push(format!(
                "~ sha256 {} -> {}",
                hex::encode(self.digest),
                hex::encode(new.digest)
            ));
        }
        lines.extend(set_differences(
            "import",
            self.imports.iter(),
            new.imports.iter(),
        ));
        lines.extend(set_differences(
            "left out",
            self.left_out.iter(),
            new.left_out.iter(),
        ));
        let old: BTreeMap<&str, &Definition> = self
            .functions
            .iter()
            .map(|f| (f.name.as_str(), f))
            .collect();
        let now: BTreeMap<&str, &Definition> =
            new.functions.iter().map(|f| (f.name.as_str(), f)).collect();
        lines.extend(set_differences("function", old.keys(), now.keys()));
        for (name, before) in &old {
            if let Some(after) = now.get(name) {
                lines.extend(function_differences(name, before, after));
            }
        }
        lines
    }
}

fn set_differences<T: Ord + fmt::Display>(
    what: &str,
    old: impl Iterator<Item = T>,
    new: impl Iterator<Item = T>,
) -> Vec<String> {
    let (old, new): (BTreeSet<T>, BTreeSet<T>) = (old.collect(), new.collect());
    let gone = old.difference(&new).map(|one| format!("- {what} {one}"));
    let come = new.difference(&old).map(|one| format!("+ {what} {one}"));
    gone.chain(come).collect()
}

fn function_differences(name: &str, old: &Definition, new: &Definition) -> Vec<String> {
    let mut lines = Vec::new();
    if old.description != new.description {
        lines.push(format!(
            "~ {name}: description\n      - {:?}\n      + {:?}",
            old.description, new.description
        ));
    }
    for (what, same) in [
        ("title", old.title == new.title),
        ("input schema", old.input_schema == new.input_schema),
        ("output schema", old.output_schema == new.output_schema),
        ("hints", old.hints == new.hints),
    ] {
        if !same {
            lines.push(format!("~ {name}: {what}"));
        }
    }
    let outputs = old.output_schema.as_ref().zip(new.output_schema.as_ref());
    for (what, old, new) in [("input schema", &old.input_schema, &new.input_schema)]
        .into_iter()
        .chain(outputs.map(|(old, new)| ("output schema", old, new)))
    {
        if is_reordered(old, new) {
            lines.push(format!("~ {name}: order of the {what}"));
        }
    }
    lines
}

/// Whether two schemas say the same in another order. That is no reason to refuse a tool, and a lock
/// of an older host has every schema sorted; but models read what the lock has, so it is shown.
fn is_reordered(old: &SchemaDocument, new: &SchemaDocument) -> bool {
    old == new && old.members() != new.members()
}

impl ToolEntry {
    fn write(name: &str, tool: &LockedTool) -> Self {
        let json =
            |schema: &SchemaDocument| serde_json::to_string_pretty(schema).unwrap_or_default();
        let functions = tool.functions.iter().map(|function| FunctionEntry {
            name: Spanned::new(0..0, function.name.clone()),
            title: function.title.clone(),
            description: function.description.clone(),
            input_schema: json(&function.input_schema),
            output_schema: function.output_schema.as_ref().map(json),
            hints: function.hints,
        });
        Self {
            name: Spanned::new(0..0, name.to_owned()),
            sha256: hex::encode(tool.digest),
            imports: tool.imports.clone(),
            left_out: tool.left_out.clone(),
            functions: functions.collect(),
        }
    }

    fn read(self) -> Result<LockedTool, String> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut digest)
            .map_err(|error| format!("sha256: {error}"))?;
        let functions = self.functions.into_iter().map(|entry| {
            let parse = |text: &str| {
                serde_json::from_str(text)
                    .map_err(|error| format!("schema of `{}`: {error}", entry.name.get_ref()))
            };
            Ok(Definition {
                input_schema: parse(&entry.input_schema)?,
                output_schema: entry.output_schema.as_deref().map(parse).transpose()?,
                name: entry.name.into_inner(),
                title: entry.title,
                description: entry.description,
                hints: entry.hints,
            })
        });
        Ok(LockedTool {
            digest,
            imports: self.imports,
            left_out: self.left_out,
            functions: functions.collect::<Result<_, String>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> SchemaDocument {
        serde_json::from_str(text).unwrap_or_else(|error| unreachable!("{error}"))
    }

    fn tool(digest: u8, description: &str) -> LockedTool {
        let input_schema = schema(r#"{ "type": "object", "x": null, "quote": "'''" }"#);
        LockedTool {
            digest: [digest; 32],
            imports: vec!["wasi:io/poll@0.2.6".into()],
            left_out: vec![],
            functions: vec![Definition {
                name: "f".into(),
                title: None,
                description: description.into(),
                input_schema,
                output_schema: None,
                hints: Hints {
                    read_only: Some(true),
                    ..Hints::default()
                },
            }],
        }
    }

    fn lock(tool: LockedTool) -> Lock {
        Lock {
            tools: BTreeMap::from([("t".to_owned(), tool)]),
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let lock = lock(tool(1, "says \"this\"\nand that"));
        assert_eq!(Lock::parse(&lock.text().unwrap_or_default()), Ok(lock));
    }

    #[test]
    fn a_schema_keeps_its_order_however_often_it_is_written_and_read() {
        let mut tool = tool(1, "says");
        let text = r#"{"type":"object","properties":{"to":{},"from":{},"amount":{}}}"#;
        for function in &mut tool.functions {
            function.input_schema = schema(text);
            function.output_schema = Some(schema(text));
        }
        let first = lock(tool).text().unwrap_or_default();
        let read = Lock::parse(&first).unwrap_or_default();
        let functions = read.tools.values().flat_map(|tool| &tool.functions);
        let said: Vec<String> = functions.map(|f| f.input_schema.to_string()).collect();
        assert_eq!(said, [text]);
        assert_eq!(read.text().unwrap_or_default(), first);
    }

    #[test]
    fn another_order_is_the_same_lock_and_is_shown() {
        let of = |text: &str| {
            let mut tool = tool(1, "says");
            for function in &mut tool.functions {
                function.input_schema = schema(text);
            }
            lock(tool)
        };
        let sorted = of(r#"{"properties":{"a":{},"b":{}},"type":"object"}"#);
        let written = of(r#"{"type":"object","properties":{"b":{},"a":{}}}"#);
        assert_eq!(sorted, written);
        let lines: Vec<String> = sorted
            .changes(&written)
            .into_iter()
            .flat_map(|change| change.lines)
            .collect();
        assert_eq!(lines, ["~ f: order of the input schema"]);
        assert!(written.changes(&written).is_empty());
    }

    #[test]
    fn n100_a_lock_that_says_a_name_twice_is_refused() {
        let text = lock(tool(1, "says")).text().unwrap_or_default();
        let twice = text.replace("\"x\": null", "\"x\": null,\n\"x\": 1");
        assert_ne!(twice, text);
        let said = said(&twice);
        assert!(
            said.contains("schema of `f`: the same name twice"),
            "{said}"
        );
    }

    #[test]
    fn a_changed_description_is_shown() {
        let changes = lock(tool(1, "old")).changes(&lock(tool(2, "new")));
        let shown: String = changes.iter().map(ToString::to_string).collect();
        assert!(
            shown.contains("sha256 0101")
                && shown.contains("- \"old\"")
                && shown.contains("+ \"new\""),
            "{shown}"
        );
        assert!(
            lock(tool(1, "old"))
                .changes(&lock(tool(1, "old")))
                .is_empty()
        );
    }

    #[test]
    fn x48_what_the_lock_does_not_know_or_has_twice_is_refused_with_its_line() {
        let text = lock(tool(1, "says")).text().unwrap_or_default();
        assert!(Lock::parse(&text).is_ok());
        let body = text.split_once("[[tool]]").map_or("", |(_, body)| body);
        let function = text.split_once("[[tool.function]]");
        let function = function.map_or("", |(_, function)| function);
        let twice = format!("{text}\n[[tool]]{body}");
        let function_twice = format!("{text}\n[[tool.function]]{function}");
        for (text, says) in [
            (format!("odd = 1\n{text}"), "odd"),
            (text.replace("sha256", "odd = 1\nsha256"), "odd"),
            (text.replace("description", "odd = 1\ndescription"), "odd"),
            (text.replace("read_only", "odd = true\nread_only"), "odd"),
            (twice, "the tool `t` twice, on lines "),
            (function_twice, "the function `f` twice, on lines "),
        ] {
            let said = said(&text);
            assert!(
                said.contains(says) && said.contains("line"),
                "{said}\n{text}"
            );
            assert!(said.contains("Run `toolhost lock`"), "{said}");
        }
    }

    fn said(text: &str) -> String {
        Lock::parse(text)
            .err()
            .map_or_else(String::new, |damaged| damaged.to_string())
    }

    #[test]
    fn damage_says_what_to_do() {
        let whole = lock(tool(1, "says")).text().unwrap_or_default();
        for (text, says) in [
            ("schema = 1\n[[tool]]\nname = \"t\"", "line 2"),
            ("schema = 9", "schema 9"),
            ("", "schema"),
            (whole.get(..whole.len() / 2).unwrap_or_default(), "damaged"),
        ] {
            let said = said(text);
            assert!(
                said.contains(says) && said.contains("Run `toolhost lock`"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_lock_of_many_functions_is_read_as_fast_as_its_toml() {
        let mut many = tool(1, &"long. ".repeat(100));
        let one = many.functions.first().cloned();
        many.functions = (0..4_000)
            .flat_map(|number| one.clone().map(|one| (number, one)))
            .map(|(number, one)| Definition {
                name: format!("f{number}"),
                ..one
            })
            .collect();
        let text = lock(many).text().unwrap_or_default();
        let took = |read: &dyn Fn() -> bool| {
            let once = |_| {
                let since = std::time::Instant::now();
                assert!(read());
                since.elapsed()
            };
            (0..3).map(once).min().unwrap_or_default()
        };
        let plain = took(&|| toml::from_str::<File>(&text).is_ok());
        let whole = took(&|| Lock::parse(&text).is_ok());
        assert!(
            whole < plain * 4,
            "{whole:?}, of which the parser needs {plain:?}"
        );
    }

    /// As git writes it, in its short form and with the common ancestor.
    #[test]
    fn g77_of_a_merge_that_left_its_marks_the_own_side_is_known() {
        let [ours, theirs] = [1, 2].map(|digest| lock(tool(digest, "says")));
        let text = |lock: &Lock| lock.text().unwrap_or_default();
        let (text_of_ours, text_of_theirs) = (text(&ours), text(&theirs));
        for base in ["", "||||||| 1234567\nodd = 1\n"] {
            let torn = format!(
                "<<<<<<< HEAD\n{text_of_ours}{base}=======\n{text_of_theirs}>>>>>>> theirs\n"
            );
            let damaged = Lock::parse(&torn).err();
            let says = damaged.as_ref().map_or("", Damaged::why);
            assert!(
                says.contains("a merge left its marks") && says.contains("line 1"),
                "{says}"
            );
            assert_eq!(damaged.map(|damaged| damaged.rest), Some(ours.clone()));
        }
        let half = format!("{text_of_ours}<<<<<<< HEAD\nodd = 1\n=======\n");
        assert_eq!(
            Lock::parse(&half).err().map(|damaged| damaged.rest),
            Some(Lock::default())
        );
        // Outside of what was torn a line of signs is a line like others.
        let said = lock(tool(1, "a title\n=======\nand ||||||| more"));
        let torn = format!(
            "{}<<<<<<< HEAD\n# a\n=======\n# b\n>>>>>>> x\n",
            text(&said)
        );
        assert_eq!(
            Lock::parse(&torn).err().map(|damaged| damaged.rest),
            Some(said)
        );
        // A tool may say so of itself.
        let same = lock(tool(1, "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x"));
        assert_eq!(Lock::parse(&text(&same)), Ok(same));
    }
}
