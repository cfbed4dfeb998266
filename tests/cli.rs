//! The program as its operator types it: what it prints, and with which exit code. 0: it did what
//! was asked; 1: the answer is no; 2: it could not.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Agent, Program, Site, speak};

const MANIFEST: &str = r#"
[host]
agents = ["unix:a/agent.sock", "http://127.0.0.1:7420"]
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
limits = { fuel = 50_000_000 }
[tool.rogue.function.get.http.api]
url = "https://api.example.com"
allow = ["GET /open/**", "POST /open/a"]
"#;

#[test]
fn check_says_what_each_tool_gets() {
    let program = Program::new(MANIFEST);
    let ended = program.run(&["check"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.out.contains("http https://api.example.com"),
        "{ended:?}"
    );
    let json = program.run(&["check", "--json"]).json();
    assert_eq!(json["ok"], true);
    assert!(
        json["tools"]["rogue"]["imports"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    assert!(!program.site.path("a").exists(), "nothing is opened");
}

#[test]
fn check_names_every_kind_of_grant_and_what_is_imported_without_one() {
    let grants = r#"
env = { A = "b" }
config = { greeting = "Hi" }
log = "info"
[tool.rogue.kv.seen]
bytes = "1KiB"
keys = 10
[tool.rogue.dir.here]
host = "here"
guest = "/here"
access = "read"
[tool.rogue.http.api]
url = "https://api.example.com"
allow = ["GET /open/**"]
"#;
    let tool = "[tool.rogue]\ncomponent = \"rogue.wasm\"\n";
    let tools = |text: &str| {
        let site = Site::new();
        std::fs::create_dir(site.path("here")).expect("a folder");
        let checked = Program::at(site, text).run(&["check", "--json"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        checked.json()["tools"]["rogue"].clone()
    };
    let all = ["http", "dir", "env", "kv", "config", "log"];
    let granted = tools(&format!("{tool}{grants}"));
    assert_eq!(granted["imported_not_granted"], json!([]));
    let words = granted["granted"].as_array().expect("grants").iter();
    let kinds: Vec<&str> = words
        .filter_map(|word| word.as_str()?.split(' ').next())
        .collect();
    assert_eq!(kinds, all);
    let bare = tools(tool);
    assert_eq!(bare["imported_not_granted"], json!(all));
    assert_eq!(bare["granted"], json!([]));
}

#[test]
fn list_shows_what_agents_see() {
    let program = Program::new(MANIFEST);
    let ended = program.run(&["list"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("everything.add"), "{ended:?}");
    let json = program.run(&["list", "--json"]).json();
    let functions = json.as_array().expect("a list");
    let add = functions
        .iter()
        .find(|one| one["function"] == "everything.add")
        .expect("add");
    assert_eq!(add["agent_name"], "everything_add");
    assert_eq!(add["annotations"]["read_only"], true);
    assert_eq!(add["definition"]["input_schema"]["type"], "object");
    let nobody = program.run(&["list", "--caller", "nobody"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.err.contains("[caller.nobody]"), "{nobody:?}");
}

#[test]
fn call_prints_the_answer_and_its_bill() {
    let program = Program::new(MANIFEST);
    let call = |arguments: &[&str]| program.run(&[&["call"], arguments].concat());
    let ended = call(&["everything.add", r#"{"a":2,"b":3}"#, "--bill"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).expect("only the answer");
    assert_eq!(answer, json!({ "sum": 5 }));
    let bill = ended.err.to_lowercase();
    assert!(
        bill.contains("fuel") && bill.contains("peak memory"),
        "{bill}"
    );

    let json = call(&["everything.add", r#"{"a":2,"b":3}"#, "--json"]).json();
    assert_eq!(
        (&json["outcome"], &json["structured"]),
        (&json!("ok"), &json!({ "sum": 5 }))
    );
    assert!(
        json["bill"]["fuel"].as_u64().is_some_and(|fuel| fuel > 0),
        "{json}"
    );

    for (arguments, words) in [
        (&["rogue.spin"][..], "out-of-fuel"),
        (&["everything.add", r#"{"a":2}"#], "invalid-arguments"),
        (&["everything.nothing"], "unknown-function"),
        (&["everything.error_handling"], "tool error"),
    ] {
        let ended = call(arguments);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains(words), "{ended:?}");
        assert_eq!(ended.out, "", "{ended:?}");
    }
    for (arguments, words) in [
        (&["everything.add", "{"][..], "not JSON"),
        (&["everything.add", "[]"], "JSON object"),
        (&["everything"], "tool.function"),
        (
            &["everything.add", "{}", "--caller", "nobody"],
            "[caller.nobody]",
        ),
    ] {
        let ended = call(arguments);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(words), "{ended:?}");
    }
}

#[test]
fn explain_names_the_rule_and_its_line() {
    let program = Program::new(MANIFEST);
    let asked = |tool: &str, request: &str| program.run(&["explain", tool, "--request", request]);
    let text = program.site.read("toolhost.toml");
    let line = 1 + text
        .lines()
        .position(|line| line.starts_with("allow"))
        .expect("a rule");
    let allowed = asked("rogue.get", "GET https://api.example.com/open/a/b");
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(
        allowed
            .out
            .contains(&format!("grant api, line {line}: GET /open/**")),
        "{allowed:?}"
    );

    for (tool, request) in [
        ("rogue.get", "GET https://api.example.com/closed"),
        ("rogue.get", "DELETE https://api.example.com/open/a"),
        ("rogue.get", "GET https://other.example.com/open/a"),
        ("rogue.get", "GET https://api.example.com/open/../closed"),
        ("rogue.post", "POST https://api.example.com/open/a"),
    ] {
        let denied = asked(tool, request);
        assert_eq!(denied.code, 1, "{request}: {denied:?}");
        assert!(denied.out.contains("denied"), "{denied:?}");
    }
    let all = program.run(&["explain", "rogue"]);
    assert_eq!(all.code, 0, "{all:?}");
    assert!(all.out.contains(&format!("line {line:>4}")), "{all:?}");
    assert_eq!(program.run(&["explain", "nothing"]).code, 2);
    let typo = program.run(&["explain", "rogue.spinn"]);
    assert_eq!(typo.code, 2);
    assert!(typo.err.contains("no function `spinn`"), "{typo:?}");
    assert_eq!(asked("rogue.get", "nonsense").code, 2);
}

#[test]
fn n66_n67_explain_judges_query_and_body() {
    let text = r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.api]
url = "https://api.example.com"
[[tool.rogue.http.api.allow]]
rule = "POST /email"
body.to = { required = true, equals = "url" }
"#;
    let program = Program::new(text);
    let explain = |query: &str, body: &str, arguments: &str| {
        let request = format!("POST https://api.example.com/email{query}");
        let typed = [
            "--request",
            &request,
            "--body",
            body,
            "--arguments",
            arguments,
        ];
        program.run(&[&["explain", "rogue.raw"][..], &typed].concat())
    };
    let url = r#"{"url": "a"}"#;
    let allowed = explain("", r#"{"to": "a"}"#, url);
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(allowed.out.contains("line 8: POST /email"), "{allowed:?}");
    for (query, body, words) in [
        (
            "",
            r#"{"to": "b"}"#,
            "`/to` is not what the call's argument `url` is",
        ),
        (
            "",
            r#"{"to": "a", "bcc": "b"}"#,
            "`/bcc` is not listed by the rule; it lists `to`",
        ),
        ("", "", "the rule requires a field of it"),
        ("?to=b", r#"{"to": "a"}"#, "`to` is not listed by the rule"),
    ] {
        let denied = explain(query, body, url);
        assert_eq!(denied.code, 1, "{denied:?}");
        assert!(denied.out.contains(words), "{words}: {denied:?}");
    }
    let typo = explain("", "{}", "to");
    assert_eq!(typo.code, 2, "{typo:?}");
    let alone = program.run(&["explain", "rogue.raw", "--body", "{}"]);
    assert_eq!(alone.code, 2, "{alone:?}");
}

#[test]
fn check_names_the_file_that_requests_cannot_use() {
    let text = r#"
[host.egress]
ca = "ca.pem"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.api]
url = "https://api.example.com"
allow = ["GET /"]
"#;
    let program = Program::new(text);
    let ended = program.run(&["check"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("ca.pem"), "{ended:?}");

    // Who could change it could read what is sent.
    program.site.write("ca.pem", "");
    let mode = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(program.site.path("ca.pem"), mode).expect("a mode");
    let ended = program.run(&["check"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("chmod"), "{ended:?}");
}

/// With all of loopback granted, and by address, name and redirect alike, a tool does not talk to
/// the host that runs it.
#[tokio::test]
async fn n55_no_tool_reaches_the_hosts_own_door() {
    // An address of loopback that no other test listens at.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let door = format!("127.{}.{middle}.{low}:7455", 128 | high);
    let text = format!(
        r#"
[host]
agents = ["unix:a/agent.sock", "http://{door}"]
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.host]
url = "http://{door}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
"#
    );
    let program = Program::new(&text);
    let _serving = program.serve().await;
    let mut agent = speak(&program.site.path("a/agent.sock")).await;
    agent.initialize().await;
    let url = format!("http://{door}/mcp");
    let answer = agent
        .call(json!(1), "rogue_get", json!({ "url": url }))
        .await;
    assert!(answer.to_string().contains("(own-door)"), "{answer}");

    // Nor does one that runs in another process of this host.
    let arguments = json!({ "url": url }).to_string();
    let ended = program.run(&["call", "rogue.get", &arguments]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(format!("{ended:?}").contains("(own-door)"), "{ended:?}");
}

#[test]
fn whoever_stops_reading_is_no_failure() {
    let program = Program::new("[tool.hello]\ncomponent = \"hello.wasm\"\n");
    for arguments in [
        &["list"][..],
        &["check"],
        &["call", "hello.greet", r#"{"name":"Ada"}"#],
        &["ledger", "verify"],
    ] {
        let ended = program.run_unread(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }
}

#[test]
fn lock_shows_what_changed() {
    let text = "schema = 1\n[tool.one]\ncomponent = \"one.wasm\"\n";
    let program = Program::unlocked(Site::new(), text);
    program
        .site
        .link(&program.site.path("hello.wasm"), "one.wasm");
    let refused = program.run(&["check"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("toolhost lock"), "{refused:?}");

    let first = program.run(&["lock"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(
        first.out.contains("+ new") && first.out.contains("+ functions greet"),
        "{first:?}"
    );
    let locked = program.site.read("toolhost.lock");
    let again = program.run(&["lock"]);
    assert!(again.err.contains("nothing changed"), "{again:?}");
    assert_eq!(program.site.read("toolhost.lock"), locked);
    assert_eq!(program.run(&["check"]).code, 0);

    std::fs::remove_file(program.site.path("one.wasm")).expect("the link");
    program
        .site
        .link(&program.site.path("json.wasm"), "one.wasm");
    let refused = program.run(&["check"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.err.contains("changed since it was locked"),
        "{refused:?}"
    );
    let changed = program.run(&["lock", "--json"]).json();
    let lines = changed[0]["lines"].to_string();
    for words in [
        "~ sha256",
        "- function greet",
        "+ function schema_2020_12_tool",
    ] {
        assert!(lines.contains(words), "{lines}");
    }
}

#[test]
fn a_manifest_that_is_wrong_is_told_with_exit_code_2() {
    let text = "schema = 1\n[tool.one]\ncomponent = \"one.wasm\"\nfuell = 7\n";
    let program = Program::unlocked(Site::empty(), text);
    for command in ["check", "list", "serve", "lock"] {
        let ended = program.run(&[command]);
        assert_eq!(ended.code, 2, "{command}: {ended:?}");
        assert!(
            ended.err.contains("toolhost.toml:4") && ended.err.contains("fuell"),
            "{ended:?}"
        );
        assert_eq!(ended.out, "");
    }
    let ended = program.run(&["check", "--manifest", "nowhere.toml"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("nowhere.toml"), "{ended:?}");
    assert_eq!(program.run(&["dance"]).code, 2);
}

#[test]
fn x13_one_flipped_bit_of_the_ledger_is_found() {
    let program = Program::new(MANIFEST);
    for _ in 0..2 {
        assert_eq!(
            program
                .run(&["call", "everything.add", r#"{"a":2,"b":3}"#])
                .code,
            0
        );
    }
    let ended = program.run(&["ledger", "verify"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let shown = program.run(&["ledger", "show"]);
    assert_eq!(
        (shown.code, shown.out.matches("everything.add").count()),
        (0, 2),
        "{shown:?}"
    );
    let json = program
        .run(&["ledger", "show", "--json", "--limit", "1"])
        .json();
    assert_eq!(json["calls"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&json["calls"][0]["end"], &json["calls"][0]["door"]),
        (&json!("ok"), &json!("cli"))
    );

    let folder = program.site.path(".toolhost/ledger");
    let segment = std::fs::read_dir(folder)
        .expect("a ledger")
        .next()
        .expect("a segment");
    let segment = segment.expect("a segment").path();
    let genuine = std::fs::read(&segment).expect("its bytes");
    let name = segment
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    for at in [genuine.len() / 4, genuine.len() / 2, genuine.len() * 3 / 4] {
        let mut bytes = genuine.clone();
        bytes[at] ^= 1;
        std::fs::write(&segment, &bytes).expect("written");
        let ended = program.run(&["ledger", "verify"]);
        assert_eq!(ended.code, 1, "byte {at}: {ended:?}");
        assert!(
            ended.out.contains("broken") && ended.out.contains(name),
            "{ended:?}"
        );
    }
    std::fs::write(&segment, &genuine).expect("written");
    assert_eq!(program.run(&["ledger", "verify"]).code, 0);
}

#[tokio::test]
async fn x14_a_killed_host_leaves_a_whole_record_with_a_call_that_has_no_end() {
    // A port that is free, whoever else runs tests.
    let program = Program::new(&MANIFEST.replace(":7420", ":0"));
    let mut host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    let done = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert!(done["result"].is_object(), "{done}");
    lines
        .begin(&json!(2), "rogue_nap", &json!({ "ms": 600_000 }))
        .await;
    program.admitted("rogue.nap").await;
    host.signal(Signal::KILL);
    assert!(!host.child.wait().await.expect("an end").success());

    let ended = program.run(&["ledger", "verify", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let segment = &ended.json()["segments"][0];
    assert_eq!(segment["state"], "unsealed", "{segment}");
    assert_eq!(
        segment["dangling"].as_array().map(Vec::len),
        Some(1),
        "{segment}"
    );
    let shown = program
        .run(&["ledger", "show", "--json", "--function", "rogue.nap"])
        .json();
    assert_eq!(shown["calls"][0]["end"], "open", "{shown}");

    // The next host takes over the socket that was left behind, and names the end of the record.
    let next = program.serve().await;
    drop(next);
    assert_eq!(program.run(&["ledger", "verify"]).code, 0);
}

#[test]
fn connect_prints_what_each_agent_reads() {
    let program = Program::new(MANIFEST);
    let connect = |arguments: &[&str]| {
        let ended = program.run(&[&["connect"], arguments].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    };
    let manifest = program.site.path("toolhost.toml").display().to_string();
    let claude = connect(&["claude"]);
    assert!(
        claude.starts_with("claude mcp add toolhost -- "),
        "{claude}"
    );
    assert!(
        claude.contains(&manifest) && claude.contains("serve --stdio"),
        "{claude}"
    );

    let vscode: Value = serde_json::from_str(&connect(&["vscode"])).expect("JSON");
    assert_eq!(vscode["servers"]["toolhost"]["type"], "stdio");
    let cursor: Value = serde_json::from_str(&connect(&["cursor"])).expect("JSON");
    let arguments = &cursor["mcpServers"]["toolhost"]["args"];
    assert_eq!(
        arguments,
        &json!(["--manifest", manifest, "serve", "--stdio"])
    );
    let codex: toml::Table = connect(&["codex"]).parse().expect("TOML");
    assert!(
        codex["mcp_servers"]["toolhost"]["args"].is_array(),
        "{codex}"
    );

    let http: Value = serde_json::from_str(&connect(&["cursor", "--http"])).expect("JSON");
    assert_eq!(
        http["mcpServers"]["toolhost"]["url"],
        "http://127.0.0.1:7420/mcp"
    );
    let codex: toml::Table = connect(&["codex", "--http"]).parse().expect("TOML");
    assert_eq!(
        codex["mcp_servers"]["toolhost"]["url"].as_str(),
        Some("http://127.0.0.1:7420/mcp")
    );
}

#[tokio::test]
async fn x02_a_token_is_made_where_nobody_has_one_and_is_its_owners_alone() {
    let program = Program::new(
        "[host]\nagents = [\"http://127.0.0.1:0\"]\n[tool.hello]\ncomponent = \"hello.wasm\"\n",
    );
    let mut host = program.start(&["serve"]);
    let line = host.says("agents' door: http://").await;
    host.says("the bearer token for HTTP is in").await;
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let address = address
        .and_then(|address| address.parse().ok())
        .expect("an address");

    let file = program.site.path(".toolhost/agents/token");
    let mode = std::fs::metadata(&file)
        .expect("a token")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = program.site.read(".toolhost/agents/token");
    let agent = Agent::new(address, token.trim());
    let hello = agent.call("hello_greet", json!({ "name": "Ada" })).await;
    assert!(hello.to_string().contains("Hello, Ada!"), "{hello}");
    let stranger = Agent::new(address, "another token of about the same length..");
    let reply = stranger
        .send(&stranger.modern("tools/list", json!({})))
        .await;
    assert_eq!(reply.status, 401, "{reply:?}");
}

#[test]
fn x11_a_compiled_component_that_others_could_write_is_not_run() {
    let program = Program::new("[tool.hello]\ncomponent = \"hello.wasm\"\n");
    let folder = program.site.path(".toolhost/compiled");
    let files: Vec<_> = std::fs::read_dir(folder)
        .expect("the compiled components")
        .map(|file| file.expect("a file").path())
        .filter(|file| file.extension() == Some("cwasm".as_ref()))
        .collect();
    assert!(!files.is_empty());
    for file in &files {
        std::fs::write(file, "native code of somebody else").expect("written");
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(file, open).expect("a mode");
    }
    let ended = program.run(&["call", "hello.greet", r#"{"name":"Ada"}"#]);
    assert_eq!(
        (ended.code, ended.out.trim()),
        (0, "Hello, Ada!"),
        "{ended:?}"
    );
    let again: Vec<u32> = files
        .iter()
        .map(|file| {
            std::fs::metadata(file)
                .expect("a file")
                .permissions()
                .mode()
                & 0o777
        })
        .filter(|mode| *mode == 0o600)
        .collect();
    assert_eq!(
        again.len(),
        1,
        "only its own is compiled anew, and closed to others"
    );
}

/// A tool with two directories, `one` to be read and the other to be written.
fn two_directories(other: &str) -> String {
    let given = |name: &str, host: &str, access: &str| {
        format!(
            "[tool.rogue.dir.{name}]\nhost = \"{host}\"\nguest = \"/{name}\"\naccess = \"{access}\"\n"
        )
    };
    format!(
        "[tool.rogue]\ncomponent = \"rogue.wasm\"\n{}{}",
        given("read", "one", "read"),
        given("written", other, "read-write")
    )
}

#[test]
fn x45_a_link_does_not_make_what_is_read_writable() {
    for (other, to) in [("alias", "one"), ("alias", "one/deep"), ("alias/one", ".")] {
        let site = Site::new();
        std::fs::create_dir_all(site.path("one/deep")).expect("folders");
        std::os::unix::fs::symlink(to, site.path("alias")).expect("a link");
        let program = Program::at(site, &two_directories(other));
        for command in ["check", "lock", "serve"] {
            let ended = program.run(&[command]);
            assert_eq!(ended.code, 2, "{command} {other} -> {to}: {ended:?}");
            let said = "both lead to the same files";
            assert!(ended.err.contains(said), "{command}: {ended:?}");
        }
    }
}

/// In a mount namespace of its own; who may not make one cannot mount anything.
#[test]
fn x45_neither_does_a_mount() {
    for (from, to) in [("one", "two"), ("one/deep", "two"), ("two", "one/deep")] {
        let site = Site::new();
        for folder in ["one/deep", "two"] {
            std::fs::create_dir_all(site.path(folder)).expect("folders");
        }
        let program = Program::at(site, &two_directories("two"));
        let checked = program.run(&["check"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        let check = program.command(&["check"]);
        let mut inside = std::process::Command::new("unshare");
        let script = "mount --bind \"$1\" \"$2\" || exit 77; shift 2; exec \"$@\"";
        inside
            .current_dir(program.site.path(""))
            .args(["-m", "sh", "-c", script, "sh", from, to])
            .arg(check.get_program())
            .args(check.get_args());
        let Ok(output) = inside.output() else {
            crate::harness::skipped("there is no `unshare`");
            return;
        };
        let ended = crate::harness::ended(&output);
        if ended.code == 77 || ended.err.contains("unshare") {
            crate::harness::skipped(format!("nothing can be mounted: {}", ended.err));
            return;
        }
        assert_eq!(ended.code, 2, "{from} at {to}: {ended:?}");
        assert!(
            ended.err.contains("both lead to the same files"),
            "{ended:?}"
        );
    }
}

/// A command's own end is no line of the log, which has a filter and a bound.
#[test]
fn x64_why_a_command_failed_is_said_whole_whatever_the_log_takes() {
    let tools: String = (0..400)
        .map(|number| format!("[tool.t{number}]\ncomponent = \"t.wasm\"\nodd{number} = 1\n"))
        .collect();
    let site = Site::empty();
    site.write("toolhost.toml", format!("schema = 1\n{tools}"));
    let program = Program::bare(site);
    let run = |format: &str, arguments: &[&str]| {
        let mut command = program.command(arguments);
        command
            .env("TOOLHOST_LOG", "off")
            .env("TOOLHOST_LOG_FORMAT", format);
        let said = crate::harness::ended(&command.output().expect("a process"));
        assert_eq!(said.code, 2, "{said:?}");
        said
    };
    for format in ["text", "json"] {
        let listed = run(format, &["list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.err).expect("a list");
        assert_eq!(listed.as_array().map(Vec::len), Some(400), "{listed}");
    }
    let line: Value = serde_json::from_str(&run("json", &["list"]).err).expect("a line");
    assert_eq!(line["level"], "ERROR");
    for said in [
        line["message"].as_str().unwrap_or_default().to_owned(),
        run("text", &["list"]).err,
    ] {
        assert!(
            said.contains("`odd0`") && said.contains("`odd399`"),
            "{said}"
        );
    }
    // What is no list is a list of one.
    std::fs::remove_file(program.site.path("toolhost.toml")).expect("removed");
    let one: Value = serde_json::from_str(&run("json", &["list", "--json"]).err).expect("a list");
    assert!(
        one[0]["message"]
            .to_string()
            .contains("cannot read the manifest"),
        "{one}"
    );
}
