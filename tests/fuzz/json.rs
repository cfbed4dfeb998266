//! What agents and guests say in JSON: lines of the protocol, results, schemas.

use serde_json::{Map, Value};
use toolhost_core::gate::{ReleasePolicy, Schema, release};
use toolhost_core::terms::{
    Blob, Content, GuestAnswer, Members, Outcome, RawError, RawOutput, ResourceLink,
};
use toolhost_doors::{Line, is_plain_call, read_line};
use toolhost_outbound::secret::Patterns;

use super::engine::{Target, run};

/// What JSON is made of, and what of it parsers trip over.
const WORDS: [&str; 36] = [
    "hunter2",
    "hun\u{1}ter2",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "1e999",
    "-0",
    "1E-7",
    "0.1",
    "9007199254740993",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "\\\"",
    "\\",
    "\u{feff}",
    "\u{2028}",
    "\"id\":",
    "\"method\":",
    "\"jsonrpc\":\"2.0\",",
    "\"params\":{",
    "\"tools/call\"",
    "\"initialize\"",
    "\"notifications/cancelled\"",
    "\"result\":{}",
    "\"_meta\":{",
    "\"arguments\":{",
    "\"type\":\"object\"",
    "[[[[[[[[[[[[[[[[",
];

#[test]
fn lines() {
    let whole = |bytes: &[u8]| -> Value {
        let line = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        serde_json::from_slice(line).expect("what is taken is JSON")
    };
    let check = |bytes: &[u8]| match (read_line(bytes), is_plain_call(bytes)) {
        // The short way takes nothing that the long way would not.
        (Line::Message(method), true) => {
            assert_eq!(method.as_deref(), Some("tools/call"));
            let value = whole(bytes);
            assert!(value["params"]["name"].is_string() && value.get("id").is_some());
            format!("plain {}", value["params"].get("arguments").is_some())
        }
        (other, true) => panic!("a plain call is {other:?}"),
        (Line::Message(method), false) => {
            let value = whole(bytes);
            assert!(value.is_object(), "{value}");
            assert_eq!(
                value.get("method").and_then(Value::as_str),
                method.as_deref()
            );
            format!("message {}", method.is_some())
        }
        (Line::Ignored, false) => {
            let value = whole(bytes);
            assert!(
                value.get("id").is_none(),
                "somebody waits for an answer: {value}"
            );
            "ignored".to_owned()
        }
        (Line::Refused(answer), false) => {
            assert!(!answer.contains(&b'\n'), "an answer is one line");
            let value: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
            assert_eq!(value["jsonrpc"], "2.0");
            let code = value["error"]["code"].as_i64().expect("a code");
            if let Some(id) = value.get("id") {
                assert!(id.is_string() || id.is_i64() || id.is_u64(), "{id}");
            }
            let say = value["error"]["message"].as_str().expect("a sentence");
            assert!(say.len() < 1_000, "{} bytes are said", say.len());
            let words: String = say
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(60)
                .collect();
            format!("{code} {words}")
        }
    };
    run(&Target {
        name: "lines",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}

/// The promise that guests' results are held against.
fn promise() -> Schema {
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "result": { "type": ["string", "number", "array"] } },
        "required": ["result"],
    });
    Schema::new(schema.as_object().expect("an object")).expect("a sound schema")
}

/// A guest's answer: the first byte says which kind, the text is what it says.
fn answer(bytes: &[u8]) -> GuestAnswer {
    let (kind, text) = bytes.split_first().unwrap_or((&0, &[]));
    let text = String::from_utf8_lossy(text).into_owned();
    let contents = |content| RawOutput {
        structured: None,
        contents: vec![content],
    };
    match kind % 6 {
        0 => Err(RawError {
            code: text.clone(),
            message: text.clone(),
            retry_after: Some(u32::MAX),
            data: Some(text),
        }),
        1 => Ok(contents(Content::Text(text))),
        2 => Ok(contents(Content::Blob(Blob {
            mime_type: "image/png".to_owned(),
            data: Vec::new(),
            uri: Some(text),
        }))),
        3 => Ok(contents(Content::Link(ResourceLink {
            uri: "https://example.com".to_owned(),
            name: String::new(),
            description: None,
            mime_type: Some(text),
        }))),
        _ => Ok(RawOutput {
            structured: Some(text),
            contents: Vec::new(),
        }),
    }
}

#[test]
fn results() {
    const MOST: u64 = 4 << 10;
    let schema = promise();
    let patterns = Patterns::new([&b"hunter2"[..]]).expect("patterns");
    let check = |bytes: &[u8]| {
        let promised = bytes.first().is_some_and(|kind| kind % 6 == 5);
        let policy = ReleasePolicy {
            denied: &[],
            schema: promised.then_some(&schema),
            most: MOST,
            secrets: &patterns,
        };
        match release(answer(bytes), &policy, None) {
            Err(fault) => {
                assert!(fault.say.len() < 300, "{}", fault.say);
                fault.code.as_str().to_owned()
            }
            Ok(released) => {
                let outcome = released.into_outcome();
                assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
                assert!(size(&outcome) <= 8 * MOST, "{} bytes", size(&outcome));
                match outcome {
                    Outcome::Error(error) => {
                        assert!(error.message.len() <= 16 << 10);
                        format!("error {} {}", error.code, error.data.is_some())
                    }
                    Outcome::Output(output) => {
                        let depth = output.structured.as_ref().map(depth);
                        assert!(depth.unwrap_or(0) <= 128);
                        format!("output {depth:?} {}", output.contents.len())
                    }
                }
            }
        }
    };
    run(&Target {
        name: "results",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}

/// What an outcome's text takes; quotes and escapes make it longer than it was.
fn size(outcome: &Outcome) -> u64 {
    let bytes = match outcome {
        Outcome::Error(error) => error.data.as_ref().map_or(0, |data| data.to_string().len()),
        Outcome::Output(output) => format!("{output:?}").len(),
    };
    u64::try_from(bytes).expect("fits")
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(map) => map.values().map(depth).max(),
        _ => None,
    };
    1 + below.unwrap_or(0)
}

/// What schemas are made of, the costly and the endless among it.
const SCHEMA: [&str; 36] = [
    "\"$ref\":\"#\"",
    "\"$ref\":\"#/$defs/a\"",
    "\"$ref\":\"http://127.0.0.1/\"",
    "\"$defs\":{\"a\":",
    "\"allOf\":[",
    "\"anyOf\":[",
    "\"oneOf\":[",
    "\"not\":{",
    "\"if\":{",
    "\"pattern\":\"(a+)+$\"",
    "\"pattern\":\"(?=a)\"",
    "\"format\":\"date\"",
    "\"minimum\":",
    "\"multipleOf\":1e-300",
    "\"multipleOf\":0",
    "\"maxLength\":",
    "\"enum\":[",
    "\"const\":",
    "\"properties\":{\"a\":{",
    "\"additionalProperties\":{",
    "\"unevaluatedProperties\":false",
    "\"$dynamicRef\":\"#a\"",
    "\"$anchor\":\"a\"",
    "\"$id\":\"x\"",
    "\"required\":[\"a\"]",
    "\"type\":",
    "\"prefixItems\":[",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "true",
    "null",
    "1e308",
];

/// A schema in its author's order says the same as the sorted one, and writing it changes nothing.
fn in_order(bytes: &[u8], sorted: &Map<String, Value>) {
    let Ok(written) = serde_json::from_slice::<Members>(bytes) else {
        return;
    };
    assert_eq!(written.to_map(), *sorted);
    let again = serde_json::from_str::<Members>(&written.to_string());
    assert_eq!(again.expect("what is written is read"), written);
}

/// A schema comes from a guest once, and is asked on every call.
#[test]
fn schemas() {
    let instances = [
        serde_json::json!({}),
        serde_json::json!({ "a": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "b": [1, 1.5, null] }),
        serde_json::json!({ "k".repeat(20_000): [null], "b": "v".repeat(20_000) }),
        serde_json::json!({ "a": { "a": { "a": { "a": 1e300 } } }, "x": 18446744073709551615_u64 }),
    ];
    let check = |bytes: &[u8]| {
        let Ok(schema) = serde_json::from_slice::<Map<String, Value>>(bytes) else {
            return "no object".to_owned();
        };
        in_order(bytes, &schema);
        match Schema::new(&schema) {
            Err(error) => {
                let say = error.to_string();
                say.chars()
                    .filter(char::is_ascii_alphabetic)
                    .take(24)
                    .collect()
            }
            Ok(sound) => {
                let fits = instances.iter().map(|instance| {
                    let checked = sound.check_arguments(instance, &instance.to_string());
                    checked.is_err_and(|fault| {
                        assert!(
                            fault.say.len() < 3_000,
                            "{} bytes are said",
                            fault.say.len()
                        );
                        true
                    })
                });
                let fits: Vec<bool> = fits.collect();
                let keys: Vec<&String> = schema.keys().take(4).collect();
                format!("{fits:?} {keys:?}")
            }
        }
    };
    run(&Target {
        name: "schemas",
        seeds: Vec::new(),
        words: &SCHEMA,
        check: &check,
    });
}
