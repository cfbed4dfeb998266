//! The section of a tool that does not say what it asks for: what its component could use, each as a
//! comment with an example. It grants nothing.

use std::fmt::Write as _;

use super::asks::{Row, Section};
use crate::capability;
use crate::catalog::{Kind, Looked};
use crate::terms::Wasi;

/// A grant that a component could use: its kind, what it is for, and an example; `{}` is the tool.
const EXAMPLES: [(&str, &str, &str); 6] = [
    (
        "http",
        "requests",
        "[tool.{}.http.api]\nurl = \"https://api.example.com\"\nallow = [\"GET /orders/*\"]\n",
    ),
    (
        "dir",
        "files",
        "[tool.{}.dir.data]\nhost = \"./data\"\nguest = \"/data\"\naccess = \"read\"\n",
    ),
    (
        "kv",
        "storage that outlives a call",
        "[tool.{}.kv.default]\nbytes = \"1MiB\"\nkeys = 1000\n",
    ),
    ("env", "variables", "env = { NAME = \"value\" }\n"),
    ("config", "configuration", "config = { name = \"value\" }\n"),
    ("log", "messages for the operator's log", "log = \"info\"\n"),
];

/// What a program's function looks like; `{}` is the tool.
const COMMAND: &str = "\
# It is a program. Each function of the tool is a way to call it, with a section of its own:
#
";

pub(super) fn section(name: &str, component: &str, looked: &Looked) -> Section {
    let mut text = format!(
        "[tool.{name}]\ncomponent = {}\n",
        toml::Value::from(component)
    );
    if looked.wasi != Wasi::default() {
        let _ = writeln!(text, "wasi = \"{}\"", looked.wasi.as_str());
    }
    let usable = EXAMPLES
        .iter()
        .filter(|(kind, ..)| capability::usable(kind, &looked.imports));
    let mut rows = Vec::new();
    // Keys first: behind a section's header they would be that section's.
    let (keys, sections): (Vec<_>, Vec<_>) =
        usable.partition(|(.., example)| !example.starts_with('['));
    if !(keys.is_empty() && sections.is_empty()) {
        text.push_str(
            "# It says nothing of what it needs. It could use, and is granted nothing of:\n",
        );
    }
    for (kind, what, example) in keys.into_iter().chain(sections) {
        let _ = writeln!(text, "#\n# {what}:");
        commented(&mut text, &example.replace("{}", name));
        rows.push(Row {
            owner: (*kind).to_owned(),
            what: (*what).to_owned(),
            why: "its imports could use it; granted is nothing".to_owned(),
        });
    }
    if looked.kind == Kind::Command {
        text.push_str(&COMMAND.replace("{}", name));
    }
    Section {
        name: name.to_owned(),
        text,
        rows,
        heading: "it could use",
        secrets: Vec::new(),
        suggested: Default::default(),
    }
}

fn commented(text: &mut String, example: &str) {
    for line in example.lines() {
        let _ = writeln!(text, "# {line}");
    }
}
