//! One segment under every kind of damage: the first record that is not genuine is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::terms::{AttemptSink as _, Code, ToolErrorCode};
use crate::tests::{Asked, Scratch, answer, attempt, begin, closed, reach};
use crate::{Ending, Ledger};

/// A sealed segment of sixteen records; its name comes first.
async fn sealed() -> (String, Vec<u8>) {
    let scratch = Scratch::new();
    let ledger: Ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    for ending in [
        Ending::Ok,
        Ending::Fault(Code::OutOfFuel),
        Ending::ToolError(ToolErrorCode::Denied),
    ] {
        let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
        let number = call.attempts().attempt(attempt("/a\nb", true)).unwrap();
        call.attempts().answer(number.unwrap(), answer());
        call.close(&closed(ending)).unwrap();
    }
    ledger.refuse(asked.refused("shell.run")).unwrap();
    let open = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    ledger.seal().await.unwrap();
    drop(open);
    let bytes = std::fs::read(scratch.dir().join(ledger.segment())).unwrap();
    (ledger.segment().to_owned(), bytes)
}

/// What is found: how it ends, or the first bad record and its flaw.
fn found(name: &str, bytes: &[u8], seen: &Sightings) -> Result<SegmentEnd, (u64, u64, Flaw)> {
    let mut check = Check::new(name, seen);
    let end = check.run(bytes);
    end.map_err(|flaw| (check.next, check.offset, flaw))
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|&b| b == b'\n').collect()
}

/// Where each record begins, and where the last one ends.
fn begins(bytes: &[u8]) -> Vec<u64> {
    let ends = lines(bytes).into_iter().scan(0, |at, line| {
        *at += line.len() as u64;
        Some(*at)
    });
    std::iter::once(0).chain(ends).collect()
}

#[tokio::test]
async fn a_good_segment_is_good() {
    let (name, bytes) = sealed().await;
    assert_eq!(lines(&bytes).len(), 16);
    assert_eq!(
        found(&name, &bytes, &Sightings::new()),
        Ok(SegmentEnd::Sealed)
    );
}

#[tokio::test]
async fn x13_every_flipped_bit_is_found_in_its_record() {
    let (name, mut bytes) = sealed().await;
    let begins = begins(&bytes);
    let last = bytes.len() - 1;
    for at in 0..bytes.len() {
        let record = begins.partition_point(|&begin| begin <= at as u64) as u64 - 1;
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            match found(&name, &bytes, &Sightings::new()) {
                Err((seq, offset, _)) => {
                    assert_eq!(
                        (seq, offset),
                        (record, begins[record as usize]),
                        "byte {at} bit {bit}"
                    );
                }
                // Without its line break the last record is not whole.
                Ok(SegmentEnd::Torn { offset, .. }) if at == last => assert_eq!(offset, begins[15]),
                Ok(state) => panic!("byte {at} bit {bit}: {state:?}"),
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[tokio::test]
async fn x13_every_cut_is_found() {
    let (name, bytes) = sealed().await;
    let begins = begins(&bytes);
    let hash = chain::claimed(lines(&bytes)[15].trim_ascii_end()).unwrap();
    let seal = BTreeMap::from([(hash.as_str().to_owned(), "later".to_owned())]);
    let seen = Sightings::from([(15, seal)]);
    assert_eq!(found(&name, &bytes, &seen), Ok(SegmentEnd::Sealed));
    for length in 0..bytes.len() {
        let whole = begins.partition_point(|&begin| begin <= length as u64) - 1;
        let offset = begins[whole];
        let bytes_left = length as u64 - offset;
        let expected = match bytes_left {
            0 => SegmentEnd::Unsealed,
            bytes => SegmentEnd::Torn { offset, bytes },
        };
        let cut = &bytes[..length];
        assert_eq!(found(&name, cut, &Sightings::new()), Ok(expected));
        let missed = (whole as u64, offset, Flaw::CutOff("later".to_owned()));
        assert_eq!(found(&name, cut, &seen), Err(missed));
    }
}

#[tokio::test]
async fn x13_a_record_removed_doubled_or_moved_is_found_there() {
    let (name, bytes) = sealed().await;
    let lines = lines(&bytes);
    let check = |lines: &[&[u8]], seq: usize, flaw: Flaw| {
        let (at, _, what) = found(&name, &lines.concat(), &Sightings::new()).unwrap_err();
        assert_eq!((at, what), (seq as u64, flaw));
    };
    for n in 0..lines.len() - 1 {
        let mut removed = lines.clone();
        removed.remove(n);
        check(&removed, n, Flaw::OutOfOrder(n as u64 + 1));

        let mut doubled = lines.clone();
        doubled.insert(n, lines[n]);
        check(&doubled, n + 1, Flaw::OutOfOrder(n as u64));

        let mut moved = lines.clone();
        moved.swap(n, n + 1);
        check(&moved, n, Flaw::OutOfOrder(n as u64 + 1));
    }
}

/// Chains lines anew, as somebody could who owns the file.
fn chained(bodies: &[&str]) -> Vec<u8> {
    let mut last = Hash::NONE;
    let mut bytes = Vec::new();
    for (seq, body) in bodies.iter().enumerate() {
        let mut line = format!(r#"{{"seq":{seq},"time":"",{body}"#).into_bytes();
        last = chain::finish(&mut line, 0, last);
        bytes.extend(line);
    }
    bytes
}

const OPEN: &str =
    r#""kind":"open","schema":1,"segment":"me","host":"h","pid":1,"mode":"dev","manifest":"m""#;
const ADMITTED: &str = r#""kind":"admitted","agent":"a","door":"cli","function":"t.f","component":"c","arguments":{"sha256":"a69fbbcf7209c6f659a75067c9fa03037c2ae23f55a6f854d5994209129bbbf6","bytes":9}"#;
const ATTEMPT_1: &str = r#""kind":"attempt","call":1,"to":{"http":{"method":"GET"}},"verdict":{"is":"allowed","grant":"b","line":1}"#;
const ANSWER_2: &str = r#""kind":"answer","call":1,"attempt":2,"answer":{"end":{"is":"abandoned"},"left":false,"sent":0,"received":0,"ms":0}"#;
const CLOSED_1: &str = r#""kind":"closed","call":1,"outcome":"ok""#;
const SEAL_1: &str = r#""kind":"seal","records":{"admitted":1,"closed":1,"refused":0}"#;

#[test]
fn a_well_chained_segment_has_to_make_sense_too() {
    let cases: &[(&[&str], u64, Flaw)] = &[
        (&[ADMITTED], 0, Flaw::WrongBegin),
        (&[OPEN, OPEN], 1, Flaw::WrongBegin),
        (&[&OPEN.replace(r#""me""#, r#""you""#)], 0, Flaw::WrongBegin),
        (
            &[&OPEN.replace(r#""schema":1"#, r#""schema":5"#)],
            0,
            Flaw::WrongBegin,
        ),
        (
            &[OPEN, ADMITTED, r#""kind":"names","earlier":[]"#],
            2,
            Flaw::NotARecord("names behind the beginning".to_owned()),
        ),
        (&[OPEN, CLOSED_1], 1, Flaw::NotOpen(1)),
        (&[OPEN, ADMITTED, CLOSED_1, CLOSED_1], 3, Flaw::NotOpen(1)),
        (&[OPEN, ADMITTED, SEAL_1], 2, Flaw::WrongCount),
        (&[OPEN, ATTEMPT_1], 1, Flaw::OfNoCall(1)),
        (&[OPEN, ADMITTED, CLOSED_1, ATTEMPT_1], 3, Flaw::OfNoCall(1)),
        (&[OPEN, ADMITTED, ANSWER_2], 2, Flaw::NoAttempt(2)),
        // What the host changes itself has no answer.
        (
            &[
                OPEN,
                ADMITTED,
                &ATTEMPT_1.replace(r#"{"http":{"method":"GET"}}"#, r#"{"kv":{"bucket":"b"}}"#),
                ANSWER_2,
            ],
            3,
            Flaw::NoAttempt(2),
        ),
        (
            &[OPEN, ADMITTED, ATTEMPT_1, ANSWER_2, ANSWER_2],
            4,
            Flaw::NoAttempt(2),
        ),
        (
            &[OPEN, ADMITTED, ATTEMPT_1, CLOSED_1, SEAL_1],
            4,
            Flaw::WrongCount,
        ),
        (
            &[OPEN, ADMITTED, CLOSED_1, SEAL_1, ADMITTED],
            4,
            Flaw::AfterSeal,
        ),
    ];
    for (bodies, seq, flaw) in cases {
        let (at, _, what) = found("me", &chained(bodies), &Sightings::new()).unwrap_err();
        assert_eq!((at, &what), (*seq, flaw), "{bodies:?}");
    }
    // A member that has to be there and is not.
    for event in [OPEN, ADMITTED, ATTEMPT_1, ANSWER_2, CLOSED_1, SEAL_1] {
        let (kind, _) = event.split_once(',').unwrap();
        let (at, _, flaw) = found("me", &chained(&[OPEN, kind]), &Sightings::new()).unwrap_err();
        assert!(
            at == 1 && matches!(&flaw, Flaw::NotARecord(_)),
            "{kind}: {flaw:?}"
        );
    }
    let good = chained(&[OPEN, ADMITTED, CLOSED_1, SEAL_1]);
    assert_eq!(
        found("me", &good, &Sightings::new()),
        Ok(SegmentEnd::Sealed)
    );
    let torn = [&good[..], b"{"].concat();
    assert!(matches!(
        found("me", &torn, &Sightings::new()),
        Err((4, _, Flaw::AfterSeal))
    ));
}

#[test]
fn no_bytes_make_it_panic() {
    let deep = "[".repeat(60_000);
    let long = "x".repeat(1 << 20);
    let lines: [&[u8]; 8] = [
        b"\n",
        b"\0\0\0\n",
        b"\xff\xfe\n",
        b"{\"seq\":99999999999999999999,\"kind\":\"open\"}\n",
        b"{\"seq\":-1}\n",
        b"null\n",
        &[deep.as_bytes(), b"\n"].concat(),
        long.as_bytes(),
    ];
    for bytes in lines {
        assert!(found("me", bytes, &Sightings::new()).is_err(), "{bytes:?}");
    }
}

#[tokio::test]
async fn x13_random_damage_is_found() {
    let (name, good) = sealed().await;
    // Any fixed sequence will do; this one is Knuth's.
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..3_000 {
        let mut bad = good.clone();
        for _ in 0..=random(3) {
            let from = random(bad.len());
            let to = (from + random(200)).min(bad.len());
            let at = random(good.len());
            let piece = good[at..(at + random(200)).min(good.len())].to_vec();
            bad.splice(from..to, piece);
        }
        if bad != good {
            let end = found(&name, &bad, &Sightings::new());
            assert_ne!(end, Ok(SegmentEnd::Sealed));
        }
    }
}
