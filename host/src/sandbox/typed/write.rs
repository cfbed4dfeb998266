//! From a component's values to JSON text, without a tree of JSON in between. The counterpart of
//! `read`: what this writes, that reads.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use wasmtime::component::Val;

use super::map;
use super::schema::RESULT;
use super::shape::{Payload, SAFE, Shape};

/// Why there is no JSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// It is longer than it may be.
    #[error("it is too long")]
    Long,
    /// What has no form in JSON.
    #[error("{0}")]
    Wrong(String),
}

/// Writes a function's result: a record as it is, anything else as the property `result` of an
/// object. `most` is the longest text, in bytes.
pub(super) fn result(shape: &Shape, value: &Val, most: u64) -> Result<String, Unwritten> {
    match shape {
        Shape::Record(_) => text(&Out { shape, value }, most),
        _ => text(&Wrapped(Out { shape, value }), most),
    }
}

/// Writes a value as it is.
pub(super) fn value(shape: &Shape, value: &Val, most: u64) -> Result<String, Unwritten> {
    text(&Out { shape, value }, most)
}

fn text(value: &impl Serialize, most: u64) -> Result<String, Unwritten> {
    let mut sink = Sink {
        bytes: Vec::new(),
        most: usize::try_from(most).unwrap_or(usize::MAX),
    };
    match serde_json::to_writer(&mut sink, value) {
        Ok(()) => {
            String::from_utf8(sink.bytes).map_err(|error| Unwritten::Wrong(error.to_string()))
        }
        Err(error) if error.is_io() => Err(Unwritten::Long),
        Err(error) => Err(Unwritten::Wrong(error.to_string())),
    }
}

/// Bytes up to a limit.
struct Sink {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Sink {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Wrapped<'a>(Out<'a>);

impl Serialize for Wrapped<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        only(json, RESULT, &self.0)
    }
}

/// A value with its shape, which says what the value alone does not: an empty list of bytes, an
/// option of an option.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    pub(super) shape: &'a Shape,
    pub(super) value: &'a Val,
}

impl Serialize for Out<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let defect = || S::Error::custom("a value is not of its type");
        match (self.shape, self.value) {
            (Shape::Bool, Val::Bool(value)) => json.serialize_bool(*value),
            (Shape::Int(_), Val::S8(value)) => json.serialize_i8(*value),
            (Shape::Int(_), Val::U8(value)) => json.serialize_u8(*value),
            (Shape::Int(_), Val::S16(value)) => json.serialize_i16(*value),
            (Shape::Int(_), Val::U16(value)) => json.serialize_u16(*value),
            (Shape::Int(_), Val::S32(value)) => json.serialize_i32(*value),
            (Shape::Int(_), Val::U32(value)) => json.serialize_u32(*value),
            (Shape::Int(_), Val::S64(value)) if i128::from(*value).abs() > SAFE => {
                json.collect_str(value)
            }
            (Shape::Int(_), Val::S64(value)) => json.serialize_i64(*value),
            (Shape::Int(_), Val::U64(value)) if i128::from(*value) > SAFE => {
                json.collect_str(value)
            }
            (Shape::Int(_), Val::U64(value)) => json.serialize_u64(*value),
            (Shape::F32, Val::Float32(value)) if value.is_finite() => json.serialize_f32(*value),
            (Shape::F64, Val::Float64(value)) if value.is_finite() => json.serialize_f64(*value),
            (Shape::F32 | Shape::F64, Val::Float32(_) | Val::Float64(_)) => Err(S::Error::custom(
                "a number is infinite or not a number, which JSON cannot say",
            )),
            (Shape::Char, Val::Char(value)) => json.serialize_char(*value),
            (Shape::String, Val::String(value)) => json.serialize_str(value),
            (Shape::Bytes, Val::List(values)) => {
                let byte = |value: &Val| match value {
                    Val::U8(byte) => Ok(*byte),
                    _ => Err(defect()),
                };
                let bytes: Vec<u8> = values.iter().map(byte).collect::<Result<_, _>>()?;
                json.serialize_str(&STANDARD.encode(bytes))
            }
            (Shape::List(shape), Val::List(values)) => {
                json.collect_seq(values.iter().map(|value| Out { shape, value }))
            }
            (Shape::Map(entry), Val::Map(values)) => {
                let (key, value) = &**entry;
                map::write(json, key, value, values)
            }
            (Shape::Record(fields), Val::Record(values)) => {
                let pairs = fields.iter().zip(values);
                json.collect_map(pairs.map(|(field, (_, value))| {
                    let shape = &field.shape;
                    (&*field.name, Out { shape, value })
                }))
            }
            (Shape::Tuple(shapes), Val::Tuple(values)) => {
                let pairs = shapes.iter().zip(values);
                json.collect_seq(pairs.map(|(shape, value)| Out { shape, value }))
            }
            (Shape::Variant(cases), Val::Variant(name, value)) => {
                let case = cases.iter().find(|case| *case.name == **name);
                let case = case.ok_or_else(defect)?;
                match (&case.payload, value) {
                    (Some(shape), Some(value)) => only(json, name, &Out { shape, value }),
                    (None, None) => json.serialize_str(name),
                    _ => Err(defect()),
                }
            }
            (Shape::Enum(_), Val::Enum(name)) => json.serialize_str(name),
            (Shape::Flags(_), Val::Flags(names)) => json.collect_seq(names),
            (Shape::Option(_), Val::Option(None)) => json.serialize_unit(),
            (Shape::Option(shape), Val::Option(Some(value))) => {
                let inner = Out { shape, value };
                if shape.takes_null() {
                    only(json, "some", &inner)
                } else {
                    inner.serialize(json)
                }
            }
            (Shape::Result(ok, _), Val::Result(Ok(value))) => side(json, "ok", ok, value),
            (Shape::Result(_, error), Val::Result(Err(value))) => side(json, "error", error, value),
            _ => Err(defect()),
        }
    }
}

fn side<S: Serializer>(
    json: S,
    key: &str,
    payload: &Payload,
    value: &Option<Box<Val>>,
) -> Result<S::Ok, S::Error> {
    match (payload, value) {
        (Some(shape), Some(value)) => only(json, key, &Out { shape, value }),
        _ => only(json, key, &()),
    }
}

fn only<S: Serializer>(json: S, key: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = json.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}
