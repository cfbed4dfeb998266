//! Several segments, and what they say of each other.

use std::fs;

use super::*;

fn day(n: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(n * 86_400)
}

/// A folder with three sealed segments, oldest first: the second and the third name the one before.
async fn three() -> (Scratch, [PathBuf; 3]) {
    let scratch = Scratch::new();
    let mut paths = Vec::new();
    for number in 1..=3 {
        let clock = ManualClock::at(day(number)).clock();
        let ledger = begin_at(&scratch.dir(), clock);
        one_call(&ledger).await;
        ledger.seal().await.unwrap();
        paths.push(scratch.dir().join(ledger.segment()));
    }
    let report = verify(&scratch.dir()).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    assert!(
        report
            .segments
            .iter()
            .all(|s| s.state == SegmentEnd::Sealed)
    );
    (scratch, paths.try_into().unwrap())
}

async fn one_call(ledger: &Ledger) {
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn problems(scratch: &Scratch) -> Vec<(String, u64, Flaw)> {
    let report = verify(&scratch.dir()).unwrap();
    let all = report.problems.into_iter();
    all.map(|p| (p.segment, p.seq, p.flaw)).collect()
}

/// Cuts a segment.
fn keep_lines(path: &Path, n: usize) {
    let text = fs::read_to_string(path).unwrap();
    fs::remove_file(path).unwrap();
    fs::write(path, text.split_inclusive('\n').take(n).collect::<String>()).unwrap();
}

#[tokio::test]
async fn each_segment_names_the_one_before() {
    let (_scratch, paths) = three().await;
    let named = |of: &Path| {
        let begun = links::read_beginning(&fs::read(of).unwrap()[..]);
        begun
            .earlier
            .into_iter()
            .map(|l| (l.segment, l.seq))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&paths[0]), []);
    assert_eq!(named(&paths[1]), [(name(&paths[0]), 3)]);
    assert_eq!(named(&paths[2]), [(name(&paths[1]), 3)]);
}

#[tokio::test]
async fn x13_a_segment_that_is_taken_away_is_missed() {
    let (scratch, paths) = three().await;
    fs::remove_file(&paths[1]).unwrap();
    let missing = Flaw::Missing(name(&paths[2]));
    assert_eq!(problems(&scratch), [(name(&paths[1]), 3, missing)]);
}

#[tokio::test]
async fn x13_a_segment_that_is_cut_at_a_line_is_missed() {
    for lines in 0..4 {
        let (scratch, paths) = three().await;
        keep_lines(&paths[0], lines);
        let cut = Flaw::CutOff(name(&paths[1]));
        assert_eq!(problems(&scratch), [(name(&paths[0]), lines as u64, cut)]);
    }
}

#[tokio::test]
async fn the_newest_segment_without_its_end_is_reported_as_unsealed() {
    let (scratch, paths) = three().await;
    keep_lines(&paths[2], 3);
    let report = verify(&scratch.dir()).unwrap();
    assert_eq!(report.segments[2].state, SegmentEnd::Unsealed);
}

#[tokio::test]
async fn x13_a_segment_under_another_name_is_found() {
    let (scratch, paths) = three().await;
    let aside = scratch.0.join("aside");
    fs::rename(&paths[0], &aside).unwrap();
    fs::rename(&paths[1], &paths[0]).unwrap();
    fs::rename(&aside, &paths[1]).unwrap();
    let found = problems(&scratch);
    for path in &paths[..2] {
        assert!(found.contains(&(name(path), 0, Flaw::WrongBegin)));
    }
}

/// A chain proves nothing against somebody who makes it anew; what other segments say of it does.
#[tokio::test]
async fn x13_a_segment_written_anew_is_found() {
    let (scratch, paths) = three().await;
    let old = fs::read_to_string(&paths[0]).unwrap();
    let mut anew = Vec::new();
    let mut last = chain::Hash::NONE;
    for line in old.lines() {
        let body = line.rsplit_once(r#","hash":""#).unwrap().0;
        let mut line = body.replace("support", "nobody").into_bytes();
        last = chain::finish(&mut line, 0, last);
        anew.extend(line);
    }
    fs::write(&paths[0], anew).unwrap();
    let replaced = Flaw::Replaced(name(&paths[1]));
    assert_eq!(problems(&scratch), [(name(&paths[0]), 3, replaced)]);
}

/// Only the owner's newest segment is being written, and only while there is an owner.
#[tokio::test]
async fn the_newest_segment_of_an_owner_is_running() {
    let scratch = Scratch::new();
    begin(&scratch.dir());
    let killed = &verify(&scratch.dir()).unwrap().segments;
    assert_eq!(killed[0].state, SegmentEnd::Unsealed);
    let ledger = begin(&scratch.dir());
    one_call(&ledger).await;
    let states = |scratch: &Scratch| -> Vec<SegmentEnd> {
        let report = verify(&scratch.dir()).unwrap();
        assert!(report.intact(), "{:?}", report.problems);
        report.segments.iter().map(|one| one.state).collect()
    };
    assert_eq!(
        states(&scratch),
        [SegmentEnd::Unsealed, SegmentEnd::Running]
    );
    ledger.seal().await.unwrap();
    assert_eq!(states(&scratch), [SegmentEnd::Unsealed, SegmentEnd::Sealed]);
}

/// What the owner knows of its end is what the files show: a record that is cut off is missed, though no
/// other segment names it.
#[tokio::test]
async fn x84_the_end_of_a_running_segment_is_known_to_its_owner() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    one_call(&ledger).await;
    let head = ledger.head().unwrap();
    assert_eq!((&head.segment, head.seq), (&ledger.segment(), 2));
    let holds = || verify_expecting(&scratch.dir(), std::slice::from_ref(&head.hash)).unwrap();
    assert!(holds().intact());
    keep_lines(&scratch.dir().join(ledger.segment()), 2);
    let cut = holds();
    assert!(cut.problems.is_empty(), "{:?}", cut.problems);
    assert!(!cut.intact());
}

#[tokio::test]
async fn what_is_no_plain_file_is_a_problem_and_no_trap() {
    let (scratch, paths) = three().await;
    let pipe = scratch.dir().join("20990101T000000.000Z-1-0.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let link = scratch.dir().join("20990101T000000.000Z-1-1.jsonl");
    std::os::unix::fs::symlink(&paths[0], &link).unwrap();
    let found = problems(&scratch);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|(.., flaw)| matches!(flaw, Flaw::Unreadable(_)))
    );
    // And it does not keep a host from starting.
    begin(&scratch.dir()).seal().await.unwrap();
}

#[tokio::test]
async fn a_process_killed_before_its_first_record_leaves_an_empty_segment() {
    let (scratch, _) = three().await;
    fs::write(scratch.dir().join("20990101T000000.000Z-1-0.jsonl"), "").unwrap();
    begin(&scratch.dir()).seal().await.unwrap();
    let report = verify(&scratch.dir()).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let empty = report.segments.last().unwrap();
    assert_eq!((empty.state, empty.records), (SegmentEnd::Unsealed, 0));
}

#[tokio::test]
async fn calls_of_segments_are_shown_in_the_order_in_which_these_were_begun() {
    let (scratch, paths) = three().await;
    let order: Vec<String> = calls(&scratch.dir())
        .iter()
        .map(|call| call.segment.to_string())
        .collect();
    assert_eq!(order, paths.map(|path| name(&path)));
}
