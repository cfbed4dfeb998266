//! One owner of a state folder: who comes second finds the first, is served by it, or hears who it is. And
//! the operators' socket, on which it is found.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use toolhost_ledger::{self, Filter, SegmentEnd};

use crate::harness::{Ended, House, Program, Reply, Serving, Site, exchange, skipped, speak};

const TOOLS: &str = r#"
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
limits = { deadline = "60s", fuel = 1_000_000_000_000 }
"#;

const DOORS: &str = "[host]\nagents = [\"unix:a/agent.sock\", \"http://127.0.0.1:0\"]\n";

fn program() -> Program {
    Program::new(&format!("{DOORS}{TOOLS}"))
}

fn admin(program: &Program) -> PathBuf {
    program.site.path(".toolhost/admin/admin.sock")
}

/// The bytes of a request.
fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What a socket answers to a request.
async fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Reply {
    let stream = UnixStream::connect(socket).await.expect("a connection");
    exchange(stream, &request(method, path, body)).await
}

async fn health(program: &Program) -> Reply {
    ask(&admin(program), "GET", "/health", "").await
}

fn segments(program: &Program) -> Vec<SegmentEnd> {
    let report = toolhost_ledger::verify(&program.site.path(".toolhost/ledger")).expect("a report");
    assert!(report.intact(), "{:?}", report.problems);
    report.segments.iter().map(|one| one.state).collect()
}

/// Says that a run could not do what it was asked, and who is in its way.
fn names(ended: &Ended, owner: &Serving) {
    assert_eq!(ended.code, 2, "{ended:?}");
    let pid = format!("process {}", owner.child.id().expect("it runs"));
    let said = &ended.err;
    assert!(said.contains(&pid), "{said}");
    assert!(said.contains("since 20"), "{said}");
}

async fn stopped(mut host: Serving) {
    host.signal(Signal::TERM);
    assert!(host.child.wait().await.expect("an end").success());
}

fn sum(answer: &Value) -> &Value {
    &answer["result"]["structuredContent"]["sum"]
}

#[tokio::test]
async fn a_second_host_is_refused_and_hears_of_the_first() {
    let program = program();
    let host = program.serve().await;
    let second = program.run(&["serve"]);
    names(&second, &host);
    assert!(second.err.contains("toolhost serve, since"), "{second:?}");
    assert!(second.err.contains("choose another folder"), "{second:?}");
    assert_eq!(segments(&program), [SegmentEnd::Running]);
    stopped(host).await;
    // Nothing of it is in the way of the next one.
    stopped(program.serve().await).await;
    assert_eq!(segments(&program), [SegmentEnd::Sealed, SegmentEnd::Sealed]);
}

#[tokio::test]
async fn x77_a_killed_hosts_successor_owns_the_folder_at_once() {
    let program = program();
    for round in 0..3 {
        let mut host = program.serve().await;
        let mut lines = speak(&program.site.path("a/agent.sock")).await;
        lines.initialize().await;
        lines.begin(&json!("spin"), "rogue_spin", &json!({})).await;
        while program.calls().len() <= round {
            tokio::task::yield_now().await;
        }
        host.signal(Signal::KILL);
        host.child.wait().await.expect("an end");
    }
    let host = program.serve().await;
    assert_eq!(health(&program).await.status, 200);
    let report = toolhost_ledger::verify(&program.site.path(".toolhost/ledger")).expect("a report");
    assert!(report.intact(), "{:?}", report.problems);
    // Each names the one before, and of each it is known that a call has no end.
    let dangling: Vec<usize> = report
        .segments
        .iter()
        .map(|one| one.dangling.len())
        .collect();
    assert_eq!(dangling, [1, 1, 1, 0]);
    stopped(host).await;
}

#[tokio::test]
async fn an_owner_on_standard_input_stays_until_its_last_bridge_has_left() {
    let program = Program::new(&format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\n{TOOLS}"
    ));
    let mut first = program.start(&["serve", "--stdio"]);
    let mut own = first.speaker();
    own.initialize().await;
    let mut second = program.start(&["serve", "--stdio"]);
    let mut other = second.speaker();
    other.initialize().await;
    let mut third = program.start(&["serve", "--stdio"]);
    let mut silent = third.speaker();
    silent.initialize().await;
    let add = |n: u64| json!({ "a": n, "b": 1 });
    let answer = own.call(json!(1), "everything_add", add(1)).await;
    assert_eq!(*sum(&answer), 2, "{answer}");

    drop(own);
    first.says("stays until the others have left").await;
    for n in 0..5 {
        let answer = other.call(json!(n), "everything_add", add(n)).await;
        assert_eq!(*sum(&answer), n + 1, "{answer}");
    }
    // One that comes only now is a bridge too, and an operator finds the owner.
    let mut fourth = program.start(&["serve", "--stdio"]);
    let mut late = fourth.speaker();
    late.initialize().await;
    names(&program.run(&["serve"]), &first);
    assert_eq!(
        program
            .run(&["call", "everything.add", "{\"a\":1,\"b\":2}"])
            .code,
        0
    );
    drop((other, late));
    for bridge in [&mut second, &mut fourth] {
        assert!(bridge.child.wait().await.expect("an end").success());
    }
    let answer = silent.call(json!(1), "everything_add", add(7)).await;
    assert_eq!(*sum(&answer), 8, "the last one is served: {answer}");
    assert!(first.child.try_wait().expect("a look").is_none(), "it went");
    drop(silent);
    assert!(third.child.wait().await.expect("an end").success());
    assert!(first.child.wait().await.expect("an end").success());
    assert_eq!(segments(&program), [SegmentEnd::Sealed], "one wrote it all");
    assert!(!program.site.path("a/agent.sock").exists());
    assert!(!admin(&program).exists());
}

#[tokio::test]
async fn an_owner_on_standard_input_ends_on_a_signal_whoever_is_there() {
    let program = Program::new(&format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\n{TOOLS}"
    ));
    let mut first = program.start(&["serve", "--stdio"]);
    let mut own = first.speaker();
    own.initialize().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    stopped(first).await;
    assert_eq!(segments(&program), [SegmentEnd::Sealed]);
}

#[tokio::test]
async fn a_bridge_without_a_socket_hears_why_there_is_none() {
    let program = Program::new(&format!("[host]\nagents = []\n{TOOLS}"));
    let mut first = program.start(&["serve", "--stdio"]);
    let mut own = first.speaker();
    own.initialize().await;
    let second = program.run(&["serve", "--stdio"]);
    names(&second, &first);
    assert!(second.err.contains("add \"unix:<path>\""), "{second:?}");
}

/// Without what differs from one call to the next.
fn without_time(mut call: Value) -> Value {
    let bill = call["bill"].as_object_mut().expect("a bill");
    assert!(bill.remove("wall_us").is_some());
    call
}

#[tokio::test]
async fn a_call_beside_a_host_is_made_by_it_and_looks_the_same() {
    let program = program();
    let calls = [
        ("everything.add", "{\"a\":1,\"b\":2}"),
        ("everything.add", "{\"a\":9223372036854775807,\"b\":1}"),
        ("everything.add", "{\"a\":\"x\"}"),
        ("everything.nothing", "{}"),
        ("everything.error_handling", "{}"),
        ("everything.image_content", "{}"),
        ("everything.multiple_content_types", "{}"),
    ];
    let all = |program: &Program| -> Vec<(Ended, Value)> {
        let each = calls.iter().map(|(function, arguments)| {
            let shown = program.run(&["call", function, arguments]);
            let json = program.run(&["call", function, arguments, "--json"]);
            assert_eq!(json.code, shown.code, "{json:?}");
            (shown, without_time(json.json()))
        });
        each.collect()
    };
    let alone = all(&program);
    let billed = |program: &Program| program.run(&["call", calls[0].0, calls[0].1, "--bill"]);
    let bill_alone = billed(&program);
    let host = program.serve().await;
    for ((here, json_here), (there, json_there)) in alone.iter().zip(all(&program)) {
        assert_eq!((here.code, &here.out), (there.code, &there.out));
        assert_eq!(here.err, there.err);
        assert_eq!(*json_here, json_there);
    }
    let heads = [bill_alone, billed(&program)].map(|ended| {
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.err.lines().next().map(str::to_owned)
    });
    assert_eq!(heads[0], heads[1]);
    let unknown = program.run(&["call", calls[0].0, calls[0].1, "--caller", "nobody"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("no [caller.nobody]"), "{unknown:?}");

    // The record says through which door.
    let made = program.calls();
    let (alone, beside): (Vec<_>, Vec<_>) = made.iter().partition(|call| call.door == "cli");
    assert_eq!((alone.len(), beside.len()), (15, 15));
    assert!(
        beside
            .iter()
            .all(|call| call.door == "admin" && call.agent == "local")
    );
    stopped(host).await;
}

#[tokio::test]
async fn calls_that_are_made_at_once_take_turns_as_owners() {
    let program = program();
    let started: Vec<_> = (0..4)
        .map(|_| program.start(&["call", "everything.add", "{\"a\":1,\"b\":2}"]))
        .collect();
    for mut call in started {
        assert!(call.child.wait().await.expect("an end").success());
    }
    assert_eq!(segments(&program), [SegmentEnd::Sealed; 4]);
}

/// A call goes with the operator who asked for it, and a stop lets it finish.
#[tokio::test]
async fn a_call_of_an_operator_ends_with_him_and_a_stop_lets_it_finish() {
    let program = program();
    let host = program.serve().await;
    let mut spinning = program.start(&["call", "rogue.spin", "{}"]);
    program.admitted("rogue.spin").await;
    spinning.child.kill().await.expect("killed");
    while program.calls()[0].code != Some("cancelled".to_owned()) {
        tokio::task::yield_now().await;
    }
    let mut nap = program.start(&["call", "rogue.nap", "{\"ms\":500}"]);
    program.admitted("rogue.nap").await;
    stopped(host).await;
    assert!(nap.child.wait().await.expect("an end").success());
    assert_eq!(segments(&program), [SegmentEnd::Sealed]);
}

#[tokio::test]
async fn a_reload_says_what_it_changed_or_all_that_is_wrong() {
    let program = program();
    let write = |text: &str| {
        program
            .site
            .write("toolhost.toml", format!("schema = 1\n{text}"));
    };
    let nobody = program.run(&["reload"]);
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.err.contains("no host runs"), "{nobody:?}");
    let host = program.serve().await;
    let same = program.run(&["reload", "--json"]);
    assert_eq!(same.code, 0, "{same:?}");
    let none: [&str; 0] = [];
    for change in ["added", "removed", "changed"] {
        assert_eq!(same.json()[change], json!(none), "{same:?}");
    }
    write(&format!(
        "{DOORS}{}",
        TOOLS.split("[tool.rogue]").next().expect("one tool")
    ));
    let less = program.run(&["reload"]);
    assert_eq!(less.code, 0, "{less:?}");
    assert!(less.out.contains("removed rogue.spin\n"), "{less:?}");
    assert!(!less.out.contains("everything"), "{less:?}");
    write(&format!(
        "{DOORS}{TOOLS}[tool.everything.function.add]\nlimits = {{ deadline = \"1s\" }}\n"
    ));
    let more = program.run(&["reload"]);
    assert!(more.out.contains("added rogue.spin\n"), "{more:?}");
    assert!(more.out.contains("changed everything.add\n"), "{more:?}");

    write(&format!(
        "{DOORS}{TOOLS}[tool.one]\ncomponent = \"one.wasm\"\n[tool.two]\ncomponent = \"two.wasm\"\n"
    ));
    let wrong = program.run(&["reload"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("everything stays as it was"),
        "{wrong:?}"
    );
    assert!(
        wrong.err.contains("`one`") && wrong.err.contains("`two`"),
        "{wrong:?}"
    );
    let wrong = program.run(&["reload", "--json"]);
    let listed: Value = serde_json::from_str(&wrong.err).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert!(listed[0]["line"].is_u64(), "{listed}");
    let state: Value = program.run(&["health", "--json"]).json();
    assert_eq!(state["status"], "ok");
    assert!(state["reload_failed_since"].is_string(), "{state}");
    stopped(host).await;
}

#[tokio::test]
async fn health_is_what_the_doors_say() {
    let program = program();
    let host = program.serve().await;
    let at_agents = ask(&program.site.path("a/agent.sock"), "GET", "/health", "").await;
    assert_eq!(health(&program).await.answer(), at_agents.answer());
    let shown = program.run(&["health"]);
    assert_eq!((shown.code, &*shown.out), (0, "ok\n"), "{shown:?}");
    let pid = host.child.id().expect("it runs").to_string();
    assert!(shown.err.contains(&pid), "{shown:?}");
    stopped(host).await;
}

#[tokio::test]
async fn x80_a_stopped_owner_is_named_by_every_command_and_none_hangs() {
    let program = program();
    let host = program.serve().await;
    host.signal(Signal::STOP);
    names(&program.run(&["serve"]), &host);
    for arguments in [
        &["call", "everything.add", "{\"a\":1,\"b\":2}"][..],
        &["serve", "--stdio"],
        &["reload"],
        &["health"],
    ] {
        let ended = program.run(arguments);
        names(&ended, &host);
        assert!(ended.err.contains("within 5 s"), "{ended:?}");
    }
    // The record is the operator's own: it needs no host.
    assert_eq!(program.run(&["ledger", "show"]).code, 0);
    let verified = program.run(&["ledger", "verify"]);
    // Whether its end is there only that host knows.
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.out.contains("is not held against"), "{verified:?}");
    let json = program.run(&["ledger", "verify", "--json"]).json();
    let silent = json["owner"]["silent"].as_str().expect("why");
    assert!(silent.contains("within 5 s"), "{json}");
    host.signal(Signal::CONT);
    assert_eq!(program.run(&["health"]).code, 0);
    stopped(host).await;
}

#[tokio::test]
async fn x84_a_running_record_whose_end_is_cut_off_is_not_what_its_host_wrote() {
    let program = program();
    let host = program.serve().await;
    let call = || program.run(&["call", "everything.add", "{\"a\":1,\"b\":2}"]);
    assert_eq!(call().code, 0);
    let whole = program.run(&["ledger", "verify"]);
    assert_eq!(whole.code, 0, "{whole:?}");
    assert!(whole.out.contains("and it is there"), "{whole:?}");
    let json = program.run(&["ledger", "verify", "--json"]).json();
    assert_eq!(json["owner"]["found"], true, "{json}");
    assert_eq!(json["segments"][0]["state"], "running");

    let folder = program.site.path(".toolhost/ledger");
    let segment = std::fs::read_dir(&folder).expect("a ledger").next();
    let segment = segment.expect("a segment").expect("its name").path();
    let text = std::fs::read_to_string(&segment).expect("its text");
    let lines = text.split_inclusive('\n');
    let kept: String = lines.clone().take(lines.count() - 2).collect();
    let file = std::fs::OpenOptions::new().write(true).open(&segment);
    let kept = u64::try_from(kept.len()).expect("a length");
    file.expect("it is ours").set_len(kept).expect("cut");
    let cut = program.run(&["ledger", "verify"]);
    assert_eq!(cut.code, 1, "{cut:?}");
    assert!(cut.out.contains("and it is not there"), "{cut:?}");
    drop(host);
}

/// Another user who could connect is cut off before a byte is read: here the folder was opened to him.
#[tokio::test]
async fn x78_another_user_is_cut_off_before_a_byte_is_read() {
    if !rustix::process::geteuid().is_root() {
        // Who is another user is `gate::callers`' test everywhere.
        skipped("only root can play another user");
        return;
    }
    let outside = tempfile::tempdir().expect("a folder");
    let folder = outside.path().join("admin");
    let socket = folder.join("admin.sock");
    let text = format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\nadmin = \"unix:{}\"\n{TOOLS}",
        socket.display()
    );
    let program = Program::new(&text);
    let mut host = program.serve().await;
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&folder) & 0o777, 0o700);
    assert_eq!(mode(&socket) & 0o777, 0o600);
    for (path, open) in [(outside.path(), 0o711), (&folder, 0o711), (&socket, 0o666)] {
        let open = std::fs::Permissions::from_mode(open);
        std::fs::set_permissions(path, open).expect("opened");
    }
    let there = socket.clone();
    let stranger = move || {
        let nobody = rustix::process::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("another user");
        std::os::unix::net::UnixStream::connect(there)
    };
    let stream = std::thread::spawn(stranger).join().expect("a thread");
    let stream = stream.expect("a connection");
    stream.set_nonblocking(true).expect("set");
    let mut stream = UnixStream::from_std(stream).expect("a stream");
    // A request that would be answered to anybody else, or none of it: it is all the same.
    let _ = stream.write_all(&request("GET", "/health", "")).await;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert_eq!(heard, b"");
    host.says("another user came to the operators' socket")
        .await;
    assert_eq!(ask(&socket, "GET", "/health", "").await.status, 200);
    // And commands trust no socket that others could have put there.
    let doubted = program.run(&["health"]);
    assert_eq!(doubted.code, 2, "{doubted:?}");
    assert!(doubted.err.contains("open to other users"), "{doubted:?}");
}

#[tokio::test]
async fn x79_a_link_or_a_pipe_in_place_of_lock_or_socket_is_refused() {
    let program = program();
    let state = program.site.path(".toolhost");
    let refused = |words: &str| {
        let ended = program.run(&["serve"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(words), "{ended:?}");
    };
    let aside = program.site.path("aside");
    std::fs::write(&aside, "mine").expect("a file");
    let lock = state.join("owner.lock");
    symlink(&aside, &lock).expect("a link");
    refused("owner.lock cannot be");
    std::fs::remove_file(&lock).expect("gone");
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).expect("a pipe");
    };
    pipe(&lock);
    refused("no plain file");
    std::fs::remove_file(&lock).expect("gone");

    let folder = state.join("admin");
    std::fs::create_dir(&folder).expect("a folder");
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&folder, closed).expect("closed");
    let socket = admin(&program);
    symlink(&aside, &socket).expect("a link");
    refused("is something else");
    std::fs::remove_file(&socket).expect("gone");
    pipe(&socket);
    refused("is something else");
    std::fs::remove_file(&socket).expect("gone");
    // What a killed host left is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    stopped(program.serve().await).await;
    assert_eq!(std::fs::read(&aside).expect("it is there"), b"mine");
}

/// Connections that say nothing, heads without end, and more requests than are served at once.
#[tokio::test]
async fn x81_a_flood_at_the_operators_socket_holds_up_no_agent() {
    let program = program();
    let host = program.serve().await;
    let socket = admin(&program);
    let mut flood = Vec::new();
    for n in 0..200 {
        let Ok(mut stream) = UnixStream::connect(&socket).await else {
            break;
        };
        if n % 2 == 0 {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nX: ")
                .await
                .expect("sent");
        }
        flood.push(stream);
    }
    assert!(flood.len() > 32, "it is a flood");
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    for n in 0..20 {
        let arguments = json!({ "a": n, "b": 1 });
        let answer = lines.call(json!(n), "everything_add", arguments).await;
        assert_eq!(*sum(&answer), n + 1, "{answer}");
    }
    // Each has its time, and then the operator's turn comes.
    let served = tokio::time::timeout(Duration::from_secs(60), health(&program)).await;
    assert_eq!(served.expect("in time").status, 200);
    drop(flood);
    stopped(host).await;
}

#[tokio::test]
async fn x82_a_slow_reader_at_the_operators_socket_holds_up_nobody() {
    let program = program();
    let host = program.serve().await;
    let text = "x".repeat(1 << 20);
    let call = json!({
        "caller": "local", "tool": "everything", "function": "echo", "arguments": { "text": text },
    });
    let asked = async || {
        let mut stream = UnixStream::connect(admin(&program))
            .await
            .expect("a connection");
        let bytes = request("POST", "/call", &call.to_string());
        stream.write_all(&bytes).await.expect("sent");
        stream
    };
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(asked().await);
    }
    while program.calls().len() < 16 {
        tokio::task::yield_now().await;
    }
    // They have all places for calls, and no more than those.
    assert_eq!(health(&program).await.status, 200);
    let other = program.run(&["call", "everything.add", "{\"a\":1,\"b\":2}"]);
    assert!(
        other.err.contains("16 calls of operators run already"),
        "{other:?}"
    );
    // Whoever reads after all gets all of it.
    let mut answered = 0;
    for mut stream in slow {
        let mut whole = Vec::new();
        stream.read_to_end(&mut whole).await.expect("an answer");
        answered += usize::from(whole.len() > text.len());
    }
    assert_eq!(answered, 16);
    let add = || program.run(&["call", "everything.add", "{\"a\":1,\"b\":2}"]);
    assert_eq!(add().code, 0);
    // And a stop does not wait for those who do not.
    let _slow = (asked().await, asked().await);
    while program.calls().len() < 19 {
        tokio::task::yield_now().await;
    }
    stopped(host).await;
}

/// Its path is short as it is written, and too long where it is. A start would fail at it, so `check` says it.
#[test]
fn an_operators_socket_that_cannot_be_bound_is_found_by_check() {
    let long = "x".repeat(90);
    let text = format!("[host]\nadmin = \"unix:{long}/admin.sock\"\n{TOOLS}");
    let checked = Program::new(&text).run(&["check"]);
    assert_eq!(checked.code, 2, "{checked:?}");
    assert!(
        checked
            .err
            .contains("with `admin` where it is the operators'"),
        "{checked:?}"
    );
}

/// A body is bounded by what it becomes in memory, too.
#[tokio::test]
async fn x91_a_call_of_an_operator_that_becomes_large_when_it_is_read_is_not_read() {
    let program = program();
    let host = program.serve().await;
    let values = "{\"\":0},".repeat(400_000);
    let body = format!(
        r#"{{"caller":"local","tool":"everything","function":"echo","arguments":{{"text":[{values}0]}}}}"#
    );
    let reply = ask(&admin(&program), "POST", "/call", &body).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("hold all that they may"), "{reply:?}");
    let add = program.run(&["call", "everything.add", "{\"a\":1,\"b\":2}"]);
    assert_eq!(add.code, 0, "{add:?}");
    assert_eq!(program.calls().len(), 1, "it did not come to be a call");
    stopped(host).await;
}

/// What one reader of a request takes for another call than the host does.
#[tokio::test]
async fn g94_an_operators_call_has_one_meaning() {
    let program = program();
    let host = program.serve().await;
    let call = |tool: &str, function: &str, arguments: &str| {
        format!(
            r#"{{"caller":"local","tool":"{tool}","function":"{function}","arguments":{arguments}}}"#
        )
    };
    for (body, words) in [
        (
            call("everything", "add", r#"{"a":1,"b":2,"\u0061":40}"#),
            "twice",
        ),
        (
            call("everything_simple", "text", "{}"),
            "there is everything.simple_text",
        ),
    ] {
        let reply = ask(&admin(&program), "POST", "/call", &body).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains(words), "{reply:?}");
    }
    let ended = program.run(&["call", "everything_simple.text", "{}"]);
    assert!(ended.err.contains("everything.simple_text"), "{ended:?}");
    assert!(program.calls().is_empty());
    stopped(host).await;
}

#[tokio::test]
async fn x83_no_door_serves_what_is_another_ones() {
    let program = program();
    let mut host = program.start(&["serve"]);
    let line = host.says("agents' door: http://").await;
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let address = address.expect("an address").to_owned();
    host.says("functions, ledger segment").await;
    let call =
        r#"{"caller":"local","tool":"everything","function":"add","arguments":{"a":1,"b":2}}"#;
    let of_admin = [
        ("POST", "/call", call),
        ("POST", "/reload", "null"),
        ("GET", "/ledger/head", ""),
        ("GET", "/admin", ""),
    ];
    for (method, path, body) in of_admin {
        let on_unix = ask(&program.site.path("a/agent.sock"), method, path, body).await;
        let stream = TcpStream::connect(&address).await.expect("a connection");
        let on_http = exchange(stream, &request(method, path, body)).await;
        for reply in [on_unix, on_http] {
            assert_eq!(reply.status, 404, "{path}: {reply:?}");
        }
    }
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    for (method, path, status) in [
        ("POST", "/mcp", 404),
        ("GET", "/mcp", 404),
        ("POST", "/", 404),
        ("GET", "/call", 405),
        ("POST", "/health", 405),
        ("GET", "/health?x", 200),
    ] {
        let reply = ask(&admin(&program), method, path, &hello).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    // Lines are no HTTP.
    let mut lines = speak(&admin(&program)).await;
    lines.write(format!("{hello}\n").as_bytes()).await;
    let heard = lines.try_hear().await.unwrap_or_default();
    assert!(!heard.contains("tools"), "{heard}");
    assert!(program.calls().is_empty(), "nobody called anything");
    stopped(host).await;
}

#[tokio::test]
async fn x83_what_no_page_and_no_careless_program_may_send_is_refused() {
    let program = program();
    let host = program.serve().await;
    let whole = request("POST", "/reload", "null");
    let whole = String::from_utf8(whole).expect("text");
    let long = "x".repeat(5 << 20);
    for (bytes, status) in [
        (whole.replace("Host: localhost", "Host: evil.test"), 403),
        (
            whole.replace("Connection", "Origin: https://evil.test\r\nConnection"),
            403,
        ),
        (whole.replace("application/json", "text/plain"), 415),
        (whole.replace("/reload", "/call"), 400),
        (request_text("/call", "{}"), 400),
        (request_text("/call", &long), 413),
        (
            whole.replace(
                "Connection",
                &format!("X: {}\r\nConnection", "y".repeat(20 << 10)),
            ),
            431,
        ),
    ] {
        let stream = UnixStream::connect(admin(&program))
            .await
            .expect("a connection");
        let reply = exchange(stream, bytes.as_bytes()).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    stopped(host).await;
}

fn request_text(path: &str, body: &str) -> String {
    String::from_utf8(request("POST", path, body)).expect("text")
}

/// The state folder and the operators' socket, wherever it is, are no tool's.
#[test]
fn g87_no_directory_that_is_granted_reaches_lock_or_operators_socket() {
    let granted = |host: &str, access: &str| {
        let text = format!(
            "schema = 1\n[host]\nadmin = \"unix:run/admin/admin.sock\"\n[tool.everything]\ncomponent = \"everything.wasm\"\n[tool.everything.dir.it]\nhost = \"{host}\"\nguest = \"/it\"\naccess = \"{access}\"\n"
        );
        toolhost_core::manifest::parse("toolhost.toml", &text)
    };
    for access in ["read", "read-write"] {
        for host in [
            ".toolhost",
            ".toolhost/admin",
            "run",
            "run/admin",
            "run/admin/deeper",
            ".",
        ] {
            let refused = granted(host, access)
                .expect_err("it reaches them")
                .to_string();
            assert!(refused.contains("the tool could read"), "{host}: {refused}");
        }
        if let Err(problems) = granted("run/notes", access) {
            panic!("{problems}");
        }
    }
}

/// The same where only the file system knows that a path leads there.
#[test]
fn g87_nor_does_a_link_to_them() {
    let site = Site::new();
    for folder in ["run/admin", ".toolhost"] {
        std::fs::create_dir_all(site.path(folder)).expect("a folder");
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(site.path(folder), closed).expect("closed");
    }
    symlink(site.path("run/admin"), site.path("notes")).expect("a link");
    let text = "[host]\nadmin = \"unix:run/admin/admin.sock\"\n[tool.everything]\ncomponent = \"everything.wasm\"\n[tool.everything.dir.it]\nhost = \"notes\"\nguest = \"/it\"\naccess = \"read\"\n";
    let program = Program::at(site, text);
    let ended = program.run(&["serve"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("operators' socket"), "{ended:?}");
}

/// In one process too: a ledger is opened by who owns its folder, and by nobody else meanwhile.
#[tokio::test]
async fn a_ledger_has_one_writer() {
    use toolhost_ledger::state::{LockError, Role, StateLock};
    let house = House::new("[tool.everything]\ncomponent = \"everything.wasm\"\n");
    let again = StateLock::take(&house.site.path(""), Role::Serve);
    assert!(matches!(again, Err(LockError::Held(_))), "{again:?}");
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
}

impl Program {
    /// The calls in the ledger, newest last, as far as there is one.
    fn calls(&self) -> Vec<Recorded> {
        let folder = self.site.path(".toolhost/ledger");
        let filter = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        let calls = toolhost_ledger::show(&folder, &filter)
            .expect("a ledger")
            .calls;
        let recorded = |call: toolhost_ledger::Call| Recorded {
            door: serde_json::to_value(call.door).expect("a door"),
            agent: call.agent,
            code: call.code,
        };
        calls.into_iter().map(recorded).collect()
    }
}

/// What these tests look at of a call.
struct Recorded {
    door: Value,
    agent: String,
    code: Option<String>,
}
