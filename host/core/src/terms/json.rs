//! One strict reading of a JSON text: where two parsers could read it differently, it is refused.
//!
//! `serde_json` refuses what is no JSON: a byte order mark, trailing data, bad UTF-8, lone
//! surrogates, depth beyond 128. What it would let through, names given twice, is refused here.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// Why a text is not read. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not only JSON.
    #[error(
        "it is not one JSON value in UTF-8, without a byte order mark and without anything behind it"
    )]
    Syntax,
    /// A name is there twice in one object, perhaps escaped.
    #[error("an object in it has the same name twice")]
    Twice,
}

/// What the error says of a name that is there twice; serde's errors carry nothing but text.
pub(super) const TWICE: &str = "the same name twice";

/// Reads a text: a body that a rule judges, a result that a schema judges.
///
/// # Errors
/// It has more than one reading, or none.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    match serde_json::from_slice::<Strict>(text) {
        Ok(strict) => Ok(strict.0),
        Err(error) if error.is_data() && error.to_string().starts_with(TWICE) => {
            Err(JsonError::Twice)
        }
        Err(_) => Err(JsonError::Syntax),
    }
}

/// Reads an object within something else, in which no name may be there twice.
///
/// # Errors
/// It is no object, or has more than one reading.
pub fn object<'de, D: Deserializer<'de>>(json: D) -> Result<Map<String, Value>, D::Error> {
    match json.deserialize_map(Reader)? {
        Value::Object(object) => Ok(object),
        _ => Err(D::Error::custom("no object")),
    }
}

/// The first name that is there twice in one object of a text, perhaps escaped; none in what is no
/// JSON. The name is whoever's the text is.
#[must_use]
pub fn named_twice(text: &[u8]) -> Option<String> {
    let twice = Cell::new(None);
    let mut json = serde_json::Deserializer::from_slice(text);
    // Whatever else is wrong with it is not looked for here.
    let _ = Look { twice: &twice }.deserialize(&mut json);
    twice.into_inner()
}

/// Bytes of an object without a member: a node of its map has room for eleven.
const OBJECT: u64 = 700;
/// Bytes of an array, which has room for four values from the first on.
const ARRAY: u64 = 192;
/// Bytes of a value or member behind another one.
const VALUE: u64 = 112;
/// Bytes of a text beside its letters: two quotes.
const QUOTE: u64 = 16;

/// What a small text may take when it is read, in bytes: too much where its strings hold brackets.
#[must_use]
pub fn rough_weight(text: &[u8]) -> u64 {
    let own = text
        .iter()
        .map(|byte| u64::from(WEIGHTS[usize::from(*byte)]));
    2 * length(text.len()) + own.sum::<u64>()
}

/// What each byte of a text brings with it, where it stands for something.
const WEIGHTS: [u16; 256] = {
    let mut weights = [0; 256];
    weights[b'{' as usize] = OBJECT as u16;
    weights[b'[' as usize] = ARRAY as u16;
    weights[b',' as usize] = VALUE as u16;
    weights[b'"' as usize] = QUOTE as u16;
    weights
};

/// What a text takes in memory when it is read, in bytes, as closely as that can be said without
/// reading it: up to eighty times its length.
#[must_use]
pub fn weight(text: &[u8]) -> u64 {
    let mut weight = 2 * length(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'"' => {
                weight += 2 * QUOTE;
                rest = behind_text(behind);
            }
            b'{' => weight += OBJECT,
            b'[' => weight += ARRAY,
            b',' => weight += VALUE,
            _ => {}
        }
    }
    weight
}

/// What follows a text that has begun; nothing where it has no end.
#[must_use]
pub fn behind_text(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        // What is escaped ends nothing.
        let next = if is_end { at + 1 } else { at + 2 };
        rest = rest.get(next..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Goes over a value without keeping anything but the names of the objects that it is in.
#[derive(Clone, Copy)]
struct Look<'a> {
    twice: &'a Cell<Option<String>>,
}

/// So many names are looked through; more are kept in a set.
const FEW: usize = 16;

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        // Most objects are small: nothing is allocated for them.
        let (mut few, mut count) = (<[Cow<'_, str>; FEW]>::default(), 0);
        let mut many = HashSet::new();
        while let Some(Key(name)) = object.next_key()? {
            let seen = few.get(..count).unwrap_or(&few);
            let is_new = !seen.contains(&name)
                && match few.get_mut(count) {
                    Some(place) => {
                        *place = name.clone();
                        true
                    }
                    None => many.insert(name.clone()),
                };
            count += 1;
            if !is_new {
                self.twice.set(Some(name.into_owned()));
                return Err(A::Error::custom(TWICE));
            }
            object.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// A name, where it stands in the text if nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number without end"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = list.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Strict(value))) = object.next_entry::<String, Strict>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_has_one_reading_is_read_as_ever() {
        let text =
            r#"{"a":[1,-2,3.5,1e3,true,null,"\ud83d\ude00"],"b":{"a":{}},"":18446744073709551615}"#;
        let usual: Value = serde_json::from_str(text).unwrap_or_default();
        assert_eq!(parse(text.as_bytes()).ok(), Some(usual));
    }

    #[test]
    fn what_has_two_readings_or_none_is_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            r#""\ud800""#,
            "NaN",
            "1e999",
            "{} {}",
            "",
            "\u{feff}{}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(
            named_twice(br#"{"a":{"b":1},"c":[{"b":1,"\u0062":2}]}"#).as_deref(),
            Some("b")
        );
        let all: Vec<String> = (0..40).map(|index| format!("\"n{index}\":0")).collect();
        let all = all.join(",");
        assert_eq!(named_twice(format!("{{{all}}}").as_bytes()), None);
        for name in ["n3", "n33"] {
            let text = format!("{{{all},\"{name}\":1}}");
            assert_eq!(named_twice(text.as_bytes()).as_deref(), Some(name));
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()), Err(JsonError::Syntax));
        assert_eq!(parse(br#"{"a":1,"a":1}"#), Err(JsonError::Twice));
    }

    #[test]
    fn brackets_in_texts_weigh_nothing_where_it_matters() {
        let code = format!(r#"{{"a":"{}\"{{"}}"#, "{[,".repeat(1_000));
        assert_eq!(
            weight(code.as_bytes()),
            2 * length(code.len()) + OBJECT + 4 * QUOTE
        );
        assert!(rough_weight(code.as_bytes()) > 1_000 * OBJECT);
    }

    /// What a value holds, as the allocator gives it out: sizes go up in steps of a quarter.
    fn held(value: &Value) -> u64 {
        let size = size_of::<Value>();
        match value {
            Value::String(text) => length(text.capacity().next_multiple_of(16)),
            Value::Array(items) => {
                length(items.capacity() * size) + items.iter().map(held).sum::<u64>()
            }
            Value::Object(members) => {
                // A node is at least half full, but the only one of a map.
                let nodes = members
                    .len()
                    .div_ceil(5)
                    .max(usize::from(!members.is_empty()));
                let node = 11 * (size + size_of::<String>()) + 16;
                let own = members.iter().map(|(name, value)| {
                    length(name.capacity().next_multiple_of(16)) + held(value)
                });
                length(nodes * node) + own.sum::<u64>()
            }
            _ => 0,
        }
    }

    #[test]
    fn x28_a_message_weighs_at_least_what_it_becomes() {
        let shapes = [
            "[]",
            "{}",
            "[[]]",
            "[1]",
            "{\"\":0}",
            "{\"a\":{\"b\":[]}}",
            "\"\"",
            "\"a\"",
            "1",
            "null",
            "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6}",
            "[\"a\",\"b\"]",
        ];
        for shape in shapes {
            for count in [1, 2, 5, 1_000, 4_097] {
                let text = format!("[{}{shape}]", format!("{shape},").repeat(count - 1));
                let value: Value = serde_json::from_str(&text).unwrap();
                let (weighed, held) = (weight(text.as_bytes()), held(&value));
                assert!(
                    weighed >= held,
                    "{count} of {shape}: {held} bytes weigh {weighed}"
                );
                assert!(weighed <= rough_weight(text.as_bytes()));
            }
        }
        let nested = format!(
            "{}{}",
            "{\"a\":".repeat(100),
            "0".to_owned() + &"}".repeat(100)
        );
        let value: Value = serde_json::from_str(&nested).unwrap();
        assert!(weight(nested.as_bytes()) >= held(&value));
    }
}
