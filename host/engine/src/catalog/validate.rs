//! From what a guest says of itself to what may be shown to agents: bounded, clean, and sound.

use std::collections::BTreeSet;

use super::recursion;
use crate::capability::tools;
use crate::gate::Schema;
use crate::terms::{
    Code, Definition, Fault, Hints, Members, Ordered, SchemaDocument, seen, unmarked,
};

/// Functions of one tool, at the most.
const FUNCTIONS: usize = 256;
/// A description, in bytes: a model reads it with every list.
pub(super) const DESCRIPTION: usize = 4 << 10;
/// A schema, in bytes of JSON.
const SCHEMA: usize = 64 << 10;

/// Checks what a tool says it offers.
pub(super) fn definitions(said: Vec<tools::Definition>) -> Result<Vec<Definition>, Fault> {
    if said.is_empty() || said.len() > FUNCTIONS {
        return Err(bad(format!(
            "it defines {} functions; 1 to {FUNCTIONS} are allowed",
            said.len()
        )));
    }
    let mut names = BTreeSet::new();
    let mut definitions = Vec::with_capacity(said.len());
    for one in said {
        let definition = definition(one)?;
        if !names.insert(definition.name.clone()) {
            return Err(bad(format!("it defines `{}` twice", definition.name)));
        }
        definitions.push(definition);
    }
    definitions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(definitions)
}

fn bad(why: impl std::fmt::Display) -> Fault {
    Fault::new(
        Code::BadComponent,
        format!("the tool's definitions cannot be used: {why}"),
    )
}

fn definition(said: tools::Definition) -> Result<Definition, Fault> {
    let name = said.name;
    if !is_name(&name) {
        let shown: String = name
            .chars()
            .take(64)
            .flat_map(char::escape_default)
            .collect();
        return Err(bad(format!(
            "`{shown}` is no function name: 1 to 64 of a-z, 0-9 and _, a letter first"
        )));
    }
    let description = unmarked(&seen(&said.description));
    if description.trim().is_empty() {
        return Err(bad(format!(
            "`{name}` has no description; a model cannot know when to use it"
        )));
    }
    if description.len() > DESCRIPTION {
        let bytes = description.len();
        return Err(bad(format!(
            "the description of `{name}` has {bytes} bytes; {DESCRIPTION} are allowed"
        )));
    }
    let mut input_schema = schema(&name, "input", &said.input_schema)?;
    if input_schema.get("type").and_then(Ordered::as_str) != Some("object") {
        return Err(bad(format!(
            "the input schema of `{name}` must have \"type\": \"object\" at its root"
        )));
    }
    // Some clients look for the arguments there, also where there are none.
    if input_schema.get("properties").is_none() {
        input_schema.push("properties", Members::new());
    }
    let output_schema = said
        .output_schema
        .map(|text| schema(&name, "output", &text))
        .transpose()?
        .map(SchemaDocument::from);
    let hints = Hints {
        read_only: said.hints.read_only,
        destructive: said.hints.destructive,
        idempotent: said.hints.idempotent,
        open_world: said.hints.open_world,
    };
    let title = said
        .title
        .map(|title| unmarked(&seen(&title)).chars().take(128).collect());
    Ok(Definition {
        name,
        title,
        description,
        input_schema: input_schema.into(),
        output_schema,
        hints,
    })
}

fn is_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 64 && name.bytes().all(rest) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Reads a schema in its author's order. A name that is there twice would be one thing to whoever checks
/// arguments, and may be another to whoever reads the list.
fn schema(name: &str, which: &str, text: &str) -> Result<Members, Fault> {
    let bounded = |length: usize, how: &str| match length {
        ..=SCHEMA => Ok(()),
        length => Err(bad(format!(
            "the {which} schema of `{name}` has {length} bytes{how}; {SCHEMA} are allowed"
        ))),
    };
    bounded(text.len(), "")?;
    let mut schema: Members = serde_json::from_str(text).map_err(|error| {
        bad(format!(
            "the {which} schema of `{name}` is not a JSON object with each name once: {error}"
        ))
    })?;
    if recursion::name_root(&mut schema) {
        bounded(schema.to_string().len(), " with its recursion named")?;
    }
    Schema::new(&schema.to_map()).map_err(|error| {
        bad(format!(
            "the {which} schema of `{name}` is not sound: {error}"
        ))
    })?;
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, input: &str) -> tools::Definition {
        tools::Definition {
            name: name.into(),
            title: None,
            description: "Does\u{202e} it.".into(),
            input_schema: input.into(),
            output_schema: None,
            hints: tools::Hints {
                read_only: None,
                destructive: None,
                idempotent: None,
                open_world: None,
            },
        }
    }

    fn complaint(said: Vec<tools::Definition>) -> String {
        definitions(said).map_or_else(|fault| fault.say.into_owned(), |_| String::new())
    }

    #[test]
    fn sound_definitions_pass_cleaned() {
        let passed = definitions(vec![
            said("b", r#"{"type":"object"}"#),
            said("a", r#"{"type":"object"}"#),
        ]);
        let passed = passed.unwrap_or_default();
        assert_eq!(
            passed.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(passed.iter().all(|d| d.description == "Does it."));
    }

    /// Clients and model APIs read both forms only.
    #[test]
    fn arguments_have_properties_and_recursion_has_a_name() {
        let passed = definitions(vec![
            said("a", r#"{"type":"object","additionalProperties":false}"#),
            tools::Definition {
                output_schema: Some(
                    r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##.into(),
                ),
                ..said(
                    "b",
                    r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##,
                )
            },
        ])
        .unwrap_or_default();
        let text = serde_json::to_string(&passed).unwrap_or_default();
        assert!(
            text.contains(r#"{"type":"object","additionalProperties":false,"properties":{}}"#),
            "{text}"
        );
        assert!(text.contains(r##""$ref":"#/$defs/Root""##), "{text}");
        assert!(!text.contains(r##""$ref":"#""##), "{text}");
    }

    #[test]
    fn n100_a_schema_that_says_a_name_twice_is_refused() {
        for input in [
            r#"{"type":"object","type":"object"}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"},"\u0061":{"type":"integer"}}}"#,
        ] {
            let why = complaint(vec![said("a", input)]);
            assert!(why.contains("the input schema of `a`"), "{why}");
            assert!(why.contains("the same name twice at line 1"), "{why}");
        }
    }

    #[test]
    fn unsound_ones_say_why() {
        assert!(complaint(vec![]).contains("0 functions"));
        assert!(complaint(vec![said("A b", "{}")]).contains("no function name"));
        assert!(complaint(vec![said("a", "{}")]).contains("\"type\": \"object\""));
        assert!(complaint(vec![said("a", "[]")]).contains("not a JSON object"));
        assert!(
            complaint(vec![said(
                "a",
                r#"{"type":"object","$ref":"http://127.0.0.1/"}"#
            )])
            .contains("not sound")
        );
        let half = "x".repeat(SCHEMA / 2);
        let doubled = format!(
            r##"{{"type":"object","description":"{half}","properties":{{"a":{{"$ref":"#"}}}}}}"##
        );
        let doubled = complaint(vec![said("a", &doubled)]);
        assert!(doubled.contains("with its recursion named"), "{doubled}");
        let twice = vec![
            said("a", r#"{"type":"object"}"#),
            said("a", r#"{"type":"object"}"#),
        ];
        assert!(complaint(twice).contains("twice"));
    }
}
