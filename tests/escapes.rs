//! What a person reads of what others wrote: no command prints anything that a terminal acts on, and
//! what programs read stays JSON.

use serde_json::json;

use crate::harness::{Ended, Program};

/// It sets a title, clears the screen, colours by C1, turns text around, hides, and ends a line.
const EVIL: &str =
    "a\u{1b}]0;t\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\u{7f}\u{2028}\u{e0041}\r";

const MANIFEST: &str = r#"
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
log = "info"
[tool.rogue.http.api]
url = "https://api.example.com"
allow = ["GET /open/**"]
"#;

/// What a terminal would act on.
fn acting(text: &str) -> String {
    let acts = |c: &char| {
        c.is_control() && !matches!(c, '\n' | '\t') || EVIL.contains(*c) && *c > '\u{7f}'
    };
    text.chars().filter(acts).collect()
}

fn harmless(what: &str, ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        assert_eq!(acting(text), "", "{what}: {text:?}");
    }
}

#[test]
fn x44_no_command_prints_what_a_terminal_acts_on() {
    let program = Program::new(MANIFEST);
    let complaint = json!({ "message": EVIL }).to_string();
    let tell = |way: &str| json!({ "way": way, "text": EVIL }).to_string();
    let (text, structured, key, blob, link) = (
        tell("text"),
        tell("structured"),
        tell("key"),
        tell("blob"),
        tell("link"),
    );
    let (log, crash) = (tell("log"), tell("crash"));
    let request = format!("GET https://api.example.com/{EVIL}");
    let function = format!("rogue.{EVIL}");
    let commands: [&[&str]; 17] = [
        &["call", "rogue.tell", &text],
        &["call", "rogue.tell", &structured],
        &["call", "rogue.tell", &key],
        &["call", "rogue.tell", &blob],
        &["call", "rogue.tell", &link],
        &["call", "rogue.tell", &log],
        &["call", "rogue.tell", &crash],
        &["call", "rogue.complain", &complaint],
        &["call", &function],
        &["call", "rogue.tell", EVIL],
        &["call", "rogue.tell", "--caller", EVIL],
        &["explain", "rogue", "--request", &request],
        &["explain", EVIL],
        &["list", "--caller", EVIL],
        &["connect", EVIL],
        &["new", EVIL],
        &[EVIL],
    ];
    let mut escaped = 0;
    for command in commands {
        for more in [&[][..], &["--json"]] {
            let ended = program.run(&[command, more].concat());
            harmless(&format!("{command:?}"), &ended);
            escaped += usize::from((ended.out + &ended.err).contains("\\u"));
        }
    }
    assert!(
        escaped > 15,
        "only {escaped} of them had anything to escape"
    );
    for more in [&[][..], &["--json"], &["--attempts"]] {
        harmless("show", &program.run(&[&["ledger", "show"], more].concat()));
    }

    // A program reads what was said, and not how it is shown.
    let told = program.run(&["call", "rogue.tell", &tell("structured"), "--json"]);
    let told = told.json();
    assert_eq!(told["structured"]["a"][1]["c"], EVIL, "{told}");
}

#[test]
fn x44_neither_does_what_is_said_of_files_and_records() {
    let program = Program::new(MANIFEST);
    let name = format!("{EVIL}.wasm");
    let text = "(module (import \"env\" \"NAME\" (func)))";
    let module = wat::parse_str(text.replace("NAME", "x\\0a\\1b]0;t\\07\\1b[2J\\e2\\80\\ae"));
    program.site.write(&name, module.expect("a module"));
    for command in [
        &["inspect", &name][..],
        &["inspect", "--json", &name],
        &["add", &name],
        &["add", "--dry-run", &name],
        &["build", EVIL],
        &["test", EVIL],
    ] {
        harmless(&format!("{command:?}"), &program.run(command));
    }

    assert_eq!(
        program
            .run(&["call", "everything.add", r#"{"a":1,"b":2}"#])
            .code,
        0
    );
    let record = format!(".toolhost/ledger/{EVIL}.jsonl");
    program
        .site
        .write(&record, format!("{{\"seq\":0,\"kind\":\"{EVIL}\"}}\n"));
    for more in [&[][..], &["--json"]] {
        let verified = program.run(&[&["ledger", "verify"], more].concat());
        harmless("verify", &verified);
        harmless("show", &program.run(&[&["ledger", "show"], more].concat()));
    }

    let manifest = program.site.read("toolhost.toml");
    let odd = format!("{manifest}odd = \"{}\"\n", EVIL.escape_unicode());
    for text in [
        odd,
        format!("{manifest}{EVIL}"),
        format!("{manifest}# {EVIL}\n"),
    ] {
        program.site.write("toolhost.toml", text);
        for command in [&["check"][..], &["check", "--json"], &["lock"], &["serve"]] {
            let ended = program.run(command);
            assert_ne!(ended.code, 0, "{ended:?}");
            harmless(&format!("{command:?}"), &ended);
        }
    }
}
