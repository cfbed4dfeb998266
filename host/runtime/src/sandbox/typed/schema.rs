//! From types to JSON Schema 2020-12: what `read` takes and `write` gives, no more and no less, in the
//! order of the types: a model reads `from, to, amount` better than `amount, from, to`.

use super::shape::{Case, Int, Named, Payload, SAFE, Shape};
use crate::terms::{Members, Ordered};

/// The key under which a result stands that is no record.
pub(super) const RESULT: &str = "result";

/// The largest number of 32 bits as it is written; its exact value is a little below.
const LARGEST: f64 = 3.402_823_5e38;

/// The schema of a function's arguments.
pub(super) fn arguments(parameters: &[Named]) -> Members {
    record(parameters)
}

/// The schema of a function's result: agents expect an object, so what is none stands in one.
pub(super) fn result(shape: &Shape) -> Members {
    match shape {
        Shape::Record(fields) => record(fields),
        other => only(RESULT, schema(other)),
    }
}

fn schema(shape: &Shape) -> Members {
    match shape {
        Shape::Bool => of_type("boolean"),
        Shape::Int(int) => integer(*int),
        Shape::F32 => of_type("number")
            .with("minimum", -LARGEST)
            .with("maximum", LARGEST),
        Shape::F64 => of_type("number"),
        Shape::Char => of_type("string")
            .with("minLength", 1_i64)
            .with("maxLength", 1_i64),
        Shape::String => of_type("string"),
        Shape::Bytes => of_type("string").with("contentEncoding", "base64"),
        Shape::List(element) => of_type("array").with("items", schema(element)),
        Shape::Map(entry) => match &**entry {
            (Shape::String, value) => of_type("object").with("additionalProperties", schema(value)),
            (key, value) => of_type("array").with("items", tuple([key, value].into_iter())),
        },
        Shape::Record(fields) => record(fields),
        Shape::Tuple(elements) => tuple(elements.iter()),
        Shape::Variant(cases) => variant(cases),
        Shape::Enum(names) => one_of(names.iter().map(|name| &**name)),
        Shape::Flags(names) => of_type("array")
            .with("items", one_of(names.iter().map(|name| &**name)))
            .with("uniqueItems", true),
        Shape::Option(inner) if inner.takes_null() => {
            any_of([only("some", schema(inner)), of_type("null")])
        }
        Shape::Option(inner) => any_of([schema(inner), of_type("null")]),
        Shape::Result(ok, error) => {
            any_of([only("ok", payload(ok)), only("error", payload(error))])
        }
    }
}

fn of_type(name: &str) -> Members {
    Members::new().with("type", name)
}

fn any_of(schemas: impl IntoIterator<Item = Members>) -> Members {
    let schemas: Ordered = schemas.into_iter().collect();
    Members::new().with("anyOf", schemas)
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> Members {
    let names: Ordered = names.collect();
    Members::new().with("enum", names)
}

fn tuple<'s>(elements: impl ExactSizeIterator<Item = &'s Shape>) -> Members {
    let least = number(i128::try_from(elements.len()).unwrap_or(i128::MAX));
    let elements: Ordered = elements.map(schema).collect();
    of_type("array")
        .with("prefixItems", elements)
        .with("items", false)
        .with("minItems", least)
}

/// Wide integers out of JSON's safe range are decimal strings: a reader that knows doubles only
/// would change them.
fn integer(int: Int) -> Members {
    let (least, most) = int.bounds();
    if int.is_wide() {
        let digits = if least < 0 {
            "^-?[0-9]{1,19}$"
        } else {
            "^[0-9]{1,20}$"
        };
        let types: Ordered = ["integer", "string"].into_iter().collect();
        Members::new()
            .with("type", types)
            .with("minimum", number(least.max(-SAFE)))
            .with("maximum", number(most.min(SAFE)))
            .with("pattern", digits)
    } else {
        of_type("integer")
            .with("minimum", number(least))
            .with("maximum", number(most))
    }
}

/// Every number of a schema is within JSON's safe range.
fn number(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn record(fields: &[Named]) -> Members {
    let mut properties = Members::new();
    let mut required = Vec::new();
    for field in fields {
        properties.push(&*field.name, schema(&field.shape));
        if !matches!(field.shape, Shape::Option(_)) {
            required.push(Ordered::from(&*field.name));
        }
    }
    let mut all = of_type("object").with("properties", properties);
    if !required.is_empty() {
        all.push("required", Ordered::Array(required));
    }
    all.with("additionalProperties", false)
}

/// A case without a value is its name; one with a value is an object of that one property.
fn variant(cases: &[Case]) -> Members {
    let bare: Vec<&str> = cases
        .iter()
        .filter(|case| case.payload.is_none())
        .map(|case| &*case.name)
        .collect();
    let bare = (!bare.is_empty()).then(|| one_of(bare.into_iter()));
    let others = cases.iter().filter_map(|case| {
        let inner = case.payload.as_ref()?;
        Some(only(&case.name, schema(inner)))
    });
    any_of(bare.into_iter().chain(others))
}

fn payload(payload: &Payload) -> Members {
    match payload {
        Some(shape) => schema(shape),
        None => of_type("null"),
    }
}

fn only(key: &str, schema: Members) -> Members {
    let required: Ordered = [key].into_iter().collect();
    of_type("object")
        .with("properties", Members::new().with(key, schema))
        .with("required", required)
        .with("additionalProperties", false)
}
