//! The one form of a call's arguments: what is digested, recorded, checked and given to the guest.
//!
//! JSON writes one value in several ways, and clients use them: `7.0` for 7 where a language has one
//! kind of number, `null` for an argument that is left out. Guests read the first as no integer and the
//! second as a value. So both are undone before anybody looks, the second only where `null` could not
//! have been meant.

use std::collections::HashMap;
use std::ptr;

use serde_json::{Map, Number, Value};

/// The largest whole number that every reader of JSON keeps: 2^53 - 1.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// Steps that are made to see where a schema refuses `null`, at the most: a millisecond or two. A step
/// is a schema, a byte of a reference or an entry of a list. What would take more stays as it came.
const STEPS: usize = 200_000;

/// References and choices that are followed from one schema on.
const DEPTH: u32 = 16;

/// Brings arguments into their one form; whether that changed them. `schema` is that of the function, where
/// there is one.
pub(super) fn canonical(arguments: &mut Value, schema: Option<&Map<String, Value>>) -> bool {
    let mut has_null = false;
    let mut changed = plain(arguments, &mut has_null);
    if let Some(schema) = schema.filter(|_| has_null) {
        changed |= Reading::of(schema).prune(arguments, schema);
    }
    changed
}

/// Whole numbers as such, and names in their order. Says whether there is a `null` as well.
fn plain(value: &mut Value, has_null: &mut bool) -> bool {
    match value {
        Value::Number(number) => match whole(number) {
            Some(integer) => {
                *number = integer;
                true
            }
            None => false,
        },
        Value::Array(elements) => {
            let mut changed = false;
            for element in elements {
                changed |= plain(element, has_null);
            }
            changed
        }
        Value::Object(fields) => {
            let mut changed = !fields.keys().is_sorted();
            if changed {
                fields.sort_keys();
            }
            for field in fields.values_mut() {
                changed |= plain(field, has_null);
            }
            changed
        }
        Value::Null => {
            *has_null = true;
            false
        }
        Value::Bool(_) | Value::String(_) => false,
    }
}

/// A number that is written as a fraction and has none.
fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || float.abs() > SAFE {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
    Some(Number::from(float as i64))
}

/// A schema that arguments are read by. What is found of one of its parts is found once, however often
/// the arguments come by there.
struct Reading<'s> {
    root: &'s Map<String, Value>,
    left: usize,
    /// Whether the property that a schema stands for goes where it is `null`.
    droppable: HashMap<*const Value, bool>,
    /// What a schema comes to: see [`Reading::object`].
    objects: HashMap<*const Value, Option<&'s Map<String, Value>>>,
}

impl<'s> Reading<'s> {
    fn of(root: &'s Map<String, Value>) -> Self {
        Self {
            root,
            left: STEPS,
            droppable: HashMap::new(),
            objects: HashMap::new(),
        }
    }

    /// Whether there is time for so many more steps.
    fn step(&mut self, steps: usize) -> bool {
        self.left = self.left.saturating_sub(steps);
        self.left > 0
    }

    /// Takes the members that are `null` where that is no value, and may be missing.
    fn prune(&mut self, value: &mut Value, schema: &'s Map<String, Value>) -> bool {
        let mut changed = false;
        match value {
            Value::Array(elements) => {
                // The first ones have schemas of their own.
                let first = schema.get("prefixItems").and_then(Value::as_array);
                let first = first.map_or(0, Vec::len);
                let items = schema.get("items").and_then(|items| self.behind(items));
                for element in elements.iter_mut().skip(first) {
                    if let Some(items) = items {
                        changed |= self.prune(element, items);
                    }
                }
            }
            Value::Object(fields) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let Some(properties) = properties else {
                    return false;
                };
                let before = fields.len();
                let required = schema.get("required").and_then(Value::as_array);
                fields.retain(|name, field| {
                    let property = properties.get(name).filter(|_| field.is_null());
                    !property.is_some_and(|property| self.is_droppable(name, property, required))
                });
                changed = fields.len() != before;
                for (name, field) in fields.iter_mut() {
                    if (field.is_object() || field.is_array())
                        && let Some(property) = properties.get(name)
                        && let Some(property) = self.behind(property)
                    {
                        changed |= self.prune(field, property);
                    }
                }
            }
            _ => {}
        }
        changed
    }

    /// Whether a property that is `null` is one that may be missing.
    fn is_droppable(
        &mut self,
        name: &str,
        property: &'s Value,
        required: Option<&Vec<Value>>,
    ) -> bool {
        if let Some(known) = self.droppable.get(&ptr::from_ref(property)) {
            return *known;
        }
        let is_droppable = self.step(required.map_or(0, Vec::len))
            && !required.is_some_and(|all| all.iter().any(|one| one == name))
            && self.refuses_null(property, 0);
        self.droppable.insert(property, is_droppable);
        is_droppable
    }

    /// The same as [`Reading::object`], which is asked once.
    fn behind(&mut self, schema: &'s Value) -> Option<&'s Map<String, Value>> {
        if let Some(known) = self.objects.get(&ptr::from_ref(schema)) {
            return *known;
        }
        let object = self.object(schema, 0);
        self.objects.insert(schema, object);
        object
    }

    /// The schema that a value is judged by, behind references and beside `null`; none where there are
    /// several.
    fn object(&mut self, schema: &'s Value, depth: u32) -> Option<&'s Map<String, Value>> {
        let fields = schema.as_object()?;
        if depth > DEPTH || !self.step(1) {
            return None;
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            return match self.find(reference)? {
                Found::Root => Some(self.root),
                Found::Within(schema) => self.object(schema, depth + 1),
            };
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(branches) = fields.get(choice).and_then(Value::as_array) {
                if !self.step(branches.len()) {
                    return None;
                }
                let is_null = |branch: &&Value| branch.get("type").is_some_and(|ty| ty == "null");
                let mut others = branches.iter().filter(|branch| !is_null(branch));
                let only = others.next()?;
                return match others.next() {
                    None => self.object(only, depth + 1),
                    Some(_) => None,
                };
            }
        }
        Some(fields)
    }

    fn find(&mut self, reference: &str) -> Option<Found<'s>> {
        if !self.step(reference.len()) {
            return None;
        }
        let Some(("", path)) = reference.split_once("#/") else {
            return (reference == "#").then_some(Found::Root);
        };
        let mut names = path
            .split('/')
            .map(|name| name.replace("~1", "/").replace("~0", "~"));
        let mut at = self.root.get(&names.next()?)?;
        for name in names {
            at = at.as_object()?.get(&name)?;
        }
        Some(Found::Within(at))
    }

    /// Whether a schema has no room for `null`, as far as its plainest keywords say.
    fn refuses_null(&mut self, schema: &'s Value, depth: u32) -> bool {
        let Some(fields) = schema.as_object() else {
            return schema == &Value::Bool(false);
        };
        self.refuses(fields, depth)
    }

    fn refuses(&mut self, fields: &'s Map<String, Value>, depth: u32) -> bool {
        if depth > DEPTH || !self.step(1) {
            return false;
        }
        let by_type = match fields.get("type") {
            Some(Value::String(one)) => one != "null",
            Some(Value::Array(all)) => all.iter().all(|one| one != "null"),
            _ => false,
        };
        let by_value = || match (fields.get("enum"), fields.get("const")) {
            (Some(Value::Array(all)), _) => !all.iter().any(Value::is_null),
            (_, Some(only)) => !only.is_null(),
            _ => false,
        };
        let listed = fields.get("enum").and_then(Value::as_array);
        if by_type || (self.step(listed.map_or(0, Vec::len)) && by_value()) {
            return true;
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let refused = match self.find(reference) {
                Some(Found::Root) => self.refuses(self.root, depth + 1),
                Some(Found::Within(schema)) => self.refuses_null(schema, depth + 1),
                None => false,
            };
            if refused {
                return true;
            }
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = fields.get(choice)
                && !branches.is_empty()
                && branches.iter().all(|one| self.refuses_null(one, depth + 1))
            {
                return true;
            }
        }
        match fields.get("allOf") {
            Some(Value::Array(all)) => all.iter().any(|one| self.refuses_null(one, depth + 1)),
            _ => false,
        }
    }
}

/// Where a reference leads.
enum Found<'s> {
    Root,
    Within(&'s Value),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(arguments: &Value, schema: &Value) -> Value {
        let mut value = arguments.clone();
        let changed = canonical(&mut value, schema.as_object());
        let text = |value: &Value| serde_json::to_string(value).unwrap_or_default();
        assert_eq!(changed, text(&value) != text(arguments));
        // What is in its form stays.
        let mut again = value.clone();
        assert!(!canonical(&mut again, schema.as_object()));
        value
    }

    #[test]
    fn n95_a_whole_number_is_written_as_one() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        for (written, plain) in [
            ("7.0", "7"),
            ("7e0", "7"),
            ("-1e3", "-1000"),
            ("-0.0", "0"),
            ("9007199254740991.0", "9007199254740991"),
            ("9007199254740992.0", "9007199254740992.0"),
            ("1e300", "1e+300"),
            ("0.5", "0.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("[1.0,{\"b\":2.0,\"a\":[3.0]}]", "[1,{\"a\":[3],\"b\":2}]"),
        ] {
            let formed = form(&read(written), &json!({}));
            assert_eq!(formed.to_string(), plain, "{written}");
        }
    }

    #[test]
    fn n95_null_is_missing_where_it_could_be_nothing_else() {
        let schema = json!({
            "type": "object",
            "properties": {
                "count": { "type": "integer", "default": 3 },
                "must": { "type": "integer" },
                "maybe": { "type": ["integer", "null"] },
                "any": {},
                "choice": { "enum": ["a", "b"] },
                "nothing": { "enum": ["a", null] },
                "spot": { "$ref": "#/$defs/Spot" },
                "no_spot": { "anyOf": [{ "$ref": "#/$defs/Spot" }, { "type": "null" }] },
                "spots": { "type": "array", "items": { "$ref": "#/$defs/Spot" } },
                "two": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                "far": { "$ref": "https://example.test/x" },
                "self": { "$ref": "#" },
                "pair": {
                    "prefixItems": [{ "properties": { "y": { "type": ["number", "null"] } } }],
                    "items": { "properties": { "y": { "type": "number" } } },
                },
            },
            "required": ["must"],
            "$defs": { "Spot": {
                "type": "object",
                "properties": { "x": { "type": "number" }, "y": { "type": "number" } },
                "required": ["x"],
            } },
        });
        for gone in ["count", "choice", "spot", "spots", "two", "self"] {
            assert_eq!(form(&json!({ gone: null }), &schema), json!({}), "{gone}");
        }
        for kept in [
            "must", "maybe", "any", "nothing", "no_spot", "far", "unknown",
        ] {
            let arguments = json!({ kept: null });
            assert_eq!(form(&arguments, &schema), arguments, "{kept}");
        }
        let within = json!({
            "no_spot": { "x": null, "y": null },
            "spots": [{ "x": 1, "y": null }, null],
            "self": { "count": null, "self": { "count": null } },
            "pair": [{ "y": null }, { "y": null }],
        });
        let pruned = json!({
            "no_spot": { "x": null },
            "spots": [{ "x": 1 }, null],
            "self": { "self": {} },
            "pair": [{ "y": null }, {}],
        });
        assert_eq!(form(&within, &schema), pruned);
    }

    /// A schema that never ends is not followed for ever.
    #[test]
    fn n95_schemas_that_refer_to_themselves_end() {
        let branch = json!([{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }]);
        let schema = json!({
            "properties": { "a": { "$ref": "#/$defs/a" } },
            "$defs": { "a": { "allOf": branch } },
        });
        let arguments = json!({ "a": null });
        assert_eq!(form(&arguments, &schema), arguments);
        assert_eq!(
            form(&json!({ "a": { "b": null } }), &schema),
            json!({ "a": { "b": null } })
        );
    }

    /// What a part of a schema comes to is found once, and what is spent on all of them has an end,
    /// whatever is in them.
    #[test]
    fn n95_what_a_schema_costs_to_follow_is_bounded_and_not_by_the_arguments() {
        let names: Vec<String> = (0..100).map(|at| format!("p{at}")).collect();
        let (mut deep, path) = (json!({ "type": "integer" }), names.join("/"));
        for name in names.iter().rev() {
            deep = json!({ name: deep });
        }
        let reference = json!({ "$ref": format!("#/$defs/{path}") });
        let list: Vec<usize> = (0..1_000).collect();
        let heavy = |at: usize| json!({ "allOf": [{ "enum": list, "not": at }, reference] });
        let many = (0..1_000).map(|at| (format!("h{at}"), heavy(at)));
        let properties: Map<String, Value> = many.collect();
        let schema = json!({
            "properties": {
                "all": { "items": { "properties": { "a": reference } } },
                "each": { "properties": properties },
            },
            "$defs": deep,
        });
        let root = schema.as_object().cloned().unwrap_or_default();
        let mut reading = Reading::of(&root);
        let mut often = json!({ "all": vec![json!({ "a": null }); 10_000] });
        assert!(reading.prune(&mut often, &root));
        assert_eq!(often["all"], json!(vec![json!({}); 10_000]));
        let spent = STEPS - reading.left;
        assert!(spent < 1_000, "{spent} steps for two parts of a schema");

        let nulls: Map<String, Value> = properties_of(&schema["properties"]["each"])
            .map(|name| (name, Value::Null))
            .collect();
        let mut each = json!({ "each": nulls });
        reading.prune(&mut each, &root);
        assert_eq!(reading.left, 0);
        let left = each["each"].as_object().map_or(0, Map::len);
        assert!((500..1_000).contains(&left), "{left} stay");
    }

    fn properties_of(schema: &Value) -> impl Iterator<Item = String> {
        let properties = schema["properties"].as_object().cloned();
        properties
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
    }
}
