//! What agents send to components that know nothing of this host: values of every type, and the command
//! lines of programs.

use std::sync::Arc;

use serde_json::{Map, Value};
use toolhost_core::gate::Schema;
use toolhost_core::grants::CommandGrant;
use toolhost_core::terms::Code;
use toolhost_runtime::capability::command::render;
use toolhost_runtime::sandbox::TypedFunction;

use super::engine::{Target, run};
use crate::harness::{Site, manifest};

/// What JSON of values is made of, and what of it their reader could trip over.
const WORDS: [&str; 42] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1.0",
    "1e2",
    "1E-7",
    "1e308",
    "1e999",
    "3.4028235e38",
    "3.4028236e38",
    "5e-324",
    "255",
    "65536",
    "2147483648",
    "9007199254740991",
    "9007199254740993",
    "\"9223372036854775807\"",
    "\"-9223372036854775808\"",
    "\"18446744073709551615\"",
    "\"00\"",
    "\"-0\"",
    "\"YWI=\"",
    "\"YWJ\"",
    "\"\u{1f600}\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "{\"some\":null}",
    "{\"ok\":1}",
    "{\"error\":\"red\"}",
    "{\"circle\":1.5}",
    "\"empty\"",
    "\"read\"",
    "[[[[[[[[[[[[[[[[",
];

/// Whether what came back says what was sent, in the forms that the schema's types have.
fn same(schema: &Value, sent: &Value, back: &Value) -> bool {
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        return any.iter().any(|schema| same(schema, sent, back));
    }
    let whole = |value: &Value| -> Option<i128> {
        match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i128().or_else(|| {
                let number = number.as_f64()?;
                #[allow(clippy::cast_possible_truncation, reason = "whole and small")]
                (number.fract() == 0.0 && number.abs() < 1e16).then_some(number as i128)
            }),
            _ => None,
        }
    };
    match &schema["type"] {
        // A wide integer has two forms, and one of them on its way back.
        Value::Array(_) => {
            let (Some(one), Some(two)) = (whole(sent), whole(back)) else {
                return false;
            };
            one == two && back.is_string() == (two.unsigned_abs() >= 1 << 53)
        }
        Value::String(kind) => match kind.as_str() {
            "integer" => whole(sent).is_some() && whole(sent) == whole(back) && back.is_i64(),
            #[allow(clippy::cast_possible_truncation, reason = "that is its type")]
            "number" if schema.get("maximum").is_some() => {
                let short = |value: &Value| value.as_f64().map(|value| (value as f32).to_bits());
                short(sent).is_some() && short(sent) == short(back)
            }
            "number" => {
                let bits = |value: &Value| value.as_f64().map(f64::to_bits);
                bits(sent).is_some() && bits(sent) == bits(back)
            }
            "array" if schema.get("items").is_some() || schema.get("prefixItems").is_some() => {
                let (Some(one), Some(two)) = (sent.as_array(), back.as_array()) else {
                    return false;
                };
                let place = |at: usize| schema["prefixItems"].get(at).unwrap_or(&schema["items"]);
                one.len() == two.len()
                    && (one.iter().zip(two).enumerate())
                        .all(|(at, (one, two))| same(place(at), one, two))
            }
            "object" => {
                let (Some(one), Some(two)) = (sent.as_object(), back.as_object()) else {
                    return false;
                };
                let properties = schema["properties"].as_object().expect("properties");
                // An option that is not there is null.
                let field = |of: &Map<String, Value>, name: &str| of.get(name).cloned();
                let each = |(name, schema): (&String, &Value)| {
                    let sent = field(one, name).unwrap_or(Value::Null);
                    field(two, name).is_some_and(|back| same(schema, &sent, &back))
                };
                properties.iter().all(each)
                    && one.keys().all(|name| properties.contains_key(name))
                    && two.len() == properties.len()
            }
            _ => sent == back,
        },
        _ => sent == back,
    }
}

/// What was read is written, as a component would give it back that does nothing with it.
fn echoed(function: &TypedFunction, text: &str) -> Result<Value, String> {
    let values = function
        .arguments(text)
        .map_err(|fault| fault.say.into_owned())?;
    let written = |most: u64| match function.answer(&values, most) {
        Ok(Ok(output)) => Ok(output.structured.expect("a value")),
        Ok(Err(error)) => panic!("an error of the tool: {error:?}"),
        Err(fault) => Err(fault.code),
    };
    let text = written(64 << 20).expect("no error of the host");
    let long = u64::try_from(text.len()).expect("fits");
    assert_eq!(written(long).as_ref(), Ok(&text));
    assert_eq!(written(long - 1), Err(Code::OutputTooLarge));
    Ok(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn values() {
    let types = "[tool.t]\ncomponent = \"types.wasm\"\n";
    let site = Site::new();
    let catalog = site.load(&manifest(types)).expect("a catalog");
    let listed = catalog.find("t_echo_all").expect("a function");
    let schema = Value::Object(listed.listed.definition.input_schema.as_map().clone());
    let judge = Schema::new(schema.as_object().expect("an object")).expect("a sound schema");
    let typed = listed.tool.prepared.typed().expect("a typed component");
    let mut functions = typed.functions();
    let all = functions.find(|(_, one)| one.origin.function == "echo-all");
    let (_, function) = all.expect("a function");
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let sent = serde_json::from_str::<Value>(&text);
        let fits = sent
            .as_ref()
            .is_ok_and(|sent| judge.check_arguments(sent, &text).is_ok());
        match echoed(function, &text) {
            Ok(back) => {
                let sent = sent.expect("what is taken is JSON");
                assert!(fits, "the schema is stricter than its reader: {sent}");
                assert!(
                    same(&schema["properties"]["all"], &sent["all"], &back),
                    "{sent} comes back as {back}"
                );
                let again = serde_json::json!({ "all": back }).to_string();
                assert_eq!(echoed(function, &again), Ok(back.clone()), "a second time");
                let kinds = ["form", "perhaps", "maybe", "outcome", "bare", "half"];
                let kinds = kinds.map(|name| match &back[name] {
                    Value::Object(one) => one.keys().next().cloned().unwrap_or_default(),
                    Value::String(text) => text.clone(),
                    other => other.is_null().to_string(),
                });
                format!("{kinds:?}")
            }
            Err(say) => {
                assert!(say.len() < 3_000, "{} bytes are said", say.len());
                // A schema cannot say all; what it lets in is told with its place.
                let placed = say.contains(": `/all") || say.contains(": the arguments: ");
                assert!(!fits || placed, "{sent:?}: {say}");
                let digits = |c: char| c.is_ascii_digit();
                format!("{fits} {}", say.replace(digits, ""))
            }
        }
    };
    run(&Target {
        name: "values",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}

const PROGRAM: &str = r#"
[tool.p]
component = "p.wasm"
[tool.p.command.go]
description = "Goes."
input.file = { type = "string" }
input.files = { type = "array", items = { type = "string" } }
input.n = { type = "number" }
input.width = { type = "integer" }
input.fast = { type = "boolean" }
optional = ["width", "fast"]
arguments = [
  "--n={n}", "{file}", { when = "fast", then = ["--fast"] }, { when = "width", then = ["--width", "{width}"] },
  "{files}", "-", "{file}.txt", "--of", "{file}", "{n}{file}", "--", "{files}",
]
stdin = "{file}{n}"
"#;

/// The same in other words: the whole line, and which of it the call itself begins.
fn expected(call: &Value) -> (Vec<String>, Vec<String>) {
    let file = call["file"].as_str().expect("a text");
    let files = call["files"].as_array().expect("a list").iter();
    let files: Vec<String> = files
        .map(|one| one.as_str().expect("a text").to_owned())
        .collect();
    let n = call["n"].to_string();
    let mut line = vec![format!("--n={n}"), file.to_owned()];
    let mut begun = vec![file.to_owned()];
    if call["fast"] == true {
        line.push("--fast".to_owned());
    }
    if !call["width"].is_null() {
        line.extend(["--width".to_owned(), call["width"].to_string()]);
    }
    line.extend(files.iter().cloned());
    begun.extend(files.iter().cloned());
    // The option's value may be the first of these.
    if call["fast"] == true && call["width"].is_null() && !files.is_empty() {
        begun.remove(1);
    }
    line.extend(["-", &format!("{file}.txt"), "--of", file].map(str::to_owned));
    begun.push(format!("{file}.txt"));
    line.push(format!("{n}{file}"));
    begun.push(format!("{n}{file}"));
    line.push("--".to_owned());
    line.extend(files);
    (line, begun)
}

/// An agent's text never becomes an option, and nothing of it is lost or changed.
#[test]
fn commands() {
    let manifest = manifest(PROGRAM);
    let how = manifest.tools[0].uses.values().next().expect("a use");
    let schema = Schema::new(how.input_schema.as_map()).expect("a sound schema");
    let grant: &Arc<CommandGrant> = &how.grant;
    let check = |bytes: &[u8]| {
        let Ok(call) = serde_json::from_slice::<Value>(bytes) else {
            return "no JSON".to_owned();
        };
        if let Err(fault) = schema.check_arguments(&call, &call.to_string()) {
            let words = fault.say.chars().filter(char::is_ascii_alphabetic);
            return words.take(60).collect();
        }
        let (line, begun) = expected(&call);
        let number = |text: &String| {
            let plain = text.chars().all(|c| "+-.0123456789eE".contains(c));
            plain && !text.starts_with("--") && text.parse::<f64>().is_ok()
        };
        let option = begun
            .iter()
            .any(|text| text.starts_with('-') && !number(text));
        let cut = line.iter().any(|text| text.contains('\0'));
        match render(grant, call.as_object().expect("an object")) {
            Ok(made) => {
                assert!(!option && !cut, "{made:?}");
                assert_eq!(made.arguments, line);
                let file = call["file"].as_str().expect("a text");
                assert_eq!(made.stdin, format!("{file}{}", call["n"]));
                let minus = line.iter().filter(|one| one.starts_with('-')).count();
                format!("{} {minus}", line.len().min(30))
            }
            Err(why) => {
                assert!(option || cut, "{why}: {line:?}");
                format!("{why} {}", begun.len().min(9))
            }
        }
    };
    let seeds = [
        r#"{"file":"a b","files":["$(x)","`y`"],"n":3,"width":10,"fast":true}"#,
        r#"{"file":"","files":[],"n":-5e3,"fast":false}"#,
        r#"{"file":"-5","files":["-.5","é"],"n":0.1,"width":-1}"#,
        r#"{"file":"a","files":["-x","a"],"n":1,"fast":true}"#,
        r#"{"file":"--of","files":["--"],"n":1}"#,
    ];
    run(&Target {
        name: "commands",
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).to_vec(),
        words: &[
            "-",
            "--",
            "-inf",
            "-nan",
            "-5",
            "-.5",
            "-1e5",
            "\\u0000",
            "\"",
            ",",
            "{",
            "}",
            "[",
            "]",
            ":",
            "null",
            "true",
            "false",
            "1e999",
            "0.1",
            "--of",
            "--of=x",
            "\"file\":",
            "\"files\":[",
            "\"n\":",
            "\"width\":",
            "\"fast\":",
        ],
        check: &check,
    });
}
