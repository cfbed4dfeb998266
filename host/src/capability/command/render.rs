//! From a call's arguments to a command line. Pure; no shell reads anything here.

use serde_json::{Map, Value};

use super::grant::{Argument, CommandGrant, Part, Template};

/// The command line and the input together, in bytes.
const LONGEST: usize = 16 << 20;

/// What a program is started with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) arguments: Vec<String>,
    pub(super) stdin: String,
}

/// Fills the templates.
///
/// # Errors
///
/// Why a value cannot stand there, for whoever called.
pub(super) fn render(
    grant: &CommandGrant,
    call: &Map<String, Value>,
) -> Result<Invocation, String> {
    let mut line = Line {
        call,
        arguments: Vec::new(),
        literal: false,
    };
    for argument in &grant.arguments {
        match argument {
            Argument::Always(template) => line.push(template)?,
            Argument::When { name, then } => {
                if !matches!(
                    call.get(&**name),
                    None | Some(Value::Null | Value::Bool(false))
                ) {
                    for template in then {
                        line.push(template)?;
                    }
                }
            }
        }
    }
    let stdin = match &grant.stdin {
        Some(template) => filled(template, call),
        None => String::new(),
    };
    let long = line.arguments.iter().map(String::len).sum::<usize>() + stdin.len();
    if long > LONGEST {
        return Err(format!(
            "they make a command line and an input of {long} bytes; {LONGEST} are allowed"
        ));
    }
    Ok(Invocation {
        arguments: line.arguments,
        stdin,
    })
}

struct Line<'a> {
    call: &'a Map<String, Value>,
    arguments: Vec<String>,
    /// The manifest's own `--` has been written: nothing behind it is an option.
    literal: bool,
}

impl Line<'_> {
    fn push(&mut self, template: &Template) -> Result<(), String> {
        let Some(name) = template.alone() else {
            let filled = filled(template, self.call);
            self.literal |= filled == "--" && template.values().next().is_none();
            return self.add(filled, "its arguments");
        };
        match self.call.get(&**name) {
            Some(Value::Array(values)) => {
                for value in values {
                    self.value(name, text(value))?;
                }
                Ok(())
            }
            Some(Value::Null) | None => Ok(()),
            Some(value) => self.value(name, text(value)),
        }
    }

    /// A value that stands alone must not become an option of the program: only the manifest gives
    /// those.
    fn value(&mut self, name: &str, value: String) -> Result<(), String> {
        let behind_option = self
            .arguments
            .last()
            .is_some_and(|last| last.starts_with('-'));
        let number = value.parse::<f64>().is_ok();
        if value.starts_with('-') && !number && !self.literal && !behind_option {
            return Err(format!(
                "`{name}` must not begin with `-`, or the program would take it for an option"
            ));
        }
        self.add(value, name)
    }

    fn add(&mut self, argument: String, name: &str) -> Result<(), String> {
        if argument.contains('\0') {
            return Err(format!("`{name}` must not have a NUL character"));
        }
        self.arguments.push(argument);
        Ok(())
    }
}

fn filled(template: &Template, call: &Map<String, Value>) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Value(name) => call.get(&**name).map(text).unwrap_or_default(),
    };
    template.0.iter().map(part).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::command::Stdout;
    use serde_json::json;

    fn template(text: &str) -> Template {
        let part = |(index, text): (usize, &str)| match index % 2 {
            0 => Part::Text(text.into()),
            _ => Part::Value(text.into()),
        };
        let parts = text.split(['{', '}']).enumerate().map(part);
        Template(
            parts
                .filter(|part| *part != Part::Text(String::new()))
                .collect(),
        )
    }

    fn said(arguments: &[Argument], call: Value) -> Result<Vec<String>, String> {
        let grant = CommandGrant {
            line: 1,
            arguments: arguments.to_vec(),
            stdin: None,
            stdout: Stdout::Text,
            success: vec![0],
        };
        let Value::Object(call) = call else {
            unreachable!()
        };
        render(&grant, &call).map(|invocation| invocation.arguments)
    }

    fn always(text: &str) -> Argument {
        Argument::Always(template(text))
    }

    fn when(name: &str, then: &[&str]) -> Argument {
        Argument::When {
            name: name.into(),
            then: then.iter().map(|text| template(text)).collect(),
        }
    }

    #[test]
    fn no_shell_is_in_between() {
        let call = json!({ "file": "$(rm -rf /); `x` 'y' \"z\"", "n": 3 });
        assert_eq!(
            said(&[always("--n={n}"), always("{file}")], call),
            Ok(vec!["--n=3".into(), "$(rm -rf /); `x` 'y' \"z\"".into()])
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_there() {
        let line = [
            when("width", &["--width", "{width}"]),
            when("fast", &["--fast"]),
        ];
        assert_eq!(said(&line, json!({ "fast": false })), Ok(vec![]));
        assert_eq!(
            said(&line, json!({ "width": 10, "fast": true })),
            Ok(vec!["--width".into(), "10".into(), "--fast".into()])
        );
    }

    #[test]
    fn an_array_is_several_arguments() {
        assert_eq!(
            said(&[always("{files}")], json!({ "files": ["a", "b c"] })),
            Ok(vec!["a".into(), "b c".into()])
        );
    }

    #[test]
    fn a_value_is_no_option() {
        let evil = json!({ "file": "--output=/x" });
        assert!(said(&[always("{file}")], evil.clone()).is_err_and(|why| why.contains("`file`")));
        assert!(said(&[always("{file}")], json!({ "file": ["a", "-x"] })).is_err());
        assert!(said(&[always("--"), always("{file}")], evil.clone()).is_ok());
        assert!(said(&[always("--of"), always("{file}")], evil).is_ok());
        assert!(said(&[always("{n}")], json!({ "n": -5 })).is_ok());
        // An agent's own `--` opens nothing.
        assert!(
            said(
                &[always("{a}"), always("{b}")],
                json!({ "a": "--", "b": "-x" })
            )
            .is_err()
        );
        assert!(said(&[always("{a}")], json!({ "a": "x\0y" })).is_err());
    }
}
