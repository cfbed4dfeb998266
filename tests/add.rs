//! `toolhost add`: what it writes, what it shows before, and what it does not let in, whatever a
//! component says that it asks for.

use serde_json::json;
use toolhost_runtime::compile::embedded_manifest;

use crate::harness::{Program, Site, checkout, guest, tool};

/// A folder whose manifest's folder is `here`, with a component outside of it that carries a text.
fn site(component: &std::path::Path, asks: Option<&str>) -> Site {
    let bytes = std::fs::read(component).expect("a component");
    let bytes = match asks {
        Some(asks) => embedded_manifest::embed(&bytes, asks).expect("a component"),
        None => bytes,
    };
    let site = Site::empty();
    site.write("made/it.wasm", bytes);
    site
}

fn here(site: Site) -> Program {
    // The folder of the manifest is not the one of the component.
    std::fs::create_dir(site.path("here")).expect("a folder");
    Program::bare(site)
}

const ADD: [&str; 4] = ["--manifest", "here/toolhost.toml", "add", "made/it.wasm"];

fn add(program: &Program, more: &[&str]) -> crate::harness::Ended {
    program.run(&[&ADD, more].concat())
}

/// Nothing was written.
fn untouched(program: &Program) -> bool {
    let mut there = std::fs::read_dir(program.site.path("here")).expect("a folder");
    there.all(|entry| entry.expect("an entry").file_name() == ".toolhost")
}

const ASKS: &str = "# Greets people.
[tool.hello]
component = \"../target/hello.wasm\"   # as the checkout has it
# What went wrong is looked for in the log.
log = \"info\"
";

#[test]
fn a_manifest_is_made_where_there_is_none() {
    let program = here(site(&guest("hello.wasm"), Some(ASKS)));
    let ended = add(&program, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        program.site.read("here/toolhost.toml"),
        "schema = 1\n\n# Greets people.\n[tool.hello]\ncomponent = \"tools/hello.wasm\"\n\
         # What went wrong is looked for in the log.\nlog = \"info\"\n"
    );
    let shown = "What went wrong is looked for in the log.";
    assert!(
        ended.out.contains(shown) && ended.out.contains("+ functions greet"),
        "{}",
        ended.out
    );
    assert!(program.site.path("here/tools/hello.wasm").is_file());
    assert!(
        program
            .site
            .read("here/toolhost.lock")
            .contains("name = \"hello\"")
    );
    // It can be called at once.
    let called = program.run(&[
        "--manifest",
        "here/toolhost.toml",
        "call",
        "hello.greet",
        r#"{"name": "Ada"}"#,
    ]);
    assert_eq!(
        (called.code, called.out.as_str()),
        (0, "Hello, Ada!\n"),
        "{called:?}"
    );
}

#[test]
fn what_was_there_stays_byte_for_byte() {
    let program = here(site(&guest("hello.wasm"), Some(ASKS)));
    add(&program, &[]);
    let lock = program.site.read("here/toolhost.lock");
    let before = "schema=1   # mine\r\n\n[ tool . 'first' ]\ncomponent = 'tools/hello.wasm'\n\n[host]\nqueue = 7";
    program.site.write("here/toolhost.toml", before);
    let ended = add(&program, &["--name", "second", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let after = program.site.read("here/toolhost.toml");
    assert!(
        after.starts_with(&format!("{before}\n\n# Greets people.\n[tool.second]\n")),
        "{after}"
    );
    let json = ended.json();
    assert_eq!(
        (&json["tool"], &json["component"]),
        (&json!("second"), &json!("tools/second.wasm"))
    );
    assert_eq!(
        json["asks"][0]["why"],
        "What went wrong is looked for in the log."
    );
    let locked = program.site.read("here/toolhost.lock");
    assert!(
        locked.starts_with(lock.trim_end()),
        "the others stay locked as they were"
    );

    let again = add(&program, &["--name", "second"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(
        again.err.contains("there is a tool `second` on line"),
        "{again:?}"
    );
    assert!(program.site.read("here/toolhost.toml") == after);
}

#[test]
fn a_component_beside_the_manifest_stays_where_it_is() {
    let site = site(&guest("hello.wasm"), Some(ASKS));
    site.write(
        "here/parts/hello.wasm",
        std::fs::read(site.path("made/it.wasm")).expect("it"),
    );
    let program = Program::bare(site);
    let ended = program.run(&[
        "--manifest",
        "here/toolhost.toml",
        "add",
        "here/parts/hello.wasm",
    ]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let text = program.site.read("here/toolhost.toml");
    assert!(text.contains("component = \"parts/hello.wasm\""), "{text}");
    assert!(!program.site.path("here/tools").exists());
}

#[test]
fn nothing_is_written_where_it_is_only_shown() {
    let program = here(site(&guest("hello.wasm"), Some(ASKS)));
    let ended = add(&program, &["--dry-run"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("[tool.hello]"), "{ended:?}");
    assert!(untouched(&program));
}

#[test]
fn one_that_asks_for_nothing_gets_nothing_but_examples() {
    let program = here(site(&tool("fetch.wasm"), None));
    let ended = add(&program, &["--name", "fetch"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let text = program.site.read("here/toolhost.toml");
    assert!(text.contains("# [tool.fetch.http.api]\n"), "{text}");
    let check = program
        .run(&["--manifest", "here/toolhost.toml", "check", "--json"])
        .json();
    assert_eq!(check["tools"]["fetch"]["granted"], json!([]));
}

#[test]
fn the_six_tools_can_be_added_as_they_ask() {
    for name in ["fetch", "files", "github", "jq", "orders", "table"] {
        let asks = std::fs::read_to_string(checkout().join("tools").join(name).join("tool.toml"));
        let program = here(site(
            &tool(&format!("{name}.wasm")),
            Some(&asks.expect("a tool.toml")),
        ));
        let mut more = Vec::new();
        if name == "github" {
            let ended = add(&program, &[]);
            assert_eq!(ended.code, 2, "{ended:?}");
            for said in [
                "carry a secret `github`",
                "[secret.github]\nenv = \"GITHUB_TOKEN\"",
            ] {
                assert!(ended.err.contains(said), "{ended:?}");
            }
            let secret = "schema = 1\n[secret.github]\nenv = \"GITHUB_TOKEN\"\n\
                          [tool.other]\ncomponent = \"o.wasm\"\n[tool.other.http.a]\n\
                          url = \"https://a.example\"\nallow = [\"GET /\"]\nauth = { bearer = \"github\" }\n";
            program.site.write("here/toolhost.toml", secret);
            // A credential goes nowhere because a component says so.
            let ended = add(&program, &[]);
            assert!(
                ended.code == 2 && ended.err.contains("add --secret github"),
                "{ended:?}"
            );
            assert_eq!(program.site.read("here/toolhost.toml"), secret);
            more = vec!["--secret", "github"];
        }
        let ended = add(&program, &more);
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
        let text = program.site.read("here/toolhost.toml");
        assert!(text.contains(&format!("[tool.{name}]\n")), "{text}");
        assert!(
            text.contains(&format!("component = \"tools/{name}.wasm\"")),
            "{text}"
        );
        if name == "orders" {
            assert!(
                ended
                    .out
                    .contains("reaches the private network 127.0.0.0/8"),
                "{}",
                ended.out
            );
            assert!(
                ended.out.contains("Only this function may move money."),
                "{}",
                ended.out
            );
        }
    }
}

/// What strangers may try, and what is said of it. Nothing is written, whatever it is.
#[test]
fn hostile_wishes_get_nothing() {
    let tool = "[tool.hello]\ncomponent = \"h.wasm\"\n";
    let http = |key: &str| {
        format!(
            "{tool}[tool.hello.http.a]\nurl = \"https://a.example\"\nallow = [\"GET /\"]\n{key}\n"
        )
    };
    let dir = |host: &str| {
        format!("{tool}[tool.hello.dir.a]\nhost = \"{host}\"\nguest = \"/a\"\naccess = \"read\"\n")
    };
    for (asks, said) in [
        (format!("{tool}[host]\nqueue = 1\n"), "unknown key `host`"),
        (format!("{tool}[limits]\nfuel = 1\n"), "unknown key `limits`"),
        (format!("{tool}[caller.eve]\nstdio = true\nmay = [\"*\"]\n"), "unknown key `caller`"),
        (format!("schema = 1\n{tool}"), "unknown key `schema`"),
        (format!("{tool}[tool.other]\ncomponent = \"o.wasm\"\n"), "may only speak of its own"),
        ("# nothing\n".to_owned(), "0 tools"),
        (format!("{tool}[secret.aws]\nenv = \"AWS_SECRET_ACCESS_KEY\"\n"), "aws"),
        ("tool = { hello = { component = \"h.wasm\" } }\n".to_owned(), "in sections"),
        ("tool.hello.component = \"h.wasm\"\n".to_owned(), "in sections"),
        ("[tool]\nhello.component = \"h.wasm\"\n".to_owned(), "in sections"),
        (format!("{tool}# \u{202e}gnihton\n"), "a character that nobody sees (\\u{202e}) on line 3"),
        (format!("{tool}# \u{1b}[2J\n"), "a character that nobody sees (\\u{1b}) on line 3"),
        (format!("{tool}[tool.hello"), "cannot be used"),
        (dir("../.."), "could read the host's state"),
        (dir("a/../../b"), "is not below the manifest's folder"),
        (dir("/etc"), "is not below the manifest's folder"),
        (dir(".toolhost"), "could read the host's state"),
        (dir("../notes"), "is not below the manifest's folder"),
        (http("proxy = \"http://p.example\""), "the operator's to say"),
        (http("client_cert = \"a.pem\"\nclient_key = \"a.key\""), "the operator's to say"),
        (http("auth = { bearer = \"shop\" }"), "shop"),
        ("[tool.hello.http.a]\nurl = \"http://169.254.169.254\"\nallow = [\"GET /**\"]\n[tool.hello]\ncomponent = \"h.wasm\"\n".to_owned(), "can never connect"),
    ] {
        let program = here(site(&guest("hello.wasm"), Some(&asks)));
        let ended = add(&program, &[]);
        assert_eq!(ended.code, 2, "{asks}\n{ended:?}");
        assert!(ended.err.contains(said), "{asks}\n-> {}", ended.err);
        assert!(!ended.err.contains(['\u{202e}', '\u{1b}']), "{}", ended.err);
        assert!(untouched(&program), "{asks}");
    }
}

#[test]
fn a_manifest_that_is_not_sound_is_left_alone() {
    let program = here(site(&guest("hello.wasm"), Some(ASKS)));
    for before in ["schema = 1\nqueue = 1\n", "schema = 1\ntool = {}\n"] {
        program.site.write("here/toolhost.toml", before);
        let ended = add(&program, &[]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert_eq!(program.site.read("here/toolhost.toml"), before);
        assert!(!program.site.path("here/toolhost.lock").exists());
        assert!(!program.site.path("here/tools").exists());
    }
}

/// Prints a line and ends, as programs of WASI preview 1 do.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "hello\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 8))
        (i32.store (i32.const 4) (i32.const 6))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;

fn module(text: &str) -> Program {
    let site = Site::empty();
    site.write("made/it.wasm", wat::parse_str(text).expect("a text"));
    here(site)
}

#[test]
fn a_program_of_preview_1_becomes_a_component() {
    let program = module(PROGRAM);
    let ended = add(&program, &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.err.contains("say there what its functions are"),
        "{ended:?}"
    );
    let text = program.site.read("here/toolhost.toml");
    assert!(text.contains("# [tool.it.command.run]\n"), "{text}");
    let inspected = program.run(&["inspect", "here/tools/it.wasm", "--json"]);
    assert_eq!(inspected.json()["kind"], "command", "{inspected:?}");

    let described = format!("{text}\n[tool.it.command.say]\ndescription = \"Says hello.\"\n");
    program.site.write("here/toolhost.toml", described);
    let lock = program.run(&["--manifest", "here/toolhost.toml", "lock"]);
    assert_eq!(lock.code, 0, "{lock:?}");
    let called = program.run(&["--manifest", "here/toolhost.toml", "call", "it.say"]);
    assert_eq!(called.code, 0, "{called:?}");
    assert_eq!(called.out.trim_end(), "hello", "{called:?}");
}

#[test]
fn modules_that_nobody_else_can_run_are_refused() {
    for (text, said) in [
        (
            PROGRAM.replace(
                "(memory (export",
                "(import \"env\" \"grow\" (func)) (memory (export",
            ),
            "imports `env.grow`",
        ),
        ("(module)".to_owned(), "asks for nothing"),
        (PROGRAM.replace("fd_write\"", "fd_wrote\""), "fd_wrote"),
    ] {
        let program = module(&text);
        let ended = add(&program, &[]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
        assert!(untouched(&program));
    }
    let whole = wat::parse_str(PROGRAM).expect("a text");
    let site = Site::empty();
    site.write("made/it.wasm", &whole[..whole.len() - 9]);
    let program = here(site);
    let ended = add(&program, &[]);
    assert!(
        ended.code == 2 && ended.err.contains("damaged or cut off"),
        "{ended:?}"
    );
    assert!(untouched(&program));
}

#[test]
fn a_component_that_does_not_compile_changes_nothing() {
    let site = Site::empty();
    site.write(
        "made/it.wasm",
        wat::parse_str("(component)").expect("a text"),
    );
    let program = here(site);
    let ended = add(&program, &[]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        !program.site.path("here/toolhost.toml").exists(),
        "{ended:?}"
    );
    assert!(
        !program.site.path("here/tools/it.wasm").exists(),
        "{ended:?}"
    );
}

/// Whatever `add` refuses its dry run refuses, with the same words, and neither leaves anything.
#[test]
fn x46_a_dry_run_refuses_what_add_refuses() {
    let parsed = |text: &str| wat::parse_str(text).expect("a text");
    let command = parsed(PROGRAM);
    let damaged = command
        .get(..command.len() - 9)
        .unwrap_or_default()
        .to_vec();
    // Only who compiles it sees: a function's body does not fit its type.
    let invalid = "(component (core module $m (func (export \"f\") (result i32) nop))
        (core instance $i (instantiate $m))
        (func (export \"f\") (result s32) (canon lift (core func $i \"f\"))))";
    let cases: [(&str, Vec<u8>); 9] = [
        ("nothing", Vec::new()),
        ("text", b"(module)".to_vec()),
        ("zip", b"PK\x03\x04 and so on".to_vec()),
        ("a header", b"\0asm\x0d\0\x01\0".to_vec()),
        ("another version", b"\0asm\xff\xff\x01\0".to_vec()),
        ("no function", parsed("(component)")),
        (
            "an unknown import",
            parsed("(component (import \"a:b/c\" (instance)))"),
        ),
        ("cut off", damaged),
        ("unsound", parsed(invalid)),
    ];
    for (what, bytes) in cases {
        let site = Site::empty();
        site.write("made/it.wasm", bytes);
        let program = here(site);
        let dry = add(&program, &["--dry-run"]);
        assert_eq!(dry.code, 2, "{what}: {dry:?}");
        let left = std::fs::read_dir(program.site.path("here"))
            .expect("a folder")
            .count();
        assert_eq!(left, 0, "{what}");
        let real = add(&program, &[]);
        assert_eq!((dry.code, dry.err), (real.code, real.err), "{what}");
        assert!(!program.site.path("here/toolhost.toml").exists(), "{what}");
        assert!(!program.site.path("here/tools").exists(), "{what}");
    }
}

#[test]
fn x46_a_dry_run_says_what_stands_in_the_way_of_a_write() {
    let site = site(&guest("hello.wasm"), Some(ASKS));
    let program = here(site);
    program
        .site
        .write("here/toolhost.lock", "schema = 1\nodd = 1\n");
    let dry = add(&program, &["--dry-run"]);
    assert_eq!(dry.code, 2, "{dry:?}");
    assert!(
        dry.err.contains("odd") && dry.err.contains("lock file"),
        "{dry:?}"
    );
    let real = add(&program, &[]);
    assert_eq!((dry.code, dry.err), (real.code, real.err));
    assert!(!program.site.path("here/toolhost.toml").exists());
    std::fs::remove_file(program.site.path("here/toolhost.lock")).expect("a file");
    program
        .site
        .write("here/tools", "a file where a folder is to be");
    let dry = add(&program, &["--dry-run"]);
    assert!(dry.code == 2 && dry.err.contains("here/tools"), "{dry:?}");
}

#[test]
fn x46_no_separator_of_lines_gets_into_a_manifest() {
    for separator in ['\u{2028}', '\u{2029}', '\u{85}', '\u{b}', '\u{c}'] {
        let asks = format!("# It{separator}[tool.other]\n[tool.hello]\ncomponent = \"x\"\n");
        let program = here(site(&guest("hello.wasm"), Some(&asks)));
        let ended = add(&program, &[]);
        assert_eq!(ended.code, 2, "{separator:?}: {ended:?}");
        assert!(
            ended.err.contains("a character that nobody sees"),
            "{ended:?}"
        );
        assert!(untouched(&program));
    }
}

#[test]
fn x56_several_that_are_added_at_once_are_each_there_whole_or_can_be_added_again() {
    let program = here(site(&guest("hello.wasm"), None));
    let names = ["one", "two", "three", "four"];
    let all = std::thread::scope(|scope| {
        let each = |name: &'static str| {
            let program = &program;
            scope.spawn(move || add(program, &["--name", name]))
        };
        let all: Vec<_> = names.into_iter().map(each).collect();
        let ended = all.into_iter().map(|one| one.join().expect("an end"));
        ended.collect::<Vec<_>>()
    });
    assert!(all.iter().any(|one| one.code == 0), "{all:?}");
    for (name, first) in names.into_iter().zip(all) {
        let written = program.site.read("here/toolhost.toml");
        let there = written.contains(&format!("[tool.{name}]"));
        assert_eq!(there, first.code == 0, "{first:?}");
        let file = program.site.path(format!("here/tools/{name}.wasm"));
        assert_eq!(file.exists(), first.code == 0, "{first:?}");
        if first.code != 0 {
            assert!(first.err.contains("run it again"), "{first:?}");
            let again = add(&program, &["--name", name]);
            assert_eq!(again.code, 0, "{again:?}");
        }
    }
    let checked = program.run(&["--manifest", "here/toolhost.toml", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let left = std::fs::read_dir(program.site.path("here/tools")).expect("a folder");
    assert_eq!(left.count(), names.len(), "nothing is left beside them");
}

#[test]
fn x58_a_tool_does_not_inherit_what_another_of_its_name_kept_unless_it_is_said() {
    let program = here(site(&guest("everything.wasm"), None));
    let cli = |arguments: &[&str]| {
        program.run(&[&["--manifest", "here/toolhost.toml"], arguments].concat())
    };
    program.site.write(
        "here/notes.wasm",
        std::fs::read(guest("everything.wasm")).expect("a component"),
    );
    let notes = "[tool.notes]\ncomponent = \"notes.wasm\"\nconfig = { greeting = \"Hi\" }\n\
                 [tool.notes.kv.greeted]\nbytes = \"1MiB\"\nkeys = 100\n";
    let write = |tools: &str| {
        let text = format!("schema = 1\n{tools}");
        program.site.write("here/toolhost.toml", text);
        let locked = cli(&["lock"]);
        assert_eq!(locked.code, 0, "{locked:?}");
    };
    write(notes);
    let kept = cli(&["call", "notes.greet", r#"{"name": "Ada"}"#]);
    assert_eq!(kept.code, 0, "{kept:?}");
    write("");
    let refused = add(&program, &["--name", "notes"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("in 1 buckets") && refused.err.contains("--keep-buckets"));
    assert!(!program.site.read("here/toolhost.toml").contains("notes"));
    assert_eq!(add(&program, &["--name", "note"]).code, 0);
    let said = add(&program, &["--name", "notes", "--keep-buckets"]);
    assert_eq!(said.code, 0, "{said:?}");
    // One that an operator wrote there is named when it is locked.
    write("");
    program
        .site
        .write("here/toolhost.toml", format!("schema = 1\n{notes}"));
    let locked = cli(&["lock"]);
    assert!(locked.err.contains("a tool `notes` kept"), "{locked:?}");
}
