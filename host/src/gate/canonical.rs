//! The one form of a call's arguments: what is digested, recorded, checked and given to the guest.
//!
//! JSON writes one value in several ways, and clients use them: `7.0` for 7 where a language has one
//! kind of number, `null` for an argument that is left out. Guests read the first as no integer and the
//! second as a value. So both are undone before anybody looks, the second only where `null` could not
//! have been meant.

use serde_json::{Map, Number, Value};

/// The largest whole number that every reader of JSON keeps: 2^53 - 1.
const SAFE: f64 = 9_007_199_254_740_991.0;

/// Steps that are made to see whether a schema refuses `null`, at the most: some milliseconds. What
/// would take more stays as it came.
const STEPS: u32 = 1_000_000;

/// References and choices that are followed from one schema on.
const DEPTH: u32 = 16;

/// Brings arguments into their one form; whether that changed them. `schema` is that of the function, where
/// there is one.
pub fn canonical(arguments: &mut Value, schema: Option<&Map<String, Value>>) -> bool {
    let mut has_null = false;
    let mut changed = plain(arguments, &mut has_null);
    if let Some(schema) = schema.filter(|_| has_null) {
        let mut reading = Reading {
            root: schema,
            left: STEPS,
        };
        changed |= reading.prune(arguments, schema);
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

struct Reading<'s> {
    root: &'s Map<String, Value>,
    left: u32,
}

impl<'s> Reading<'s> {
    /// Whether there is time for one more step.
    fn step(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// Takes the members that are `null` where that is no value, and may be missing.
    fn prune(&mut self, value: &mut Value, schema: &'s Map<String, Value>) -> bool {
        let mut changed = false;
        match value {
            Value::Array(elements) => {
                let items = schema.get("items").and_then(|items| self.object(items, 0));
                for element in elements {
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
                    let is_required =
                        || required.is_some_and(|all| all.iter().any(|one| one == name));
                    let property = properties.get(name);
                    !(field.is_null()
                        && property.is_some_and(|property| self.refuses_null(property, 0))
                        && !is_required())
                });
                changed = fields.len() != before;
                for (name, field) in fields.iter_mut() {
                    if (field.is_object() || field.is_array())
                        && let Some(property) = properties.get(name)
                        && let Some(property) = self.object(property, 0)
                    {
                        changed |= self.prune(field, property);
                    }
                }
            }
            _ => {}
        }
        changed
    }

    /// The schema that a value is judged by, behind references and beside `null`; none where there are
    /// several.
    fn object(&mut self, schema: &'s Value, depth: u32) -> Option<&'s Map<String, Value>> {
        let fields = schema.as_object()?;
        if depth > DEPTH || !self.step() {
            return None;
        }
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            return self.behind(reference, depth);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(branches) = fields.get(choice).and_then(Value::as_array) {
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

    fn behind(&mut self, reference: &str, depth: u32) -> Option<&'s Map<String, Value>> {
        match self.find(reference)? {
            Found::Root => Some(self.root),
            Found::Within(schema) => self.object(schema, depth + 1),
        }
    }

    fn find(&self, reference: &str) -> Option<Found<'s>> {
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
        if depth > DEPTH || !self.step() {
            return false;
        }
        let by_type = match fields.get("type") {
            Some(Value::String(one)) => one != "null",
            Some(Value::Array(all)) => all.iter().all(|one| one != "null"),
            _ => false,
        };
        let by_value = match (fields.get("enum"), fields.get("const")) {
            (Some(Value::Array(all)), _) => !all.iter().any(Value::is_null),
            (_, Some(only)) => !only.is_null(),
            _ => false,
        };
        if by_type || by_value {
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
        });
        let pruned = json!({
            "no_spot": { "x": null },
            "spots": [{ "x": 1 }, null],
            "self": { "self": {} },
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
}
