//! The host as agents meet it: a process of its own, through its doors.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::drive::{Echo, Http, Pipes, Unix};
use crate::place::Place;
use crate::stage::{Served, Stage, TOOLHOST};
use crate::stats::{Pairs, median, percentile, print_one};

pub(crate) const ROUNDS: usize = 15;

/// Call by call in turns: both find the processor and its caches as the other left them.
pub(crate) fn in_turns(a: &mut impl Echo, b: &mut impl Echo) -> Pairs {
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..500 {
            ours.extend(a.echo(1));
            reference.extend(b.echo(1));
        }
        pairs.push(percentile(&mut ours, 0.5), percentile(&mut reference, 0.5));
    }
    pairs
}

/// In batches: each finds its own caches warm, the more so the smaller it is.
pub(crate) fn in_batches(a: &mut impl Echo, b: &mut impl Echo) -> Pairs {
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(
            percentile(&mut a.echo(500), 0.5),
            percentile(&mut b.echo(500), 0.5),
        );
    }
    pairs
}

/// One call in flight, in turns and in batches, wherever client and servers may run.
pub(crate) fn one_in_flight(
    door: &str,
    (a, b): (&mut impl Echo, &mut impl Echo),
    servers: [u32; 2],
    asked: &str,
) {
    for place in Place::ALL {
        place.during(servers, || {
            let what = format!("{door}, p50, {}", place.name());
            in_turns(a, b).print(&what, "us", asked);
            in_batches(a, b).print("  in batches of 500", "us", asked);
        });
    }
}

pub(crate) fn unix(stage: &Stage) {
    let (ours, bare) = (stage.serve("toolhost"), Served::bare(stage));
    let (mut a, mut b) = (Unix::connect(&ours.unix), Unix::connect(&bare.unix));
    a.echo(500);
    b.echo(500);
    let servers = [ours.child.id(), bare.child.id()];
    one_in_flight("unix socket", (&mut a, &mut b), servers, "<= 2");
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(a.flood(4_000, 32) / 1e3, b.flood(4_000, 32) / 1e3);
    }
    pairs.print("unix socket, 32 in flight, calls", "k/s", ">= 0.45");
}

pub(crate) fn http(stage: &Stage) {
    let (ours, bare) = (stage.serve("toolhost"), Served::bare(stage));
    let (mut a, mut b) = (
        Http::connect(&ours.http, &ours.token),
        Http::connect(&bare.http, "none"),
    );
    a.echo(500);
    b.echo(500);
    let mut pairs = Pairs::default();
    let mut slowest = Duration::ZERO;
    let mut stalls = 0;
    for _ in 0..ROUNDS {
        let mut times = a.echo(500);
        slowest = slowest.max(times.iter().copied().max().unwrap());
        stalls += times
            .iter()
            .filter(|time| **time > Duration::from_millis(35))
            .count();
        pairs.push(
            percentile(&mut times, 0.5),
            percentile(&mut b.echo(500), 0.5),
        );
    }
    in_turns(&mut a, &mut b).print("HTTP, stateless, 1 in flight, p50", "us", "<= 2");
    pairs.print("  in batches of 500", "us", "<= 2");
    print_one(
        "HTTP, calls beyond 35 ms (a stall has 40)",
        &stalls.to_string(),
        "0",
    );
    print_one(
        "HTTP, slowest call",
        &format!("{:.1} ms", slowest.as_secs_f64() * 1e3),
        "",
    );
}

pub(crate) fn stdio(stage: &Stage) {
    let mut a = Pipes::spawn(
        Command::new(TOOLHOST)
            .arg("-m")
            .arg(stage.path("toolhost"))
            .args(["serve", "--stdio"]),
    );
    let mut b =
        Pipes::spawn(Command::new(std::env::current_exe().unwrap()).args(["bare", "stdio"]));
    a.echo(500);
    b.echo(500);
    let servers = [a.process(), b.process()];
    one_in_flight("stdio", (&mut a, &mut b), servers, "<= 1.7");
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(a.flood(2_000, 32) / 1e3, b.flood(2_000, 32) / 1e3);
    }
    pairs.print("stdio, 32 in flight, calls", "k/s", "");
}

/// Honest calls beside guests that loop for ever. The loops end with their connection.
pub(crate) fn noise(stage: &Stage) {
    for loops in [2, 16] {
        let ours = stage.serve("toolhost");
        let mut honest = Unix::connect(&ours.unix);
        honest.echo(500);
        let mut quiet = honest.echo(3_000);
        let mut noisy = Unix::connect(&ours.unix);
        for _ in 0..loops {
            noisy.call("rogue_spin", "{}");
        }
        honest.echo(500);
        let mut loud = honest.echo(3_000);
        let what = format!("honest p50 beside {loops} endless loops");
        let asked = if loops == 2 { "<= 3" } else { "" };
        let mut pairs = Pairs::default();
        pairs.push(percentile(&mut loud, 0.5), percentile(&mut quiet, 0.5));
        pairs.print(&what, "us", asked);
        let mut pairs = Pairs::default();
        pairs.push(percentile(&mut loud, 0.99), percentile(&mut quiet, 0.99));
        pairs.print(
            &format!("honest p99 beside {loops} endless loops"),
            "us",
            "",
        );
    }
}

/// From the agent's word to the guest's end, for a guest that loops.
pub(crate) fn cancel(stage: &Stage) {
    let ours = stage.serve("toolhost");
    let folder = stage.folder.join("toolhost.state/ledger");
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut agent = Unix::connect(&ours.unix);
        let before = closed(&folder);
        let id = agent.call("rogue_spin", "{}");
        agent.echo(20);
        let begun = closed(&folder);
        let start = Instant::now();
        agent.send(&format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}\n"
        ));
        while closed(&folder) == begun {
            std::thread::yield_now();
        }
        assert_eq!(begun, before + 20);
        times.push(start.elapsed());
    }
    print_one(
        "a looping guest stops after cancel, p50",
        &format!("{:.1} ms", percentile(&mut times, 0.5) / 1e3),
        "",
    );
    print_one(
        "a looping guest stops after cancel, worst",
        &format!("{:.1} ms", percentile(&mut times, 1.0) / 1e3),
        "<= 50 ms",
    );
}

/// Calls that ended, by the ledger of the newest segment.
fn closed(folder: &std::path::Path) -> usize {
    let newest = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max()
        .unwrap();
    std::fs::read_to_string(newest)
        .unwrap()
        .matches("\"kind\":\"closed\"")
        .count()
}

/// From starting the process to the first answer, with everything in the cache.
pub(crate) fn start(stage: &Stage) {
    stage.manifest("one", &stage.tool("test", "everything"));
    let fifty: String = (0..50)
        .map(|n| stage.tool(&format!("test{n}"), "everything"))
        .collect();
    stage.manifest("fifty", &fifty);
    let first_answer = |name: &str| {
        let start = Instant::now();
        let pipes = Pipes::spawn(
            Command::new(TOOLHOST)
                .arg("-m")
                .arg(stage.path(name))
                .args(["serve", "--stdio"]),
        );
        let time = start.elapsed();
        drop(pipes);
        time.as_secs_f64() * 1e3
    };
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(first_answer("fifty"), first_answer("one"));
    }
    pairs.print("start to first answer, 50 tools against 1", "ms", "<= 3");
}

pub(crate) fn memory(stage: &Stage) {
    stage.manifest("six", &stage.six());
    let served = stage.serve("six");
    let mut agent = Unix::connect(&served.unix);
    agent.call("jq_run", "{\"filter\":\".\",\"input\":1}");
    agent.receive();
    let resident = |field: &str| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .unwrap()
            .to_owned();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    };
    let mut seen: Vec<f64> = (0..5).map(|_| resident("VmRSS")).collect();
    print_one(
        "resident, idle, six tools, after one call",
        &format!("{:.1} MiB", median(&mut seen)),
        "<= 40",
    );
    print_one(
        "  of it not backed by a file",
        &format!("{:.1} MiB", resident("RssAnon")),
        "",
    );
}
