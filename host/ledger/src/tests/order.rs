//! Segments in the order in which they were begun, whatever their names and the clock say, and each
//! named by another.

use std::collections::BTreeSet;
use std::fs;

use super::*;

async fn one(dir: &Path, clock: Clock) -> String {
    let ledger = begin_at(dir, clock);
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    ledger.segment()
}

fn missing(dir: &Path, name: &str) {
    fs::remove_file(dir.join(name)).unwrap();
    let problems = verify(dir).unwrap().problems;
    let [problem] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert!(matches!(problem.flaw, Flaw::Missing(_)), "{problem}");
    assert_eq!(problem.segment, name);
}

#[tokio::test]
async fn x41_after_a_clock_that_was_ahead_segments_name_each_other() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let ahead = SystemTime::now() + Duration::from_secs(10 * 365 * 86_400);
    let ahead = ManualClock::at(ahead);
    for _ in 0..70 {
        one(&dir, ahead.clock()).await;
    }
    let mut now = Vec::new();
    for _ in 0..3 {
        now.push(one(&dir, Clock::SYSTEM).await);
    }
    let report = verify(&dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let order: Vec<u64> = report.segments.iter().map(|s| s.number).collect();
    assert_eq!(order, (1..=73).collect::<Vec<u64>>());
    assert_eq!(report.segments[72].name, now[2]);
    assert_eq!(report.head.as_ref(), Some(&report.segments[72].hash));
    let shown: Vec<String> = calls(&dir)
        .iter()
        .map(|call| call.segment.to_string())
        .collect();
    let order: Vec<String> = report.segments.iter().map(|s| s.name.clone()).collect();
    assert_eq!(shown, order);
    missing(&dir, &now[0]);
    let shown: Vec<String> = calls(&dir)
        .iter()
        .map(|call| call.segment.to_string())
        .collect();
    let order: Vec<String> = order_without(&report, &now[0]);
    assert_eq!(shown, order, "also where one is missing");
}

fn order_without(report: &LedgerReport, name: &str) -> Vec<String> {
    let names = report.segments.iter().map(|s| s.name.clone());
    names.filter(|other| other != name).collect()
}

#[tokio::test]
async fn x41_files_that_are_no_segments_hide_none() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let before = one(&dir, Clock::SYSTEM).await;
    for n in 0..200 {
        let name = format!("99991231T235959.{n:03}Z-1-{n:016x}.jsonl");
        fs::write(dir.join(name), ["", "{\"seq\":0}\n"][n % 2]).unwrap();
    }
    let after = one(&dir, Clock::SYSTEM).await;
    for n in 0..200 {
        let name = format!("99991231T235959.{n:03}Z-1-{n:016x}.jsonl");
        fs::remove_file(dir.join(name)).unwrap();
    }
    let report = verify(&dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let order: Vec<&str> = report.segments.iter().map(|s| &*s.name).collect();
    assert_eq!(order, [&before, &after]);
    missing(&dir, &before);
}

/// As after a fault that left many unnamed: the next that begins names them all, in several records.
#[tokio::test]
async fn x41_however_many_are_unnamed_all_are_named() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let mut names = vec![one(&dir, Clock::SYSTEM).await];
    for _ in 0..2 * links::IN_A_LINE {
        // None of these knows of another one.
        let elsewhere = Scratch::new();
        let name = one(&elsewhere.dir(), Clock::SYSTEM).await;
        fs::rename(elsewhere.dir().join(&name), dir.join(&name)).unwrap();
        names.push(name);
    }
    let last = one(&dir, Clock::SYSTEM).await;
    let begun = links::read_beginning(&fs::read(dir.join(&last)).unwrap()[..]);
    let named: Vec<&String> = begun.earlier.iter().map(|link| &link.segment).collect();
    assert_eq!(named.len(), names.len());
    assert!(names.iter().all(|name| named.contains(&name)));
    let report = verify(&dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    // And the one after it names that one only.
    let next = one(&dir, Clock::SYSTEM).await;
    let begun = links::read_beginning(&fs::read(dir.join(&next)).unwrap()[..]);
    let named: Vec<String> = begun.earlier.into_iter().map(|link| link.segment).collect();
    assert_eq!(named, [last]);
    missing(&dir, &names[7]);
}

/// Chains the lines of a segment anew, as somebody can who owns the folder.
fn forge(path: &Path, change: impl Fn(&str) -> String) -> String {
    let mut last = chain::Hash::NONE;
    let mut anew = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let body = line.rsplit_once(r#","hash":""#).unwrap().0;
        let begin = anew.len();
        anew.extend_from_slice(change(body).as_bytes());
        last = chain::finish(&mut anew, begin, last);
    }
    fs::write(path, anew).unwrap();
    last.as_str().to_owned()
}

#[tokio::test]
async fn x42_a_record_that_is_forged_as_a_whole_has_not_the_hash_that_was_kept() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let first = dir.join(one(&dir, Clock::SYSTEM).await);
    let second = dir.join(one(&dir, Clock::SYSTEM).await);
    let report = verify(&dir).unwrap();
    let [kept, old] = [report.head.unwrap(), report.segments[0].hash.clone()];
    let holds = |hash: &str| {
        let report = verify_expecting(&dir, &[hash.to_owned()]).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        (report.intact(), report.expected[0].found.clone())
    };
    assert!(holds(&kept).0 && holds(&old).0);
    // It goes on, and what was kept still holds.
    one(&dir, Clock::SYSTEM).await;
    let name = second.file_name().unwrap().to_str().unwrap();
    assert_eq!(holds(&kept), (true, Some(format!("record 3 of {name}"))));

    // All of it is written anew, links and all: by itself it is whole.
    let new = forge(&first, |line| line.replace("support", "nobody"));
    let forged = forge(&second, |line| line.replace(&old, &new));
    for path in fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path != first && path != second {
            forge(&path, |line| {
                line.replace(&old, &new).replace(&kept, &forged)
            });
        }
    }
    assert!(verify(&dir).unwrap().intact());
    assert_eq!(holds(&kept), (false, None));
    assert!(holds(&forged).0);
    assert_eq!(holds("no hash"), (false, None));
}

/// Segments of older versions have no number, and stand before those that have one.
#[tokio::test]
async fn x43_a_segment_without_a_number_is_read_and_named() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let first = one(&dir, Clock::SYSTEM).await;
    forge(&dir.join(&first), |line| {
        line.replace("\"schema\":2", "\"schema\":1")
            .replace("\"number\":1,", "")
    });
    let second = one(&dir, Clock::SYSTEM).await;
    let report = verify(&dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let numbers: Vec<(u64, &str)> = report
        .segments
        .iter()
        .map(|s| (s.number, &*s.name))
        .collect();
    assert_eq!(numbers, [(0, &*first), (1, &*second)]);
    assert_eq!(calls(&dir).len(), 2);
    missing(&dir, &first);
}

/// Until schema 3 several processes wrote at once, and named what others were still writing. Such a folder
/// is read, gone on with, and held together as before.
#[tokio::test]
async fn x43_a_folder_that_several_processes_wrote_at_once_is_read_and_gone_on_with() {
    let scratch = Scratch::new();
    let dir = scratch.dir();
    let first = one(&dir, Clock::SYSTEM).await;
    let second = one(&dir, Clock::SYSTEM).await;
    let lines = fs::read_to_string(dir.join(&first)).unwrap();
    let hash = |line: &str| chain::claimed(line.as_bytes()).unwrap().as_str().to_owned();
    let ends: Vec<String> = lines.lines().map(hash).collect();
    // The second began when the first had two records, and was writing.
    let known = format!(r#""seq":3,"hash":"{}""#, ends[3]);
    let then = format!(r#""seq":1,"hash":"{}","running":true"#, ends[1]);
    forge(&dir.join(&second), |line| {
        line.replace("\"schema\":4", "\"schema\":3")
            .replace(&known, &then)
    });
    let text = fs::read_to_string(dir.join(&second)).unwrap();
    assert!(text.contains(&then), "{text}");
    assert!(verify(&dir).unwrap().intact());
    assert_eq!(calls(&dir).len(), 2);

    let third = one(&dir, Clock::SYSTEM).await;
    let begun = links::read_beginning(&fs::read(dir.join(&third)).unwrap()[..]);
    let named: BTreeSet<(String, u64)> = begun
        .earlier
        .into_iter()
        .map(|link| (link.segment, link.seq))
        .collect();
    let both = [(first.clone(), 3), (second, 3)];
    assert_eq!(named, BTreeSet::from(both), "what grew is named anew");
    let report = verify(&dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    let cut: String = lines.split_inclusive('\n').take(3).collect();
    fs::write(dir.join(&first), cut).unwrap();
    let problems = verify(&dir).unwrap().problems;
    assert!(matches!(problems[0].flaw, Flaw::CutOff(_)), "{problems:?}");
}
