//! One tool in three languages: `orders` in Rust, Python and JavaScript takes the same cases and tells
//! agents the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Ended, Program, Site, checkout, ended, tool};

/// Runs the program at the top of the checkout, where a project's own paths begin.
fn toolhost(arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolhost"));
    command.current_dir(checkout()).args(arguments);
    let ended = ended(&command.output().expect("a run"));
    assert_eq!(ended.code, 0, "toolhost {arguments:?}: {ended:?}");
    ended
}

/// Fails with what is to be installed: a twin that was not built would be a promise not kept.
fn need(program: &str, arguments: &[&str], remedy: &str) {
    let there = Command::new(program).args(arguments).output();
    assert!(
        there.is_ok_and(|output| output.status.success()),
        "`{program} {}` does not run: the twins cannot be built; {remedy}",
        arguments.join(" ")
    );
}

fn twin(language: &str) -> PathBuf {
    let folder = format!("tools/orders/{language}");
    toolhost(&["build", &folder]);
    checkout().join(folder).join("orders.wasm")
}

/// What agents are told of the tool: the definitions of its functions, in the order of their names.
fn told(component: &Path) -> Vec<Value> {
    let section = format!("schema = 1\n[tool.orders]\ncomponent = {component:?}\n");
    let program = Program::unlocked(Site::empty(), &section);
    let locked = program.run(&["lock"]);
    assert_eq!(locked.code, 0, "{locked:?}");
    let listed = program.run(&["list", "--json"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let functions = listed.json();
    let functions = functions.as_array().expect("a list").iter();
    functions.map(|one| meaning(&one["definition"])).collect()
}

/// A definition without what languages write differently and agents read alike: references, the order
/// of members and of required names, a default of null.
fn meaning(definition: &Value) -> Value {
    let schema = |key: &str| shape(&definition[key], &definition[key]);
    json!({
        "name": definition["name"],
        "title": definition["title"],
        "description": definition["description"],
        "hints": definition["hints"],
        "input": schema("input_schema"),
        "output": schema("output_schema"),
    })
}

fn shape(schema: &Value, root: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name
            .strip_prefix('#')
            .expect("a reference to the same schema");
        return shape(root.pointer(pointer).expect("what it refers to"), root);
    }
    let texts = |value: &Value| match value {
        Value::Array(all) => all.iter().map(Value::to_string).collect::<BTreeSet<_>>(),
        Value::Null => BTreeSet::new(),
        one => BTreeSet::from([one.to_string()]),
    };
    let properties = schema["properties"].as_object().map(|properties| {
        let shapes = properties.iter();
        let shapes = shapes.map(|(name, one)| (name.clone(), shape(one, root)));
        shapes.collect::<serde_json::Map<_, _>>()
    });
    let items = schema.get("items").map(|items| shape(items, root));
    json!({
        "type": texts(&schema["type"]),
        "required": texts(&schema["required"]),
        "properties": properties,
        "items": items,
        "description": schema["description"],
        "additional": schema["additionalProperties"],
        "bounds": [schema["minLength"], schema["maxLength"], schema["pattern"], schema["format"]],
    })
}

#[test]
fn one_tool_in_three_languages_is_one_tool_to_an_agent() {
    need(
        "python3",
        &["-c", "import ensurepip, venv"],
        "install Python 3.11 or newer with its module venv (Debian: python3 python3-venv)",
    );
    need("npm", &["--version"], "install Node 20 or newer with npm");
    let rust = tool("orders.wasm");
    let expected = told(&rust);
    assert_eq!(expected.len(), 3, "{expected:#?}");
    for component in [rust, twin("python"), twin("javascript")] {
        let path = component.to_str().expect("a path that is text");
        toolhost(&["test", "tools/orders", "--component", path]);
        assert_eq!(told(&component), expected, "{path}");
    }
}
