//! `[tool.<tool>.command.<function>]`: how a program is used as a function. The command line is a
//! template over the call's arguments, which no shell reads; the arguments' schema stands here, since
//! a program says nothing of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use toml::de::DeValue;

use super::diagnostics::Finding;
use super::key_reader::{Entry, KeyReader};
use super::name::Kind;
use super::problem::quoted;
use super::spec::UseSpec;
use super::units;
use crate::grants::{Argument, CommandGrant, Stdout, Template, TemplatePart};
use crate::terms::{Members, Ordered, SchemaDocument};

/// How deep a schema in the manifest may be nested.
const DEPTH: usize = 32;

/// The uses of a tool's program, by function.
pub(super) fn read(sections: Vec<Entry<'_>>) -> BTreeMap<Arc<str>, Arc<UseSpec>> {
    let read = |section: Entry<'_>| {
        let name = Kind::Function.read(section.page, &section.key);
        Some((name, Arc::new(one(section.table()?))))
    };
    sections.into_iter().filter_map(read).collect()
}

fn one(mut table: KeyReader<'_>) -> UseSpec {
    let description = table.text("description").map(|text| text.value.to_owned());
    if description.is_none() {
        let hint = "say what the function does and when to use it: a model reads that";
        table.missing("description", hint);
    }
    let title = table.text("title").map(|text| text.value.to_owned());
    let mut inputs = Inputs::read(&mut table);
    let arguments = table.take("arguments").and_then(|entry| entry.list());
    let arguments = arguments.unwrap_or_default();
    let arguments = arguments
        .iter()
        .filter_map(|entry| inputs.argument(entry))
        .collect();
    let stdin = table
        .take("stdin")
        .and_then(|entry| inputs.template(&entry, None));
    let (stdout, output) = stdout(&mut table);
    let success = match table.take("success") {
        Some(entry) => success(&entry),
        None => vec![0],
    };
    let grant = CommandGrant {
        line: table.line(),
        arguments,
        stdin,
        stdout,
        success,
    };
    inputs.report_unused();
    let spec = UseSpec {
        title,
        description: description.unwrap_or_default(),
        input_schema: inputs.schema(),
        output_schema: output,
        grant: Arc::new(grant),
    };
    table.finish();
    spec
}

/// The call's arguments that a section names.
struct Inputs<'t> {
    entries: Vec<Entry<'t>>,
    /// Their schemas, in the order of the manifest: a model reads them so.
    schemas: Members,
    optional: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl<'t> Inputs<'t> {
    fn read(table: &mut KeyReader<'t>) -> Self {
        let mut entries = table.entries("input");
        entries.sort_by_key(|entry| entry.key.span.start);
        let mut schemas = Members::new();
        for entry in &entries {
            if entry.table().is_some()
                && let Some(schema) = json(entry)
            {
                schemas.push(entry.key.value, schema);
            }
        }
        let optional = table.take("optional").and_then(|entry| entry.list());
        let optional = optional
            .unwrap_or_default()
            .into_iter()
            .filter_map(|entry| {
                let name = entry.text()?;
                if schemas.get(name.value).is_none() {
                    let message = format!("`input` has no {}", quoted(name.value));
                    entry.page.report(Finding::at(&name.span, message));
                }
                Some(name.value.to_owned())
            });
        Self {
            optional: optional.collect(),
            entries,
            schemas,
            used: BTreeSet::new(),
        }
    }

    /// The schema of the call's arguments: these and no others.
    fn schema(&self) -> SchemaDocument {
        let names = self.schemas.iter().map(|(name, _)| name);
        let required: Ordered = names
            .filter(|name| !self.optional.contains(*name))
            .collect();
        Members::new()
            .with("type", "object")
            .with("properties", self.schemas.clone())
            .with("required", required)
            .with("additionalProperties", false)
            .into()
    }

    fn report_unused(&self) {
        for entry in &self.entries {
            if !self.used.contains(entry.key.value) {
                let message = format!("the argument {} goes nowhere", entry.label());
                let hint = format!(
                    "put `{{{}}}` into `arguments` or `stdin`, or delete it",
                    entry.key.value
                );
                let finding = Finding::at(&entry.key.span, message).hint(hint);
                entry.page.report(finding.remote());
            }
        }
    }

    /// One element of `arguments`: a text, or a table with what is there only at times.
    fn argument(&mut self, entry: &Entry<'t>) -> Option<Argument> {
        if entry.value().as_table().is_none() {
            return self.template(entry, None).map(Argument::Always);
        }
        let mut table = entry.table()?;
        let when = table.text("when");
        if when.is_none() {
            table.missing("when", "name the argument that this depends on");
        }
        let then = table.take("then").and_then(|then| then.list());
        if then.is_none() {
            table.missing(
                "then",
                "write for example `then = [\"--width\", \"{width}\"]`",
            );
        }
        table.finish();
        let when = when?;
        if self.schemas.get(when.value).is_none() {
            let message = format!("`input` has no {}", quoted(when.value));
            entry.page.report(Finding::at(&when.span, message));
        }
        self.used.insert(when.value.to_owned());
        let then = then?;
        let then = then
            .iter()
            .filter_map(|entry| self.template(entry, Some(when.value)));
        Some(Argument::When {
            name: when.value.into(),
            then: then.collect(),
        })
    }

    /// A text with `{name}` for the call's arguments; `{{` and `}}` are braces.
    fn template(&mut self, entry: &Entry<'t>, when: Option<&str>) -> Option<Template> {
        let text = entry.text()?;
        let report = |message: String, hint: String| {
            entry
                .page
                .report(Finding::at(&text.span, message).hint(hint));
        };
        let parts = match parts(text.value) {
            Ok(parts) => parts,
            Err(why) => {
                let hint = "a brace that is meant is written twice: `{{`";
                report(why.to_owned(), hint.to_owned());
                return None;
            }
        };
        let template = Template(parts);
        for name in template.values() {
            self.used.insert(name.to_string());
            if self.schemas.get(name).is_none() {
                report(
                    format!("`input` has no {}", quoted(name)),
                    format!("write for example `input.{name} = {{ type = \"string\" }}`"),
                );
            } else if self.optional.contains(&**name) && when != Some(&**name) {
                report(
                    format!("{} is optional, so it may not be there", quoted(name)),
                    format!(
                        "write `{{ when = \"{name}\", then = [...] }}` around it, or take it out of `optional`"
                    ),
                );
            }
        }
        Some(template)
    }
}

fn parts(text: &str) -> Result<Vec<TemplatePart>, &'static str> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some('{') | None => return Err("a `{` is not closed"),
                        Some(c) => name.push(c),
                    }
                }
                if !plain.is_empty() {
                    parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
                }
                parts.push(TemplatePart::Value(name.into()));
            }
            '}' => return Err("a `}` was not opened"),
            c => plain.push(c),
        }
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Ok(parts)
}

/// What standard output is, and the schema of its JSON.
fn stdout(table: &mut KeyReader<'_>) -> (Stdout, Option<SchemaDocument>) {
    let stdout = match table.text("stdout") {
        None => Stdout::Text,
        Some(text) => match text.value {
            "text" => Stdout::Text,
            "json" => Stdout::Json,
            "none" => Stdout::Ignored,
            other if is_mime(other) => Stdout::Blob(other.to_owned()),
            other => {
                let message = format!("{} is nothing that a program prints", quoted(other));
                let hint = "`text`, `json`, `none`, or a MIME type such as `image/png`";
                table
                    .page
                    .report(Finding::at(&text.span, message).hint(hint));
                Stdout::Text
            }
        },
    };
    let output = table.take("output").and_then(|entry| {
        if stdout != Stdout::Json {
            let message = "`output` has no effect: it is the schema of JSON";
            let hint = "write `stdout = \"json\"`, or delete it";
            entry
                .page
                .report(Finding::at(&entry.key.span, message).hint(hint));
        }
        entry.table()?;
        match json(&entry)? {
            Ordered::Object(schema) => Some(schema.into()),
            Ordered::Scalar(_) | Ordered::Array(_) => None,
        }
    });
    (stdout, output)
}

fn is_mime(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    text.len() <= 127
        && text
            .split_once('/')
            .is_some_and(|(kind, sub)| part(kind) && part(sub))
}

fn success(entry: &Entry<'_>) -> Vec<u8> {
    let codes = entry.list().unwrap_or_default();
    if codes.is_empty() {
        let message = "`success` is a list of exit codes with at least one in it";
        entry.page.report(Finding::at(&entry.span, message));
    }
    let code = |entry: &Entry<'_>| {
        let code = units::small_count(entry, 0..=255)?;
        u8::try_from(code).ok()
    };
    codes.iter().filter_map(code).collect()
}

/// A value of the manifest as JSON, in its order.
fn json(entry: &Entry<'_>) -> Option<Ordered> {
    match to_json(entry.value(), DEPTH) {
        Ok(value) => Some(value),
        Err(why) => {
            let message = format!("{} is no JSON Schema: {why}", entry.label());
            entry.page.report(Finding::at(&entry.span, message));
            None
        }
    }
}

fn to_json(value: &DeValue<'_>, depth: usize) -> Result<Ordered, &'static str> {
    let depth = depth.checked_sub(1).ok_or("it is nested too deep")?;
    Ok(match value {
        DeValue::String(text) => Ordered::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Ordered::from)
            .map_err(|_| "an integer in it is out of range")?,
        DeValue::Float(number) => {
            let number: f64 = number.as_str().parse().map_err(|_| "a number in it")?;
            serde_json::Number::from_f64(number)
                .map(|number| Ordered::Scalar(Value::Number(number)))
                .ok_or("a number in it is infinite or none")?
        }
        DeValue::Boolean(flag) => Ordered::from(*flag),
        DeValue::Datetime(_) => return Err("a date in it stands without quotes"),
        DeValue::Array(elements) => {
            let element = |element: &toml::Spanned<DeValue<'_>>| to_json(element.get_ref(), depth);
            Ordered::Array(elements.iter().map(element).collect::<Result<_, _>>()?)
        }
        DeValue::Table(rows) => {
            // The table is sorted; where a key stands says the order in which it was written.
            let mut rows: Vec<_> = rows.iter().collect();
            rows.sort_by_key(|(key, _)| key.span().start);
            let mut members = Members::new();
            for (key, value) in rows {
                members.push(&**key.get_ref(), to_json(value.get_ref(), depth)?);
            }
            members.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_arguments() {
        assert_eq!(
            parts("a{b}c{{d}}"),
            Ok(vec![
                TemplatePart::Text("a".into()),
                TemplatePart::Value("b".into()),
                TemplatePart::Text("c{d}".into())
            ])
        );
        assert_eq!(parts(""), Ok(vec![TemplatePart::Text(String::new())]));
        assert_eq!(parts("{x}"), Ok(vec![TemplatePart::Value("x".into())]));
        assert!(parts("{x").is_err() && parts("x}").is_err() && parts("{a{b}}").is_err());
    }
}
