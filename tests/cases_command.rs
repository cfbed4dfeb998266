//! `toolhost test`: cases that pass, and every way in which one fails, with what it says.

use serde_json::Value;

use crate::harness::{Program, Site, checkout, tool};

/// Runs the cases of one file against `everything`, without a `tool.toml`.
fn derived(cases: &str) -> (Program, Value, i32) {
    with_asks(None, cases)
}

/// The same with the grants of a `tool.toml`.
fn with_asks(asks: Option<&str>, cases: &str) -> (Program, Value, i32) {
    let site = Site::new();
    if let Some(asks) = asks {
        site.write("tool.toml", asks);
    }
    site.write("cases/all.toml", cases);
    let program = Program::bare(site);
    let ended = program.run(&["test", "everything.wasm", "--json"]);
    assert_ne!(ended.code, 2, "{ended:?}");
    let json = ended.json();
    (program, json, ended.code)
}

/// What one case says is wrong.
fn differences(json: &Value, case: usize) -> Vec<String> {
    let all = json["cases"][case]["differences"].as_array();
    let one = |one: &Value| match (&one["expected"], &one["got"]) {
        (Value::String(expected), Value::String(got)) => {
            format!("{}: {expected} / {got}", one["path"].as_str().unwrap())
        }
        _ => one["path"].as_str().unwrap().to_owned(),
    };
    all.expect("differences").iter().map(one).collect()
}

/// A run that cannot even begin.
fn unreadable(cases: &str) -> String {
    let site = Site::new();
    site.write("cases/all.toml", cases);
    let ended = Program::bare(site).run(&["test", "everything.wasm"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.out, "");
    ended.err
}

#[test]
fn the_six_tools_pass_their_cases() {
    let program = Program::bare(Site::empty());
    for name in ["fetch", "files", "github", "jq", "orders", "table"] {
        let component = tool(&format!("{name}.wasm"));
        let folder = checkout().join("tools").join(name);
        let (folder, component) = (
            folder.display().to_string(),
            component.display().to_string(),
        );
        let ended = program.run(&["test", &folder, "--component", &component]);
        assert_eq!(ended.code, 0, "{name}: {}\n{}", ended.out, ended.err);
        assert!(ended.err.contains("cases passed"), "{ended:?}");
    }
}

#[test]
fn a_report_has_bills_and_what_each_case_needs() {
    let program = Program::bare(Site::empty());
    let component = tool("github.wasm").display().to_string();
    let folder = checkout().join("tools/github").display().to_string();
    let json = program
        .run(&["test", &folder, "--component", &component, "--json"])
        .json();
    let case = &json["cases"][0];
    assert_eq!(case["passed"], true);
    assert_eq!(
        case["needs"][0]["what"],
        "GET https://api.github.com/search/issues"
    );
    let by = case["needs"][0]["by"].as_str().expect("a grant");
    assert!(by.starts_with("http.api, line "), "{by}");
    assert_eq!(case["bill"]["egress_requests"], 1);
    assert!(case["bill"]["fuel"].as_u64().is_some_and(|fuel| fuel > 0));
    let again = program
        .run(&["test", &folder, "--component", &component, "--json"])
        .json();
    assert_eq!(
        case["bill"]["fuel"], again["cases"][0]["bill"]["fuel"],
        "the same from run to run"
    );
    assert_eq!(json["section"], Value::Null, "there is a tool.toml");
}

#[test]
fn what_differs_is_said_with_its_path() {
    let (program, json, code) = derived(
        r#"
[[case]]
name = "a sum"
function = "add"
arguments = { a = 2, b = 3 }
result = { sum = 6 }
[[case]]
name = "a result instead of an error"
function = "add"
arguments = { a = 2, b = 3 }
error = { code = "invalid-arguments" }
[[case]]
name = "an error instead of a result"
function = "error_handling"
text = "well"
[[case]]
name = "another error"
function = "error_handling"
error = { code = "denied", message_contains = ["intentionally", "by chance"], retry_after = 3 }
[[case]]
name = "a fault"
function = "add"
arguments = { a = "two" }
fault = "out-of-fuel"
[[case]]
name = "a text"
function = "echo"
arguments = { text = "hello" }
text_contains = "good"
[[case]]
name = "no such function"
function = "subtract"
result = {}
[[case]]
name = "this one passes"
function = "add"
arguments = '{"a": 2, "b": 3}'
contains = { sum = 5.0 }
"#,
    );
    assert_eq!(code, 1);
    assert_eq!((&json["passed"], &json["failed"]), (&1.into(), &7.into()));
    assert_eq!(differences(&json, 0), ["result.sum: 6 / 5"]);
    assert_eq!(
        differences(&json, 1),
        ["the call: the error invalid-arguments / the result {\"sum\":5}"]
    );
    assert_eq!(
        differences(&json, 2),
        [
            "the call: a result / the error failed: This tool intentionally returns an error for testing"
        ]
    );
    assert_eq!(
        differences(&json, 3),
        [
            "error.code: denied / the error failed: This tool intentionally returns an error for testing",
            "error.message: \"by chance\" in it / \"This tool intentionally returns an error for testing\"",
            "error.retry_after: 3 / none",
        ]
    );
    let fault = &differences(&json, 4)[0];
    assert!(
        fault.starts_with("the call: the fault out-of-fuel / the fault invalid-arguments: "),
        "{fault}"
    );
    let text = &differences(&json, 5)[0];
    assert!(text.starts_with("text: \"good\" in it / "), "{text}");
    let unknown = &differences(&json, 6)[0];
    assert!(
        unknown.starts_with("the tool has no function `subtract`; it has add, "),
        "{unknown}"
    );
    assert_eq!(json["cases"][6]["bill"], Value::Null);

    let people = program.run(&["test", "everything.wasm"]);
    assert_eq!(people.code, 1);
    let wanted = "\nfailed all.toml: a sum\n  result.sum\n    expected  6\n    got       5\n";
    assert!(people.out.contains(wanted), "{}", people.out);
    assert!(people.err.contains("failed 7 of 8 cases"), "{}", people.err);
}

/// A bucket and a configured value, before and after.
const GREET: &str = r#"
[[case]]
name = "counts on"
function = "greet"
arguments = { name = "Ada" }
config = { greeting = "Hi" }
result = { times = 4, text = "Hi, Ada!" }
[case.kv.greeted]
entries = { Ada = "3", Bob = "1" }
after = { Ada = "4" }
"#;

#[test]
fn buckets_are_filled_before_and_compared_after() {
    let (_, json, code) = derived(GREET);
    assert_eq!(code, 0, "{json}");
    let needs = &json["cases"][0]["needs"];
    assert_eq!(needs[0]["what"], "config greeting");
    assert_eq!(needs[1]["what"], "kv greeted");
    let section = json["section"].as_str().expect("a section");
    assert_eq!(
        section,
        "[tool.everything]\ncomponent = \"everything.wasm\"\nconfig = { greeting = \"Hi\" }\n\n\
         [tool.everything.kv.greeted]\nbytes = \"1MiB\"\nkeys = 1000\n"
    );
    let wrong = GREET.replace(
        "after = { Ada = \"4\" }",
        "after = { Ada = \"5\" }\ngone = [\"Bob\"]",
    );
    let (_, json, _) = derived(&wrong);
    assert_eq!(
        differences(&json, 0),
        [
            "kv greeted[\"Ada\"]: \"5\" / \"4\"",
            "kv greeted[\"Bob\"]: nothing / \"1\""
        ]
    );
}

#[test]
fn what_tool_toml_does_not_grant_is_named() {
    let asks = "[tool.everything]\ncomponent = \"everything.wasm\"\n";
    let (_, json, code) = with_asks(Some(asks), GREET);
    assert_eq!(code, 1);
    assert_eq!(
        differences(&json, 0),
        [
            "tool.toml does not grant it: config greeting (write `config = { greeting = \"...\" }`)",
            "tool.toml does not grant it: kv greeted (write a section [tool.everything.kv.greeted])",
        ]
    );
    let granted = format!(
        "{asks}config = {{ greeting = \"Good day\" }}\n[tool.everything.kv.greeted]\nbytes = \"1KiB\"\nkeys = 9\n"
    );
    let (_, json, code) = with_asks(Some(&granted), GREET);
    assert_eq!(code, 0, "{json}");
    assert_eq!(json["cases"][0]["needs"][0]["by"], "config, line 3");
    assert_eq!(json["cases"][0]["needs"][1]["by"], "kv.greeted, line 4");
}

/// Runs cases of a real tool.
fn of_tool(name: &str, asks: Option<&str>, cases: &str) -> Value {
    let site = Site::empty();
    site.link(&tool(&format!("{name}.wasm")), &format!("{name}.wasm"));
    site.write("cases/all.toml", cases);
    if let Some(asks) = asks {
        site.write("tool.toml", asks);
    }
    let ended =
        Program::bare(site).run(&["test", "--component", &format!("{name}.wasm"), "--json"]);
    assert_ne!(ended.code, 2, "{ended:?}");
    ended.json()
}

const LOOK_UP: &str = r#"
[[case]]
name = "one"
function = "look_up"
arguments = { order_id = "A-1" }
env = { SHOP_URL = "https://shop.example" }
contains = { order_id = "A-1" }
[[case.http]]
request = "GET https://shop.example/orders/A-1"
json = { order_id = "A-1" }
"#;

#[test]
fn requests_and_exchanges_have_to_meet() {
    let passed = of_tool("orders", None, LOOK_UP);
    assert_eq!(passed["failed"], 0, "{passed}");
    assert_eq!(
        passed["cases"][0]["needs"][0]["what"],
        "GET https://shop.example/orders/A-1"
    );

    let more = format!("{LOOK_UP}[[case.http]]\nrequest = \"GET https://shop.example/stock/S1\"\n");
    let json = of_tool("orders", None, &more);
    assert_eq!(
        differences(&json, 0),
        ["the request GET https://shop.example/stock/S1 was not made"]
    );

    // Another number is asked for than the exchange is about: nothing grants it.
    let other = LOOK_UP.replace("order_id = \"A-1\" }\nenv", "order_id = \"A-2\" }\nenv");
    let said = differences(&of_tool("orders", None, &other), 0);
    assert!(
        said[0].starts_with("the call: a result / the error denied: "),
        "{said:?}"
    );
    assert_eq!(
        said[1],
        "the request GET https://shop.example/orders/A-1 was not made"
    );
    assert!(
        said[2].starts_with("no exchange is for the request GET https://shop.example/orders/A-2, which was refused: "),
        "{said:?}"
    );
}

#[test]
fn a_request_says_what_the_exchange_expects() {
    let refund = r#"
[[case]]
name = "one"
function = "refund"
arguments = { order_id = "A-1", reason = "broken" }
env = { SHOP_URL = "https://shop.example" }
contains = {}
[[case.http]]
request = "POST https://shop.example/refunds"
request_headers = { x-clerk = "Bob" }
json = { id = "R-1" }
"#;
    let said = differences(&of_tool("orders", None, refund), 0);
    assert!(
        said[0].starts_with("the call: a result / the error failed: "),
        "{said:?}"
    );
    assert_eq!(
        said[1],
        "no exchange is for the request POST https://shop.example/refunds: it has no header `x-clerk`, expected \"Bob\""
    );
    let body = refund.replace(
        "request_headers = { x-clerk = \"Bob\" }",
        "request_json = { order_id = \"A-2\", reason = \"broken\" }",
    );
    let said = differences(&of_tool("orders", None, &body), 0);
    assert_eq!(
        said[1],
        "no exchange is for the request POST https://shop.example/refunds: its body: $.order_id: expected \"A-2\", got \"A-1\""
    );
}

#[test]
fn the_rules_of_tool_toml_judge_as_ever() {
    let asks = "[tool.orders]\ncomponent = \"orders.wasm\"\nenv = { SHOP_URL = \"https://shop.example\" }\n\
                [tool.orders.http.shop]\nurl = \"https://shop.example\"\nallow = [\"GET /stock/*\"]\n";
    let json = of_tool("orders", Some(asks), LOOK_UP);
    let said = differences(&json, 0);
    assert!(
        said[0].starts_with("the call: a result / the error denied: "),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("tool.toml does not grant it: GET https://shop.example/orders/A-1 ("),
        "{said:?}"
    );
    assert_eq!(json["cases"][0]["bill"]["egress_requests"], 0);

    let denied = LOOK_UP
        .replace("json = { order_id = \"A-1\" }", "fails = \"denied\"")
        .replace(
            "contains = { order_id = \"A-1\" }",
            "error = { code = \"denied\" }",
        );
    assert_eq!(of_tool("orders", Some(asks), &denied)["failed"], 0);
    let granted = asks.replace("GET /stock/*", "GET /orders/*");
    let said = differences(&of_tool("orders", Some(&granted), &denied), 0);
    assert!(
        said.contains(&"the request GET https://shop.example/orders/A-1 was not refused: it was not made, or it is granted".to_owned()),
        "{said:?}"
    );
}

#[test]
fn networks_fail_as_they_do() {
    for (fails, code) in [("unreachable", "unavailable"), ("timeout", "unavailable")] {
        let case = LOOK_UP
            .replace(
                "json = { order_id = \"A-1\" }",
                &format!("fails = \"{fails}\""),
            )
            .replace(
                "contains = { order_id = \"A-1\" }",
                &format!("error = {{ code = \"{code}\" }}"),
            );
        let json = of_tool("orders", None, &case);
        assert_eq!(json["failed"], 0, "{json}");
    }
}

#[test]
fn files_are_there_before_and_compared_after() {
    let write = r#"
[[case]]
name = "one"
function = "write"
arguments = { path = "/drafts/new.md", text = "new" }
contains = { size = 3 }
[case.dir."/drafts"]
access = "read-write"
files = { "old.md" = "old", "deep/er.bin" = { base64 = "AP8=" }, "from.txt" = { file = "fixtures/from.txt" } }
after = { "new.md" = "new" }
"#;
    let site = |case: &str| {
        let site = Site::empty();
        site.link(&tool("files.wasm"), "files.wasm");
        site.write("cases/all.toml", case);
        site.write("cases/fixtures/from.txt", "from a file");
        Program::bare(site).run(&["test", "files.wasm", "--json"])
    };
    let passed = site(write);
    assert_eq!(passed.code, 0, "{passed:?}");
    assert_eq!(
        passed.json()["section"],
        "[tool.files]\ncomponent = \"files.wasm\"\n\n[tool.files.function.write.dir.drafts]\n\
         host = \"./drafts\"\nguest = \"/drafts\"\naccess = \"read-write\"\n"
    );
    let unexpected = site(&write.replace("after = { \"new.md\" = \"new\" }\n", "")).json();
    assert_eq!(
        differences(&unexpected, 0),
        ["/drafts/new.md: nothing / \"new\""]
    );
    let other = site(&write.replace(
        "after = {",
        "gone = [\"old.md\"]\nafter = { \"er.md\" = \"\",",
    ))
    .json();
    assert_eq!(
        differences(&other, 0),
        [
            "/drafts/er.md: \"\" / nothing",
            "/drafts/old.md: nothing / \"old\""
        ]
    );
}

#[test]
fn what_is_no_case_is_refused_with_its_place() {
    let begin = "[[case]]\nname = \"a\"\nfunction = \"add\"\n";
    for (cases, said) in [
        ("", "has no cases"),
        (begin, "says nothing of what has to come of it"),
        (
            &format!("{begin}result = {{}}\nfault = \"trapped\""),
            "at once: write one of them",
        ),
        (&format!("{begin}resault = {{}}"), "line 4, column 1"),
        (
            &format!("{begin}arguments = '[1]'\nresult = {{}}"),
            "must be a JSON object",
        ),
        (&format!("{begin}result = 'sum'"), "this text is not JSON"),
        (
            &format!("{begin}result = {{ at = 2026-01-01 }}"),
            "JSON has no dates",
        ),
        (
            &format!("{begin}result = {{}}\n{begin}result = {{}}"),
            "is there twice",
        ),
        (
            &format!("{begin}result = {{}}\n[[case.http]]\nrequest = \"https://a.example\""),
            "write a method and a URL",
        ),
        (
            &format!("{begin}result = {{}}\n[[case.http]]\nrequest = \"GET file:///etc\""),
            "only http and https",
        ),
        (
            &format!(
                "{begin}result = {{}}\n[[case.http]]\nrequest = \"GET https://a.example/\"\nfails = \"timeout\"\nstatus = 200"
            ),
            "it has no `status`",
        ),
        (
            &format!("{begin}result = {{}}\n[case.dir.\"/d\"]\nafter = {{ a = \"b\" }}"),
            "whose access is \"read\"",
        ),
        (
            &format!("{begin}result = {{}}\n[case.dir.\"/d\"]\nfiles = {{ \"../a\" = \"b\" }}"),
            "no path below",
        ),
        (
            &format!(
                "{begin}result = {{}}\n[case.dir.\"/d\"]\nfiles = {{ \"a\" = {{ file = \"/etc/passwd\" }} }}"
            ),
            "no path below the folder of cases",
        ),
        (
            &format!(
                "{begin}result = {{}}\n[case.dir.\"/d\"]\nfiles = {{ \"a\" = {{ base64 = \"?\" }} }}"
            ),
            "a text, { base64",
        ),
    ] {
        let err = unreadable(cases);
        assert!(err.contains(said), "{cases}\n-> {err}");
    }
    let program = Program::bare(Site::new());
    let none = program.run(&["test", "everything.wasm"]);
    assert!(
        none.code == 2 && none.err.contains("cases/*.toml"),
        "{none:?}"
    );
    let nothing = program.run(&["test"]);
    assert!(
        nothing.code == 2 && nothing.err.contains("toolhost build"),
        "{nothing:?}"
    );
}

const FROM_FILE: &str = r#"
[[case]]
name = "one"
function = "add"
arguments = { a = 2, b = 3 }
result = { sum = 5 }
[[case.http]]
request = "GET http://h.test/a"
body = { file = "NAME" }
"#;

#[test]
fn x54_files_of_cases_lead_nowhere_out_of_their_folder() {
    let site = Site::new();
    site.write("outside", "OUTSIDE");
    site.write("cases/inner/file", "inside");
    for (to, link) in [
        ("../outside", "link"),
        ("..", "up"),
        ("/etc", "etc"),
        ("inner/file", "fine"),
        ("inner/pipe", "waits"),
    ] {
        std::os::unix::fs::symlink(to, site.path(format!("cases/{link}"))).expect("a link");
    }
    let own = rustix::fs::Mode::RUSR;
    let pipe = site.path("cases/inner/pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, own).expect("a pipe");
    let program = Program::bare(site);
    let says = |name: &str| {
        let cases = FROM_FILE.replace("NAME", name);
        program.site.write("cases/all.toml", cases);
        program.run(&["test", "everything.wasm"])
    };
    for name in ["link", "up/outside", "etc/hostname", "waits", "inner"] {
        let ended = says(name);
        assert_eq!(ended.code, 2, "{name}: {ended:?}");
        assert!(ended.err.contains("cannot read"), "{name}: {ended:?}");
        assert!(!ended.err.contains("OUTSIDE"), "{ended:?}");
    }
    // It was read; that the tool makes no such request is another matter.
    assert_eq!(says("fine").code, 1);
    // Neither does a file of cases itself, nor what the author asks for.
    program.site.write("secret", "OUTSIDE = [");
    for name in ["cases/all.toml", "tool.toml"] {
        let path = program.site.path(name);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(program.site.path("secret"), &path).expect("a link");
        let ended = program.run(&["test", "everything.wasm"]);
        assert_eq!(ended.code, 2, "{name}: {ended:?}");
        assert!(!ended.err.contains("OUTSIDE"), "{name}: {ended:?}");
    }
}

#[test]
fn x55_what_is_held_of_files_of_cases_is_bounded_in_sum() {
    let site = Site::new();
    site.write("cases/big", "");
    let big = std::fs::File::create(site.path("cases/big")).expect("a file");
    big.set_len(32 << 20).expect("a hole");
    let one = |at: usize| {
        FROM_FILE
            .replace("NAME", "big")
            .replace("\"one\"", &format!("\"n{at}\""))
    };
    let cases: String = (0..9).map(one).collect();
    site.write("cases/all.toml", cases);
    let ended = Program::bare(site).run(&["test", "everything.wasm"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.err.contains("more bytes are held at once"),
        "{ended:?}"
    );
}
