//! From a component's values to JSON text, without a tree of JSON in between. The counterpart of
//! `read`: what this writes, that reads.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use wasmtime::component::Val;

use super::budget::{Budget, Stop, wide};
use super::cost::{BOX, FIELD, SLOT, heap};
use super::map;
use super::schema::RESULT;
use super::shape::{Payload, SAFE, Shape};

/// A text where it stands, as a flag's name does.
const TEXT: u64 = size_of::<String>() as u64;

/// Why there is no JSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// It is longer than it may be.
    #[error("it is too long")]
    Long,
    /// It is more work, or takes more memory, than it may.
    #[error("it is too much")]
    Stopped(Stop),
    /// What has no form in JSON.
    #[error("{0}")]
    Wrong(String),
}

/// Writes a function's result: a record as it is, anything else as the property `result` of an
/// object. `most` is the longest text, in bytes.
pub(super) fn result(
    shape: &Shape,
    value: &Val,
    most: u64,
    budget: &Budget,
) -> Result<String, Unwritten> {
    let out = Out {
        shape,
        value,
        budget,
    };
    match shape {
        Shape::Record(_) => text(&out, most, budget),
        _ => text(&Wrapped(out), most, budget),
    }
}

/// Writes a value as it is.
pub(super) fn value(
    shape: &Shape,
    value: &Val,
    most: u64,
    budget: &Budget,
) -> Result<String, Unwritten> {
    let out = Out {
        shape,
        value,
        budget,
    };
    text(&out, most, budget)
}

fn text(value: &impl Serialize, most: u64, budget: &Budget) -> Result<String, Unwritten> {
    let mut sink = Sink {
        bytes: Vec::new(),
        most: usize::try_from(most).unwrap_or(usize::MAX),
        budget,
    };
    match serde_json::to_writer(&mut sink, value) {
        Ok(()) => {
            String::from_utf8(sink.bytes).map_err(|error| Unwritten::Wrong(error.to_string()))
        }
        Err(error) => Err(match budget.stopped() {
            Some(why) => Unwritten::Stopped(why),
            None if error.is_io() => Unwritten::Long,
            None => Unwritten::Wrong(error.to_string()),
        }),
    }
}

/// Bytes up to a limit, on the budget.
struct Sink<'a> {
    bytes: Vec<u8>,
    most: usize,
    budget: &'a Budget,
}

impl Sink<'_> {
    /// Makes room for so many bytes more, at the most for what may come.
    #[cold]
    fn grow(&mut self, more: usize) -> io::Result<()> {
        let length = self.bytes.len().saturating_add(more);
        if length > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let old = self.bytes.capacity();
        let new = length
            .max(old.saturating_mul(2))
            .clamp(128.min(self.most), self.most);
        let held = self.budget.hold(wide(new));
        held.map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.bytes.reserve_exact(new - self.bytes.len());
        self.budget.free(wide(old));
        Ok(())
    }
}

impl io::Write for Sink<'_> {
    // The room never goes beyond the limit, so most pieces of a text cost one look at it.
    #[inline]
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(more.len())?;
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    #[inline]
    fn write_all(&mut self, more: &[u8]) -> io::Result<()> {
        self.write(more).map(drop)
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
    pub(super) budget: &'a Budget,
}

impl<'a> Out<'a> {
    const fn of(self, shape: &'a Shape, value: &'a Val) -> Self {
        Self {
            shape,
            value,
            budget: self.budget,
        }
    }

    /// Counts this value, and what it has beyond the place where it stands.
    fn count(self) -> Result<(), Stop> {
        let Self { value, budget, .. } = self;
        budget.value()?;
        let room = |slots: usize, each: u64| wide(slots).saturating_mul(each);
        budget.hold(match value {
            Val::String(text) => {
                budget.text(text.len())?;
                wide(text.capacity())
            }
            Val::Enum(name) => heap(wide(name.len())),
            Val::List(values) | Val::Tuple(values) => room(values.capacity(), SLOT),
            Val::Map(entries) => room(entries.capacity(), 2 * SLOT),
            Val::Record(fields) => {
                let names = fields.iter().map(|(name, _)| heap(wide(name.len())));
                room(fields.capacity(), FIELD) + names.sum::<u64>()
            }
            Val::Variant(name, payload) => {
                heap(wide(name.len())) + payload.as_ref().map_or(0, |_| BOX)
            }
            Val::Option(Some(_)) | Val::Result(Ok(Some(_)) | Err(Some(_))) => BOX,
            Val::Flags(names) => {
                for _ in names {
                    budget.value()?;
                }
                let texts = names.iter().map(|name| heap(wide(name.len())));
                room(names.capacity(), TEXT) + texts.sum::<u64>()
            }
            _ => return Ok(()),
        })
    }
}

impl Serialize for Out<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let defect = || S::Error::custom("a value is not of its type");
        self.count().map_err(|_| S::Error::custom(""))?;
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
                // The bytes, and their text.
                let room = self.budget.hold(wide(values.len()).saturating_mul(3));
                let text = self.budget.text(values.len());
                room.and(text).map_err(|_| S::Error::custom(""))?;
                let bytes: Vec<u8> = values.iter().map(byte).collect::<Result<_, _>>()?;
                self.budget.free(wide(values.len()).saturating_mul(3));
                json.serialize_str(&STANDARD.encode(bytes))
            }
            (Shape::List(shape), Val::List(values)) => {
                json.collect_seq(values.iter().map(|value| self.of(shape, value)))
            }
            (Shape::Map(entry), Val::Map(values)) => map::write(json, entry, values, self.budget),
            (Shape::Record(fields), Val::Record(values)) => {
                let pairs = fields.iter().zip(values);
                json.collect_map(
                    pairs.map(|(field, (_, value))| (&*field.name, self.of(&field.shape, value))),
                )
            }
            (Shape::Tuple(shapes), Val::Tuple(values)) => {
                let pairs = shapes.iter().zip(values);
                json.collect_seq(pairs.map(|(shape, value)| self.of(shape, value)))
            }
            (Shape::Variant(cases), Val::Variant(name, value)) => {
                let case = cases.find(name).ok_or_else(defect)?;
                match (&case.payload, value) {
                    (Some(shape), Some(value)) => only(json, name, &self.of(shape, value)),
                    (None, None) => json.serialize_str(name),
                    _ => Err(defect()),
                }
            }
            (Shape::Enum(_), Val::Enum(name)) => json.serialize_str(name),
            (Shape::Flags(_), Val::Flags(names)) => json.collect_seq(names),
            (Shape::Option(_), Val::Option(None)) => json.serialize_unit(),
            (Shape::Option(shape), Val::Option(Some(value))) => {
                let inner = self.of(shape, value);
                if shape.takes_null() {
                    only(json, "some", &inner)
                } else {
                    inner.serialize(json)
                }
            }
            (Shape::Result(ok, _), Val::Result(Ok(value))) => self.side(json, "ok", ok, value),
            (Shape::Result(_, error), Val::Result(Err(value))) => {
                self.side(json, "error", error, value)
            }
            _ => Err(defect()),
        }
    }
}

impl Out<'_> {
    fn side<S: Serializer>(
        self,
        json: S,
        key: &str,
        payload: &Payload,
        value: &Option<Box<Val>>,
    ) -> Result<S::Ok, S::Error> {
        match (payload, value) {
            (Some(shape), Some(value)) => only(json, key, &self.of(shape, value)),
            _ => only(json, key, &()),
        }
    }
}

fn only<S: Serializer>(json: S, key: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = json.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}
