//! What a tool offers: what its component says of itself, what its types say, or what the manifest
//! says of a program.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::load::Loaded;
use super::validate;
use crate::capability::{PreparedGrants, tools};
use crate::compile::Docs;
use crate::manifest::ToolSpec;
use crate::sandbox::{Prepared, Sandbox};
use crate::terms::{Code, Definition, Fault, seen};

/// Exports that are told apart when they are left out; of the rest their number is said.
const LEFT_OUT: usize = 100;

/// The functions of a tool, and what is none of them.
pub(super) struct Offer {
    pub(super) functions: Vec<Definition>,
    /// An export and the reason, a line each.
    pub(super) left_out: Vec<String>,
}

/// Asks a component, or reads what there is to read.
pub(super) fn offer(
    sandbox: &Sandbox,
    spec: &ToolSpec,
    loaded: &Loaded,
    nothing: &Arc<PreparedGrants>,
    runtime: &Handle,
) -> Result<Offer, Fault> {
    let prepared = &loaded.prepared;
    if !spec.uses.is_empty() {
        return Ok(Offer {
            functions: uses(spec, prepared)?,
            left_out: Vec::new(),
        });
    }
    let mut said = runtime.block_on(sandbox.definitions(prepared, nothing))?;
    describe(&mut said, prepared, &loaded.docs);
    Ok(Offer {
        functions: validate::definitions(said)?,
        left_out: left_out(prepared),
    })
}

/// The functions that the manifest makes of a program.
pub(super) fn uses(spec: &ToolSpec, prepared: &Prepared) -> Result<Vec<Definition>, Fault> {
    if !prepared.is_command() {
        return Err(Fault::new(
            Code::BadComponent,
            "its component is no program (it does not export `wasi:cli/run`); delete its `command` sections",
        ));
    }
    let definition = |(name, how): (&Arc<str>, &Arc<crate::manifest::UseSpec>)| tools::Definition {
        name: name.to_string(),
        title: how.title.clone(),
        description: how.description.clone(),
        input_schema: how.input_schema.to_string(),
        output_schema: how.output_schema.as_ref().map(ToString::to_string),
        hints: tools::Hints {
            read_only: None,
            destructive: None,
            idempotent: None,
            open_world: None,
        },
    };
    validate::definitions(spec.uses.iter().map(definition).collect())
}

/// Adds what the component's documentation says.
fn describe(said: &mut [tools::Definition], prepared: &Prepared, docs: &Docs) {
    let Some(typed) = prepared.typed() else {
        return;
    };
    for (name, function) in typed.functions() {
        if let Some(text) = docs.function(&function.origin)
            && let Some(definition) = said.iter_mut().find(|one| one.name == name)
        {
            definition.description = cut(text);
        }
    }
}

/// As much of an author's comment as a model is to read.
fn cut(text: &str) -> String {
    const MARK: &str = " ...";
    match text.len() {
        length if length <= validate::DESCRIPTION => text.to_owned(),
        _ => {
            let end = text.floor_char_boundary(validate::DESCRIPTION - MARK.len());
            format!("{}{MARK}", text.get(..end).unwrap_or_default())
        }
    }
}

fn left_out(prepared: &Prepared) -> Vec<String> {
    let all = prepared.typed().map(|typed| typed.left_out());
    let all = all.unwrap_or_default();
    let line = |text: String| seen(&text).replace('\n', " ").chars().take(500).collect();
    let mut lines: Vec<String> = all
        .iter()
        .take(LEFT_OUT)
        .map(|one| line(format!("{}: {}", one.export, one.why)))
        .collect();
    if all.len() > LEFT_OUT {
        lines.push(format!("and {} more", all.len() - LEFT_OUT));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_comment_is_cut_where_a_character_ends() {
        assert_eq!(cut("Gives it."), "Gives it.");
        let whole = "x".repeat(validate::DESCRIPTION);
        assert_eq!(cut(&whole), whole);
        for start in ["", "x", "xx"] {
            let long = format!("{start}{}", "\u{20ac}".repeat(validate::DESCRIPTION));
            let short = cut(&long);
            assert!(short.ends_with("\u{20ac} ..."), "{start}");
            assert!((validate::DESCRIPTION - 2..=validate::DESCRIPTION).contains(&short.len()));
        }
    }
}
