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
const TWICE: &str = "the same name twice";

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
        let (mut few, mut many) = (Vec::new(), HashSet::new());
        while let Some(Key(name)) = object.next_key()? {
            let is_new = if few.len() < FEW {
                let is_new = !few.contains(&name);
                few.push(name.clone());
                is_new
            } else {
                !few.contains(&name) && many.insert(name.clone())
            };
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
}
