//! From types to JSON Schema 2020-12: what `read` takes and `write` gives, no more and no less.

use serde_json::{Map, Value, json};

use super::shape::{Case, Int, Named, Payload, SAFE, Shape};

/// The key under which a result stands that is no record.
pub(super) const RESULT: &str = "result";

/// The largest number of 32 bits as it is written; its exact value is a little below.
const LARGEST: f64 = 3.402_823_5e38;

/// The schema of a function's arguments.
pub(super) fn arguments(parameters: &[Named]) -> Value {
    record(parameters)
}

/// The schema of a function's result: agents expect an object, so what is none stands in one.
pub(super) fn result(shape: &Shape) -> Value {
    match shape {
        Shape::Record(fields) => record(fields),
        other => json!({
            "type": "object",
            "properties": { RESULT: schema(other) },
            "required": [RESULT],
            "additionalProperties": false,
        }),
    }
}

fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int(int) => integer(*int),
        Shape::F32 => json!({
            "type": "number",
            "minimum": -LARGEST,
            "maximum": LARGEST,
        }),
        Shape::F64 => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Shape::List(element) => json!({ "type": "array", "items": schema(element) }),
        Shape::Map(entry) => match &**entry {
            (Shape::String, value) => json!({
                "type": "object",
                "additionalProperties": schema(value),
            }),
            (key, value) => json!({ "type": "array", "items": tuple([key, value].into_iter()) }),
        },
        Shape::Record(fields) => record(fields),
        Shape::Tuple(elements) => tuple(elements.iter()),
        Shape::Variant(cases) => variant(cases),
        Shape::Enum(names) => json!({ "enum": **names }),
        Shape::Flags(names) => json!({
            "type": "array",
            "items": { "enum": **names },
            "uniqueItems": true,
        }),
        Shape::Option(inner) if inner.takes_null() => {
            json!({ "anyOf": [only("some", schema(inner)), { "type": "null" }] })
        }
        Shape::Option(inner) => json!({ "anyOf": [schema(inner), { "type": "null" }] }),
        Shape::Result(ok, error) => json!({
            "anyOf": [only("ok", payload(ok)), only("error", payload(error))],
        }),
    }
}

fn tuple<'s>(elements: impl ExactSizeIterator<Item = &'s Shape>) -> Value {
    let least = elements.len();
    json!({
        "type": "array",
        "prefixItems": elements.map(schema).collect::<Vec<_>>(),
        "items": false,
        "minItems": least,
    })
}

/// Wide integers out of JSON's safe range are decimal strings: a reader that knows doubles only
/// would change them.
fn integer(int: Int) -> Value {
    let (least, most) = int.bounds();
    if int.is_wide() {
        let digits = if least < 0 {
            "^-?[0-9]{1,19}$"
        } else {
            "^[0-9]{1,20}$"
        };
        json!({
            "type": ["integer", "string"],
            "minimum": number(least.max(-SAFE)),
            "maximum": number(most.min(SAFE)),
            "pattern": digits,
        })
    } else {
        json!({ "type": "integer", "minimum": number(least), "maximum": number(most) })
    }
}

/// Every number of a schema is within JSON's safe range.
fn number(value: i128) -> Value {
    i64::try_from(value).map_or(Value::Null, Value::from)
}

fn record(fields: &[Named]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        properties.insert(field.name.to_string(), schema(&field.shape));
        if !matches!(field.shape, Shape::Option(_)) {
            required.push(Value::from(&*field.name));
        }
    }
    let mut all = Map::new();
    all.insert("type".into(), "object".into());
    all.insert("properties".into(), properties.into());
    if !required.is_empty() {
        all.insert("required".into(), required.into());
    }
    all.insert("additionalProperties".into(), false.into());
    Value::Object(all)
}

/// A case without a value is its name; one with a value is an object of that one property.
fn variant(cases: &[Case]) -> Value {
    let bare: Vec<&str> = cases
        .iter()
        .filter(|case| case.payload.is_none())
        .map(|case| &*case.name)
        .collect();
    let mut any = Vec::new();
    if !bare.is_empty() {
        any.push(json!({ "enum": bare }));
    }
    for case in cases {
        if let Some(inner) = &case.payload {
            any.push(only(&case.name, schema(inner)));
        }
    }
    json!({ "anyOf": any })
}

fn payload(payload: &Payload) -> Value {
    match payload {
        Some(shape) => schema(shape),
        None => json!({ "type": "null" }),
    }
}

fn only(key: &str, schema: Value) -> Value {
    json!({
        "type": "object",
        "properties": { key: schema },
        "required": [key],
        "additionalProperties": false,
    })
}
