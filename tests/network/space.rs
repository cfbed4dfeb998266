//! Where a case runs: in a process with a network of its own, or, where the kernel does not give
//! one away, in this process, with the host's resolver in place of the network.
//!
//! A process that has threads cannot change its user namespace, and a test has threads. So a test
//! starts itself once more, by its own name, as the first process of new namespaces.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::lo;
use super::world::{Asked, World};
use crate::harness::{BUILT, guest};

/// Says to a process that it has a network of its own, and how the host there asks for names.
const INSIDE: &str = "TOOLHOST_TEST_NETWORK";

/// No case takes longer, whatever goes wrong.
const LONGEST: Duration = Duration::from_secs(100);

/// Asks the case's own name server, and completes names as a cluster would.
const RESOLV: &str = "nameserver 127.0.0.1\nsearch corp.test internal.test\noptions ndots:5\n";
const NSSWITCH: &str = "hosts: files dns\n";
const HOSTS: &str = "127.0.0.1 localhost\n";

/// Puts the files of a folder over those in `/etc` and becomes another program.
const ENTER: &str = r#"
set -e
for file in resolv.conf nsswitch.conf hosts; do
  if [ -e "/etc/$file" ]; then mount --bind "$0/$file" "/etc/$file"; fi
done
exec "$@"
"#;

/// Whether this process runs one case and nothing else, so that its memory and its descriptors are
/// the case's.
pub(super) fn alone() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs a case in a world of its own.
pub(super) fn case<C: AsyncFnOnce(World)>(case: C) {
    start(&[Asked::System], case);
}

/// Runs a case in two worlds: in one the host asks for names as this machine is set up, in the other
/// it asks the name server by itself.
pub(super) fn both_ways<C: AsyncFnOnce(World)>(case: C) {
    start(&[Asked::System, Asked::Directly], case);
}

fn start<C: AsyncFnOnce(World)>(ways: &[Asked], case: C) {
    if let Some(way) = std::env::var_os(INSIDE) {
        let asked = match way.to_str() {
            Some("directly") => Asked::Directly,
            _ => Asked::System,
        };
        let v6 = lo::bring_up().expect("the loopback device");
        run(async || case(World::namespace(v6, asked).await).await);
    } else if namespaces() {
        // Built here once; the other process finds it.
        guest("rogue.wasm");
        for asked in ways {
            run_again(test_of::<C>(), *asked);
        }
    } else {
        run(async || case(World::seams()).await);
    }
}

fn run(case: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let ended = tokio::time::timeout(LONGEST, case()).await;
        ended.expect("a case that ends by itself");
    });
}

/// The test that a closure stands in, as the harness calls it.
fn test_of<C>() -> &'static str {
    let name = std::any::type_name::<C>();
    let (_, path) = name.split_once("::").expect("a path");
    let (test, _) = path.split_once("::{{").expect("a closure");
    test
}

/// Whether new namespaces are to be had. Says once which way the cases go.
fn namespaces() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let tried = enter(Path::new("true"), &[], Asked::System);
        let there = tried.as_ref().is_ok_and(|output| output.status.success());
        let way = if there {
            "each in a network namespace of its own".to_owned()
        } else {
            format!("through the resolver, because there is no namespace: {tried:?}")
        };
        // Not `eprintln!`, which is shown of failed tests only.
        #[expect(clippy::disallowed_methods)]
        let _ = writeln!(std::io::stderr(), "network cases: {way}");
        there
    })
}

fn run_again(test: &str, asked: Asked) {
    let own = std::env::current_exe().expect("this program");
    let arguments = ["--exact", test, "--nocapture", "--test-threads=1"];
    let output = enter(&own, &arguments, asked).expect("a start");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{test}, {asked:?}:\n{out}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a program in new user, network and mount namespaces.
fn enter(program: &Path, arguments: &[&str], asked: Asked) -> std::io::Result<Output> {
    let folder = TempDir::with_prefix("th-etc-")?;
    for (file, text) in [
        ("resolv.conf", RESOLV),
        ("nsswitch.conf", NSSWITCH),
        ("hosts", HOSTS),
    ] {
        std::fs::write(folder.path().join(file), text)?;
    }
    let way = match asked {
        Asked::System => "system",
        Asked::Directly => "directly",
    };
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .args(["sh", "-c", ENTER])
        .arg(folder.path())
        .arg(program)
        .args(arguments)
        .env(INSIDE, way)
        .env(BUILT, "1")
        .output()
}
