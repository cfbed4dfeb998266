//! A JSON Schema as its author wrote it, and as the host looks things up in it.
//!
//! It does not know what a schema means: whoever checks values does.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::ordered::{Members, Ordered};

/// A JSON Schema whose root is an object.
///
/// People and models read it in its author's order. The host uses the sorted map, and two schemas
/// are equal when their maps are: order has no meaning in JSON.
#[derive(Debug, Clone)]
pub struct SchemaDocument {
    written: Members,
    map: Arc<Map<String, Value>>,
}

impl SchemaDocument {
    /// Its members in their order.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.written
    }

    /// The same, sorted.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// The same for whoever keeps it.
    #[must_use]
    pub fn shared_map(&self) -> Arc<Map<String, Value>> {
        Arc::clone(&self.map)
    }

    /// The properties that it names, in their order, with the schema of each.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        const KEY: &str = "properties";
        let written = self.written.get(KEY).and_then(Ordered::as_object);
        let names = written.into_iter().flat_map(Members::iter);
        let schemas = self.map.get(KEY);
        names.filter_map(move |(name, _)| Some((name, schemas?.get(name)?)))
    }
}

impl From<Members> for SchemaDocument {
    fn from(written: Members) -> Self {
        Self {
            map: Arc::new(written.to_map()),
            written,
        }
    }
}

impl PartialEq for SchemaDocument {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl Eq for SchemaDocument {}

/// Compact JSON in its author's order.
impl fmt::Display for SchemaDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl serde::Serialize for SchemaDocument {
    fn serialize<S: serde::Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(json)
    }
}

impl<'de> serde::Deserialize<'de> for SchemaDocument {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Members::deserialize(json).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn order_is_kept_and_means_nothing() {
        let read = |text: &str| serde_json::from_str::<SchemaDocument>(text).unwrap();
        let text = r#"{"type":"object","properties":{"to":{"type":"string"},"amount":{"type":"integer"}}}"#;
        let document = read(text);
        assert_eq!(document.to_string(), text);
        let properties: Vec<_> = document.properties().collect();
        let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["to", "amount"]);
        assert_eq!(properties[0].1["type"], "string");

        let sorted = read(
            r#"{"properties":{"amount":{"type":"integer"},"to":{"type":"string"}},"type":"object"}"#,
        );
        assert_eq!(document, sorted);
        assert_ne!(document.members(), sorted.members());
        assert_ne!(document, read("{}"));
        assert_eq!(read(r#"{"properties":true}"#).properties().count(), 0);
    }
}
