//! Components that know nothing of this host: functions by their types, programs by their command
//! line.

use arbitrary::Unstructured;
use base64::Engine as _;
use serde_json::{Map, Value, json};
use toolhost_core::terms::{Code, Content, Outcome, ToolErrorCode};

use crate::harness::{End, Handmade, House, Program, Site, definition, manifest};

const TYPES: &str = "[tool.t]\ncomponent = \"types.wasm\"\n";

fn structured(end: End) -> Value {
    match end {
        Ok(Outcome::Output(output)) => output.structured.expect("a structured result"),
        other => panic!("{other:?}"),
    }
}

fn fault(end: End) -> (Code, String) {
    match end {
        Err(fault) => (fault.code, fault.say.into_owned()),
        other => panic!("{other:?}"),
    }
}

/// A value that fits a schema of those that types give.
fn draw(u: &mut Unstructured<'_>, schema: &Value) -> arbitrary::Result<Value> {
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return Ok(u.choose(names)?.clone());
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let one = u.choose(any)?.clone();
        return draw(u, &one);
    }
    let whole = |name: &str| schema[name].as_i64();
    Ok(match &schema["type"] {
        Value::Array(_) => {
            // Wide integers: beyond the safe range they are texts.
            let signed = whole("minimum").is_some_and(|least| least < 0);
            let value: i128 = if signed {
                u.arbitrary::<i64>()?.into()
            } else {
                u.arbitrary::<u64>()?.into()
            };
            let value = value >> u.int_in_range(0..=60)?;
            match i64::try_from(value) {
                Ok(small) if small.abs() < 1 << 53 => json!(small),
                _ => json!(value.to_string()),
            }
        }
        Value::String(kind) => match kind.as_str() {
            "boolean" => json!(u.arbitrary::<bool>()?),
            "null" => Value::Null,
            "integer" => {
                let (least, most) = (whole("minimum").unwrap(), whole("maximum").unwrap());
                json!(u.int_in_range(least..=most)?)
            }
            "number" if schema.get("maximum").is_some() => {
                let short = f32::from_bits(u.arbitrary()?);
                let short = if short.is_finite() { short } else { f32::MIN };
                serde_json::from_str(&format!("{short:?}")).expect("a number")
            }
            "number" => {
                let long = f64::from_bits(u.arbitrary()?);
                json!(if long.is_finite() { long } else { f64::MAX })
            }
            "string" if schema.get("contentEncoding").is_some() => {
                let bytes: [u8; 7] = u.arbitrary()?;
                let length = u.int_in_range(0..=7)?;
                json!(base64::engine::general_purpose::STANDARD.encode(&bytes[..length]))
            }
            "string" if schema.get("maxLength").is_some() => json!(u.arbitrary::<char>()?),
            "string" => json!(u.arbitrary::<&str>()?.chars().take(12).collect::<String>()),
            "array" if schema.get("prefixItems").is_some() => {
                let places = schema["prefixItems"].as_array().expect("places");
                let values = places.iter().map(|schema| draw(u, schema));
                Value::Array(values.collect::<arbitrary::Result<_>>()?)
            }
            "array" if schema.get("uniqueItems").is_some() => {
                let mut flags = Vec::new();
                for name in schema["items"]["enum"].as_array().expect("names") {
                    if u.arbitrary()? {
                        flags.push(name.clone());
                    }
                }
                Value::Array(flags)
            }
            "array" => {
                let count = u.int_in_range(0..=4)?;
                let values = (0..count).map(|_| draw(u, &schema["items"]));
                Value::Array(values.collect::<arbitrary::Result<_>>()?)
            }
            "object" => {
                let properties = schema["properties"].as_object().expect("properties");
                let mut object = Map::new();
                for (name, schema) in properties {
                    object.insert(name.clone(), draw(u, schema)?);
                }
                Value::Object(object)
            }
            other => panic!("{other}"),
        },
        _ => panic!("{schema}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_goes_in_and_comes_back() {
    let house = House::new(TYPES);
    let snapshot = house.host.snapshot();
    let function = snapshot.catalog.find("t_echo_all").expect("a function");
    let schema = Value::Object(function.listed.definition.input_schema.as_map().clone());
    let mut seen = String::new();
    for seed in 0..150_u32 {
        let mut bytes = vec![0; 4_096];
        blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        let drawn = draw(&mut Unstructured::new(&bytes), &schema).expect("enough bytes");
        let back = structured(house.call("t_echo_all", drawn.clone()).await);
        assert_eq!(back, drawn["all"]);
        seen.push_str(&back.to_string());
    }
    for all in [
        "\"some\":null",
        "\"perhaps\":null",
        "\"perhaps\":{\"some\":\"",
        "\"ok\":null",
        "\"error\":\"green\"",
        "\"circle\":",
        "\"form\":\"empty\"",
        "\"nothing-or-text\":null",
    ] {
        assert!(seen.contains(all), "{all} was never drawn");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_schemas_come_from_the_types() {
    let house = House::new(TYPES);
    let snapshot = house.host.snapshot();
    let names: Vec<&str> = snapshot
        .catalog
        .functions()
        .map(|function| function.listed.agent_name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "t_add",
            "t_bad_text",
            "t_echo_all",
            "t_echo_bytes",
            "t_echo_char",
            "t_echo_points",
            "t_echo_text",
            "t_echo_u64",
            "t_fail",
            "t_fail_plainly",
            "t_infinity",
            "t_many",
            "t_not_a_number",
            "t_rest",
        ]
    );
    let add = snapshot.catalog.find("t_add").expect("a function");
    assert_eq!(
        Value::Object(add.listed.definition.input_schema.as_map().clone()),
        json!({
            "type": "object",
            "properties": {
                "a": { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX },
                "b": { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX },
            },
            "required": ["a", "b"],
            "additionalProperties": false,
        })
    );
    let sum = house.call("t_add", json!({ "a": 40, "b": 2 })).await;
    assert_eq!(structured(sum), json!({ "result": 42 }));
    let points = house
        .call("t_echo_points", json!({ "points": [{ "x": 1 }] }))
        .await;
    assert_eq!(
        structured(points),
        json!({ "result": [{ "x": 1, "label": null }] })
    );
    match house.call("t_rest", json!({})).await {
        Ok(Outcome::Output(output)) => assert!(output.structured.is_none()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_called_is_pinned_with_its_reason() {
    let site = Site::new();
    let lock = site.lock(&manifest(TYPES)).expect("a lock");
    assert_eq!(
        lock.tools["t"].left_out,
        [
            "init: a language runtime added it",
            "test:types/trouble@1.2.0.[constructor]thing: it belongs to a resource, which cannot be written as JSON",
            "test:types/trouble@1.2.0.[method]thing.look: it belongs to a resource, which cannot be written as JSON",
            "test:types/trouble@1.2.0.use-thing: it has a resource, which cannot be written as JSON",
        ]
    );
    let text = lock.text().expect("a text");
    assert_eq!(
        toolhost_engine::catalog::Lock::parse(&text).expect("a lock"),
        lock
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_says_where_and_what_would() {
    let house = House::new(TYPES);
    for (function, arguments, said) in [
        ("t_add", json!({ "a": 1 }), "\"b\" is a required property"),
        (
            "t_add",
            json!({ "a": 1, "b": 2, "c": 3 }),
            "Additional properties",
        ),
        ("t_add", json!({ "a": 2_147_483_648_u32, "b": 0 }), "/a"),
        ("t_add", json!({ "a": 1.5, "b": 0 }), "/a"),
        ("t_echo_u64", json!({ "value": -1 }), "/value"),
        // More than a double can say: as a number it may have been rounded on its way.
        ("t_echo_u64", json!({ "value": u64::MAX }), "/value"),
        (
            "t_echo_u64",
            json!({ "value": "18446744073709551616" }),
            "`/value` must be an integer from 0 to 18446744073709551615",
        ),
        ("t_echo_u64", json!({ "value": "1e3" }), "/value"),
        ("t_echo_char", json!({ "value": "ab" }), "/value"),
        ("t_echo_char", json!({ "value": "" }), "/value"),
        (
            "t_echo_bytes",
            json!({ "bytes": "not base64!" }),
            "`/bytes` must be bytes in base64",
        ),
        ("t_fail", json!({ "how": "unheard" }), "/how"),
    ] {
        let (code, say) = fault(house.call(function, arguments.clone()).await);
        assert_eq!(code, Code::InvalidArguments, "{arguments}: {say}");
        assert!(say.contains(said), "{arguments}: {say}");
    }
    let most = json!({ "value": u64::MAX.to_string() });
    let back = structured(house.call("t_echo_u64", most).await);
    assert_eq!(back, json!({ "result": "18446744073709551615" }));
    let edge = json!({ "value": (1_u64 << 53) - 1 });
    let back = structured(house.call("t_echo_u64", edge).await);
    assert_eq!(back, json!({ "result": 9_007_199_254_740_991_u64 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_does_not_exist_is_refused() {
    let house = House::new(TYPES);
    let snapshot = house.host.snapshot();
    let function = snapshot.catalog.find("t_echo_all").expect("a function");
    let schema = Value::Object(function.listed.definition.input_schema.as_map().clone());
    let bytes = vec![7; 4_096];
    let mut drawn = draw(&mut Unstructured::new(&bytes), &schema).expect("enough bytes");
    for flags in [json!(["fly"]), json!(["read", "read"]), json!("read")] {
        drawn["all"]["rights"] = flags;
        let (code, say) = fault(house.call("t_echo_all", drawn.clone()).await);
        assert_eq!(code, Code::InvalidArguments);
        assert!(say.contains("rights"), "{say}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_json_cannot_say_are_faults_of_the_tool() {
    let house = House::new(TYPES);
    for name in ["t_not_a_number", "t_infinity"] {
        let (code, say) = fault(house.call(name, json!({})).await);
        assert_eq!(code, Code::InvalidOutput);
        assert!(say.contains("infinite or not a number"), "{say}");
    }
    let (code, _) = fault(house.call("t_bad_text", json!({})).await);
    assert_eq!(code, Code::Trapped);
    let (code, say) = fault(house.call("t_many", json!({ "count": 8_000_000 })).await);
    assert!(
        matches!(
            code,
            Code::Trapped | Code::OutputTooLarge | Code::OutOfMemory
        ),
        "{code:?} {say}"
    );
    let sum = house.call("t_add", json!({ "a": 1, "b": 1 })).await;
    assert_eq!(structured(sum), json!({ "result": 2 }));
}

/// Beyond some milliseconds' worth of work a value is checked where it keeps nobody waiting, and the
/// answer is the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_long_to_check_is_checked_all_the_same() {
    let house = House::new(TYPES);
    let mut points = vec![json!({ "x": 1, "label": "a" }); 12_000];
    let back = structured(
        house
            .call("t_echo_points", json!({ "points": points }))
            .await,
    );
    assert_eq!(back["result"].as_array().map(Vec::len), Some(12_000));
    points.push(json!({ "x": "one" }));
    let (code, say) = fault(
        house
            .call("t_echo_points", json!({ "points": points }))
            .await,
    );
    assert_eq!(code, Code::InvalidArguments);
    assert!(say.contains("too much in them to say where"), "{say}");
    let (_, say) = fault(
        house
            .call("t_echo_points", json!({ "points": [{ "x": "one" }] }))
            .await,
    );
    assert!(say.contains("`/points/0/x`"), "{say}");
}

/// Nobody waits longer for a check than the call has, not for its turn either.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_waits_for_its_turn_ends_with_its_call() {
    let limits = "limits = { deadline = \"4s\", output = \"8MiB\", host_memory = \"64MiB\" }";
    let house = House::new(&format!("{TYPES}{limits}\n"));
    let points = vec![json!({ "x": 1, "label": "a" }); 12_000];
    for (name, arguments) in [
        ("t_echo_points", json!({ "points": points })),
        ("t_many", json!({ "count": 200_000 })),
    ] {
        let snapshot = house.host.snapshot();
        let judges = &snapshot.catalog.find(name).expect("a function").judges;
        let turns = judges.take(&"local".into(), 2).expect("all that are its");
        let (code, say) = fault(house.call(name, arguments.clone()).await);
        assert_eq!(code, Code::DeadlineExceeded, "{say}");
        assert!(say.contains("could not be checked"), "{name}: {say}");
        house.assert_recorded(Code::DeadlineExceeded);
        drop(turns);
        structured(house.call(name, arguments).await);
    }
}

/// A component whose function `boom` gives a list of this type, of so many elements, whose bytes are
/// all `byte`. Types that the list's needs stand before it.
fn list_of(types: &str, element: &str, size: u32, count: u32, byte: u32) -> Vec<u8> {
    let (bytes, pages) = (size * count, size * count / 65_536 + 2);
    let place = (pages - 1) * 65_536;
    let text = format!(
        r#"(component
          (core module $m
            (memory (export "memory") {pages})
            (func (export "boom") (result i32)
              (memory.fill (i32.const 0) (i32.const {byte}) (i32.const {bytes}))
              (i32.store (i32.const {place}) (i32.const 0))
              (i32.store offset=4 (i32.const {place}) (i32.const {count}))
              (i32.const {place})))
          (core instance $i (instantiate $m))
          {types}
          (func (export "boom") (result (list {element}))
            (canon lift (core func $i "boom") (memory $i "memory"))))"#
    );
    wat::parse_str(text).expect("a component")
}

fn named(kind: &str, count: u32) -> String {
    let names: String = (0..count).map(|index| format!(" \"n{index}\"")).collect();
    format!("(type $t ({kind}{names})) (export $named \"named\" (type $t))")
}

fn boom(component: Vec<u8>, limits: &str) -> House {
    let site = Site::empty();
    site.write("boom.wasm", component);
    House::at(
        site,
        &format!("[tool.b]\ncomponent = \"boom.wasm\"\nlimits = {{ {limits} }}\n"),
    )
}

/// What a type takes of the host's memory is bounded before a value of it is made: by its type, not
/// by its bytes in the guest. The same bytes as numbers are few.
#[tokio::test(flavor = "multi_thread")]
async fn g65_a_result_that_the_host_could_not_hold_is_not_made() {
    let flags = boom(list_of(&named("flags", 32), "$named", 4, 60_000, 255), "");
    let (code, say) = fault(flags.call("b_boom", json!({})).await);
    assert_eq!(code, Code::Trapped);
    assert!(say.contains("too much data in one piece"), "{say}");
    // What takes the engine long counts as well: it walks along an enum's names.
    let names = boom(list_of(&named("enum", 3_900), "$named", 2, 60_000, 14), "");
    let (code, _) = fault(names.call("b_boom", json!({})).await);
    assert_eq!(code, Code::Trapped);
    let numbers = boom(list_of("", "u32", 4, 60_000, 255), "");
    let all = structured(numbers.call("b_boom", json!({})).await);
    assert_eq!(all["result"].as_array().map(Vec::len), Some(60_000));
}

/// What the host does to make JSON of a result, or values of arguments, is the call's work: it ends
/// with the call's fuel, and costs the same each time.
#[tokio::test(flavor = "multi_thread")]
async fn g67_values_are_made_with_the_calls_fuel() {
    let cases = named("enum", 100);
    let house = boom(list_of(&cases, "$named", 1, 20_000, 3), "");
    let (first, bill) = house.billed("b_boom", json!({})).await;
    assert_eq!(structured(first)["result"][19_999], "n3");
    assert!(bill.fuel > 2_000_000, "{bill:?}");
    let (_, again) = house.billed("b_boom", json!({})).await;
    assert_eq!(bill.fuel, again.fuel);

    let house = boom(list_of(&cases, "$named", 1, 20_000, 3), "fuel = 1_000_000");
    assert_eq!(
        fault(house.call("b_boom", json!({})).await).0,
        Code::OutOfFuel
    );

    let house = House::new(&format!("{TYPES}limits = {{ fuel = 1_000_000 }}\n"));
    let points = vec![json!({ "x": 1 }); 10_000];
    let end = house
        .call("t_echo_points", json!({ "points": points }))
        .await;
    assert_eq!(fault(end).0, Code::OutOfFuel);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_before_a_trap_are_the_operator_s() {
    let house = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"\n");
    match house.call("rogue_crash", json!({})).await {
        Err(fault) => {
            assert!(!fault.say.contains("on purpose"), "{fault:?}");
            let detail = fault.detail.unwrap_or_default();
            assert!(
                detail.contains("stderr: ") && detail.contains("crashed on purpose"),
                "{detail}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// What the operator reads names no places that have no names.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_said_in_a_line() {
    let house = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"\n");
    let end = house.call("rogue_crash", json!({})).await;
    let detail = end.expect_err("a fault").detail.unwrap_or_default();
    assert!(detail.starts_with("wasm trap: "), "{detail}");
    assert!(
        !detail.contains('\n') && !detail.contains("wasm function"),
        "{detail}"
    );
}

/// A component whose functions answer and then trap where they clear up: `number`, `flag`, `text` and, which
/// has no answer, `rest`.
const CLEARS_BADLY: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (data (i32.const 16) "there it is")
        (func (export "seven") (result i32) (i32.const 7))
        (func (export "zero") (result i32) (i32.const 0))
        (func (export "text") (result i32)
            (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 11)) (i32.const 0))
        (func (export "rest"))
        (func (export "early") (result i32) (unreachable))
        (func (export "clear") (param i32) (unreachable))
        (func (export "clear_rest") (unreachable)))
    (core instance $i (instantiate $m))
    (func (export "number") (result u32) (canon lift (core func $i "seven") (post-return (func $i "clear"))))
    (func (export "flag") (result bool) (canon lift (core func $i "zero") (post-return (func $i "clear"))))
    (func (export "text") (result string)
        (canon lift (core func $i "text") (memory $i "memory") (post-return (func $i "clear"))))
    (func (export "rest") (canon lift (core func $i "rest") (post-return (func $i "clear_rest"))))
    (func (export "early") (result u32) (canon lift (core func $i "early") (post-return (func $i "clear")))))"#;

#[tokio::test(flavor = "multi_thread")]
async fn n98_an_answer_that_is_there_is_given_whatever_happens_behind_it() {
    let site = Site::empty();
    site.write("c.wasm", wat::parse_str(CLEARS_BADLY).expect("a component"));
    let house = House::at(site, "[tool.c]\ncomponent = \"c.wasm\"\n");
    for (function, answer) in [
        ("c_number", json!(7)),
        ("c_flag", json!(false)),
        ("c_text", json!("there it is")),
    ] {
        let given = structured(house.call(function, json!({})).await);
        assert_eq!(given, json!({ "result": answer }));
        let last = house.last();
        assert_eq!(
            (last.end, last.code.as_deref(), last.after.as_deref()),
            (toolhost_ledger::End::Ok, None, Some("trapped"))
        );
    }
    // Nothing was answered, or nothing can be.
    for function in ["c_rest", "c_early"] {
        let (code, _) = fault(house.call(function, json!({})).await);
        assert_eq!((code, house.last().after), (Code::Trapped, None));
    }
}

/// A tool of the contract need not clear up: its instance goes with the call.
#[tokio::test(flavor = "multi_thread")]
async fn n98_a_tool_that_clears_up_badly_has_answered() {
    let tool = Handmade {
        module: r#"(func (export "clear") (param i32) (unreachable))"#,
        options: r#"(post-return (func $i "clear"))"#,
        ..Handmade::default()
    };
    let site = Site::empty();
    site.write("t.wasm", tool.build(&[definition("go")]));
    let house = House::at(site, "[tool.t]\ncomponent = \"t.wasm\"\n");
    match house.call("t_go", json!({})).await {
        Ok(Outcome::Output(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Two components in one, of which the second hands the first a type of so many parts.
fn handed(count: usize, ty: &str) -> Vec<u8> {
    let parts = match ty {
        "tuple" => " u8".repeat(count),
        _ => (0..count)
            .map(|index| format!(" (field \"f{index}\" u8)"))
            .collect(),
    };
    let text = format!(
        r#"(component
          (component $first
            (core module $m
              (memory (export "memory") 1)
              (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
              (func (export "f") (param i32) (result i32) (i32.load8_u offset=3 (local.get 0))))
            (core instance $i (instantiate $m))
            (type $plain ({ty}{parts}))
            (export $t "t" (type $plain))
            (func (export "f") (param "x" $t) (result u8)
              (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "r")))))
          (component $second
            (type $plain ({ty}{parts}))
            (import "t" (type $t (eq $plain)))
            (import "f" (func $f (param "x" $t) (result u8)))
            (core module $own (memory (export "memory") 1) (data (i32.const 11) "*"))
            (core instance $memory (instantiate $own))
            (core func $lowered (canon lower (func $f) (memory $memory "memory")))
            (core module $m
              (import "a" "f" (func $f (param i32) (result i32)))
              (func (export "go") (result i32) (call $f (i32.const 8))))
            (core instance $i (instantiate $m (with "a" (instance (export "f" (func $lowered))))))
            (func (export "go") (result u8) (canon lift (core func $i "go"))))
          (instance $one (instantiate $first))
          (alias export $one "t" (type $t))
          (alias export $one "f" (func $f))
          (instance $two (instantiate $second (with "t" (type $t)) (with "f" (func $f))))
          (export "go" (func $two "go")))"#
    );
    wat::parse_str(text).expect("a component")
}

/// The engine makes of the handing of a wider type a function that does nothing but call itself.
#[tokio::test(flavor = "multi_thread")]
async fn n97_what_components_cannot_hand_each_other_is_refused_before_it_is_called() {
    for ty in ["tuple", "record"] {
        let house = boom(handed(1_000, ty), "");
        let given = structured(house.call("b_go", json!({})).await);
        assert_eq!(given, json!({ "result": 42 }), "{ty}");

        let site = Site::empty();
        site.write("boom.wasm", handed(1_001, ty));
        let refused = site.lock(&manifest("[tool.b]\ncomponent = \"boom.wasm\"\n"));
        let message = &refused.expect_err("it is refused")[0].message;
        assert!(
            message.contains("composed of 2 components")
                && message.contains("1001 fields, cases or elements")
                && message.contains("at most 1000"),
            "{message}"
        );
    }
}

/// One component alone hands nothing to another: its types may be as wide as the engine reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_wide_type_of_one_component_is_none_of_that() {
    let house = boom(list_of(&named("enum", 1_500), "$named", 2, 3, 1), "");
    let all = structured(house.call("b_boom", json!({})).await);
    assert_eq!(all["result"], json!(["n257", "n257", "n257"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_s_error_is_the_tool_s_with_its_payload() {
    let house = House::new(TYPES);
    for (how, code, message, data) in [
        (
            json!({ "not-found": "no such page" }),
            ToolErrorCode::NotFound,
            "no such page",
            Some(json!({ "not-found": "no such page" })),
        ),
        (
            json!("busy"),
            ToolErrorCode::Failed,
            "The function failed: \"busy\"",
            Some(json!("busy")),
        ),
        (
            json!({ "other": { "message": "line is bad", "line": 3 } }),
            ToolErrorCode::Failed,
            "line is bad",
            Some(json!({ "other": { "message": "line is bad", "line": 3 } })),
        ),
    ] {
        match house.call("t_fail", json!({ "how": how })).await {
            Ok(Outcome::Error(error)) => {
                assert_eq!(
                    (error.code, error.message.as_str(), error.data),
                    (code, message, data)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    match house.call("t_fail_plainly", json!({})).await {
        Ok(Outcome::Error(error)) => assert_eq!(error.message, "it is Sunday"),
        other => panic!("{other:?}"),
    }
}

/// A name is as long as its author likes; what is said of a value is not.
#[test]
fn complaints_about_values_end() {
    let name = "a".repeat(20_000);
    let text = format!(
        "(component (core module $m (func (export \"f\") (param i64)))
          (core instance $i (instantiate $m))
          (func (export \"f\") (param \"{name}\" u64) (canon lift (core func $i \"f\"))))"
    );
    let site = Site::empty();
    site.write("one.wasm", wat::parse_str(text).expect("a component"));
    let one = "[tool.one]\ncomponent = \"one.wasm\"\n";
    let catalog = site.load(&manifest(one)).expect("a catalog");
    let listed = catalog.find("one_f").expect("a function");
    let typed = listed.tool.prepared.typed().expect("a typed component");
    let function = typed.get("f").expect("a function");
    let wrong = json!({ name: "18446744073709551616" }).to_string();
    let fault = function.arguments(&wrong).expect_err("it is too large");
    assert!(fault.say.len() < 3_000, "{} bytes", fault.say.len());
}

/// A component of so many functions, by types.
fn crowd(count: usize) -> Vec<u8> {
    let functions = (0..count)
        .map(|index| format!("(func (export \"f{index}\") (canon lift (core func $i \"f\")))"));
    let functions: String = functions.collect();
    let text = format!(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) {functions})"
    );
    wat::parse_str(text).expect("a component")
}

#[test]
fn hostile_types_are_refused_or_left_out() {
    let one = "[tool.one]\ncomponent = \"one.wasm\"\n";
    let said = |bytes: &[u8]| {
        let site = Site::empty();
        site.write("one.wasm", bytes);
        match site.lock(&manifest(one)) {
            Ok(lock) => Ok(lock.tools["one"].clone()),
            Err(troubles) => Err(troubles[0].message.clone()),
        }
    };
    let many = said(&crowd(10_000)).expect_err("too many functions");
    assert!(many.contains("256") || many.contains("more than"), "{many}");
    assert_eq!(said(&crowd(200)).expect("a lock").functions.len(), 200);

    // A type whose tree would have two to the power of forty leaves.
    let mut types = "(type $t0 (tuple u32 u32))".to_owned();
    for level in 1..40 {
        let below = level - 1;
        types.push_str(&format!("(type $t{level} (tuple $t{below} $t{below}))"));
    }
    let bomb = format!(
        "(component (core module $m (func (export \"f\") (param i32)) (memory (export \"m\") 1) (func (export \"r\") (param i32 i32 i32 i32) (result i32) i32.const 0)) (core instance $i (instantiate $m)) {types} (func (export \"g\") (param \"x\" $t39) (canon lift (core func $i \"f\") (memory $i \"m\") (realloc (func $i \"r\")))))"
    );
    // The engine's own bound on the size of types may speak first.
    let bomb = match wat::parse_str(&bomb) {
        Ok(bytes) => said(&bytes).expect_err("a bomb"),
        Err(error) => panic!("{error}"),
    };
    assert!(bomb.contains("size") || bomb.contains("parts"), "{bomb}");

    let mut nested = "(type $t0 (list u8))".to_owned();
    for level in 1..90 {
        nested.push_str(&format!("(type $t{level} (list $t{}))", level - 1));
    }
    let deep = format!(
        "(component (core module $m (func (export \"f\") (param i32 i32)) (memory (export \"m\") 1) (func (export \"r\") (param i32 i32 i32 i32) (result i32) i32.const 0)) (core instance $i (instantiate $m)) {nested} (func (export \"g\") (param \"x\" $t89) (canon lift (core func $i \"f\") (memory $i \"m\") (realloc (func $i \"r\")))))"
    );
    let deep = said(&wat::parse_str(deep).expect("a component")).expect_err("too deep");
    assert!(deep.contains("deep"), "{deep}");
}

const PROGRAM: &str = r#"
[tool.p]
component = "program.wasm"
limits = { output = "1MiB", deadline = "60s" }

[tool.p.dir.data]
host = "data"
guest = "/data"
access = "read"

[tool.p.command.arguments]
description = "Prints its arguments."
input.first = { type = "string" }
input.more = { type = "array", items = { type = "string" } }
input.loud = { type = "boolean" }
input.size = { type = "integer" }
optional = ["loud", "size"]
arguments = ["arguments", { when = "loud", then = ["--loud"] }, { when = "size", then = ["--size={size}", "-s", "{size}"] }, "--first={first}", "--", "{more}"]

[tool.p.command.upper]
description = "In capitals."
input.text = { type = "string" }
arguments = ["upper"]
stdin = "{text}"

[tool.p.command.length]
description = "Counts."
input.text = { type = "string" }
arguments = ["json", "{text}"]
stdout = "json"
output = { type = "object", properties = { length = { type = "integer" } }, required = ["length"] }

[tool.p.command.bytes]
description = "All bytes."
arguments = ["bytes"]
stdout = "application/octet-stream"

[tool.p.command.bytes_as_text]
description = "All bytes, which are no text."
arguments = ["bytes"]

[tool.p.command.read]
description = "Reads a file."
input.path = { type = "string" }
arguments = ["read", "{path}"]

[tool.p.command.exit]
description = "Ends with a code."
input.code = { type = "integer" }
arguments = ["{code}"]

[tool.p.command.exit_all_the_same]
description = "Ends with a code that is no failure."
input.code = { type = "integer" }
arguments = ["{code}"]
success = [0, 1]

[tool.p.command.flood]
description = "Prints without end."
arguments = ["flood"]

[tool.p.command.spin]
description = "Never ends."
arguments = ["loop"]

[tool.p.function.spin]
limits.fuel = 50_000_000
"#;

fn text(end: End) -> String {
    match end {
        Ok(Outcome::Output(output)) => match &output.contents[..] {
            [Content::Text(text)] => text.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_a_function_by_its_command_line() {
    let house = House::new(PROGRAM);
    house.site.write("data/note.txt", "from a file");
    let arguments = json!({ "first": "$HOME; `x`", "more": ["-a", "b c"], "size": 3 });
    assert_eq!(
        text(house.call("p_arguments", arguments).await),
        "\"--size=3\"\n\"-s\"\n\"3\"\n\"--first=$HOME; `x`\"\n\"--\"\n\"-a\"\n\"b c\"\n"
    );
    let upper = house.call("p_upper", json!({ "text": "größe" })).await;
    assert_eq!(text(upper), "GRÖSSE\n");
    let length = house.call("p_length", json!({ "text": "four" })).await;
    assert_eq!(structured(length), json!({ "length": 4 }));
    let read = house
        .call("p_read", json!({ "path": "/data/note.txt" }))
        .await;
    assert_eq!(text(read), "from a file\n");
    match house.call("p_bytes", json!({})).await {
        Ok(Outcome::Output(output)) => match &output.contents[..] {
            [Content::Blob(blob)] => {
                assert_eq!(blob.data, (0..=255).collect::<Vec<u8>>());
                assert_eq!(blob.mime_type, "application/octet-stream");
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_s_exit_code_and_last_words_are_the_error() {
    let house = House::new(PROGRAM);
    house.site.write("data/note.txt", "");
    let error = |end: End| match end {
        Ok(Outcome::Error(error)) => error,
        other => panic!("{other:?}"),
    };
    let outside = house.call("p_read", json!({ "path": "/etc/passwd" })).await;
    let outside = error(outside);
    assert!(
        outside
            .message
            .contains("exit code 1: cannot read /etc/passwd"),
        "{outside:?}"
    );
    assert_eq!(outside.data.expect("data")["exit_code"], 1);
    let three = error(house.call("p_exit", json!({ "code": 3 })).await);
    assert!(
        three.message.contains("exit code 1: it did not work"),
        "{three:?}"
    );
    // WASI 0.2 itself knows only that a program failed: whatever its code, it is 1.
    let same = house
        .call("p_exit_all_the_same", json!({ "code": 4 }))
        .await;
    assert_eq!(text(same), "");
    let option = house.call("p_read", json!({ "path": "--help" })).await;
    let (code, say) = fault(option);
    assert_eq!(code, Code::InvalidArguments);
    assert!(say.contains("must not begin with `-`"), "{say}");
    let (code, _) = fault(house.call("p_bytes_as_text", json!({})).await);
    assert_eq!(code, Code::InvalidOutput);
    let (code, _) = fault(house.call("p_flood", json!({})).await);
    assert_eq!(code, Code::OutputTooLarge);
    let (code, _) = fault(house.call("p_spin", json!({})).await);
    assert_eq!(code, Code::OutOfFuel);
    assert_eq!(
        text(house.call("p_upper", json!({ "text": "a" })).await),
        "A\n"
    );
}

#[test]
fn a_use_that_changed_has_to_be_locked_again() {
    let program = Program::new(PROGRAM);
    program.site.write("data/note.txt", "");
    assert_eq!(program.run(&["check"]).code, 0);
    let changed = PROGRAM.replace("In capitals.", "In small letters.");
    program
        .site
        .write("toolhost.toml", format!("schema = 1\n{changed}"));
    let ended = program.run(&["check"]);
    assert_ne!(ended.code, 0);
    assert!(
        ended
            .err
            .contains("its functions changed since it was locked"),
        "{ended:?}"
    );
}

#[test]
fn a_program_without_a_use_says_how_to_write_one() {
    let site = Site::new();
    let troubles = site
        .lock(&manifest("[tool.p]\ncomponent = \"program.wasm\"\n"))
        .expect_err("no functions");
    assert!(
        troubles[0]
            .message
            .contains("[tool.<name>.command.<function>]"),
        "{troubles:?}"
    );
    let troubles = site
        .lock(&manifest(
            "[tool.h]\ncomponent = \"hello.wasm\"\n[tool.h.command.x]\ndescription = \"x\"\n",
        ))
        .expect_err("no program");
    assert!(
        troubles[0].message.contains("is no program"),
        "{troubles:?}"
    );
}

/// One form, before anything is digested: schema, record and guest see the same.
#[tokio::test(flavor = "multi_thread")]
async fn n95_arguments_that_say_the_same_are_the_same() {
    let house = House::new(PROGRAM);
    house.site.write("data/note.txt", "");
    for size in ["3", "3.0", "3e0"] {
        for more in ["", r#","loud":null"#] {
            let text_of = format!(r#"{{"size":{size},"more":[],"first":"a"{more}}}"#);
            let arguments: Value = serde_json::from_str(&text_of).expect("JSON");
            let end = house.call("p_arguments", arguments).await;
            assert_eq!(
                text(end),
                "\"--size=3\"\n\"-s\"\n\"3\"\n\"--first=a\"\n\"--\"\n",
                "{text_of}"
            );
        }
    }
    let mut digests = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(house.ledger()).expect("a ledger") {
        let text = std::fs::read_to_string(file.expect("a file").path()).unwrap_or_default();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        digests.extend(records.filter_map(|record: Value| {
            let arguments = record.get("arguments")?;
            Some(arguments.to_string())
        }));
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
    // Where `null` could be meant it stays, and is judged.
    let end = house
        .call("p_arguments", json!({ "first": null, "more": [] }))
        .await;
    match end {
        Err(fault) => assert_eq!(fault.code, Code::InvalidArguments, "{fault:?}"),
        other => panic!("{other:?}"),
    }
}
