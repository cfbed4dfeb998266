//! The section of a tool that does not say what it asks for: what its component could use, each as a
//! comment with an example. It grants nothing.

use std::fmt::Write as _;

use super::asks::Section;
use super::rows::Row;
use crate::compile::{Kind, Looked};
use crate::grants::CAPABILITIES;
use crate::terms::Wasi;

/// A way to call a program; `{}` is the tool.
const COMMAND: &str = "\
[tool.{}.command.run]
description = \"What it does, and when to use it: a model reads this.\"
input.text = { type = \"string\" }
input.width = { type = \"integer\", minimum = 1 }
optional = [\"width\"]
arguments = [\"--quiet\", { when = \"width\", then = [\"--width\", \"{width}\"] }]
stdin = \"{text}\"
stdout = \"text\"
success = [0]
";

pub(super) fn section(name: &str, component: &str, looked: &Looked) -> Section {
    let mut text = format!(
        "[tool.{name}]\ncomponent = {}\n",
        toml::Value::from(component)
    );
    if looked.wasi != Wasi::default() {
        let _ = writeln!(text, "wasi = \"{}\"", looked.wasi.as_str());
    }
    let usable = CAPABILITIES
        .iter()
        .filter(|capability| capability.is_usable(&looked.imports))
        .filter_map(|capability| Some((capability.name, capability.grant.as_ref()?)));
    let mut rows = Vec::new();
    // Keys first: behind a section's header they would be that section's.
    let (keys, sections): (Vec<_>, Vec<_>) =
        usable.partition(|(_, granting)| !granting.example.starts_with('['));
    if !(keys.is_empty() && sections.is_empty()) {
        text.push_str(
            "# It says nothing of what it needs. It could use, and is granted nothing of:\n",
        );
    }
    for (kind, granting) in keys.into_iter().chain(sections) {
        let _ = writeln!(text, "#\n# {}:", granting.purpose);
        commented(&mut text, &granting.example.replace("{}", name));
        rows.push(Row {
            owner: kind.to_owned(),
            what: granting.purpose.to_owned(),
            why: "its imports could use it; granted is nothing".to_owned(),
        });
    }
    if looked.kind == Kind::Command {
        text.push_str("#\n# It is a program. Each function of the tool is a way to call it:\n");
        commented(&mut text, &COMMAND.replace("{}", name));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::manifest;

    fn program() -> Looked {
        let every = [
            "toolhost:tool/http@0.1.0",
            "wasi:filesystem/preopens@0.2.6",
            "wasi:cli/environment@0.2.6",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:config/store@0.2.0-rc.1",
            "wasi:logging/logging",
        ];
        Looked {
            kind: Kind::Command,
            imports: every.map(str::to_owned).to_vec(),
            types: Vec::new(),
            exports: Vec::new(),
            wasi: Wasi::V02,
        }
    }

    /// An operator takes the marks away in front of what he grants: it is sound then.
    #[test]
    fn every_example_is_sound() {
        let section = section("it", "tools/it.wasm", &program());
        let granted = CAPABILITIES.iter().filter(|one| one.grant.is_some());
        assert_eq!(section.rows.len(), granted.count());
        let granted = |text: &str| {
            let manifest = manifest::parse_part("tool.toml", text);
            manifest.unwrap_or_else(|problems| panic!("{text}\n{problems}"))
        };
        let bare = granted(&section.text);
        assert_eq!(bare.tools[0].all.grants, manifest::Grants::default());
        assert!(bare.tools[0].uses.is_empty());
        let open = section
            .text
            .lines()
            .filter_map(|line| match line.strip_prefix("# ") {
                Some(prose) if prose.ends_with(':') => None,
                Some(example) => Some(example),
                None => (!line.starts_with('#')).then_some(line),
            });
        let open = granted(&open.collect::<Vec<_>>().join("\n"));
        let grants = &open.tools[0].all.grants;
        assert!(!grants.http.is_empty() && !grants.dir.is_empty() && !grants.kv.is_empty());
        assert!(!grants.env.is_empty() && !grants.config.is_empty() && grants.log.is_some());
        assert_eq!(open.tools[0].uses.len(), 1);
    }
}
