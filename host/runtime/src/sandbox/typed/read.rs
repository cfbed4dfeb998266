//! From JSON text straight to a component's values: no tree of JSON in between.
//!
//! Arguments fit their schema before they come here, so what fails here is what a schema cannot say
//! (the bounds of a decimal string, base64). Whatever fails is told with its place and what was
//! expected there, never with what was sent.

use std::cell::RefCell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use wasmtime::component::Val;

use super::budget::{Budget, Stop, wide};
use super::cost::{BOX, FIELD, SLOT, heap};
use super::map;
use super::shape::{ByName, Case, Int, Named, Payload, SAFE, Shape};
use super::words::{expected, names};

/// Reads a call's arguments, in the order of the parameters.
///
/// # Errors
///
/// Where something is not what it should be, and what it should be.
pub(super) fn arguments(
    parameters: &ByName<Named>,
    text: &str,
    budget: &Budget,
) -> Result<Vec<Val>, String> {
    let reader = Reader {
        trail: RefCell::default(),
        said: RefCell::default(),
        budget,
    };
    // The reader goes over all of it once, whatever it is.
    if budget.text(text.len()).is_err() {
        return Err(String::new());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = Fields {
        fields: parameters,
        reader: &reader,
    };
    let read = json.deserialize_map(fields).and_then(|values| {
        json.end()?;
        Ok(values)
    });
    read.map(|fields| fields.into_iter().map(|(_, value)| value).collect())
        .map_err(|error| reader.complaint(&error))
}

/// What all parts of one reading share.
pub(super) struct Reader<'a> {
    /// The place of the first mistake, innermost step first.
    trail: RefCell<Vec<String>>,
    /// What is wrong there.
    said: RefCell<Option<String>>,
    pub(super) budget: &'a Budget,
}

impl Reader<'_> {
    /// Notes the first mistake; what comes after it follows from it.
    pub(super) fn say<E: Error>(&self, what: impl Into<String>) -> E {
        self.said.borrow_mut().get_or_insert_with(|| what.into());
        E::custom("")
    }

    /// Something went wrong further in, at this step.
    pub(super) fn at<E>(&self, step: impl fmt::Display, error: E) -> E {
        self.trail.borrow_mut().push(step.to_string());
        error
    }

    /// What the budget says. Why it says no, it keeps.
    pub(super) fn may<E: Error>(&self, answer: Result<(), Stop>) -> Result<(), E> {
        answer.map_err(|_| self.say("is too much for one call"))
    }

    fn complaint(&self, error: &serde_json::Error) -> String {
        let Some(said) = self.said.take() else {
            // An error about a value quotes it, however long it is.
            return match error.classify() {
                Category::Data => "the arguments must be an object".to_owned(),
                _ => format!("the arguments must be JSON: {error}"),
            };
        };
        let trail = self.trail.take();
        if trail.is_empty() {
            return format!("the arguments: {said}");
        }
        let place: String = trail
            .iter()
            .rev()
            .flat_map(|step| ["/", step.as_str()])
            .collect();
        format!("`{place}` {said}")
    }
}

/// One value to be read.
#[derive(Clone, Copy)]
pub(super) struct Seed<'a> {
    pub(super) shape: &'a Shape,
    pub(super) reader: &'a Reader<'a>,
}

impl<'a> Seed<'a> {
    const fn of(self, shape: &'a Shape) -> Self {
        Self {
            shape,
            reader: self.reader,
        }
    }

    fn integer<E: Error>(self, int: Int, value: i128) -> Result<Val, E> {
        let (least, most) = int.bounds();
        if value < least || value > most {
            return Err(self.reader.say(format!("must be {}", expected(self.shape))));
        }
        // Within its bounds, so none of these falls back.
        Ok(match int {
            Int::S8 => Val::S8(value.try_into().unwrap_or_default()),
            Int::U8 => Val::U8(value.try_into().unwrap_or_default()),
            Int::S16 => Val::S16(value.try_into().unwrap_or_default()),
            Int::U16 => Val::U16(value.try_into().unwrap_or_default()),
            Int::S32 => Val::S32(value.try_into().unwrap_or_default()),
            Int::U32 => Val::U32(value.try_into().unwrap_or_default()),
            Int::S64 => Val::S64(value.try_into().unwrap_or_default()),
            Int::U64 => Val::U64(value.try_into().unwrap_or_default()),
        })
    }

    /// A number as JSON has it: beyond the safe range somebody may have rounded it.
    fn number<E: Error>(self, value: i128) -> Result<Val, E> {
        match self.shape {
            Shape::Int(int) if value.abs() <= SAFE => self.integer(*int, value),
            // Every integer up to 2^53 is a double; beyond, the nearest one is meant.
            #[allow(clippy::cast_precision_loss, reason = "JSON has one kind of number")]
            Shape::F32 | Shape::F64 => self.float(value as f64),
            _ => Err(self.wrong()),
        }
    }

    fn float<E: Error>(self, value: f64) -> Result<Val, E> {
        match self.shape {
            Shape::F64 if value.is_finite() => Ok(Val::Float64(value)),
            #[allow(clippy::cast_possible_truncation, reason = "the bounds are looked at")]
            Shape::F32 if (value as f32).is_finite() => Ok(Val::Float32(value as f32)),
            // `1.0` is an integer for JSON Schema.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "whole, and no larger than what both kinds hold exactly"
            )]
            Shape::Int(_) if value.fract() == 0.0 && value.abs() <= SAFE as f64 => {
                self.number(value as i128)
            }
            _ => Err(self.wrong()),
        }
    }

    fn wrong<E: Error>(self) -> E {
        self.reader.say(format!("must be {}", expected(self.shape)))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Val, D::Error> {
        self.reader.may(self.reader.budget.value())?;
        let read = match self.shape {
            Shape::Option(_) => json.deserialize_option(self),
            _ => json.deserialize_any(self),
        };
        // The innermost value that does not fit speaks first.
        read.inspect_err(|_| drop(self.wrong::<D::Error>()))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&expected(self.shape))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Val, E> {
        match self.shape {
            Shape::Bool => Ok(Val::Bool(value)),
            _ => Err(self.wrong()),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Val, E> {
        self.number(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Val, E> {
        self.number(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Val, E> {
        self.float(value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Val, E> {
        match self.shape {
            Shape::String => {
                self.hold(heap(wide(text.len())))?;
                Ok(Val::String(text.to_owned()))
            }
            _ => self.word(text),
        }
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Val, E> {
        match self.shape {
            Shape::String => {
                self.hold(wide(text.capacity()))?;
                Ok(Val::String(text))
            }
            _ => self.word(&text),
        }
    }

    fn visit_none<E: Error>(self) -> Result<Val, E> {
        Ok(Val::Option(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        match self.shape {
            Shape::Option(_) => Ok(Val::Option(None)),
            _ => Err(self.wrong()),
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Val, D::Error> {
        let Shape::Option(inner) = self.shape else {
            return Err(self.wrong());
        };
        let inner = self.of(inner);
        self.hold(BOX)?;
        let value = if inner.shape.takes_null() {
            json.deserialize_map(Only {
                cases: Cases::Some(inner.shape),
                reader: self.reader,
            })?
            .1
        } else {
            Some(inner.deserialize(json)?)
        };
        Ok(Val::Option(value.map(Box::new)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Val, A::Error> {
        match self.shape {
            Shape::List(element) => {
                let mut values = Vec::new();
                while let Some(value) = seq
                    .next_element_seed(self.of(element))
                    .map_err(|error| self.reader.at(values.len(), error))?
                {
                    self.push(&mut values, value)?;
                }
                Ok(Val::List(values))
            }
            Shape::Map(entry) => map::read_pairs(self.of(&entry.0), self.of(&entry.1), seq),
            Shape::Tuple(elements) => {
                self.hold(SLOT.saturating_mul(wide(elements.len())))?;
                let mut values = Vec::with_capacity(elements.len());
                for element in elements {
                    let next = seq.next_element_seed(self.of(element));
                    let value = next.map_err(|error| self.reader.at(values.len(), error))?;
                    values.push(value.ok_or_else(|| self.wrong::<A::Error>())?);
                }
                if seq.next_element::<IgnoredAny>()?.is_some() {
                    return Err(self.wrong());
                }
                Ok(Val::Tuple(values))
            }
            Shape::Flags(names) => {
                let mut flags: Vec<String> = Vec::new();
                let mut set = vec![false; names.len()];
                while let Some(flag) = seq.next_element::<String>()? {
                    self.reader.may(self.reader.budget.value())?;
                    let place = names.place(&flag).and_then(|place| set.get_mut(place));
                    match place {
                        Some(place) if !*place => *place = true,
                        _ => return Err(self.wrong()),
                    }
                    self.hold(wide(flag.capacity()))?;
                    self.push(&mut flags, flag)?;
                }
                Ok(Val::Flags(flags))
            }
            _ => Err(self.wrong()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Val, A::Error> {
        let reader = self.reader;
        match self.shape {
            Shape::Map(entry) if matches!(entry.0, Shape::String) => {
                map::read_object(self.of(&entry.1), object)
            }
            Shape::Record(fields) => Fields { fields, reader }.visit_map(object).map(Val::Record),
            Shape::Variant(cases) => {
                let only = Only {
                    cases: Cases::Variant(cases),
                    reader,
                };
                let (case, value) = only.visit_map(object)?;
                self.hold(wide(case.capacity()) + BOX)?;
                Ok(Val::Variant(case, value.map(Box::new)))
            }
            Shape::Result(ok, error) => {
                let only = Only {
                    cases: Cases::Result(ok, error),
                    reader,
                };
                let (case, value) = only.visit_map(object)?;
                self.hold(BOX)?;
                let value = value.map(Box::new);
                Ok(Val::Result(if case == "ok" {
                    Ok(value)
                } else {
                    Err(value)
                }))
            }
            _ => Err(self.wrong()),
        }
    }
}

impl Seed<'_> {
    fn hold<E: Error>(self, bytes: u64) -> Result<(), E> {
        self.reader.may(self.reader.budget.hold(bytes))
    }

    fn push<T, E: Error>(self, list: &mut Vec<T>, element: T) -> Result<(), E> {
        self.reader.may(self.reader.budget.push(list, element))
    }

    /// A text that stands for something else.
    fn word<E: Error>(self, text: &str) -> Result<Val, E> {
        match self.shape {
            Shape::Char => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(one), None) => Ok(Val::Char(one)),
                    _ => Err(self.wrong()),
                }
            }
            Shape::Enum(names) if names.place(text).is_some() => {
                self.hold(heap(wide(text.len())))?;
                Ok(Val::Enum(text.to_owned()))
            }
            Shape::Variant(cases) if cases.find(text).is_some_and(is_bare) => {
                self.hold(heap(wide(text.len())))?;
                Ok(Val::Variant(text.to_owned(), None))
            }
            Shape::Int(int) if int.is_wide() && is_decimal(text) => {
                let value: i128 = text.parse().map_err(|_| self.wrong::<E>())?;
                self.integer(*int, value)
            }
            Shape::Bytes => {
                // A byte is a value of the engine's.
                let most = wide(text.len() / 4 * 3);
                self.hold(most.saturating_mul(SLOT + 1))?;
                let bytes = STANDARD.decode(text).map_err(|_| self.wrong::<E>())?;
                self.reader.may(self.reader.budget.text(bytes.len()))?;
                self.reader.budget.free(most);
                Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
            }
            _ => Err(self.wrong()),
        }
    }
}

const fn is_bare(case: &Case) -> bool {
    case.payload.is_none()
}

/// Digits, a minus before them where there is one, and nothing else that a parser might take.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The fields of a record, in the type's order whatever the order of the text.
struct Fields<'a> {
    fields: &'a ByName<Named>,
    reader: &'a Reader<'a>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<(String, Val)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { fields, reader } = self;
        reader.may(reader.budget.hold(FIELD.saturating_mul(wide(fields.len()))))?;
        // A field without its name is not there yet: types have no empty names.
        let mut values: Self::Value = Vec::with_capacity(fields.len());
        values.resize_with(fields.len(), || (String::new(), Val::Option(None)));
        let mut likely = 0;
        while let Some(index) = map.next_key_seed(Key { fields, likely })? {
            let (Some(field), Some((name, value))) = (fields.get(index), values.get_mut(index))
            else {
                let names = names(fields.iter().map(|field| &*field.name));
                return Err(reader.say(format!("must have no properties but {names}")));
            };
            if !name.is_empty() {
                return Err(reader.say(format!("has `{}` twice", field.name)));
            }
            let seed = Seed {
                shape: &field.shape,
                reader,
            };
            let read = map.next_value_seed(seed);
            *value = read.map_err(|error| reader.at(&field.name, error))?;
            reader.may(reader.budget.hold(heap(wide(field.name.len()))))?;
            field.name.as_ref().clone_into(name);
            likely = index + 1;
        }
        for (field, (name, _)) in fields.iter().zip(&mut values) {
            match &field.shape {
                _ if !name.is_empty() => {}
                // A short text may leave out much.
                Shape::Option(_) => {
                    reader.may(reader.budget.value())?;
                    reader.may(reader.budget.hold(heap(wide(field.name.len()))))?;
                    field.name.as_ref().clone_into(name);
                }
                _ => return Err(reader.say(format!("must have `{}`", field.name))),
            }
        }
        Ok(values)
    }
}

/// The place of a field's name, most likely behind the one before. Beyond the last: an unknown name.
struct Key<'a> {
    fields: &'a ByName<Named>,
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let is = |field: &Named| *field.name == *name;
        if self.fields.get(self.likely).is_some_and(is) {
            return Ok(self.likely);
        }
        let place = self.fields.place(name);
        Ok(place.unwrap_or(self.fields.len()))
    }
}

/// An object with one property, which says which case it is.
struct Only<'a> {
    cases: Cases<'a>,
    reader: &'a Reader<'a>,
}

/// The cases that are written as such an object.
#[derive(Clone, Copy)]
enum Cases<'a> {
    Some(&'a Shape),
    Variant(&'a ByName<Case>),
    Result(&'a Payload, &'a Payload),
}

impl<'a> Cases<'a> {
    /// What the case of this name carries, if there is one.
    fn find(self, name: &str) -> Option<Option<&'a Shape>> {
        match self {
            Self::Some(inner) => (name == "some").then_some(Some(inner)),
            Self::Variant(cases) => {
                let payload = cases.find(name)?.payload.as_deref()?;
                Some(Some(payload))
            }
            Self::Result(ok, _) if name == "ok" => Some(ok.as_deref()),
            Self::Result(_, error) if name == "error" => Some(error.as_deref()),
            Self::Result(..) => None,
        }
    }

    fn names(self) -> String {
        match self {
            Self::Some(_) => names(["some"].into_iter()),
            Self::Result(..) => names(["ok", "error"].into_iter()),
            Self::Variant(all) => {
                let carrying = all.iter().filter(|case| !is_bare(case));
                names(carrying.map(|case| &*case.name))
            }
        }
    }
}

impl<'de> Visitor<'de> for Only<'_> {
    type Value = (String, Option<Val>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one property")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let wrong = || {
            let what = format!("must have exactly one property of {}", self.cases.names());
            self.reader.say::<A::Error>(what)
        };
        let name = map.next_key::<String>()?.ok_or_else(wrong)?;
        let payload = self.cases.find(&name).ok_or_else(wrong)?;
        let value = match payload {
            Some(shape) => {
                let seed = Seed {
                    shape,
                    reader: self.reader,
                };
                let read = map.next_value_seed(seed);
                Some(read.map_err(|error| self.reader.at(&name, error))?)
            }
            None => {
                let read = map.next_value::<()>();
                read.map_err(|error| {
                    let _: A::Error = self.reader.say("must be null");
                    self.reader.at(&name, error)
                })?;
                None
            }
        };
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(wrong());
        }
        Ok((name, value))
    }
}
