//! Processes that are killed. The test starts itself anew as the other process.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;

/// The folder that a child writes in; where it is set, a test plays the child.
const FOLDER: &str = "TOOLHOST_TEST_LEDGER";

fn role() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn child(test: &str, dir: &Path) -> Child {
    let path = module_path!().split_once("::").unwrap().1;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child said to have been written, up to so many.
fn acknowledged(child: &mut Child, up_to: usize) -> BTreeSet<u64> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("closed ")?.parse().ok())
        .take(up_to)
        .collect()
}

/// Writes calls and says of each when it is closed.
async fn write_calls(dir: &Path, rounds: usize) {
    let ledger = begin(dir);
    #[expect(clippy::disallowed_methods)]
    let mut out = std::io::stdout();
    for round in 0..rounds {
        let call = ledger
            .admit(Asked::usual().admitted(), reach(round % 16 == 0))
            .await
            .unwrap();
        let id = call.id();
        call.close(&closed(Ending::Ok)).unwrap();
        // It fails when the parent is gone, and so ends this process.
        writeln!(out, "\nclosed {id}").unwrap();
    }
    ledger.seal().await.unwrap();
}

#[tokio::test]
async fn x14_a_killed_process_loses_nothing_it_has_acknowledged() {
    if let Some(dir) = role() {
        return write_calls(&dir, usize::MAX).await;
    }
    let scratch = Scratch::new();
    let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
    for round in 0..20 {
        let mut child = child(
            "x14_a_killed_process_loses_nothing_it_has_acknowledged",
            &scratch.dir(),
        );
        let acknowledged = acknowledged(&mut child, 1 + 7 * round);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged.len(), 1 + 7 * round);

        let report = verify(&scratch.dir()).unwrap();
        assert!(report.intact(), "{:?}", report.problems);
        assert_eq!(report.segments.len(), round + 1);
        let state_of_killed =
            |s: &SegmentReport| matches!(s.state, SegmentEnd::Unsealed | SegmentEnd::Torn { .. });
        assert!(report.segments.iter().all(state_of_killed));
        let fresh: BTreeSet<u64> = calls(&scratch.dir())
            .into_iter()
            .filter(|call| call.end == End::Ok && !known.contains(&call.segment))
            .map(|call| call.seq)
            .collect();
        assert!(acknowledged.is_subset(&fresh));
        known.extend(report.segments.into_iter().map(|s| s.name.into()));
    }
}
