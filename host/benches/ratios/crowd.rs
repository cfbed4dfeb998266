//! Honest calls beside a crowd: hostile calls that all really run, and more that wait or are turned
//! away. The reference is the same connection in the same process, before the crowd came.

use std::time::Duration;

use crate::drive::{Echo, Unix};
use crate::stage::Stage;
use crate::stats::{Pairs, percentile, print_one};

/// What the crowd does, none of it ever done.
const ACTS: [(&str, &str, &str); 5] = [
    ("loops", "rogue_spin", "{}"),
    ("bulk copies", "rogue_copy_for_ever", "{\"mib\":16}"),
    ("memory", "rogue_touch_for_ever", "{\"mib\":32}"),
    ("sleepers", "rogue_nap", "{\"ms\":3600000}"),
    ("output floods", "rogue_babble", "{\"mib\":1000000}"),
];

/// Calls that run at once.
const RUNNING: usize = 200;
/// Calls that come besides: the queue takes some, the rest hears "busy".
const MORE: usize = 800;
/// Calls of one connection.
const EACH: usize = 100;

const ROUNDS: usize = 5;

pub(crate) fn crowd(stage: &Stage) {
    let test = stage.tool("test", "echo");
    let rogue = stage.tool("rogue", "rogue");
    let limits = "log = \"info\"\nlimits = { fuel = 10_000_000_000_000, deadline = \"1h\", concurrency = 200 }\n";
    stage.manifest("crowd", &format!("{test}{rogue}{limits}"));

    for (what, function, arguments) in ACTS {
        let acts = vec![(function, arguments); 50];
        beside(stage, &format!("50 {what}"), &acts, 0, "");
    }
    let mixed: Vec<_> = ACTS
        .iter()
        .cycle()
        .take(RUNNING)
        .map(|(_, function, arguments)| (*function, *arguments))
        .collect();
    beside(stage, "200 mixed, 800 more", &mixed, MORE, "<= 2");
}

/// Measures the same connection before and beside these calls.
fn beside(stage: &Stage, what: &str, acts: &[(&str, &str)], more: usize, asked: &str) {
    let served = stage.serve("crowd");
    let mut honest = Unix::connect(&served.unix);
    honest.echo(1_000);
    let quiet: Vec<Vec<Duration>> = (0..ROUNDS).map(|_| honest.echo(2_000)).collect();

    let mut noisy: Vec<Unix> = Vec::new();
    let first = acts.first().copied().unwrap();
    let all = acts.iter().copied().chain(std::iter::repeat_n(first, more));
    for (number, (function, arguments)) in all.enumerate() {
        if number % EACH == 0 {
            noisy.push(Unix::connect(&served.unix));
        }
        noisy.last_mut().unwrap().call(function, arguments);
        if number + 1 == acts.len() {
            // All of them are to run before others come to wait.
            wait_for(stage, acts.len());
        }
    }
    let loud: Vec<Vec<Duration>> = (0..ROUNDS).map(|_| honest.echo(2_000)).collect();
    assert_eq!(running(stage), acts.len(), "the crowd is not what it was");

    for (name, share, asked) in [("p50", 0.5, ""), ("p99", 0.99, asked)] {
        let mut pairs = Pairs::default();
        for (loud, quiet) in loud.iter().zip(&quiet) {
            pairs.push(
                percentile(&mut loud.clone(), share),
                percentile(&mut quiet.clone(), share),
            );
        }
        pairs.print(&format!("honest {name} beside {what}"), "us", asked);
    }
    let worst = loud.iter().flatten().max().unwrap();
    print_one(
        "  the slowest of them",
        &format!("{:.1} ms", worst.as_secs_f64() * 1e3),
        "",
    );
}

/// Waits until so many of the crowd's calls were admitted.
fn wait_for(stage: &Stage, calls: usize) {
    while running(stage) < calls {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Calls of the rogue that were admitted, by the newest segment of the ledger. Calls that
/// reach nothing are recorded when they first wait, and each of these does; none of them ends.
fn running(stage: &Stage) -> usize {
    let newest = std::fs::read_dir(stage.folder.join("crowd.state/ledger"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max()
        .unwrap();
    let text = std::fs::read_to_string(newest).unwrap();
    let admitted = text
        .lines()
        .filter(|line| line.contains("\"kind\":\"admitted\"") && line.contains("rogue"));
    admitted.count()
}
