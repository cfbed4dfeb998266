//! Maps: objects of JSON where the keys are texts, else arrays of pairs.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error, SerializeMap, Serializer};
use wasmtime::component::Val;

use super::budget::{Budget, wide};
use super::read::Seed;
use super::shape::Shape;
use super::write::Out;

/// Reads a map with texts for keys; `value` is a seed of its values.
pub(super) fn read_object<'de, A: MapAccess<'de>>(
    value: Seed<'_>,
    mut object: A,
) -> Result<Val, A::Error> {
    let mut entries = Vec::new();
    while let Some(key) = object.next_key::<String>()? {
        let reader = value.reader;
        reader.may(reader.budget.value())?;
        reader.may(reader.budget.hold(wide(key.capacity())))?;
        let read = object.next_value_seed(value);
        let read = read.map_err(|error| reader.at(&key, error))?;
        let entry = (Val::String(key), read);
        reader.may(reader.budget.push(&mut entries, entry))?;
    }
    Ok(Val::Map(entries))
}

/// Reads any other map.
pub(super) fn read_pairs<'de, A: SeqAccess<'de>>(
    key: Seed<'_>,
    value: Seed<'_>,
    mut pairs: A,
) -> Result<Val, A::Error> {
    let mut entries = Vec::new();
    loop {
        let read = pairs.next_element_seed(Pair { key, value });
        match read.map_err(|error| key.reader.at(entries.len(), error))? {
            Some(entry) => key
                .reader
                .may(key.reader.budget.push(&mut entries, entry))?,
            None => return Ok(Val::Map(entries)),
        }
    }
}

/// An entry of a map: an array of the two.
struct Pair<'a> {
    key: Seed<'a>,
    value: Seed<'a>,
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = (Val, Val);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = (Val, Val);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair of key and value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let reader = self.key.reader;
        let wrong = || reader.say::<A::Error>("must be an array of a key and its value");
        let key = seq.next_element_seed(self.key);
        let key = key
            .map_err(|error| reader.at(0, error))?
            .ok_or_else(wrong)?;
        let value = seq.next_element_seed(self.value);
        let value = value.map_err(|error| reader.at(1, error))?;
        let value = value.ok_or_else(wrong)?;
        match seq.next_element::<IgnoredAny>()? {
            Some(_) => Err(wrong()),
            None => Ok((key, value)),
        }
    }
}

/// What a name takes in a table of names that were there, in bytes.
const NAME: u64 = 40;

/// Writes a map. JSON keeps one value of a key, so a key that is there twice is no map.
pub(super) fn write<S: Serializer>(
    json: S,
    (key, value): &(Shape, Shape),
    entries: &[(Val, Val)],
    budget: &Budget,
) -> Result<S::Ok, S::Error> {
    let out = |shape, value| Out {
        shape,
        value,
        budget,
    };
    if !matches!(key, Shape::String) {
        let pairs = entries.iter();
        return json.collect_seq(pairs.map(|entry| (out(key, &entry.0), out(value, &entry.1))));
    }
    // The names are looked up in a table of the host's, which is on the account as the values are.
    let table = wide(entries.len()).saturating_mul(NAME);
    budget
        .hold(table)
        .map_err(|_| S::Error::custom("there is no room for it"))?;
    let mut known = HashSet::with_capacity(entries.len());
    let mut object = json.serialize_map(Some(entries.len()))?;
    for (name, inner) in entries {
        let Val::String(name) = name else {
            return Err(S::Error::custom("a value is not of its type"));
        };
        if !known.insert(name.as_str()) {
            return Err(S::Error::custom("a map has a key twice"));
        }
        object.serialize_entry(name, &out(value, inner))?;
    }
    budget.free(table);
    object.end()
}
