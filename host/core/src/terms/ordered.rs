//! JSON whose objects keep their members in the order in which they were written: what people and
//! models read. `serde_json`'s maps sort them, and digests, checks and bounds rely on that.
//!
//! It does not know what the JSON is for.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::json::TWICE;

/// A value of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered {
    /// What holds no other value: null, a flag, a number or a text.
    Scalar(Value),
    /// Values by place.
    Array(Vec<Ordered>),
    /// Values by name.
    Object(Members),
}

/// The members of an object in their order. Each name is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<(String, Ordered)>);

impl Members {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same with one more at the end, whose name is not there yet.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Ordered>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds one at the end, whose name is not there yet.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Ordered>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Ordered> {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value)
    }

    /// The value of a name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Ordered> {
        let found = self.0.iter_mut().find(|(one, _)| one == name);
        found.map(|(_, value)| value)
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(one, _)| one != name);
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Ordered)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The same, to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Ordered)> {
        let members = self.0.iter_mut();
        members.map(|(name, value)| (name.as_str(), value))
    }

    /// The same object with its names sorted.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        let members = self.0.iter();
        members
            .map(|(name, value)| (name.clone(), value.to_value()))
            .collect()
    }
}

/// Compact JSON.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Ordered {
    /// Its text, where it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) => scalar.as_str(),
            Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// Its members, where it is an object.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Members> {
        match self {
            Self::Object(members) => Some(members),
            Self::Scalar(_) | Self::Array(_) => None,
        }
    }

    /// The same value with all names sorted.
    fn to_value(&self) -> Value {
        match self {
            Self::Scalar(scalar) => scalar.clone(),
            Self::Array(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(members) => Value::Object(members.to_map()),
        }
    }
}

impl From<&str> for Ordered {
    fn from(text: &str) -> Self {
        Self::Scalar(text.into())
    }
}

impl From<bool> for Ordered {
    fn from(flag: bool) -> Self {
        Self::Scalar(flag.into())
    }
}

impl From<i64> for Ordered {
    fn from(number: i64) -> Self {
        Self::Scalar(number.into())
    }
}

impl From<f64> for Ordered {
    fn from(number: f64) -> Self {
        Self::Scalar(number.into())
    }
}

impl From<Members> for Ordered {
    fn from(members: Members) -> Self {
        Self::Object(members)
    }
}

impl<T: Into<Self>> FromIterator<T> for Ordered {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scalar(scalar) => scalar.serialize(json),
            Self::Array(elements) => elements.serialize(json),
            Self::Object(members) => members.serialize(json),
        }
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        match Ordered::deserialize(json)? {
            Ordered::Object(members) => Ok(members),
            Ordered::Scalar(_) | Ordered::Array(_) => {
                Err(D::Error::custom("it is a list or a single value"))
            }
        }
    }
}

/// Reads a text as deep as its deserializer goes, which for `serde_json` is 128 levels.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Ordered, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Ordered, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Ordered, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number without end"))?;
        Ok(Ordered::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Ordered, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ordered, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Ordered::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Ordered, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        if has_twice(&members) {
            return Err(A::Error::custom(TWICE));
        }
        Ok(Members(members).into())
    }
}

/// Whether a name is there twice. Sorted first: a hostile text has thousands in one object.
fn has_twice(members: &[(String, Ordered)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.array_windows().any(|[one, next]| one == next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_read_is_written_in_its_order() {
        let text = r#"{"to":[{"z":1,"a":-2.5},null,"\"é"],"from":{"y":true,"b":18446744073709551615},"":{}}"#;
        let read: Members = serde_json::from_str(text).unwrap();
        assert_eq!(read.to_string(), text);
        let sorted: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(read.to_map(), sorted);
    }

    #[test]
    fn n100_names_that_are_there_twice_are_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"a":[{"b":{"c":1,"d":2,"c":3}}]}"#,
        ] {
            let error = serde_json::from_str::<Members>(text).unwrap_err();
            assert!(error.to_string().contains(TWICE), "{error}");
        }
        for text in ["[]", "1", "", "{} {}"] {
            assert!(serde_json::from_str::<Members>(text).is_err(), "{text}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(serde_json::from_str::<Members>(&deep).is_err());
    }

    #[test]
    fn members_are_found_added_and_taken_out() {
        let mut members = Members::new().with("z", "last").with("a", true);
        members.push("m", Members::new());
        members.remove("z");
        assert_eq!(members.get("z"), None);
        if let Some(value) = members.get_mut("a") {
            *value = ["x", "y"].into_iter().collect();
        }
        assert_eq!(members.to_string(), r#"{"a":["x","y"],"m":{}}"#);
    }
}
