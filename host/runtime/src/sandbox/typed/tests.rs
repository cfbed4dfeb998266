//! What is written is what is read, whatever the types: random types, random values of them.

use std::sync::Arc;

use arbitrary::Unstructured;
use wasmtime::component::Val;

use super::budget::Budget;
use super::cost::{BOX, FIELD, Ratio, SLOT, heap};
use super::shape::{ByName, Case, Int, Named, Payload, Shape};
use super::{read, schema, write};

const INTS: [Int; 8] = [
    Int::S8,
    Int::U8,
    Int::S16,
    Int::U16,
    Int::S32,
    Int::U32,
    Int::S64,
    Int::U64,
];

type Drawn<T> = arbitrary::Result<T>;

fn shape(u: &mut Unstructured<'_>, depth: u32) -> Drawn<Shape> {
    let kinds = if depth == 0 { 6 } else { 17 };
    let inner = depth.saturating_sub(1);
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Shape::Bool,
        1 => Shape::Int(*u.choose(&INTS)?),
        2 => Shape::F32,
        3 => Shape::F64,
        4 => Shape::Char,
        5 => Shape::String,
        6 => Shape::Bytes,
        7 => Shape::List(Box::new(shape(u, inner)?)),
        8 => Shape::Record(fields(u, inner)?),
        9 => Shape::Tuple(many(u, |u, _| shape(u, inner))?),
        10 => Shape::Variant(many(u, |u, index| {
            Ok(Case {
                name: format!("case-{index}").into(),
                payload: payload(u, inner)?,
            })
        })?),
        11 => Shape::Enum(many(u, |_, index| Ok(format!("name-{index}").into()))?),
        12 => Shape::Flags(many(u, |_, index| Ok(format!("flag-{index}").into()))?),
        13 | 14 => Shape::Option(Box::new(shape(u, inner)?)),
        15 => Shape::Map(Box::new((Shape::String, shape(u, inner)?))),
        16 => {
            let keys = [Shape::Bool, Shape::Char, Shape::Int(*u.choose(&INTS)?)];
            Shape::Map(Box::new((u.choose(&keys)?.clone(), shape(u, inner)?)))
        }
        _ => Shape::Result(payload(u, inner)?, payload(u, inner)?),
    })
}

fn fields(u: &mut Unstructured<'_>, depth: u32) -> Drawn<ByName<Named>> {
    many(u, |u, index| {
        Ok(Named {
            name: format!("field-{index}").into(),
            shape: shape(u, depth)?,
        })
    })
}

fn payload(u: &mut Unstructured<'_>, depth: u32) -> Drawn<Payload> {
    Ok(if u.arbitrary()? {
        Some(Box::new(shape(u, depth)?))
    } else {
        None
    })
}

fn many<T, All: FromIterator<T>>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>, usize) -> Drawn<T>,
) -> Drawn<All> {
    let count = u.int_in_range(1..=4)?;
    (0..count).map(|index| one(u, index)).collect()
}

fn value(u: &mut Unstructured<'_>, shape: &Shape) -> Drawn<Val> {
    Ok(match shape {
        Shape::Bool => Val::Bool(u.arbitrary()?),
        Shape::Int(Int::S8) => Val::S8(u.arbitrary()?),
        Shape::Int(Int::U8) => Val::U8(u.arbitrary()?),
        Shape::Int(Int::S16) => Val::S16(u.arbitrary()?),
        Shape::Int(Int::U16) => Val::U16(u.arbitrary()?),
        Shape::Int(Int::S32) => Val::S32(u.arbitrary()?),
        Shape::Int(Int::U32) => Val::U32(u.arbitrary()?),
        Shape::Int(Int::S64) => Val::S64(u.arbitrary()?),
        Shape::Int(Int::U64) => Val::U64(u.arbitrary()?),
        Shape::F32 => Val::Float32(
            Some(f32::from_bits(u.arbitrary()?))
                .filter(|f| f.is_finite())
                .unwrap_or(f32::MAX),
        ),
        Shape::F64 => Val::Float64(
            Some(f64::from_bits(u.arbitrary()?))
                .filter(|f| f.is_finite())
                .unwrap_or(f64::MIN),
        ),
        Shape::Char => Val::Char(u.arbitrary()?),
        Shape::String => Val::String(u.arbitrary::<&str>()?.chars().take(9).collect()),
        Shape::Bytes => {
            let bytes: [u8; 5] = u.arbitrary()?;
            let length = u.int_in_range(0..=5)?;
            Val::List(bytes.into_iter().take(length).map(Val::U8).collect())
        }
        Shape::List(element) => {
            let count = u.int_in_range(0..=3)?;
            Val::List(
                (0..count)
                    .map(|_| value(u, element))
                    .collect::<Drawn<_>>()?,
            )
        }
        Shape::Map(entry) => {
            let count = u.int_in_range(0..=3)?;
            let entry = |index: usize| {
                let key = match &entry.0 {
                    // Each once.
                    Shape::String => Val::String(format!("key-{index}")),
                    other => value(u, other)?,
                };
                Ok((key, value(u, &entry.1)?))
            };
            Val::Map((0..count).map(entry).collect::<Drawn<_>>()?)
        }
        Shape::Record(fields) => {
            let field = |field: &Named| Ok((field.name.to_string(), value(u, &field.shape)?));
            Val::Record(fields.iter().map(field).collect::<Drawn<_>>()?)
        }
        Shape::Tuple(elements) => {
            let element = |shape: &Shape| value(u, shape);
            Val::Tuple(elements.iter().map(element).collect::<Drawn<_>>()?)
        }
        Shape::Variant(cases) => {
            let case = u.choose(cases)?;
            Val::Variant(case.name.to_string(), carried(u, &case.payload)?)
        }
        Shape::Enum(names) => Val::Enum(u.choose(names)?.to_string()),
        Shape::Flags(names) => {
            let mut flags = Vec::new();
            for name in &**names {
                if u.arbitrary()? {
                    flags.push(name.to_string());
                }
            }
            Val::Flags(flags)
        }
        Shape::Option(inner) => Val::Option(if u.arbitrary()? {
            Some(Box::new(value(u, inner)?))
        } else {
            None
        }),
        Shape::Result(ok, error) => Val::Result(if u.arbitrary()? {
            Ok(carried(u, ok)?)
        } else {
            Err(carried(u, error)?)
        }),
    })
}

fn carried(u: &mut Unstructured<'_>, payload: &Payload) -> Drawn<Option<Box<Val>>> {
    let value = payload.as_ref().map(|shape| value(u, shape));
    Ok(value.transpose()?.map(Box::new))
}

#[test]
fn whatever_the_types_what_is_written_is_read_and_fits_the_schema() {
    let mut deep = 0;
    for seed in 0..2_000_u32 {
        let mut bytes = vec![0; 4_096];
        blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let mut u = Unstructured::new(&bytes);
        let Ok(parameters) = fields(&mut u, 3) else {
            continue;
        };
        let record = Shape::Record(parameters.clone());
        let Ok(Val::Record(values)) = value(&mut u, &record) else {
            continue;
        };
        deep += usize::from(format!("{record:?}").len() > 400);
        let whole = Val::Record(values.clone());
        let text = write::value(&record, &whole, 1 << 20, &Budget::endless())
            .unwrap_or_else(|error| unreachable!("{record:?} {whole:?}: {error}"));
        let json: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| unreachable!("{text}: {error}"));
        let schema = schema::arguments(&parameters);
        let validator = jsonschema::draft202012::new(&schema.to_map().into())
            .unwrap_or_else(|error| unreachable!("{schema}: {error}"));
        assert!(validator.is_valid(&json), "{text} does not fit {schema}");
        let back = read::arguments(&parameters, &text, &Budget::endless());
        let values: Vec<Val> = values.into_iter().map(|(_, value)| value).collect();
        assert_eq!(back.as_ref(), Ok(&values), "{text}");
    }
    assert!(deep > 200, "only {deep} types of some depth");
}

#[test]
fn schemas_are_in_the_order_of_the_types() {
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    let named = |name: &str, shape| Named {
        name: name.into(),
        shape,
    };
    let point = [named("y", Shape::F64), named("x", Shape::Bool)];
    let parameters = [
        named("to", Shape::Record(point.into_iter().collect())),
        named("from", Shape::Enum(names(&["new", "a"]))),
        named("amount", Shape::Option(Box::new(Shape::Char))),
    ];
    let point = r#"{"type":"object","properties":{"y":{"type":"number"},"x":{"type":"boolean"}},"required":["y","x"],"additionalProperties":false}"#;
    let text = r#"{"type":"string","minLength":1,"maxLength":1}"#;
    assert_eq!(
        schema::arguments(&parameters).to_string(),
        format!(
            r#"{{"type":"object","properties":{{"to":{point},"from":{{"enum":["new","a"]}},"amount":{{"anyOf":[{text},{{"type":"null"}}]}}}},"required":["to","from"],"additionalProperties":false}}"#
        )
    );
}

#[test]
fn whatever_text_comes_in_nothing_panics() {
    for seed in 0..500_u32 {
        let mut bytes = vec![0; 2_048];
        blake3::Hasher::new()
            .update(b"text")
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let mut u = Unstructured::new(&bytes);
        let (Ok(one), Ok(other)) = (fields(&mut u, 3), fields(&mut u, 3)) else {
            continue;
        };
        let other = Shape::Record(other);
        if let Ok(foreign) = value(&mut u, &other)
            && let Ok(text) = write::value(&other, &foreign, 1 << 20, &Budget::endless())
        {
            // The values of another function, whole and cut off.
            let _ = read::arguments(&one, &text, &Budget::endless());
            let cut = text.floor_char_boundary(text.len() / 2);
            assert!(read::arguments(&one, &text[..cut], &Budget::endless()).is_err());
        }
    }
}

#[test]
fn an_answer_ends_at_its_limit() {
    let text = Val::String("x".repeat(100));
    let written = |most| write::result(&Shape::String, &text, most, &Budget::endless());
    assert!(written(100).is_err());
    assert!(written(113).is_ok());
}

/// What the engine counts as it makes a value, beyond the place where it stands.
fn counted(value: &Val) -> u64 {
    let slots =
        |values: &[Val]| SLOT * values.len() as u64 + values.iter().map(counted).sum::<u64>();
    let carried = |inner: &Option<Box<Val>>| inner.as_ref().map_or(0, |one| SLOT + counted(one));
    match value {
        Val::String(text) | Val::Enum(text) => text.len() as u64,
        Val::List(values) | Val::Tuple(values) => slots(values),
        Val::Map(entries) => entries
            .iter()
            .map(|(key, value)| 2 * SLOT + counted(key) + counted(value))
            .sum(),
        Val::Record(fields) => fields
            .iter()
            .map(|(name, value)| SLOT + name.len() as u64 + counted(value))
            .sum(),
        Val::Variant(name, inner) => name.len() as u64 + carried(inner),
        Val::Option(inner) | Val::Result(Ok(inner) | Err(inner)) => carried(inner),
        Val::Flags(names) => names.iter().map(|name| name.len() as u64).sum(),
        _ => 0,
    }
}

/// What it allocates meanwhile: vectors that grow one by one have room for four, and double.
fn allocated(value: &Val) -> u64 {
    let room = |count: usize, each: u64| match count {
        0 => 0,
        _ => each * count.next_power_of_two().max(4) as u64,
    };
    let carried = |inner: &Option<Box<Val>>| inner.as_ref().map_or(0, |one| BOX + allocated(one));
    let text = |text: &str| heap(text.len() as u64);
    match value {
        Val::String(value) | Val::Enum(value) => text(value),
        Val::List(values) | Val::Tuple(values) => {
            room(values.len(), SLOT) + values.iter().map(allocated).sum::<u64>()
        }
        Val::Map(entries) => entries
            .iter()
            .map(|(key, value)| 2 * SLOT + allocated(key) + allocated(value))
            .sum(),
        Val::Record(fields) => {
            let fields_of = |(name, value): &(String, Val)| text(name) + allocated(value);
            room(fields.len(), FIELD) + fields.iter().map(fields_of).sum::<u64>()
        }
        Val::Variant(name, inner) => text(name) + carried(inner),
        Val::Option(inner) | Val::Result(Ok(inner) | Err(inner)) => carried(inner),
        Val::Flags(names) => {
            room(names.len(), 24) + names.iter().map(|name| text(name)).sum::<u64>()
        }
        _ => 0,
    }
}

/// Whatever the type and the value: where the engine has counted no more than it may, no more than
/// was meant has been allocated.
#[test]
fn g65_no_value_takes_more_than_its_type_says() {
    let mut seen = 0;
    for seed in 0..4_000_u32 {
        let mut bytes = vec![0; 4_096];
        blake3::Hasher::new()
            .update(b"cost")
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let mut u = Unstructured::new(&bytes);
        let Ok(shape) = shape(&mut u, 4) else {
            continue;
        };
        let ratio = Ratio::of(&shape);
        for _ in 0..8 {
            let Ok(value) = value(&mut u, &shape) else {
                break;
            };
            let (counted, allocated) = (counted(&value), allocated(&value));
            seen += usize::from(counted > 100);
            // The largest bound that this value does not fit in.
            let fits = allocated.saturating_sub(1);
            assert!(
                allocated == 0 || ratio.counted(fits) <= counted,
                "{shape:?}: {counted} counted, {allocated} allocated, {ratio:?}"
            );
        }
    }
    assert!(seen > 500, "only {seen} values of some size");
}

/// A whole number is an integer however it is written, as for the schema; beyond what every reader
/// keeps it is a text, and the refusal says so.
#[test]
fn a_whole_number_is_an_integer_however_it_is_written() {
    let parameter = Named {
        name: "n".into(),
        shape: Shape::Int(Int::U64),
    };
    let parameters: ByName<Named> = [parameter].into_iter().collect();
    let read = |number: &str| {
        let text = format!("{{\"n\":{number}}}");
        read::arguments(&parameters, &text, &Budget::endless())
    };
    for (number, value) in [
        ("7.0", 7),
        ("1e3", 1_000),
        ("9007199254740991.0", (1 << 53) - 1),
        ("\"9007199254740993\"", (1 << 53) + 1),
    ] {
        assert_eq!(read(number), Ok(vec![Val::U64(value)]), "{number}");
    }
    for number in ["9007199254740992.0", "9007199254740992", "0.5", "1e300"] {
        let said = read(number).err().unwrap_or_default();
        assert!(said.contains("decimal string"), "{number}: {said}");
    }
}
