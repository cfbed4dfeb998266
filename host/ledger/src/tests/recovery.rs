//! A ledger that failed goes on in a new segment, and one that is flooded with refusals counts them.

use std::fs;
use std::io;

use super::*;

/// Has the disk of this ledger fail.
fn fail(ledger: &Ledger) {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    ledger.0.current().health.failed("writing a record", &full);
}

#[tokio::test]
async fn x39_after_a_failure_a_new_segment_goes_on_where_the_old_one_ends() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    let old = ledger.segment();
    fail(&ledger);
    assert!(!ledger.healthy());
    assert!(ledger.admit(asked.admitted(), reach(false)).await.is_err());
    assert!(ledger.refuse(asked.refused("a.b")).is_err());

    assert!(ledger.0.begin_anew());
    assert!(ledger.healthy());
    assert_ne!(ledger.segment(), old);
    // What was under way stays without an end: its record would stand behind a gap.
    assert!(call.close(&closed(Ending::Ok)).is_err());
    let next = ledger.admit(asked.admitted(), reach(true)).await.unwrap();
    next.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();

    let report = verify(&scratch.dir()).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let ends: Vec<(&str, SegmentEnd, &[u64])> = report
        .segments
        .iter()
        .map(|s| (&*s.name, s.state, &*s.dangling))
        .collect();
    assert_eq!(
        ends,
        [
            (&*old, SegmentEnd::Unsealed, &[1][..]),
            (&*ledger.segment(), SegmentEnd::Sealed, &[][..])
        ]
    );
    // The new one names the old one's end.
    fs::remove_file(scratch.dir().join(&old)).unwrap();
    let problems = verify(&scratch.dir()).unwrap().problems;
    assert!(matches!(problems[0].flaw, Flaw::Missing(_)), "{problems:?}");
}

/// What a reload changed is what the new segment says.
#[tokio::test]
async fn x39_a_new_segment_says_what_the_host_goes_by_now() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    ledger.reload(reload("a-manifest")).await.unwrap();
    fail(&ledger);
    assert!(ledger.0.begin_anew());
    let text = fs::read_to_string(scratch.dir().join(ledger.segment())).unwrap();
    assert!(
        text.contains(r#""mode":"serve","manifest":"a-manifest""#),
        "{text}"
    );
}

#[tokio::test]
async fn x40_a_segment_that_is_taken_away_while_it_is_written_is_missed_at_once_and_for_ever() {
    let scratch = Scratch::new();
    let asked = Asked::usual();
    for exchanged in [false, true] {
        let ledger = begin(&scratch.dir());
        let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
        call.close(&closed(Ending::Ok)).unwrap();
        ledger.0.look_for_the_segment();
        assert!(ledger.healthy());

        let path = scratch.dir().join(ledger.segment());
        let copy = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        if exchanged {
            fs::write(&path, &copy[..copy.len() / 2]).unwrap();
        }
        ledger.0.look_for_the_segment();
        assert!(!ledger.healthy());
        assert!(ledger.admit(asked.admitted(), reach(false)).await.is_err());
        // Calls are recorded again, but health does not forget it.
        assert!(ledger.0.begin_anew());
        assert!(ledger.admit(asked.admitted(), reach(false)).await.is_ok());
        assert!(!ledger.healthy());
        ledger.seal().await.unwrap();
        let problems = verify(&scratch.dir()).unwrap().problems;
        let name = path.file_name().unwrap().to_str().unwrap();
        let problem = problems.iter().find(|problem| problem.segment == name);
        assert!(
            matches!(
                problem.unwrap().flaw,
                Flaw::Missing(_) | Flaw::CutOff(_) | Flaw::NotARecord(_)
            ),
            "{problems:?}"
        );
    }
}

#[tokio::test]
async fn x37_a_flood_of_refusals_is_counted_to_the_last_one() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    let long = "n".repeat(255);
    for n in 0..100_000 {
        ledger.refuse(asked.refused(&long)).unwrap();
        if n == 50_000 {
            ledger.0.write_counted_if_there_is_room();
        }
    }
    let other = Asked::of("sales", "github", "search_issues");
    ledger.refuse(other.refused("x.y")).unwrap();
    let call = ledger.admit(other.admitted(), reach(false)).await.unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    assert!(ledger.refuse(asked.refused("a.b")).is_err());

    let segment = only_segment(&scratch.dir());
    assert_eq!(
        (segment.tally.refused, segment.state),
        (100_001, SegmentEnd::Sealed)
    );
    let bytes = fs::metadata(scratch.dir().join(&segment.name))
        .unwrap()
        .len();
    assert!(bytes < 200_000, "{bytes} bytes");
    let calls = calls(&scratch.dir());
    let of = |agent: &str| -> u64 {
        let own = calls.iter().filter(|call| &*call.agent == agent);
        let refused = own.filter(|call| call.end == End::Refused);
        refused.map(|call| call.calls).sum()
    };
    assert_eq!((of("support"), of("sales")), (100_000, 1));
    let counted = calls.iter().find(|call| call.calls > 1).unwrap();
    assert!(counted.since.is_some() && counted.function == long);
}

/// Refusals leave the last of the disk to calls; none is forgotten.
#[tokio::test]
async fn x38_where_the_disk_is_scarce_refusals_wait() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    ledger.0.refusals.disk_is_scarce(true);
    let size = || {
        fs::metadata(scratch.dir().join(ledger.segment()))
            .unwrap()
            .len()
    };
    let before = size();
    for _ in 0..1_000 {
        ledger.refuse(asked.refused("a.b")).unwrap();
    }
    ledger.0.write_counted_if_there_is_room();
    assert_eq!(size(), before);
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.0.refusals.disk_is_scarce(false);
    ledger.0.write_counted_if_there_is_room();
    assert_eq!(only_segment(&scratch.dir()).tally.refused, 1_000);
}

/// A count that could not be written when its ledger failed is in the new segment.
#[tokio::test]
async fn x39_what_was_counted_is_not_lost_with_a_segment() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    for _ in 0..100 {
        ledger.refuse(asked.refused("a.b")).unwrap();
    }
    fail(&ledger);
    ledger.0.write_counted_if_there_is_room();
    assert!(ledger.0.begin_anew());
    ledger.seal().await.unwrap();
    let report = verify(&scratch.dir()).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let refused: u64 = report.segments.iter().map(|s| s.tally.refused).sum();
    assert_eq!(refused, 100);
}
