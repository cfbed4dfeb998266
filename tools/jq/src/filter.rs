//! One compiled filter. It knows jaq and nothing of arguments, results or their limits.

use std::collections::BTreeMap;

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, compile, data};
use jaq_json::{Val, read};
use serde_json::value::RawValue;
use toolhost_sdk::ToolError;

/// A filter, ready to run.
pub(crate) struct Filter {
    code: jaq_core::Filter<data::JustLut<Val>>,
    variables: Vec<Val>,
}

impl Filter {
    /// Compiles a filter with its variables.
    ///
    /// # Errors
    /// `invalid-arguments` with line and column of everything that is wrong.
    pub(crate) fn new(
        code: &str,
        variables: &BTreeMap<String, Box<RawValue>>,
    ) -> Result<Self, ToolError> {
        let names: Vec<String> = variables
            .keys()
            .map(|name| variable(name))
            .collect::<Result<_, _>>()?;
        let values = variables
            .values()
            .map(|value| parse(value))
            .collect::<Result<_, _>>()?;
        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code, path: () })
            .map_err(|errors| syntax(code, errors))?;
        let code = Compiler::default()
            .with_funs(funs)
            .with_global_vars(names.iter().map(String::as_str))
            .compile(modules)
            .map_err(|errors| undefined(code, errors))?;
        Ok(Self {
            code,
            variables: values,
        })
    }

    /// Runs it on one input and gives each result away; says whether all were wanted.
    ///
    /// # Errors
    /// `invalid-arguments`: the filter does not fit the input, in jq's words.
    pub(crate) fn run(
        &self,
        input: &RawValue,
        mut take: impl FnMut(Box<RawValue>) -> bool,
    ) -> Result<bool, ToolError> {
        let variables = Vars::new(self.variables.iter().cloned());
        let context = Ctx::<data::JustLut<Val>>::new(&self.code.lut, variables);
        for result in self.code.id.run((context, parse(input)?)) {
            let value = match result {
                Ok(value) => value,
                Err(exception) => match exception.get_halt() {
                    // `halt`: no more results, and nothing wrong.
                    Ok(_) => return Ok(true),
                    Err(exception) => return Err(failed(exception)),
                },
            };
            if !take(show(&value)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn failed(exception: jaq_core::Exn<'_, Val>) -> ToolError {
    match exception.get_err() {
        Ok(error) => ToolError::invalid_arguments(format_args!(
            "the filter fails: {}",
            shorten(&error.to_string())
        )),
        Err(_) => {
            ToolError::invalid_arguments("the filter breaks out of a label that is not there")
        }
    }
}

/// Values stand in jq's messages whole.
fn shorten(message: &str) -> String {
    match message.char_indices().nth(500) {
        Some((end, _)) => format!("{}...", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

fn variable(name: &str) -> Result<String, ToolError> {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.starts_with(start) && name.chars().all(|c| start(c) || c.is_ascii_digit()) {
        Ok(format!("${name}"))
    } else {
        Err(ToolError::invalid_arguments(format_args!(
            "variables: {name:?} is no name; use letters, digits and `_`, a letter first"
        )))
    }
}

fn parse(json: &RawValue) -> Result<Val, ToolError> {
    read::parse_single(json.get().as_bytes()).map_err(|error| {
        ToolError::invalid_arguments(format_args!("the input is no JSON for jq: {error}"))
    })
}

/// A value as JSON. jaq knows more values than JSON has (not-a-number, bytes, keys that are no
/// texts); those come as the text that jaq shows them with.
fn show(value: &Val) -> Result<Box<RawValue>, ToolError> {
    let shown = value.to_string();
    let text = match RawValue::from_string(shown) {
        Ok(json) => return Ok(json),
        Err(_) => serde_json::to_string(&value.to_string()),
    };
    text.and_then(RawValue::from_string)
        .map_err(|error| ToolError::failed(format_args!("a result has no JSON form: {error}")))
}

fn syntax(code: &str, errors: load::Errors<&str, ()>) -> ToolError {
    let mut said = Vec::new();
    for (_, error) in errors {
        match error {
            load::Error::Io(errors) => said.extend(
                errors
                    .iter()
                    .map(|(part, error)| format!("{}: {error}", place(code, part))),
            ),
            load::Error::Lex(errors) => said.extend(
                errors
                    .iter()
                    .map(|(expected, part)| at(code, part, expected.as_str())),
            ),
            load::Error::Parse(errors) => said.extend(
                errors
                    .iter()
                    .map(|(expected, part)| at(code, part, expected.as_str())),
            ),
        }
    }
    refused(&said)
}

fn undefined(code: &str, errors: compile::Errors<&str, ()>) -> ToolError {
    let said: Vec<String> = errors
        .iter()
        .flat_map(|(_, errors)| errors)
        .map(|(name, kind)| {
            let arity = match kind {
                compile::Undefined::Filter(arity) => format!("/{arity}"),
                _ => String::new(),
            };
            format!(
                "{}: there is no {} {name}{arity}",
                place(code, name),
                kind.as_str()
            )
        })
        .collect();
    refused(&said)
}

fn refused(said: &[String]) -> ToolError {
    ToolError::invalid_arguments(format_args!("the filter has mistakes: {}", said.join("; ")))
}

fn at(code: &str, part: &str, expected: &str) -> String {
    let found = match part.chars().next() {
        Some(found) => format!("found {found:?}"),
        None => "the filter ends".to_owned(),
    };
    format!("{}: expected {expected}, {found}", place(code, part))
}

/// Line and column of a part of the code, both from 1. What is not part of it (the end) is behind it.
fn place(code: &str, part: &str) -> String {
    let bounds = code.as_bytes().as_ptr_range();
    let before = if bounds.contains(&part.as_ptr()) {
        code.get(..load::span(code, part).start).unwrap_or(code)
    } else {
        code
    };
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("line {line}, column {column}")
}
