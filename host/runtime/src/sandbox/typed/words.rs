//! What a value of a type is, said to whoever sent something else.

use std::sync::Arc;

use super::shape::{Case, Payload, Shape};

/// What a value of this shape is, in words.
pub(super) fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".into(),
        Shape::Int(int) => {
            let (least, most) = int.bounds();
            let wide = if int.is_wide() {
                ", as a decimal string beyond 9007199254740991"
            } else {
                ""
            };
            format!("an integer from {least} to {most}{wide}")
        }
        Shape::F32 => "a number of 32 bits".into(),
        Shape::F64 => "a number".into(),
        Shape::Char => "a string of one character".into(),
        Shape::String => "a string".into(),
        Shape::Bytes => "bytes in base64 (standard alphabet, padded)".into(),
        Shape::List(_) => "an array".into(),
        Shape::Map(entry) => match **entry {
            (Shape::String, _) => "an object".into(),
            _ => "an array of pairs of key and value".into(),
        },
        Shape::Record(_) => "an object".into(),
        Shape::Tuple(elements) => format!("an array of {} elements", elements.len()),
        Shape::Variant(cases) => {
            let case = |case: &Case| match case.payload {
                Some(_) => format!("{{\"{}\": ...}}", case.name),
                None => format!("\"{}\"", case.name),
            };
            let cases: Vec<String> = cases.iter().take(20).map(case).collect();
            format!("one of {}", cases.join(", "))
        }
        Shape::Enum(names) => format!("one of {}", listed(names)),
        Shape::Flags(names) => format!("an array of any of {}, each once", listed(names)),
        Shape::Option(inner) if inner.takes_null() => "null or {\"some\": ...}".into(),
        Shape::Option(inner) => format!("null or {}", expected(inner)),
        Shape::Result(ok, error) => {
            let side = |name: &str, payload: &Payload| match payload {
                Some(_) => format!("{{\"{name}\": ...}}"),
                None => format!("{{\"{name}\": null}}"),
            };
            format!("{} or {}", side("ok", ok), side("error", error))
        }
    }
}

fn listed(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names
        .iter()
        .take(20)
        .map(|name| format!("\"{name}\""))
        .collect();
    names.join(", ")
}

/// The first of these names, each in backticks.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = all.take(20).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
