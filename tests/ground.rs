//! The operators' ground: an agent with a shell of its own, under another user, against everything
//! that decides what it may do.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Program, Site, sha256, skipped};

/// The user that the agent's shell runs under: nobody.
const STRANGER: u32 = 65_534;

/// Says to which socket this very test connects instead, as somebody else.
const KNOCK: &str = "TOOLHOST_TEST_KNOCKS_AT";

/// Whether another user can be played here: only root can become somebody else.
fn can_play_strangers() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped("only root can run a shell under another user");
    }
    root
}

/// Does something as the stranger.
fn stranger(command: &mut Command) -> Output {
    let output = command
        .uid(STRANGER)
        .gid(STRANGER)
        .current_dir("/")
        .output();
    output.expect("a process")
}

fn shell(script: &str) -> Output {
    stranger(Command::new("/bin/sh").args(["-c", script]))
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn program() -> Program {
    let token = sha256("a token of the operator's choice");
    let program = Program::new(&format!(
        r#"
host.agents = ["unix:.toolhost/agents/agent.sock"]
[caller.ada]
token_sha256 = "{token}"
may = ["*"]
[caller.local]
may = ["*"]
[tool.hello]
component = "hello.wasm"
"#
    ));
    // The way there is open: what holds is the host's own doing.
    mode(&program.site.path(""), 0o755);
    program
}

#[tokio::test]
async fn x03_an_agent_with_a_shell_reaches_nothing_of_the_operators() {
    if let Some(socket) = std::env::var_os(KNOCK) {
        knock(Path::new(&socket));
        return;
    }
    if !can_play_strangers() {
        return;
    }
    let program = program();
    program
        .site
        .write(".toolhost/agents/token", "0123456789abcdef0123456789abcdef");
    mode(&program.site.path(".toolhost/agents"), 0o700);
    mode(&program.site.path(".toolhost/agents/token"), 0o600);
    let mut serving = program.serve().await;
    let ledger = std::fs::read_dir(program.site.path(".toolhost/ledger"));
    let segment = ledger.expect("a ledger").next().expect("a segment");
    let segment = segment.expect("an entry").path();
    let state = program.site.path(".toolhost");
    let compiled = state.join("compiled");
    let compiled = std::fs::read_dir(compiled).expect("the cache").next();
    let compiled = compiled.expect("a component").expect("an entry").path();
    // What it may see shows that the shell works.
    let manifest = program.site.path("toolhost.toml");
    assert!(
        shell(&format!("cat '{}'", manifest.display()))
            .status
            .success()
    );
    let before = [
        &manifest,
        &program.site.path("toolhost.lock"),
        &segment,
        &compiled,
    ]
    .map(|path| (path.clone(), std::fs::read(path).expect("a file")));
    let at = |name: &str| program.site.path(name).display().to_string();
    let (manifest, lock, state) = (at("toolhost.toml"), at("toolhost.lock"), at(".toolhost"));
    let (socket, token) = (
        at(".toolhost/agents/agent.sock"),
        at(".toolhost/agents/token"),
    );
    let (segment, compiled) = (segment.display(), compiled.display());
    for script in [
        format!("cat '{token}'"),
        format!("ls '{state}'"),
        format!("ls '{state}/agents' '{state}/ledger' '{state}/compiled'"),
        format!("cat '{segment}'"),
        format!("echo x >> '{segment}'"),
        format!("rm -f '{segment}'"),
        format!("echo '[tool.evil]' >> '{manifest}'"),
        format!("mv '{manifest}' /tmp/taken-$$"),
        format!("rm -f '{manifest}'"),
        format!("ln -sf /tmp/evil.toml '{manifest}'"),
        format!("echo x > '{lock}'"),
        format!("rm -f '{lock}'"),
        format!("cp /etc/hostname '{lock}.new' && mv '{lock}.new' '{lock}'"),
        format!("mv '{state}' '{state}-gone'"),
        format!("rm -f '{socket}'"),
        format!("mv '{socket}' '{socket}-gone'"),
        format!("ln -sf /tmp/evil.sock '{socket}'"),
        format!("cat '{compiled}'"),
        format!("echo x > '{compiled}'"),
        format!("kill -9 {}", serving.child.id().expect("a process")),
        format!(
            "cat /proc/{}/environ",
            serving.child.id().expect("a process")
        ),
        format!("cat /proc/{}/mem", serving.child.id().expect("a process")),
    ] {
        let done = shell(&script);
        assert!(!done.status.success(), "{script}: {done:?}");
    }
    assert_eq!(knocked(&socket), "no connection: permission denied");
    for (path, bytes) in before {
        let now = std::fs::read(&path).expect("it is still there");
        let whole =
            now == bytes || (now.starts_with(&bytes) && path.extension() == Some("jsonl".as_ref()));
        assert!(whole, "{path:?} has changed");
    }
    // And the host serves on, and stops in order.
    let socket = UnixStream::connect(&socket).expect("the operator connects");
    drop(socket);
    serving.signal(rustix::process::Signal::TERM);
    serving.says("stopped").await;
}

/// Has a process of the stranger's connect; what it met.
fn knocked(socket: &str) -> String {
    let mut again = Command::new("/proc/self/exe");
    again.env(KNOCK, socket).args(["--exact", "--nocapture"]);
    again.arg("ground::x03_an_agent_with_a_shell_reaches_nothing_of_the_operators");
    let output = stranger(&mut again);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let met = said.lines().find_map(|line| line.split_once("it met "));
    met.map(|(_, met)| met.trim().to_owned())
        .unwrap_or_else(|| panic!("it said nothing: {output:?}"))
}

fn knock(socket: &Path) {
    let met = match UnixStream::connect(socket) {
        Err(error) => format!("no connection: {}", error.kind()),
        Ok(mut stream) => {
            let ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
            stream.write_all(ping.as_bytes()).expect("a word");
            let mut line = String::new();
            BufReader::new(stream)
                .read_line(&mut line)
                .expect("an answer");
            line.trim().to_owned()
        }
    };
    println!("it met {met}");
}

/// Callers that are other users come to a socket of their own, and only they are heard.
#[tokio::test]
async fn x03_another_user_is_heard_where_he_is_a_caller_and_nobody_else_is() {
    let tool = "[tool.hello]\ncomponent = \"hello.wasm\"\n";
    let of = |uid: u32, socket: &str| {
        let caller = format!("[caller.bob]\nuid = {uid}\nmay = [\"*\"]\n");
        Program::new(&format!(
            "host.agents = [\"unix:{socket}\"]\n{caller}{tool}"
        ))
    };
    let end = of(4_242, ".toolhost/agents/agent.sock").run(&["check"]);
    assert!(
        end.err.contains("[caller.bob]") && end.err.contains("a folder of its own"),
        "{end:?}"
    );
    if !can_play_strangers() {
        return;
    }
    for (uid, heard) in [(STRANGER, true), (4_242, false)] {
        let program = of(uid, "door/agent.sock");
        mode(&program.site.path(""), 0o755);
        let _serving = program.serve().await;
        let met = knocked(&program.site.path("door/agent.sock").display().to_string());
        assert_eq!(met.contains("\"result\":{}"), heard, "{met}");
        assert_eq!(met.contains("none of this host's callers"), !heard, "{met}");
        // He goes through the folder, and does not look around or change it.
        let door = program.site.path("door");
        for script in ["ls", "touch new", "rm -f agent.sock", "mv agent.sock x"] {
            let script = format!("cd '{}' && {script}", door.display());
            assert!(!shell(&script).status.success(), "{script}");
        }
    }
}

/// The host does not start where somebody else could change its mind; each refusal names the path,
/// the mode and the way out.
#[test]
fn x03_ground_that_others_can_change_is_refused() {
    let program = program();
    let site = &program.site;
    let refused = |arguments: &[&str], words: &[&str]| {
        let end = program.run(arguments);
        assert_eq!(end.code, 2, "{end:?}");
        for word in words {
            assert!(end.err.contains(word), "{word}: {}", end.err);
        }
    };
    let check = |arguments: &[&str]| {
        let end = program.run(arguments);
        assert_eq!(end.code, 0, "{end:?}");
    };
    check(&["check"]);
    for (name, open, closed, words) in [
        (
            "toolhost.toml",
            0o666,
            0o644,
            ["the manifest", "mode 0666", "chmod go-w"],
        ),
        (
            "toolhost.lock",
            0o666,
            0o644,
            ["the lock", "mode 0666", "chmod go-w"],
        ),
        (
            "",
            0o777,
            0o755,
            ["the manifest", "mode 0777", "chmod go-w"],
        ),
        (
            ".toolhost",
            0o755,
            0o700,
            ["the state folder", "mode 0755", "chmod go-rwx"],
        ),
        (
            ".toolhost",
            0o777,
            0o700,
            ["the state folder", "mode 0777", "chmod go-rwx"],
        ),
    ] {
        mode(&site.path(name), open);
        refused(&["check"], &words);
        refused(&["serve"], &words);
        refused(&["serve", "--stdio"], &words);
        refused(&["call", "hello.greet", r#"{"name": "Ada"}"#], &words);
        mode(&site.path(name), closed);
        check(&["check"]);
    }
    // A folder like /tmp holds no place for a lock that is not there yet.
    let lock = site.read("toolhost.lock");
    std::fs::remove_file(site.path("toolhost.lock")).expect("a lock");
    mode(&site.path(""), 0o1777);
    refused(&["check"], &["the lock", "another in its place"]);
    site.write("toolhost.lock", lock);
    check(&["check"]);
    mode(&site.path(""), 0o755);
    if !can_play_strangers() {
        return;
    }
    for name in ["toolhost.toml", "toolhost.lock", ".toolhost", ""] {
        chown(site.path(name), Some(STRANGER), None).expect("a new owner");
        refused(&["check"], &["belongs to user 65534", "chown 0"]);
        chown(site.path(name), Some(0), None).expect("the old owner");
    }
    check(&["check"]);
}

/// Links do not hide it: not to the manifest, and not into a granted directory.
#[test]
fn x03_links_do_not_hide_whose_ground_it_is() {
    let program = program();
    let site = &program.site;
    std::fs::create_dir(site.path("yard")).expect("a folder");
    mode(&site.path("yard"), 0o777);
    std::fs::rename(site.path("toolhost.toml"), site.path("yard/toolhost.toml")).expect("a move");
    site.link("yard/toolhost.toml".as_ref(), "toolhost.toml");
    let end = program.run(&["check"]);
    assert!(
        end.err.contains("yard") && end.err.contains("mode 0777"),
        "{end:?}"
    );

    // The manifest's text says nothing of where `notes` leads.
    let site = Site::new();
    site.write("real/inner/f", "");
    site.link("real".as_ref(), "notes");
    let program = Program::at(
        site,
        r#"
host.state = "real/state"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.dir.notes]
host = "notes"
guest = "/notes"
access = "read"
"#,
    );
    let end = program.run(&["check"]);
    assert!(end.err.contains("lies in the granted directory"), "{end:?}");
}

/// What the host says of itself: at its start, in `check`, and in the ledger's first record.
#[tokio::test]
async fn who_runs_under_the_agents_user_says_dev_everywhere() {
    let tool = "[tool.hello]\ncomponent = \"hello.wasm\"\n";
    let own = rustix::process::geteuid().as_raw();
    let token = sha256("somebody's token");
    let doors = "host.agents = [\"unix:agents/agent.sock\"]\n";
    for (caller, dev) in [
        (String::new(), true),
        ("[caller.a]\nstdio = true\nmay = [\"*\"]\n".to_owned(), true),
        (format!("[caller.a]\nuid = {own}\nmay = [\"*\"]\n"), true),
        (
            format!("[caller.a]\ntoken_sha256 = \"{token}\"\nmay = [\"*\"]\n"),
            false,
        ),
        (
            format!("[caller.a]\nuid = {}\nmay = [\"*\"]\n", own + 1),
            false,
        ),
    ] {
        let program = Program::new(&format!("{doors}{caller}{tool}"));
        let said = if dev { "dev" } else { "serve" };
        assert_eq!(
            program.run(&["check", "--json"]).json()["mode"],
            said,
            "{caller}"
        );
        let mut serving = program.start(&["serve"]);
        serving.says("Landlock").await;
        if dev {
            serving
                .says("dev: agents may run under this host's own user")
                .await;
        }
        serving.signal(rustix::process::Signal::TERM);
        serving.says("stopped").await;
        let mut ledger =
            std::fs::read_dir(program.site.path(".toolhost/ledger")).expect("a ledger");
        let segment = ledger.next().expect("a segment").expect("an entry").path();
        let text = std::fs::read_to_string(segment).expect("a segment");
        let first = text.lines().next().expect("a record");
        assert!(first.contains(&format!("\"mode\":\"{said}\"")), "{first}");
    }
    // The folders that it made are its own.
    let program = Program::new(tool);
    let end = program.run(&["call", "hello.greet", r#"{"name": "Ada"}"#]);
    assert_eq!(end.code, 0, "{end:?}");
    for name in [".toolhost", ".toolhost/ledger", ".toolhost/compiled"] {
        let metadata = std::fs::metadata(program.site.path(name)).expect("a folder");
        assert_eq!(metadata.mode() & 0o777, 0o700, "{name}");
    }
}
