//! Schemas that refer to themselves as a whole: `#` becomes a name under `$defs`. Model APIs and strict
//! clients read references to definitions alone, and drop a tool, or a whole list, that has others.

use serde_json::Value;

use crate::terms::{Members, Ordered};

/// Keywords whose value is a schema for each name.
const NAMED: [&str; 5] = [
    "$defs",
    "definitions",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose value is a schema.
const SINGLE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Has what refers to the root refer to a definition that says the same; whether anything does.
pub(super) fn name_root(schema: &mut Members) -> bool {
    let name = free_name(schema);
    let reference = format!("#/$defs/{name}");
    if !refer(schema, &reference) {
        return false;
    }
    let mut own = schema.clone();
    for key in ["$defs", "$id", "$schema", "definitions"] {
        own.remove(key);
    }
    unanchor(&mut own);
    match schema.get_mut("$defs") {
        Some(Ordered::Object(shared)) => shared.push(name, own),
        Some(_) => {}
        None => schema.push("$defs", Members::new().with(name, own)),
    }
    true
}

/// The schema's title where that is a word, else `Root`; with a number where that is taken.
fn free_name(schema: &Members) -> String {
    let is_word = |title: &&str| {
        (1..=64).contains(&title.len()) && title.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let title = schema.get("title").and_then(Ordered::as_str);
    let word = title.filter(is_word).unwrap_or("Root");
    let taken = schema.get("$defs").and_then(Ordered::as_object);
    let is_free = |name: &String| taken.is_none_or(|taken| taken.get(name).is_none());
    let numbered = (2_u32..).map(|number| format!("{word}{number}"));
    let mut names = std::iter::once(word.to_owned()).chain(numbered);
    names.find(is_free).unwrap_or_default()
}

/// Has every reference to the root lead there; whether there is one. Texts of JSON are no deeper than
/// their reader lets them be.
fn refer(schema: &mut Members, to: &str) -> bool {
    let mut any = false;
    for (key, value) in schema.iter_mut() {
        if let Ordered::Scalar(Value::String(reference)) = value
            && key == "$ref"
            && reference == "#"
        {
            to.clone_into(reference);
            any = true;
        }
        for one in within(key, value) {
            // In a schema with a name of its own, `#` is that one.
            any |= one.get("$id").is_none() && refer(one, to);
        }
    }
    any
}

/// Takes the names of places out of a copy: they stay where they were.
fn unanchor(schema: &mut Members) {
    for key in ["$anchor", "$dynamicAnchor"] {
        schema.remove(key);
    }
    for (key, value) in schema.iter_mut() {
        within(key, value).into_iter().for_each(unanchor);
    }
}

/// The schemas that a keyword's value has. Everything else is data, whatever it looks like.
fn within<'v>(key: &str, value: &'v mut Ordered) -> Vec<&'v mut Members> {
    let values: Vec<&mut Ordered> = match value {
        one if SINGLE.contains(&key) => vec![one],
        Ordered::Object(named) if NAMED.contains(&key) => {
            named.iter_mut().map(|(_, schema)| schema).collect()
        }
        Ordered::Array(list) if LISTS.contains(&key) => list.iter_mut().collect(),
        _ => Vec::new(),
    };
    let schemas = values.into_iter().filter_map(|value| match value {
        Ordered::Object(schema) => Some(schema),
        Ordered::Array(_) | Ordered::Scalar(_) => None,
    });
    schemas.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn named(schema: Value) -> Value {
        let mut schema: Members = serde_json::from_value(schema).unwrap();
        name_root(&mut schema);
        Value::Object(schema.to_map())
    }

    #[test]
    fn a_definition_that_gets_a_name_keeps_its_order() {
        let text = r##"{"type":"object","properties":{"to":{"$ref":"#"},"from":{}},"$id":"a"}"##;
        let mut schema: Members = serde_json::from_str(text).unwrap();
        assert!(name_root(&mut schema));
        let properties = r##""properties":{"to":{"$ref":"#/$defs/Root"},"from":{}}"##;
        assert_eq!(
            schema.to_string(),
            format!(
                r##"{{"type":"object",{properties},"$id":"a","$defs":{{"Root":{{"type":"object",{properties}}}}}}}"##
            )
        );
    }

    #[test]
    fn what_refers_to_itself_has_a_name() {
        let node = |to: &str| {
            json!({
                "type": "object",
                "properties": {
                    "$ref": { "type": "string" },
                    "children": { "type": "array", "items": { "$ref": to } },
                    "next": { "anyOf": [{ "$ref": to }, { "type": "null" }] },
                },
            })
        };
        let mut expected = node("#/$defs/Root");
        expected["$defs"] = json!({ "Root": node("#/$defs/Root") });
        assert_eq!(named(node("#")), expected);
        // A second time, nothing is left to do.
        assert_eq!(named(expected.clone()), expected);
    }

    #[test]
    fn names_of_places_stay_where_they_were() {
        let named = named(json!({
            "$anchor": "top",
            "type": "object",
            "properties": {
                "next": { "$ref": "#" },
                "leaf": { "$anchor": "leaf", "type": "string" },
                "same": { "$ref": "#leaf" },
            },
            "definitions": { "Old": { "type": "string" } },
        }));
        let text = named.to_string();
        assert_eq!(text.matches("$anchor").count(), 2, "{text}");
        assert_eq!(text.matches("Old").count(), 1, "{text}");
        let sound = named.as_object().map(crate::gate::Schema::new);
        assert!(matches!(sound, Some(Ok(_))), "{text}");
    }

    #[test]
    fn names_are_not_taken_twice_and_data_is_left_alone() {
        let schema = json!({
            "title": "Node",
            "type": "object",
            "properties": { "next": { "$ref": "#" } },
            "$defs": { "Node": { "default": { "$ref": "#" } }, "Own": { "$id": "a", "items": { "$ref": "#" } } },
        });
        let named = named(schema);
        assert_eq!(named["properties"]["next"]["$ref"], "#/$defs/Node2");
        assert_eq!(named["$defs"]["Node2"]["title"], "Node");
        assert_eq!(named["$defs"]["Node"]["default"]["$ref"], "#");
        assert_eq!(named["$defs"]["Own"]["items"]["$ref"], "#");
    }

    #[test]
    fn a_schema_without_recursion_stays_as_it_is() {
        let schema = json!({ "type": "object", "properties": { "a": { "enum": ["#"] } } });
        assert_eq!(named(schema.clone()), schema);
    }
}
