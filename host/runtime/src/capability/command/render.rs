//! From a call's arguments to a command line. Pure; no shell reads anything here.

use serde_json::{Map, Value};

use crate::grants::{Argument, CommandGrant, Template, TemplatePart};

/// The command line and the input together, in bytes.
const LONGEST: usize = 16 << 20;

/// What a program is started with.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its command line, behind the program's name.
    pub arguments: Vec<String>,
    /// What it reads from standard input.
    pub stdin: String,
}

/// Fills the templates. The call's arguments fit their schema.
///
/// # Errors
///
/// Why a value cannot stand there, for whoever called.
pub fn render(grant: &CommandGrant, call: &Map<String, Value>) -> Result<Invocation, String> {
    let mut line = Line {
        call,
        arguments: Vec::new(),
        literal: false,
        open: false,
        long: 0,
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
    line.count(stdin.len())?;
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
    /// The last argument is an option of the manifest's own: the next one may be its value.
    open: bool,
    /// Bytes so far.
    long: usize,
}

impl Line<'_> {
    fn push(&mut self, template: &Template) -> Result<(), String> {
        let Some(name) = template.first() else {
            let text = filled(template, self.call);
            let own = template.values().next().is_none();
            self.literal |= own && text == "--";
            self.open = own && text.len() > 1 && text.starts_with('-') && !text.contains('=');
            return self.add(text, "its arguments");
        };
        if template.alone().is_none() {
            return self.value(name, filled(template, self.call));
        }
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

    /// An argument that begins with a value must not become an option of the program: only the
    /// manifest gives those.
    fn value(&mut self, name: &str, value: String) -> Result<(), String> {
        let free = std::mem::take(&mut self.open) || self.literal;
        if value.starts_with('-') && !free && !is_number(&value) {
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
        self.count(argument.len())?;
        self.arguments.push(argument);
        Ok(())
    }

    /// Ends it as soon as it is too long: an agent's one text may stand in many arguments.
    fn count(&mut self, more: usize) -> Result<(), String> {
        self.long = self.long.saturating_add(more);
        if self.long > LONGEST {
            return Err(format!(
                "they make a command line and an input of more than {LONGEST} bytes"
            ));
        }
        Ok(())
    }
}

/// Whether a text with a minus is a number as people write it: `-inf` is four options to many a program.
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    digits.starts_with(|c: char| c == '.' || c.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

fn filled(template: &Template, call: &Map<String, Value>) -> String {
    let part = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Value(name) => call.get(&**name).map(text).unwrap_or_default(),
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
    use crate::grants::Stdout;
    use serde_json::json;

    fn template(text: &str) -> Template {
        let part = |(index, text): (usize, &str)| match index % 2 {
            0 => TemplatePart::Text(text.into()),
            _ => TemplatePart::Value(text.into()),
        };
        let parts = text.split(['{', '}']).enumerate().map(part);
        Template(
            parts
                .filter(|part| *part != TemplatePart::Text(String::new()))
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
        // One option has one value, and what a call said before is no option.
        let two = json!({ "a": "-x", "b": "-y", "n": -5, "both": ["-x", "-y"] });
        for line in [
            &[always("--of"), always("{a}"), always("{b}")][..],
            &[always("--of"), always("{both}")],
            &[always("{n}"), always("{a}")],
            &[always("--of={n}"), always("{a}")],
            &[always("--of=3"), always("{a}")],
            &[always("-"), always("{a}")],
            &[always("{a}.txt")],
            &[always("{b}{a}")],
            &[always("{n}{a}")],
        ] {
            assert!(said(line, two.clone()).is_err(), "{line:?}");
        }
        for text in ["-inf", "-nan", "-infinity", "--1", "-e1"] {
            assert!(said(&[always("{n}")], json!({ "n": text })).is_err());
        }
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
