//! What the host holds for one call, beside what it says that it holds: every import is given the
//! largest values as often as it takes them, and the host's memory is looked at from outside.

use serde_json::{Value, json};

use toolhost_core::terms::Code;

use super::rogue;
use crate::harness::{Program, Serving, Site, Speaker, v03_guest};

/// What a guest's own memory may be, in MiB.
const MEMORY: u64 = 16;

/// What the host may hold besides, in MiB.
const HOST: u64 = 16;

/// What is on no account, in MiB: what one call of the host carries (8), once as it comes and once
/// as it is taken over, an instance's own tables and stack, and what an allocator keeps.
const SLACK: u64 = 24;

/// A way, how large, how often, and the code that its call may end with.
type Act = (&'static str, usize, usize, Option<&'static str>);

const FULL: Option<&str> = Some("out-of-host-memory");
/// The bound of one object, or of one call of the host, comes first.
const TRAP: Option<&str> = Some("trapped");
const MANY: Option<&str> = Some("too-many-resources");

/// By `rogue`, a tool of WASI 0.2.
const ACTS: [Act; 20] = [
    ("fields", 1_000, 1_000, TRAP),
    ("empty-fields", 0, 1_000, TRAP),
    ("names", 0, 1_000, TRAP),
    ("list", 60_000, 1_000, TRAP),
    ("set", 60_000, 1_000, FULL),
    ("clones", 60_000, 1_000, TRAP),
    ("methods", 1 << 20, 1_000, FULL),
    ("paths", 60_000, 1_000, FULL),
    ("authorities", 60_000, 1_000, FULL),
    ("bodies", 0, 1_000, MANY),
    ("responses", 0, 1_000, MANY),
    ("trailers", 0, 300, TRAP),
    ("requests", 1 << 20, 60, None),
    ("timers", 0, 1_500, MANY),
    ("streams", 0, 200, None),
    ("listings", 0, 200, None),
    ("long-paths", 8_000_000, 40, None),
    ("texts", 7_000_000, 10, None),
    ("set", 4_000_000, 20, TRAP),
    ("list", 6_000_000, 20, TRAP),
];

/// By `wasi3`, a tool of WASI 0.3.
const V03_ACTS: [Act; 6] = [
    ("questions", 7_000_000, 200, None),
    ("questions", 4_000, 4_000, FULL),
    ("writes", 0, 200, None),
    ("methods", 1 << 20, 1_000, FULL),
    ("fields", 1_000, 1_000, None),
    ("fields", 0, 1_000, FULL),
];

fn manifest(port: u16) -> String {
    format!(
        r#"
[limits]
memory = "{MEMORY}MiB"
host_memory = "{HOST}MiB"
handles = 8_000
fuel = 100_000_000_000
deadline = "60s"
[tool.rogue]
component = "rogue.wasm"
log = "info"
[tool.rogue.http.up]
url = "http://127.0.0.1:{port}"
allow = ["POST /**"]
private = ["127.0.0.0/8"]
[tool.rogue.dir.d]
host = "d"
guest = "/d"
access = "read"
[tool.wasi3]
component = "wasi3.wasm"
wasi = "0.3"
[tool.wasi3.dir.d]
host = "d"
guest = "/d"
access = "read-write"
"#
    )
}

/// How much the host's memory grew at its highest while a function was called, in MiB.
async fn grown<R, W>(
    (host, lines): (&Serving, &mut Speaker<R, W>),
    (number, function, arguments): (usize, &str, Value),
) -> (u64, Value)
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    host.forget_peak();
    let before = host.memory("VmRSS");
    let answer = lines.call(json!(number), function, arguments).await;
    let peak = host.memory("VmHWM");
    (peak.saturating_sub(before) >> 20, answer)
}

#[tokio::test]
async fn g61_g62_whatever_a_guest_hoards_the_host_holds_no_more_than_its_account_and_a_stated_rest()
{
    // Connections to it are made by the kernel, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (silent, address));
    let (_silent, address) = silent.expect("its address");
    let site = Site::new();
    site.link(&v03_guest("wasi3.wasm"), "wasi3.wasm");
    for n in 0..2_000 {
        site.write(&format!("d/{n:0>200}"), vec![b'x'; 16]);
    }
    site.write("d/large", vec![b'x'; 1 << 20]);
    let program = Program::at(site, &manifest(address.port()));
    let mut host = program.start(&["serve", "--stdio"]);
    let mut lines = host.speaker();
    lines.initialize().await;
    let hoard = |function, &(way, size, times, expected): &Act| {
        let mut arguments = json!({ "way": way, "size": size, "times": times });
        if function == "rogue_hoard" {
            arguments["path"] = "large".into();
            arguments["authority"] = address.to_string().into();
        }
        (function, arguments, expected)
    };
    let acts = ACTS.iter().map(|act| hoard("rogue_hoard", act));
    let acts = acts.chain(V03_ACTS.iter().map(|act| hoard("wasi3_hoard", act)));
    // What is there by the thousand for as long as its handle is.
    let acts = acts.chain([
        ("wasi3_sleepers", json!({ "n": 7_500, "ms": 1 }), None),
        ("wasi3_streams", json!({ "n": 3_900 }), None),
    ]);
    let mut wrong = Vec::new();
    for (number, (function, arguments, expected)) in acts.enumerate() {
        let what = format!("{function} {:.60}", arguments.to_string());
        let (grown, answer) = grown((&host, &mut lines), (number, function, arguments)).await;
        let code = answer["result"]["_meta"]["toolhost/code"].as_str();
        let line = format!(
            "{what}: {grown} MiB, {code:?} {:.200}",
            answer["result"]["content"].to_string()
        );
        eprintln!("{line}");
        if grown > MEMORY + HOST + SLACK || code != expected {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn g63_what_a_guest_has_too_many_of_is_told_by_its_name() {
    let hoard = |way: &str, times: u32| json!({ "way": way, "size": 0, "times": times });
    let house = rogue("resources = 100");
    let say = house
        .ends_with("rogue_hoard", hoard("timers", 200), Code::TooManyResources)
        .await;
    assert!(say.contains("`resources` of 100"), "{say}");
    let say = house
        .ends_with("rogue_hoard", hoard("children", 1), Code::Trapped)
        .await;
    assert!(say.contains("let go of something"), "{say}");
    let house = rogue("handles = 100");
    let say = house
        .ends_with("rogue_hoard", hoard("timers", 200), Code::TooManyResources)
        .await;
    assert!(say.contains("`handles` of 100"), "{say}");
    let house = rogue("host_memory = \"5MiB\"");
    let say = house
        .ends_with(
            "rogue_hoard",
            json!({ "way": "methods", "size": 1 << 20, "times": 100 }),
            Code::OutOfHostMemory,
        )
        .await;
    assert!(say.contains("`host_memory` of 5.0 MiB"), "{say}");
    house.still_serves("rogue_hoard", hoard("timers", 1)).await;
}
