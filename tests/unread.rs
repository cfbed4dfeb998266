//! A host whose log nobody reads: standard error closed, full, or a pipe that nobody empties; no
//! standard input; a signal at any moment. The log costs lines there, never a call, never the end.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, PipeReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::process::Child;
use toolhost_ledger::{End, Filter, show, verify};

use crate::harness::{Ended, Program, Speaker, ended, speak};

const TOOLS: &str = r#"
[host]
agents = ["unix:a/agent.sock"]
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
log = "info"
"#;

/// Longer than any stop may take.
const LONG: Duration = Duration::from_secs(60);

/// What a host's standard error is.
#[derive(Debug, Clone, Copy)]
enum Log {
    /// A pipe whose reader has gone.
    Gone,
    /// A disk that is full.
    Full,
    /// A pipe that nobody empties, as small as pipes can be.
    Unread,
    /// A file that may not grow beyond some lines.
    Short,
}

const LOGS: [Log; 4] = [Log::Gone, Log::Full, Log::Unread, Log::Short];

/// A host whose log nobody reads. The other end of it, where there is one.
fn start(
    program: &Program,
    log: Log,
    level: &str,
    arguments: &[&str],
) -> (Child, Option<PipeReader>) {
    let plain = program.command(arguments);
    let mut command = match log {
        Log::Short => {
            // 8 MiB, which the ledger does not need.
            let mut shell = std::process::Command::new("/bin/sh");
            shell
                .current_dir(program.site.path(""))
                .args(["-c", "ulimit -f 16384; exec \"$0\" \"$@\""])
                .arg(plain.get_program())
                .args(plain.get_args());
            shell
        }
        _ => plain,
    };
    let mut other = None;
    let stderr = match log {
        Log::Gone => Stdio::from(std::io::pipe().expect("a pipe").1),
        Log::Full => OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("it")
            .into(),
        Log::Unread => {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a small pipe");
            other = Some(reader);
            Stdio::from(writer)
        }
        Log::Short => {
            let path = program.site.path("short.log");
            let file = File::create(&path).expect("a file");
            file.set_len((8 << 20) - 512).expect("a length");
            OpenOptions::new()
                .append(true)
                .open(path)
                .expect("it")
                .into()
        }
    };
    command
        .env("TOOLHOST_LOG", level)
        .stdin(Stdio::null())
        .stderr(stderr);
    if arguments.contains(&"--stdio") {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    } else {
        command.stdout(Stdio::null());
    }
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn().expect("a process");
    (child, other)
}

/// Waits until its door is open.
async fn is_open(socket: &Path) {
    let open = async {
        while UnixStream::connect(socket).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, open)
        .await
        .expect("the door opens");
}

fn signal(child: &Child, signal: Signal) {
    let id = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    // It may have come to its end by itself.
    if let Some(id) = id {
        let _ = kill_process(id, signal);
    }
}

async fn end(child: &mut Child, of: &dyn std::fmt::Debug) -> ExitStatus {
    let ended = tokio::time::timeout(LONG, child.wait()).await;
    ended
        .unwrap_or_else(|_| panic!("it does not end: {of:?}"))
        .expect("an end")
}

/// The record is whole, and every call in it has an end. How many there are.
fn whole(program: &Program) -> usize {
    let ledger = program.site.path(".toolhost/ledger");
    if !ledger.exists() {
        return 0;
    }
    let report = verify(&ledger).expect("a report");
    assert!(report.intact(), "{:?}", report.problems);
    let filter = Filter {
        limit: 1_000_000,
        ..Filter::default()
    };
    let calls = show(&ledger, &filter).expect("a ledger").calls;
    let open = calls.iter().filter(|call| call.end == End::Open).count();
    assert_eq!(open, 0, "calls without an end");
    calls.len()
}

fn went_well(answer: &Value) -> bool {
    answer["result"]["structuredContent"] == json!({ "sum": 5 })
}

fn is_trapped(answer: &Value) -> bool {
    answer["result"]["_meta"]["toolhost/code"] == "trapped"
}

#[tokio::test]
async fn x61_a_log_whose_reader_has_gone_decides_over_no_call_and_no_end() {
    for log in [Log::Gone, Log::Full, Log::Short] {
        for level in ["info", "trace"] {
            let program = Program::new(TOOLS);
            let socket = program.site.path("a/agent.sock");
            let (mut host, _) = start(&program, log, level, &["serve"]);
            is_open(&socket).await;
            let mut lines = speak(&socket).await;
            lines.initialize().await;
            for n in 0..8 {
                let answer = lines
                    .call(json!(format!("bad-{n}")), "rogue_crash", json!({}))
                    .await;
                assert!(is_trapped(&answer), "{log:?}: {answer}");
                let sum = json!({ "a": 2, "b": 3 });
                let answer = lines.call(json!(n), "everything_add", sum).await;
                assert!(went_well(&answer), "{log:?}: {answer}");
            }
            signal(&host, Signal::TERM);
            let status = end(&mut host, &log).await;
            assert_eq!(status.code(), Some(0), "{log:?} {level}");
            assert_eq!(whole(&program), 16);
        }
    }
}

#[tokio::test]
async fn x61_nor_where_an_agent_has_started_the_host() {
    for log in LOGS {
        let program = Program::new(TOOLS);
        let (mut host, _other) = start(&program, log, "trace", &["serve", "--stdio"]);
        let output = host.stdout.take().expect("its output");
        let input = host.stdin.take().expect("its input");
        let mut lines = Speaker::new(output, input);
        lines.initialize().await;
        for n in 0..8 {
            let answer = lines.call(json!(n), "rogue_crash", json!({})).await;
            assert!(is_trapped(&answer), "{log:?}: {answer}");
        }
        drop(lines);
        assert_eq!(end(&mut host, &log).await.code(), Some(0), "{log:?}");
        assert_eq!(whole(&program), 8);
    }
}

#[tokio::test]
async fn x62_a_pipe_that_nobody_empties_holds_up_no_call_and_its_reader_hears_what_is_missing() {
    let program = Program::new(TOOLS);
    let socket = program.site.path("a/agent.sock");
    // Everything, so that more is said than may wait.
    let (mut host, log) = start(&program, Log::Unread, "trace", &["serve"]);
    is_open(&socket).await;
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    let mut asked = 0;
    while asked < 200 {
        for _ in 0..20 {
            asked += 1;
            lines.begin(&json!(asked), "rogue_crash", &json!({})).await;
        }
        for _ in 0..20 {
            let answer = lines.hear().await.expect("an answer");
            assert!(is_trapped(&answer), "{answer}");
        }
    }
    // Its reader is back.
    let mut log = std::io::BufReader::new(log.expect("a pipe"));
    let until_it_is_said = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let mut last = 0;
        while !text[last..].contains(" were lost here") {
            last = text.len();
            assert!(
                log.read_line(&mut text).expect("text") > 0,
                "nothing is said"
            );
        }
        (text, log)
    });
    let (mut text, mut log) = until_it_is_said.await.expect("a log");
    signal(&host, Signal::TERM);
    let rest = tokio::task::spawn_blocking(move || {
        log.read_to_string(&mut text).expect("text");
        text
    });
    assert_eq!(end(&mut host, &"its reader is back").await.code(), Some(0));
    let text = rest.await.expect("a log");
    assert!(
        text.contains("agents' door: unix:"),
        "the first lines are there"
    );
    assert!(text.contains(" were lost here"), "{} bytes", text.len());
    assert!(text.contains("every call that began is in the ledger"));
    // Each is whole: it begins with its time, or is set off from the line that it belongs to.
    let is_whole = |line: &str| line.starts_with("20") || line.starts_with("  | ");
    assert!(text.lines().all(is_whole), "{text}");
    assert_eq!(whole(&program), 200);
}

/// Also where the host does not come to its end in good order.
#[tokio::test]
async fn x65_what_was_counted_is_said_where_a_second_signal_ends_the_host() {
    let loose = "limits = { deadline = \"60s\", fuel = 1_000_000_000_000 }\n";
    let program = Program::new(&format!("{TOOLS}{loose}"));
    let mut host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    for n in 0..30 {
        let answer = lines.call(json!(n), "rogue_crash", json!({})).await;
        assert!(is_trapped(&answer), "{answer}");
    }
    lines.begin(&json!("spin"), "rogue_spin", &json!({})).await;
    program.admitted("rogue.spin").await;
    host.signal(Signal::TERM);
    host.says("stopping: ").await;
    host.signal(Signal::TERM);
    host.says(" more in ").await;
    let status = host.child.wait().await.expect("an end");
    assert_eq!(status.code(), Some(130));
}

/// How often: a few times in the suite, `TOOLHOST_ROUNDS=100` by hand.
fn rounds() -> usize {
    let asked = std::env::var("TOOLHOST_ROUNDS").ok();
    asked.map_or(12, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Some number below this one, another each time.
fn any(below: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) % below
}

/// What a service manager does: no standard input, a log that may be anything, and a signal whenever
/// it pleases.
#[tokio::test]
async fn x66_a_signal_at_any_moment_ends_a_host_whose_log_nobody_reads_and_nothing_is_lost() {
    let program = Program::new(TOOLS);
    let socket = program.site.path("a/agent.sock");
    let mut moments = Vec::new();
    for round in 0..rounds() {
        let log = LOGS[round % LOGS.len()];
        let (mut host, _other) = start(&program, log, "debug", &["serve"]);
        let moment = Duration::from_millis(any(1_500));
        let calls = async {
            let mut n = 0;
            loop {
                let Ok(stream) = UnixStream::connect(&socket).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let (reader, writer) = stream.into_split();
                n += 1;
                many_calls(Speaker::new(reader, writer), n).await;
            }
        };
        // Every other time the moment is drawn from when there are doors, however slow the machine is:
        // otherwise there might be no calls in any round.
        let drawn = async {
            if round % 2 == 1 {
                is_open(&socket).await;
            }
            tokio::time::sleep(moment).await;
        };
        // The moment is what is tried here.
        tokio::select! {
            () = calls => {}
            () = drawn => {}
        }
        signal(&host, Signal::TERM);
        let asked = std::time::Instant::now();
        let status = end(&mut host, &(log, moment)).await;
        // Before the host has its doors nothing runs that could be in order.
        let is_end = status.code() == Some(0) || status.signal() == Some(15);
        assert!(is_end, "{log:?} {moment:?}: {status:?}");
        moments.push((asked.elapsed(), status.code(), whole(&program)));
    }
    let longest = moments.iter().map(|(took, ..)| *took).max();
    let calls = moments.last().map_or(0, |(.., calls)| *calls);
    assert!(calls > 0, "no round had a call: {moments:?}");
    let early = moments.iter().filter(|(_, code, _)| code.is_none()).count();
    println!(
        "{} signals, {early} before there were doors: {calls} calls, each with its end; the longest stop took {longest:?}",
        moments.len()
    );
}

/// Calls of every kind, as long as there are answers.
async fn many_calls<R, W>(mut lines: Speaker<R, W>, n: u64)
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let hello = json!({
        "jsonrpc": "2.0", "id": "hello", "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let mut messages = vec![hello, ready];
    for id in 0..12 {
        let (name, arguments) = match (n + id) % 4 {
            0 => ("rogue_nap", json!({ "ms": 50 * id })),
            1 => ("rogue_crash", json!({})),
            2 => ("rogue_spin", json!({})),
            _ => ("everything_add", json!({ "a": 2, "b": 3 })),
        };
        messages.push(json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": name, "arguments": arguments },
        }));
    }
    let text: String = messages.iter().map(|one| format!("{one}\n")).collect();
    if !lines.try_write(text.as_bytes()).await {
        return;
    }
    while lines.try_hear().await.is_some() {}
}

#[tokio::test]
async fn x63_x64_lines_of_json_say_of_which_call_they_are_and_traces_only_to_who_asks() {
    let program = Program::new(TOOLS);
    let socket = program.site.path("a/agent.sock");
    for level in ["inffo", "debug"] {
        let mut command = program.command(&["serve"]);
        command
            .env("TOOLHOST_LOG", level)
            .env("TOOLHOST_LOG_FORMAT", "json")
            .stderr(File::create(program.site.path("log")).expect("a file"));
        let mut command = tokio::process::Command::from(command);
        let mut host = command.kill_on_drop(true).spawn().expect("a process");
        is_open(&socket).await;
        let mut lines = speak(&socket).await;
        lines.initialize().await;
        let said = json!({ "text": "hear me", "level": "warn" });
        lines.call(json!(1), "rogue_log", said).await;
        lines.call(json!(2), "rogue_crash", json!({})).await;
        signal(&host, Signal::TERM);
        assert_eq!(end(&mut host, &level).await.code(), Some(0));

        let text = program.site.read("log");
        let lines = text.lines().map(serde_json::from_str::<Value>);
        let lines: Vec<Value> = lines
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let shown =
            show(&program.site.path(".toolhost/ledger"), &Filter::default()).expect("a ledger");
        for (function, words) in [
            ("rogue.log", "hear me"),
            ("rogue.crash", "ended by a fault"),
        ] {
            let call = shown.calls.iter().rfind(|call| call.function == function);
            let call = call.expect("its record");
            let line = lines
                .iter()
                .find(|line| line["message"].to_string().contains(words));
            let line = line.unwrap_or_else(|| panic!("nothing says {words}: {text}"));
            let of = (&line["function"], &line["caller"], &line["call"]);
            assert_eq!(
                of,
                (&json!(function), &json!(call.agent), &json!(call.seq)),
                "{line}"
            );
        }
        assert_eq!(text.contains("wasm backtrace"), level == "debug", "{text}");
        assert_eq!(
            text.contains("did you mean `info`?"),
            level == "inffo",
            "{text}"
        );
    }
    // A command says it too, and what it cannot do is JSON like the rest.
    let mut command = program.command(&["call", "rogue.nothing"]);
    let variables = [
        ("TOOLHOST_LOG", "toolhost=wran"),
        ("TOOLHOST_LOG_FORMAT", "yaml"),
    ];
    let run = ended(&command.envs(variables).output().expect("a run"));
    assert!(
        run.err.contains("`warn`") && run.err.contains("`yaml` is no format"),
        "{run:?}"
    );
}

/// Runs a command with these streams.
fn run(program: &Program, arguments: &[&str], out: Stdio, err: Stdio) -> Ended {
    let mut command = program.command(arguments);
    let child = command.stdout(out).stderr(err).spawn().expect("a start");
    ended(&child.wait_with_output().expect("a run"))
}

#[test]
fn x66_no_command_panics_where_it_cannot_print() {
    let program = Program::new(TOOLS);
    let full = || {
        Stdio::from(
            OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .expect("it"),
        )
    };
    let gone = || Stdio::from(std::io::pipe().expect("a pipe").1);
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["list"],
        &["list", "--json"],
        &["check"],
        &["lock"],
        &["call", "everything.add", r#"{"a":2,"b":3}"#, "--bill"],
        &["call", "rogue.crash"],
        &["explain", "rogue"],
        &["ledger", "verify"],
        &["ledger", "show"],
        &["connect", "claude-code"],
        &["inspect", "rogue.wasm"],
        &["nonsense"],
        &["--manifest", "nowhere.toml", "list"],
    ] {
        let as_ever = run(&program, arguments, Stdio::piped(), Stdio::piped());
        let prints = !as_ever.out.is_empty();
        let unread = run(&program, arguments, gone(), Stdio::piped());
        assert_eq!(
            unread.code,
            if prints { 0 } else { as_ever.code },
            "{arguments:?}: {unread:?}"
        );
        let no_room = run(&program, arguments, full(), Stdio::piped());
        assert_eq!(
            no_room.code,
            if prints { 2 } else { as_ever.code },
            "{arguments:?}: {no_room:?}"
        );
        assert_eq!(
            no_room.err.contains("cannot print: "),
            prints,
            "{no_room:?}"
        );
        for ended in [unread, no_room] {
            assert!(!ended.err.contains("panicked"), "{arguments:?}: {ended:?}");
        }
        for err in [gone, full] {
            let mute = run(&program, arguments, Stdio::piped(), err());
            assert_eq!(mute.code, as_ever.code, "{arguments:?}: {mute:?}");
            // Paths and times may differ, what is there does not.
            assert_eq!(
                mute.out.is_empty(),
                as_ever.out.is_empty(),
                "{arguments:?}: {mute:?}"
            );
            let neither = run(&program, arguments, err(), err());
            assert!(
                [0, 1, 2].contains(&neither.code),
                "{arguments:?}: {neither:?}"
            );
        }
    }
}
