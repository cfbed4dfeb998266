//! What is written is what is read.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::terms::{DirOperation, DirTarget, KvTarget, ToolErrorCode, Unrecorded};

#[tokio::test]
async fn a_day_of_a_ledger() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();

    let first = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    let second = ledger.admit(asked.admitted(), reach(true)).await.unwrap();
    ledger.refuse(asked.refused("shell.run")).unwrap();
    assert_eq!((first.id(), second.id()), (CallId(1), CallId(2)));
    let number = second.attempts().attempt(attempt("/a", true)).unwrap();
    second.attempts().answer(number.unwrap(), answer());
    second
        .close(&closed(Ending::ToolError(ToolErrorCode::NotFound)))
        .unwrap();
    first.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();

    let segment = only_segment(&scratch.dir());
    let tally = Tally {
        admitted: 2,
        closed: 2,
        refused: 1,
        reloads: 0,
        attempts: 1,
    };
    assert_eq!(
        (segment.state, segment.tally, segment.records),
        (SegmentEnd::Sealed, tally, 9)
    );
    assert_eq!(segment.name, ledger.segment());

    let [first, second, third] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!(
        (first.end, first.code, first.bill),
        (End::Ok, None, Some(BILL))
    );
    assert_eq!(
        (&*first.agent, first.user.as_deref(), first.door),
        ("support", Some("ada"), Door::Unix)
    );
    assert_eq!(
        (&*first.function, first.writes, first.attempts.len()),
        ("github.search_issues", false, 0)
    );
    assert_eq!(
        (second.end, second.code.as_deref()),
        (End::ToolError, Some("not-found"))
    );
    let [tried] = &second.attempts[..] else {
        panic!("{:?}", second.attempts)
    };
    assert_eq!(
        (&tried.to, &tried.answer),
        (&attempt("/a", true).to, &Some(answer()))
    );
    assert_eq!(
        (third.end, &*third.function, third.code.as_deref()),
        (End::Refused, "shell.run", Some("unknown-function"))
    );
}

#[tokio::test]
async fn a_record_looks_like_this() {
    let scratch = Scratch::new();
    let ledger = begin_at(
        &scratch.dir(),
        ManualClock::at(SystemTime::UNIX_EPOCH).clock(),
    );
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    let number = call.attempts().attempt(attempt("/a", true)).unwrap();
    call.attempts().answer(number.unwrap(), answer());
    call.close(&closed(Ending::Fault(Code::OutOfFuel))).unwrap();
    let text = std::fs::read_to_string(scratch.dir().join(ledger.segment())).unwrap();
    let without_hash: Vec<&str> = text
        .lines()
        .map(|l| l.rsplit_once(r#","hash":""#).unwrap().0)
        .collect();
    assert_eq!(
        without_hash[1..],
        [
            r#"{"seq":1,"time":"1970-01-01T00:00:00.000Z","kind":"admitted","agent":"support","user":"ada","door":"unix","function":"github.search_issues","component":"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","arguments":{"sha256":"a69fbbcf7209c6f659a75067c9fa03037c2ae23f55a6f854d5994209129bbbf6","bytes":9},"writes":false"#,
            r#"{"seq":2,"time":"1970-01-01T00:00:00.000Z","kind":"attempt","call":1,"to":{"http":{"method":"GET","scheme":"https","host":"api.test","port":443,"path":"/a"}},"verdict":{"is":"allowed","grant":"api","line":7,"rule":"GET /**"}"#,
            r#"{"seq":3,"time":"1970-01-01T00:00:00.000Z","kind":"answer","call":1,"attempt":2,"answer":{"end":{"is":"answered"},"status":200,"left":true,"sent":0,"received":5,"ms":12}"#,
            r#"{"seq":4,"time":"1970-01-01T00:00:00.000Z","kind":"closed","call":1,"outcome":"fault","code":"out-of-fuel","result":{"sha256":"4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945","bytes":2},"bill":{"fuel":81234,"peak_memory":1048576,"wall_us":1500,"egress_requests":1,"egress_bytes":4096}"#,
        ]
    );
}

#[tokio::test]
async fn what_agents_write_stays_text() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let evil = "x\"}\n{\"seq\":1,\"kind\":\"seal\"}\r\n\u{1b}[2J\u{202e}\0";
    let asked = Asked::of(evil, evil, evil);
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    call.attempts().attempt(attempt(evil, false)).unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.refuse(asked.refused(evil)).unwrap();

    assert_eq!(only_segment(&scratch.dir()).records, 5);
    let calls = calls(&scratch.dir());
    assert_eq!((&*calls[0].agent, &*calls[1].function), (evil, evil));
    assert_eq!(calls[0].attempts[0].to, attempt(evil, false).to);
}

#[tokio::test]
async fn the_longest_record_fits_a_line() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let long = "\u{1}".repeat(1 << 20);
    let asked = Asked::of(&long, &long, &long);
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    for n in 0..5_000 {
        let mut refused = attempt(&long, false);
        if let Verdict::Refused { nearest, .. } = &mut refused.verdict {
            *nearest = Some(format!("{n}{}", "g".repeat(60)).into());
        }
        call.attempts().attempt(refused).unwrap();
    }
    call.close(&closed(Ending::Fault(Code::DeadlineExceeded)))
        .unwrap();
    ledger.refuse(asked.refused(&long)).unwrap();

    assert!(only_segment(&scratch.dir()).records < 50);
    let call = &calls(&scratch.dir())[0];
    assert_eq!((call.tried().all, call.tried().refused), (5_000, 5_000));
}

#[tokio::test]
async fn a_dropped_call_is_recorded_as_cancelled() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    let number = call.attempts().attempt(attempt("/refunds", true)).unwrap();
    assert_eq!(only_segment(&scratch.dir()).dangling, [1]);
    drop(call);

    assert!(only_segment(&scratch.dir()).dangling.is_empty());
    let call = &calls(&scratch.dir())[0];
    assert_eq!(
        (call.end, call.code.as_deref(), call.bill),
        (End::Fault, Some("cancelled"), None)
    );
    assert_eq!(call.attempts[0].to, attempt("/refunds", true).to);
    assert_eq!(call.attempts[0].answer, None);
    assert_eq!(number, Some(call.attempts[0].seq));
}

#[tokio::test]
async fn n73_an_attempt_is_on_record_before_it_is_made() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    let attempts = Arc::clone(call.attempts());
    attempts.attempt(attempt("/a", true)).unwrap();
    let [seen] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!((seen.end, seen.attempts.len()), (End::Open, 1));
    // What comes behind the end of the record is refused before it is made, or for nobody.
    let late = attempts.attempt(attempt("/b", true)).unwrap().unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    assert_eq!(attempts.attempt(attempt("/c", true)), Err(Unrecorded));
    attempts.answer(late, answer());
    ledger.seal().await.unwrap();
    assert_eq!(only_segment(&scratch.dir()).tally.attempts, 2);
}

#[tokio::test]
async fn n74_what_was_refused_does_not_bury_what_left() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    for n in 0..10_000 {
        call.attempts()
            .attempt(attempt(&format!("/{n}"), false))
            .unwrap();
    }
    for n in 0..100 {
        call.attempts()
            .attempt(attempt(&format!("/exfil/{n}"), true))
            .unwrap();
    }
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    let [call] = calls(&scratch.dir()).try_into().unwrap();
    let left = call
        .attempts
        .iter()
        .filter(|tried| matches!(tried.verdict, Verdict::Allowed(_)));
    assert_eq!(left.count(), 100);
    let tried = call.tried();
    assert_eq!((tried.all, tried.refused), (10_100, 10_000));
    assert_eq!(call.usage[0].grant.as_deref(), Some("api"));
    assert!(only_segment(&scratch.dir()).records < 200);
}

/// However many there are, and whenever it is known that one is refused.
#[tokio::test]
async fn attempts_are_counted_beyond_those_that_are_shown() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    for n in 0..1_010 {
        let number = call.attempts().attempt(attempt("/a", true)).unwrap();
        let mut came = answer();
        if n % 101 == 0 {
            came.end = AnswerEnd::Refused {
                why: "loopback".to_owned(),
            };
        }
        call.attempts().answer(number.unwrap(), came);
    }
    for _ in 0..40 {
        call.attempts().attempt(attempt("/b", false)).unwrap();
    }
    call.close(&closed(Ending::Ok)).unwrap();
    let [call] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!((call.attempts.len(), call.more_attempts), (1_000, 42));
    assert_eq!((call.tried().all, call.tried().refused), (1_050, 50));
}

/// What one capability is refused takes nothing of another's room, nor changes of files a bucket's.
#[tokio::test]
async fn n74_one_capabilitys_attempts_do_not_bury_anothers() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(true))
        .await
        .unwrap();
    let tried = call.attempts();
    let bucket = || {
        Target::Kv(KvTarget {
            bucket: "b".to_owned(),
        })
    };
    let refused = attempt("/metadata", false);
    for _ in 0..100 {
        let kv = Attempt {
            to: bucket(),
            ..refused.clone()
        };
        tried.attempt(kv).unwrap();
        let to = Target::Dir(DirTarget {
            operation: DirOperation::Create,
            path: "/d".to_owned(),
            from: None,
        });
        tried
            .attempt(Attempt {
                to,
                ..attempt("/", true)
            })
            .unwrap();
    }
    let asked = tried.attempt(refused).unwrap();
    let written = tried
        .attempt(Attempt {
            to: bucket(),
            ..attempt("/", true)
        })
        .unwrap();
    assert!(asked.is_some() && written.is_some());
    let [seen] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!(seen.attempts.len(), 32 + 64 + 2);
    // A disk that is nearly full is for calls, not for what they were refused.
    ledger.0.refusals.disk_is_scarce(true);
    assert_eq!(tried.attempt(attempt("/x", false)).unwrap(), None);
    assert!(tried.attempt(attempt("/y", true)).unwrap().is_some());
    drop(call);
    let [seen] = calls(&scratch.dir()).try_into().unwrap();
    let http = seen.usage.iter().find(|usage| usage.of == "http").unwrap();
    assert_eq!(http.refused, 2, "{:?}", seen.usage);
}

/// What an older host wrote is read, verified and shown.
#[tokio::test]
async fn segments_of_schema_2_stay_readable() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.dir()).unwrap();
    std::fs::set_permissions(scratch.dir(), PermissionsExt::from_mode(0o700)).unwrap();
    let name = "20261101T000000.000Z-1.jsonl";
    let call = r#""agent":"a","door":"http","function":"t.f","component":"c","arguments":{"sha256":"a69fbbcf7209c6f659a75067c9fa03037c2ae23f55a6f854d5994209129bbbf6","bytes":9},"writes":true"#;
    let events = [
        format!(r#""kind":"open","schema":2,"segment":"{name}","number":1,"host":"0.1.0","pid":1,"mode":"dev","manifest":"m","earlier":[]"#),
        format!(r#""kind":"admitted",{call}"#),
        r#""kind":"closed","call":1,"outcome":"ok","attempts":[{"method":"GET","verdict":{"is":"allowed"}},{"times":4,"verdict":{"is":"refused"}}],"attempts_dropped":2"#.to_owned(),
        r#""kind":"refused","agent":"a","door":"cli","function":"x.y","code":"busy","calls":3,"since":"1970-01-01T00:00:00.000Z""#.to_owned(),
        r#""kind":"seal","records":{"admitted":1,"closed":1,"refused":3,"reloads":0}"#.to_owned(),
    ];
    let (mut lines, mut last) = (Vec::new(), chain::Hash::NONE);
    for (seq, event) in events.iter().enumerate() {
        let begin = lines.len();
        lines.extend_from_slice(
            format!(r#"{{"seq":{seq},"time":"1970-01-01T00:00:00.000Z",{event}"#).as_bytes(),
        );
        last = chain::finish(&mut lines, begin, last);
    }
    std::fs::write(scratch.dir().join(name), lines).unwrap();
    assert_eq!(only_segment(&scratch.dir()).state, SegmentEnd::Sealed);
    let [call, refused] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!((call.end, call.former_attempts.len()), (End::Ok, 2));
    let tried = call.tried();
    assert_eq!((tried.all, tried.refused), (7, 4));
    assert_eq!((refused.end, refused.calls), (End::Refused, 3));
}

#[tokio::test]
async fn a_call_that_a_panic_ends_is_not_its_callers_wish() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger
        .admit(Asked::usual().admitted(), reach(false))
        .await
        .unwrap();
    let panicked = std::thread::spawn(move || {
        let _call = call;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    let call = &calls(&scratch.dir())[0];
    assert_eq!(call.code.as_deref(), Some("internal"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_callers_lose_nothing() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let callers: Vec<_> = (0..32)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let asked = Asked::of(&format!("agent-{n}"), "jq", "run");
                let mut ids = Vec::new();
                for round in 0..40 {
                    let call = ledger
                        .admit(asked.admitted(), reach(round % 8 == 0))
                        .await
                        .unwrap();
                    ids.push(call.id());
                    tokio::task::yield_now().await;
                    call.close(&closed(Ending::Ok)).unwrap();
                }
                ids
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for caller in callers {
        let ids = caller.await.unwrap();
        assert!(ids.is_sorted());
        acknowledged.extend(ids.iter().map(|id| id.0));
    }
    acknowledged.sort_unstable();

    let segment = only_segment(&scratch.dir());
    assert_eq!(
        (segment.records, segment.dangling.len()),
        (1 + 2 * 32 * 40, 0)
    );
    let found: Vec<u64> = calls(&scratch.dir()).iter().map(|call| call.seq).collect();
    assert_eq!(found, acknowledged);
}

#[tokio::test]
async fn a_reload_is_a_record_between_the_calls() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    let manifest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    ledger.reload(reload(manifest)).await.unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    assert!(matches!(
        ledger.reload(reload(manifest)).await,
        Err(LedgerError::Sealed)
    ));

    let segment = only_segment(&scratch.dir());
    assert_eq!((segment.records, segment.tally.reloads), (5, 1));
    let text = std::fs::read_to_string(scratch.dir().join(&segment.name)).unwrap();
    let line = text.lines().nth(2).unwrap();
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&record["kind"], &record["before"], &record["mode"]),
        (&json!("reload"), &json!(HEADER.manifest), &json!("serve"))
    );
    assert_eq!(record["manifest"], manifest);
    let shown = |since: Option<SystemTime>| {
        let filter = Filter {
            since,
            ..Filter::default()
        };
        show(&scratch.dir(), &filter).unwrap().reloads
    };
    assert_eq!(shown(None), 1);
    assert_eq!(shown(Some(SystemTime::now() + Duration::from_secs(60))), 0);
}

#[tokio::test]
async fn nothing_follows_a_seal() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
    ledger.seal().await.unwrap();
    assert!(matches!(
        ledger.admit(asked.admitted(), reach(false)).await,
        Err(LedgerError::Sealed)
    ));
    assert!(matches!(
        call.close(&closed(Ending::Ok)),
        Err(LedgerError::Sealed)
    ));
    assert!(matches!(ledger.seal().await, Err(LedgerError::Sealed)));
    let segment = only_segment(&scratch.dir());
    assert_eq!(
        (segment.state, &*segment.dangling),
        (SegmentEnd::Sealed, &[1][..])
    );
}

#[tokio::test]
async fn x17_records_are_ordered_by_number_whatever_the_clock_does() {
    let scratch = Scratch::new();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let ledger = begin_at(&scratch.dir(), clock.clock());
    for year_seconds in [0_i64, 31_536_000, -31_536_000, -31_536_000] {
        let seconds = 1_800_000_000_u64.saturating_add_signed(year_seconds);
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        ledger.refuse(Asked::usual().refused("a.b")).unwrap();
    }
    assert!(verify(&scratch.dir()).unwrap().intact());
    let order: Vec<u64> = calls(&scratch.dir()).iter().map(|call| call.seq).collect();
    assert_eq!(order, [1, 2, 3, 4]);
}

#[tokio::test]
async fn only_this_user_reads_and_writes() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.dir()), 0o700);
    assert_eq!(mode(&scratch.dir().join(ledger.segment())), 0o600);

    drop(ledger);
    std::fs::set_permissions(scratch.dir(), PermissionsExt::from_mode(0o770)).unwrap();
    let refused = try_begin(&scratch.dir(), Clock::SYSTEM);
    assert!(matches!(refused, Err(LedgerError::Unsafe { .. })));
}

#[test]
fn a_link_is_no_folder_for_a_ledger() {
    let scratch = Scratch::new();
    let elsewhere = Scratch::new();
    std::os::unix::fs::symlink(&elsewhere.0, scratch.dir()).unwrap();
    let refused = try_begin(&scratch.dir(), Clock::SYSTEM);
    assert!(matches!(refused, Err(LedgerError::File { .. })));
}

#[tokio::test]
async fn a_filter_lets_through_what_is_asked_for() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    for (agent, tool, ending) in [
        ("support", "github", Ending::Ok),
        ("support", "orders", Ending::Fault(Code::OutOfFuel)),
        ("sales", "orders", Ending::Fault(Code::Trapped)),
    ] {
        let asked = Asked::of(agent, tool, "run");
        let call = ledger.admit(asked.admitted(), reach(false)).await.unwrap();
        call.close(&closed(ending)).unwrap();
    }
    ledger
        .refuse(Asked::of("sales", "", "").refused("orders.burn"))
        .unwrap();

    let seqs = |change: fn(&mut Filter)| -> Vec<u64> {
        let mut filter = Filter::default();
        change(&mut filter);
        let shown = show(&scratch.dir(), &filter).unwrap();
        shown.calls.iter().map(|call| call.seq).collect()
    };
    assert_eq!(seqs(|_| ()), [1, 3, 5, 7]);
    assert_eq!(seqs(|f| f.caller = Some("sales".into())), [5, 7]);
    assert_eq!(seqs(|f| f.function = Some("orders".into())), [3, 5, 7]);
    assert_eq!(seqs(|f| f.function = Some("orders.run".into())), [3, 5]);
    assert_eq!(seqs(|f| f.code = Some("trapped".into())), [5]);
    assert_eq!(seqs(|f| f.refused_only = true), [7]);
    assert_eq!(seqs(|f| f.limit = 2), [5, 7]);
    assert!(seqs(|f| f.limit = 0).is_empty());
    assert_eq!(
        seqs(|f| f.since = Some(SystemTime::UNIX_EPOCH)),
        [1, 3, 5, 7]
    );
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    let none = Filter {
        since: Some(tomorrow),
        ..Filter::default()
    };
    assert_eq!(show(&scratch.dir(), &none).unwrap().calls.len(), 0);
}

#[test]
fn a_ledger_can_be_lent_to_every_thread() {
    fn lent<T: Send + Sync + 'static>() {}
    lent::<Ledger>();
    lent::<OpenCall>();
    lent::<Arc<Attempts>>();
}

/// A call that can reach nothing is chained before it runs, and written when it waits or ends.
#[tokio::test]
async fn a_call_that_reaches_nothing_is_written_when_it_waits_or_ends() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();
    let mut short = ledger
        .admit(asked.admitted(), Reach::Nothing)
        .await
        .unwrap();
    assert_eq!(short.drive(async { 1 }).await, 1);
    assert!(calls(&scratch.dir()).is_empty(), "it is over already");
    short.close(&closed(Ending::Ok)).unwrap();
    assert_eq!(calls(&scratch.dir()).len(), 1);

    let mut long = ledger
        .admit(asked.admitted(), Reach::Nothing)
        .await
        .unwrap();
    let seen = long.drive(async {
        tokio::task::yield_now().await;
        calls(&scratch.dir()).len()
    });
    assert_eq!(seen.await, 2, "it can be seen to run");
    long.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    assert!(verify(&scratch.dir()).unwrap().intact());
}
