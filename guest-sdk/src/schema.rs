//! JSON Schemas out of Rust types, shaped as the contract wants them. It does not know functions.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::JsonSchema;

/// The schema of a function's arguments.
pub(crate) fn of_arguments<T: JsonSchema>() -> Value {
    let mut schema = root::<T>(SchemaSettings::draft2020_12().for_deserialize());
    // Some clients look for the arguments there, also where there are none.
    if schema.get("type").is_some_and(|kind| kind == "object") {
        let none = || Value::Object(Map::new());
        schema.entry("properties").or_insert_with(none);
    }
    Value::Object(schema)
}

/// The schema of a function's structured result.
///
/// Agents of older protocol revisions take objects only, so anything else goes into one: see
/// [`wrap`].
pub(crate) fn of_result<T: JsonSchema>() -> Value {
    let mut schema = root::<T>(SchemaSettings::draft2020_12().for_serialize());
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "object" => Value::Object(schema),
        // No single type: a choice of shapes. Objects, or nothing an older agent could take.
        None => {
            schema.insert("type".to_owned(), Value::from("object"));
            Value::Object(schema)
        }
        Some(_) => wrapped(schema),
    }
}

/// A result as an object: itself, or the field `result` of one.
pub(crate) fn wrap(value: Value) -> Value {
    match value {
        Value::Object(_) => value,
        other => json!({ "result": other }),
    }
}

fn wrapped(mut schema: Map<String, Value>) -> Value {
    let shared = schema.remove("$defs");
    let mut object = json!({
        "type": "object",
        "properties": { "result": schema },
        "required": ["result"],
        "additionalProperties": false,
    });
    if let (Some(shared), Some(root)) = (shared, object.as_object_mut()) {
        root.insert("$defs".to_owned(), shared);
    }
    object
}

/// The root schema without the dialect, which is the contract's own, and without the Rust type's
/// name: a model pays for both and learns nothing.
fn root<T: JsonSchema>(settings: SchemaSettings) -> Map<String, Value> {
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    let mut schema = match schema.to_value() {
        Value::Object(schema) => schema,
        // `true` or `false`: everything or nothing fits.
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    };
    schema.remove("$schema");
    schema.remove("title");
    schema.remove("description");
    name_root(&mut schema, &T::schema_name());
    schema
}

/// A type that holds itself refers to the root as `#`, which many clients do not read, and which is
/// another schema once this one is put into a larger one: it gets a name like all others.
fn name_root(schema: &mut Map<String, Value>, name: &str) {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let reference = format!("#/$defs/{name}");
    if !refer(schema, &reference) {
        return;
    }
    let mut own = schema.clone();
    own.remove("$defs");
    let shared = schema.entry("$defs").or_insert_with(|| json!({}));
    if let Some(shared) = shared.as_object_mut() {
        shared.entry(name).or_insert(Value::Object(own));
    }
}

/// Has every reference to the root lead there instead; whether there is one.
fn refer(schema: &mut Map<String, Value>, to: &str) -> bool {
    let mut any = false;
    for (key, value) in schema {
        any |= match (key.as_str(), value) {
            // Data, whatever it looks like.
            ("const" | "default" | "enum" | "examples", _) => false,
            ("$ref", Value::String(reference)) if reference == "#" => {
                to.clone_into(reference);
                true
            }
            ("properties" | "patternProperties" | "$defs", Value::Object(named)) => named
                .values_mut()
                .fold(false, |any, one| refer_within(one, to) | any),
            (_, value) => refer_within(value, to),
        };
    }
    any
}

fn refer_within(value: &mut Value, to: &str) -> bool {
    match value {
        Value::Object(schema) => refer(schema, to),
        Value::Array(all) => all
            .iter_mut()
            .fold(false, |any, one| refer_within(one, to) | any),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Place {
        /// Its name.
        name: String,
        near: Option<Vec<Spot>>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Spot {
        x: f64,
    }

    #[test]
    fn arguments_are_closed_objects_without_noise() {
        let schema = of_arguments::<Place>();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["properties"]["name"]["description"], "Its name.");
        assert_eq!(schema.get("title"), None);
        assert_eq!(schema.get("$schema"), None);
        assert!(schema["$defs"]["Spot"].is_object());
    }

    #[test]
    fn a_result_that_is_no_object_is_put_into_one() {
        let schema = of_result::<Vec<Spot>>();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], json!(["result"]));
        assert_eq!(
            schema["properties"]["result"]["items"]["$ref"],
            "#/$defs/Spot"
        );
        assert!(schema["$defs"]["Spot"].is_object());
        assert_eq!(wrap(json!([1])), json!({ "result": [1] }));
        assert_eq!(wrap(json!({ "a": 1 })), json!({ "a": 1 }));
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Tree {
        /// What it is called, if not `#`.
        #[serde(default)]
        name: String,
        children: Vec<Tree>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Nested {
        Number(i32),
        List(Vec<Nested>),
    }

    #[test]
    fn a_type_that_holds_itself_is_referred_to_by_its_name() {
        for schema in [of_arguments::<Tree>(), of_result::<Tree>()] {
            let items = &schema["properties"]["children"]["items"];
            assert_eq!(items["$ref"], "#/$defs/Tree", "{schema}");
            assert_eq!(schema["type"], "object");
            let own = &schema["$defs"]["Tree"]["properties"]["children"]["items"];
            assert_eq!(own["$ref"], "#/$defs/Tree", "{schema}");
        }
        // What is put into an object is not the root any more.
        let schema = of_result::<Vec<Nested>>();
        let text = schema.to_string();
        assert!(!text.contains(r##""$ref":"#""##), "{text}");
        let schema = of_result::<Nested>();
        assert!(schema["$defs"]["Nested"].is_object(), "{schema}");
    }

    #[test]
    fn where_there_are_no_arguments_there_are_no_properties() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        assert_eq!(of_arguments::<Nothing>(), schema);
    }

    #[test]
    fn a_choice_of_objects_stays_one() {
        #[derive(Serialize, JsonSchema)]
        #[serde(tag = "kind")]
        #[allow(dead_code)]
        enum Either {
            Here { x: f64 },
            There { name: String },
        }
        let schema = of_result::<Either>();
        assert_eq!(schema["type"], "object");
        assert!(schema["oneOf"].is_array());
    }
}
