//! What a host starts with: what `check` says of it, what is refused, and what a start goes on without.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::{Program, Serving, Site, Upstream, exchange, text_response};
use crate::powers::secrets;

const SOCKET: &str = "[host]\nagents = [\"unix:a/agent.sock\"]\n";
const DOORS: &str = "[host]\nagents = [\"unix:a/agent.sock\", \"http://127.0.0.1:0\"]\n";
const HELLO: &str = "[tool.hello]\ncomponent = \"hello.wasm\"\n";

/// The rogue with a directory, for all of its functions or for one.
fn with_directory(of: &str) -> String {
    format!(
        "[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue{of}.dir.usb]\nhost = \"usb\"\nguest = \"/usb\"\naccess = \"read\"\n"
    )
}

/// Writes a file that only its owner may read.
fn private(program: &Program, name: &str, bytes: impl AsRef<[u8]>) {
    program.site.write(name, bytes);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(program.site.path(name), mode).expect("a mode");
}

/// Waits until the doors are open, and says where the one for HTTP is.
async fn address(host: &mut Serving) -> SocketAddr {
    let line = host.says("agents' door: http://").await;
    host.says("functions, ledger segment").await;
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    address.and_then(|at| at.parse().ok()).expect("an address")
}

async fn health(at: SocketAddr) -> Value {
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let stream = TcpStream::connect(at).await.expect("a connection");
    let reply = exchange(stream, request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.answer()["status"].clone()
}

/// An upstream that takes blanks and the scheme off what it is sent, and tells the rest back.
async fn trimming() -> Upstream {
    Upstream::start(|seen| {
        let sent = seen.headers.get("authorization").expect("a credential");
        let sent = String::from_utf8_lossy(sent.as_bytes());
        let word = sent.split_whitespace().last().unwrap_or_default();
        Some(text_response(200, word.trim_matches(['"', '\''])))
    })
    .await
}

#[tokio::test]
async fn g76_what_an_upstream_trims_and_tells_back_is_taken_out_and_check_says_that_it_is_odd() {
    const KEY: &str = "tok-abcdef-123456";
    let up = trimming().await;
    for (text, odd) in [
        (format!("{KEY}\r\n"), None),
        (format!("\u{feff}{KEY}\n"), None),
        (format!("{KEY} \n"), Some("has a blank at its end")),
        (format!("\u{a0}{KEY}"), Some("has a blank at its beginning")),
        (format!("'{KEY}'\n"), Some("stands in quotes")),
        (format!("bearer {KEY}\n"), Some("begins with `Bearer`")),
    ] {
        let grant = secrets::grant("get", &up, r#"auth = { bearer = "key" }"#);
        let program = Program::new(&format!(
            "{SOCKET}[secret.key]\nfile = \"key\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n{grant}"
        ));
        private(&program, "key", &text);
        let checked = program.run(&["check"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        match odd {
            Some(odd) => assert!(checked.err.contains(odd), "{text:?}: {}", checked.err),
            None => assert!(!checked.err.contains("note:"), "{text:?}: {}", checked.err),
        }
        let arguments = json!({ "url": up.url("/a") }).to_string();
        let (out, err) = secrets::run(&program, &["call", "rogue.get", &arguments]).await;
        assert!(out.contains("[redacted]"), "{text:?}: {out} {err}");
        // Never in silence.
        assert_eq!(
            err.contains("secret `key` (line 4): its value"),
            odd.is_some(),
            "{err}"
        );
        for said in [&checked.err, &checked.out, &out, &err] {
            assert!(!said.contains("abcdef"), "{text:?}: {said}");
        }
    }
}

#[test]
fn g77_a_damaged_lock_is_repaired_by_the_command_that_the_message_names() {
    let program = Program::new(&format!("{SOCKET}{HELLO}"));
    let whole = program.site.read("toolhost.lock");
    let tool = whole.split_once("[[tool]]").map_or("", |(_, tool)| tool);
    let marked = format!(
        "<<<<<<< HEAD\n{whole}=======\n{}>>>>>>> theirs\n",
        whole.replace("hello", "other")
    );
    let wide: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (damaged, why) in [
        (
            marked.into_bytes(),
            "a merge left its marks in the lock file (line 1)",
        ),
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "is damaged"),
        (Vec::new(), "is damaged"),
        (wide, "it is UTF-16"),
        (
            whole.replace("schema = 1", "schema = 2").into_bytes(),
            "has schema 2",
        ),
        (
            whole.replace("sha256", "odd = 1\nsha256").into_bytes(),
            "unknown field `odd`",
        ),
        (
            format!("{whole}\n[[tool]]{tool}").into_bytes(),
            "the tool `hello` twice",
        ),
    ] {
        program.site.write("toolhost.lock", &damaged);
        for command in [
            &["check"][..],
            &["list"],
            &["call", "hello.greet", "{}"],
            &["explain", "hello.greet"],
        ] {
            let refused = program.run(command);
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(
                refused.err.contains(why),
                "{command:?} {why}: {}",
                refused.err
            );
            assert!(
                refused.err.contains("Run `toolhost lock`"),
                "{}",
                refused.err
            );
        }
        let repaired = program.run(&["lock"]);
        assert_eq!(repaired.code, 0, "{repaired:?}");
        assert!(
            repaired.err.contains("it was written anew"),
            "{}",
            repaired.err
        );
        // What the own side of a merge pins was looked at; everything else is shown as new.
        let known = why.contains("merge");
        assert_eq!(repaired.out.contains("+ new"), !known, "{}", repaired.out);
        assert_eq!(program.site.read("toolhost.lock"), whole);
        assert_eq!(program.run(&["check"]).code, 0);
    }
}

#[tokio::test]
async fn g78_what_cannot_be_had_costs_its_own_tools_where_the_manifest_says_so() {
    let up = Upstream::echo().await;
    let grant = secrets::grant("get", &up, r#"auth = { bearer = "key" }"#);
    let text = |start: &str| {
        format!(
            "{DOORS}{start}\n[secret.key]\nfile = \"key\"\n[tool.gone]\ncomponent = \"everything.wasm\"\n{HELLO}{}{grant}",
            with_directory(".function.read")
        )
    };
    let program = Program::new(&text(""));
    let greet = ["call", "hello.greet", r#"{"name":"Ada"}"#];
    std::fs::remove_file(program.site.path("everything.wasm")).expect("it is gone");
    let all = ["secret `key`", "`usb` cannot be had", "tool `gone`"];
    // By default a start is refused, and all that is missing is named.
    for arguments in [&["serve"][..], &greet] {
        let refused = program.run(arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            all.iter().all(|one| refused.err.contains(one)),
            "{}",
            refused.err
        );
    }
    program.site.write(
        "toolhost.toml",
        format!("schema = 1\n{}", text("start = \"degraded\"")),
    );
    let mut host = program.start(&["serve"]);
    let at = address(&mut host).await;
    assert_eq!(health(at).await, "degraded");
    let mut agent = crate::harness::speak(&program.site.path("a/agent.sock")).await;
    agent.initialize().await;
    let mut call = async |name: &str, arguments: Value| {
        let answer = agent.call(json!(name), name, arguments).await;
        let result = &answer["result"];
        (
            result["_meta"]["toolhost/code"].clone(),
            result["content"][0]["text"].to_string(),
        )
    };
    let (code, said) = call("hello_greet", json!({ "name": "Ada" })).await;
    assert!(code.is_null() && said.contains("Ada"), "{code} {said}");
    let (code, said) = call("gone_simple_text", json!({})).await;
    assert!(
        code == "missing-resource" && said.contains("`gone`"),
        "{code} {said}"
    );
    let (code, said) = call("rogue_read", json!({ "path": "/usb/a" })).await;
    assert_eq!(code, "missing-resource", "{said}");
    assert!(said.contains("`usb`"), "{said}");
    let (_, said) = call("rogue_get", json!({ "url": up.url("/a") })).await;
    assert!(said.contains("credential"), "{said}");
    assert!(
        up.rest().await.is_empty(),
        "nothing left without its credential"
    );
    // What comes back is used without a restart.
    private(&program, "key", "a-key-that-came-late");
    program.site.write("usb/a", "it is back");
    let (code, said) = call("rogue_read", json!({ "path": "/usb/a" })).await;
    assert!(
        code.is_null() && said.contains("it is back"),
        "{code} {said}"
    );
}

/// What would start is no failure: it is said what the start goes without.
#[test]
fn g78_check_notes_what_a_degraded_start_goes_without() {
    let degraded = format!("{SOCKET}start = \"degraded\"\n{HELLO}");
    let gone = "[tool.gone]\ncomponent = \"gone.wasm\"\n";
    let program = Program::new(&format!("{degraded}{}", with_directory("")));
    let manifest = program.site.read("toolhost.toml");
    program
        .site
        .write("toolhost.toml", format!("{manifest}{gone}"));
    let checked = program.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    for words in ["note:", "degraded: tool `gone`", "`usb` cannot be had"] {
        assert!(checked.err.contains(words), "{words}: {}", checked.err);
    }
    let checked = program.run(&["check", "--json"]).json();
    assert_eq!(checked["ok"], true, "{checked}");
    assert_eq!(
        checked["notes"].as_array().map(Vec::len),
        Some(2),
        "{checked}"
    );
    // What such a start refuses as well is wrong here, too, and the notes are kept.
    program.site.write("toolhost.lock", "schema = 9");
    let checked = program.run(&["check", "--json"]);
    assert_eq!(checked.code, 2, "{checked:?}");
    assert!(checked.err.contains("has schema 9"), "{}", checked.err);
    let notes = checked.json()["notes"].to_string();
    assert!(notes.contains("`usb` cannot be had"), "{notes}");
}

#[tokio::test]
async fn g79_a_directory_that_goes_costs_those_who_look_into_one_and_nobody_else() {
    let program = Program::new(&format!("{DOORS}{}", with_directory("")));
    let missing = program.run(&["check"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(
        missing.err.contains("`usb` cannot be had") && missing.err.contains("--> toolhost.toml:6"),
        "{}",
        missing.err
    );
    program.site.write("usb/a", "a file");
    assert_eq!(program.run(&["check"]).code, 0);
    let mut host = program.start(&["serve"]);
    let at = address(&mut host).await;
    let mut agent = crate::harness::speak(&program.site.path("a/agent.sock")).await;
    agent.initialize().await;
    let read = json!({ "path": "/usb/a" });
    for (there, status) in [(true, "ok"), (false, "degraded"), (true, "ok")] {
        let (usb, aside) = (program.site.path("usb"), program.site.path("aside"));
        match there {
            true if aside.exists() => std::fs::rename(&aside, &usb).expect("renamed"),
            true => {}
            false => std::fs::rename(&usb, &aside).expect("renamed"),
        }
        let answer = agent.call(json!(status), "rogue_read", read.clone()).await;
        let code = &answer["result"]["_meta"]["toolhost/code"];
        assert_eq!(code == "missing-resource", !there, "{answer}");
        // It names the grant, and not where on the host that is.
        let said = answer["result"]["content"][0]["text"].to_string();
        assert_eq!(said.contains("`usb`"), !there, "{answer}");
        assert!(!said.contains(&*aside.to_string_lossy()), "{answer}");
        // A function of the same tool, which is granted it and asks for no file.
        let answer = agent.call(json!("now"), "rogue_now", json!({})).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        assert_eq!(health(at).await, status);
    }
}

/// A manifest with faults of every stage.
fn wrong_everywhere() -> Program {
    let text = format!(
        r#"
host.agents = ["unix:open/agent.sock"]
[secret.open]
file = "open-key"
[secret.none]
env = "TOOLHOST_TEST_NOWHERE"
[secret.asked]
command = ["./ask"]
{}
[tool.rogue.http.a]
url = "https://a.test"
allow = ["GET /a"]
auth = {{ bearer = "open" }}
ca = "none.pem"
[tool.rogue.http.b]
url = "https://b.test"
allow = ["GET /b"]
auth = {{ bearer = "none" }}
[tool.rogue.http.c]
url = "https://c.test"
allow = ["GET /c"]
auth = {{ bearer = "asked" }}
{HELLO}"#,
        with_directory("")
    );
    let program = Program::new(&text);
    program.site.write("open-key", "tok-abcdef-123456");
    let mode = |name: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(program.site.path(name), mode).expect("a mode");
    };
    mode("open-key", 0o644);
    program
        .site
        .write("ask", "#!/bin/sh\ntouch was-run\necho tok-abcdef-123456\n");
    mode("ask", 0o777);
    program.site.write("open/file", "");
    mode("open", 0o755);
    program.site.write(".toolhost/agents/token", "short");
    std::fs::remove_file(program.site.path("hello.wasm")).expect("it is gone");
    program
}

/// What is said of it: of the ground, the way out, the secrets, directories, the token, the tools.
const EVERYWHERE: [&str; 8] = [
    "the program that prints the secret `asked`",
    "none.pem",
    "open-key can be read by others on this machine",
    "--> toolhost.toml:4",
    "the granted directory `usb` cannot be had",
    "--> toolhost.toml:12",
    "token holds no token",
    "tool `hello`: its component",
];

#[test]
fn g80_a_start_says_all_stages_in_one_run_and_runs_no_program_on_open_ground() {
    let program = wrong_everywhere();
    for command in [
        &["serve"][..],
        &["serve", "--stdio"],
        &["call", "hello.greet"],
    ] {
        let said = program.run(command);
        assert_eq!(said.code, 2, "{said:?}");
        for words in EVERYWHERE {
            assert!(
                said.err.contains(words),
                "{command:?}: {words}: {}",
                said.err
            );
        }
    }
    assert!(!program.site.path("was-run").exists());
    // Nor is anything made where others could exchange it.
    std::fs::remove_file(program.site.path(".toolhost/agents/token")).expect("it is gone");
    assert_eq!(program.run(&["serve"]).code, 2);
    assert!(!program.site.path(".toolhost/agents/token").exists());
}

#[test]
fn g80_check_says_all_stages_in_one_run_each_with_its_place() {
    let program = wrong_everywhere();
    let said = program.run(&["check"]);
    assert_eq!(said.code, 2, "{said:?}");
    for words in EVERYWHERE.into_iter().chain([
        // The doors, too, and what could not be looked at.
        "open is open to other users (mode 0755)",
        "--> toolhost.toml:3",
        "the environment variable TOOLHOST_TEST_NOWHERE is not set; a start needs it",
        "secret `asked` (line 8): a program prints it, which was not run here",
    ]) {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    assert!(!program.site.path("was-run").exists());
    let checked = program.run(&["check", "--json"]);
    let notes = &checked.json()["notes"];
    assert_eq!(notes.as_array().map(Vec::len), Some(2), "{notes}");
    // A start that is lenient does not need it.
    let strict = program.site.read("toolhost.toml");
    let lenient = strict.replace("host.agents", "host.start = \"degraded\"\nhost.agents");
    assert_ne!(strict, lenient);
    program.site.write("toolhost.toml", lenient);
    let notes = program.run(&["check", "--json"]).json()["notes"].to_string();
    assert!(
        notes.contains("is not set; a start goes on without it"),
        "{notes}"
    );
    program.site.write("toolhost.toml", strict);
    let listed: Value = serde_json::from_str(&checked.err).expect("a list");
    let lines: Vec<&Value> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["line"])
        .collect();
    assert!(
        [3, 4, 12].iter().all(|line| lines.contains(&&json!(line))),
        "{listed}"
    );
    // What cannot be read as a manifest is said with its place, and the lock with it.
    program.site.write("toolhost.lock", "schema = 9");
    for (bytes, words) in [
        (
            b"schema = 1\n# M\xfcller\n".to_vec(),
            "line 2, column 4: the byte 0xfc is not UTF-8",
        ),
        (b"\xff\xfes\0c\0".to_vec(), "it is UTF-16"),
        (
            b"schema = 1\n[tool.t]\ncomponent = \"$HOME/t.wasm\"\n".to_vec(),
            "`$HOME` is not expanded",
        ),
    ] {
        program.site.write("toolhost.toml", bytes);
        let said = program.run(&["check"]).err;
        assert!(
            said.contains(words) && said.contains("has schema 9"),
            "{words}: {said}"
        );
    }
}

#[tokio::test]
async fn g81_a_folder_too_deep_for_a_socket_is_said_and_serves_where_none_is_needed() {
    let deep = "a-branch-with-a-name-of-some-length/".repeat(4);
    let (site, flat) = (Site::new(), Program::new(HELLO));
    for file in ["toolhost.toml", "toolhost.lock"] {
        site.write(&format!("{deep}{file}"), flat.site.read(file));
    }
    let component = std::fs::canonicalize(site.path("hello.wasm")).expect("a component");
    site.link(&component, &format!("{deep}hello.wasm"));
    let manifest = site.path(format!("{deep}toolhost.toml"));
    let program = Program::bare(site);
    let manifest = manifest.to_str().expect("a path");
    for command in ["check", "serve"] {
        let said = program.run(&["--manifest", manifest, command]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err.contains("a socket's path at most 107 bytes"),
            "{}",
            said.err
        );
    }
    let mut host = program.start(&["--manifest", manifest, "serve", "--stdio"]);
    let mut agent = host.speaker();
    agent.initialize().await;
    let answer = agent
        .call(json!(1), "hello_greet", json!({ "name": "Ada" }))
        .await;
    assert!(answer.to_string().contains("Ada"), "{answer}");
}

/// A certificate that is not there is like any other thing that cannot be had.
#[tokio::test]
async fn g78_a_certificate_that_cannot_be_had_costs_its_own_tools() {
    let text = |start: &str| {
        let grant = "[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue.function.get.http.shop]\nurl = \"https://shop.test\"\nallow = [\"GET /**\"]\nca = \"gone.pem\"\nclient_cert = \"gone.crt\"\nclient_key = \"gone.key\"\n";
        format!("{DOORS}{start}\n{HELLO}{grant}")
    };
    let program = Program::new(&text(""));
    for arguments in [&["serve"][..], &["check"]] {
        let refused = program.run(arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        for part in [
            "tool `rogue`: cannot read",
            "gone.pem",
            "--> toolhost.toml:",
        ] {
            assert!(refused.err.contains(part), "{}", refused.err);
        }
    }
    program.site.write(
        "toolhost.toml",
        format!("schema = 1\n{}", text("start = \"degraded\"")),
    );
    let mut host = program.start(&["serve"]);
    let at = address(&mut host).await;
    assert_eq!(health(at).await, "degraded");
    let mut agent = crate::harness::speak(&program.site.path("a/agent.sock")).await;
    agent.initialize().await;
    let greeted = agent.call(json!(1), "hello_greet", json!({ "name": "Ada" }));
    let greeted = greeted.await["result"]["content"][0]["text"].to_string();
    assert!(greeted.contains("Ada"), "{greeted}");
    let get = json!({ "url": "https://shop.test/a" });
    let said = agent.call(json!(2), "rogue_get", get).await.to_string();
    assert!(said.contains("could not read the certificates"), "{said}");
    let now = agent.call(json!(3), "rogue_now", json!({})).await;
    assert_eq!(now["result"]["isError"], false, "{now}");
}
