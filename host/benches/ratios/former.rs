//! This build beside another one of the same program, the one before a change for example: the same
//! guests, the same client, call by call in turns. The other program is named by `TOOLHOST_FORMER`.

use std::path::PathBuf;
use std::process::Command;

use crate::drive::{Echo, Http, Pipes, Unix};
use crate::outside::{ROUNDS, in_batches, in_turns, one_in_flight};
use crate::stage::{Stage, TOOLHOST};
use crate::stats::Pairs;

/// What no row may be above: three parts in a hundred.
const ASKED: &str = "<= 1.03";

pub(crate) fn former(stage: &Stage) {
    let Some(program) = std::env::var_os("TOOLHOST_FORMER").map(PathBuf::from) else {
        println!("former: name the other build with TOOLHOST_FORMER=/path/to/toolhost");
        return;
    };
    stage.manifest_for(&program, "former", &stage.echo_and_rogue());
    let (now, then) = (
        stage.serve("toolhost"),
        stage.serve_with(&program, "former"),
    );
    let servers = [now.child.id(), then.child.id()];

    let (mut a, mut b) = (Unix::connect(&now.unix), Unix::connect(&then.unix));
    a.echo(500);
    b.echo(500);
    one_in_flight("former: unix socket", (&mut a, &mut b), servers, ASKED);
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(a.flood(4_000, 32) / 1e3, b.flood(4_000, 32) / 1e3);
    }
    pairs.print("former: unix, 32 in flight, calls", "k/s", ">= 0.97");

    let (mut a, mut b) = (
        Http::connect(&now.http, &now.token),
        Http::connect(&then.http, &then.token),
    );
    a.echo(500);
    b.echo(500);
    in_turns(&mut a, &mut b).print("former: HTTP, stateless, p50", "us", ASKED);
    in_batches(&mut a, &mut b).print("  in batches of 500", "us", ASKED);
    drop((now, then));

    let mut a = Pipes::spawn(
        Command::new(TOOLHOST)
            .arg("-m")
            .arg(stage.path("toolhost"))
            .args(["serve", "--stdio"]),
    );
    let mut b = Pipes::spawn(
        Command::new(&program)
            .arg("-m")
            .arg(stage.path("former"))
            .args(["serve", "--stdio"]),
    );
    a.echo(500);
    b.echo(500);
    let servers = [a.process(), b.process()];
    one_in_flight("former: stdio", (&mut a, &mut b), servers, ASKED);
}
