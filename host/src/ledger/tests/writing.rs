//! What is written is what is read.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::terms::ToolErrorCode;

#[tokio::test]
async fn a_day_of_a_ledger() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let asked = Asked::usual();

    let first = ledger.admit(&asked.admitted(false)).await.unwrap();
    let second = ledger.admit(&asked.admitted(true)).await.unwrap();
    ledger.refuse(&asked.refused("shell.run")).unwrap();
    assert_eq!((first.id(), second.id()), (CallId(1), CallId(2)));
    second
        .attempts()
        .keep(&json!({ "method": "POST", "status": 201 }));
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
    };
    assert_eq!(
        (segment.state, segment.tally, segment.records),
        (State::Sealed, tally, 7)
    );
    assert_eq!(segment.name, ledger.segment());

    let [first, second, third] = calls(&scratch.dir()).try_into().unwrap();
    assert_eq!(
        (first.end, first.code, first.bill),
        (End::Ok, None, Some(BILL))
    );
    assert_eq!(
        (&*first.agent, first.user.as_deref(), &*first.door),
        ("support", Some("ada"), "unix")
    );
    assert_eq!(
        (&*first.function, first.writes, first.attempts.len()),
        ("github.search_issues", false, 0)
    );
    assert_eq!(
        (second.end, second.code.as_deref()),
        (End::ToolError, Some("not-found"))
    );
    assert_eq!(
        second.attempts[0].get(),
        r#"{"method":"POST","status":201}"#
    );
    assert_eq!(
        (third.end, &*third.function, third.code.as_deref()),
        (End::Refused, "shell.run", Some("unknown-function"))
    );
}

#[tokio::test]
async fn a_record_looks_like_this() {
    let scratch = Scratch::new();
    let ledger = Ledger::open(&scratch.dir(), &HEADER, || SystemTime::UNIX_EPOCH).unwrap();
    let call = ledger.admit(&Asked::usual().admitted(false)).await.unwrap();
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
            r#"{"seq":2,"time":"1970-01-01T00:00:00.000Z","kind":"closed","call":1,"outcome":"fault","code":"out-of-fuel","result":{"sha256":"4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945","bytes":2},"bill":{"fuel":81234,"peak_memory":1048576,"wall_us":1500,"egress_requests":1,"egress_bytes":4096},"attempts":[]"#,
        ]
    );
}

#[tokio::test]
async fn what_agents_write_stays_text() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let evil = "x\"}\n{\"seq\":1,\"kind\":\"seal\"}\r\n\u{1b}[2J\u{202e}\0";
    let asked = Asked::of(evil, evil, evil);
    let call = ledger.admit(&asked.admitted(false)).await.unwrap();
    call.attempts().keep(&json!({ evil: evil }));
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.refuse(&asked.refused(evil)).unwrap();

    assert_eq!(only_segment(&scratch.dir()).records, 4);
    let calls = calls(&scratch.dir());
    assert_eq!((&*calls[0].agent, &*calls[1].function), (evil, evil));
    let attempt: serde_json::Value = serde_json::from_str(calls[0].attempts[0].get()).unwrap();
    assert_eq!(attempt, json!({ evil: evil }));
}

#[tokio::test]
async fn the_longest_record_fits_a_line() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let long = "\u{1}".repeat(1 << 20);
    let asked = Asked::of(&long, &long, &long);
    let call = ledger.admit(&asked.admitted(false)).await.unwrap();
    for n in 0..5_000 {
        call.attempts().keep(&json!({ "n": n, "path": long }));
    }
    call.close(&closed(Ending::Fault(Code::DeadlineExceeded)))
        .unwrap();
    ledger.refuse(&asked.refused(&long)).unwrap();

    assert_eq!(only_segment(&scratch.dir()).records, 4);
    let call = &calls(&scratch.dir())[0];
    assert!(call.attempts.len() < 1_000);
    assert_eq!(call.tried().all, 5_000);
}

#[tokio::test]
async fn a_dropped_call_is_recorded_as_cancelled() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger.admit(&Asked::usual().admitted(false)).await.unwrap();
    call.attempts().keep(&"POST /refunds");
    assert_eq!(only_segment(&scratch.dir()).dangling, [1]);
    drop(call);

    assert!(only_segment(&scratch.dir()).dangling.is_empty());
    let call = &calls(&scratch.dir())[0];
    assert_eq!(
        (call.end, call.code.as_deref(), call.bill),
        (End::Fault, Some("cancelled"), None)
    );
    assert_eq!(call.attempts[0].get(), r#""POST /refunds""#);
}

#[tokio::test]
async fn a_call_that_a_panic_ends_is_not_its_callers_wish() {
    let scratch = Scratch::new();
    let ledger = begin(&scratch.dir());
    let call = ledger.admit(&Asked::usual().admitted(false)).await.unwrap();
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
                    let call = ledger.admit(&asked.admitted(round % 8 == 0)).await.unwrap();
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
    let call = ledger.admit(&asked.admitted(false)).await.unwrap();
    let reloaded = Reloaded {
        before: HEADER.manifest,
        manifest: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        mode: Mode::Serve,
    };
    ledger.reload(&reloaded, 1).await.unwrap();
    call.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    assert!(matches!(
        ledger.reload(&reloaded, 1).await,
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
    assert_eq!(record["manifest"], reloaded.manifest);
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
    let call = ledger.admit(&asked.admitted(false)).await.unwrap();
    ledger.seal().await.unwrap();
    assert!(matches!(
        ledger.admit(&asked.admitted(false)).await,
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
        (State::Sealed, &[1][..])
    );
}

#[tokio::test]
async fn x17_records_are_ordered_by_number_whatever_the_clock_does() {
    static NOW: AtomicU64 = AtomicU64::new(1_800_000_000);
    let scratch = Scratch::new();
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed));
    let ledger = Ledger::open(&scratch.dir(), &HEADER, clock).unwrap();
    for year_seconds in [0_i64, 31_536_000, -31_536_000, -31_536_000] {
        NOW.store(
            1_800_000_000_u64.saturating_add_signed(year_seconds),
            Ordering::Relaxed,
        );
        ledger.refuse(&Asked::usual().refused("a.b")).unwrap();
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

    std::fs::set_permissions(scratch.dir(), PermissionsExt::from_mode(0o770)).unwrap();
    let refused = Ledger::open(&scratch.dir(), &HEADER, SystemTime::now);
    assert!(matches!(refused, Err(LedgerError::Unsafe { .. })));
}

#[test]
fn a_link_is_no_folder_for_a_ledger() {
    let scratch = Scratch::new();
    let elsewhere = Scratch::new();
    std::os::unix::fs::symlink(&elsewhere.0, scratch.dir()).unwrap();
    let refused = Ledger::open(&scratch.dir(), &HEADER, SystemTime::now);
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
        let call = ledger.admit(&asked.admitted(false)).await.unwrap();
        call.close(&closed(ending)).unwrap();
    }
    ledger
        .refuse(&Asked::of("sales", "", "").refused("orders.burn"))
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
    let admitted = Admitted {
        load: 0,
        reach: Reach::Nothing,
        ..asked.admitted(false)
    };

    let mut short = ledger.admit(&admitted).await.unwrap();
    assert_eq!(short.drive(async { 1 }).await, 1);
    assert!(calls(&scratch.dir()).is_empty(), "it is over already");
    short.close(&closed(Ending::Ok)).unwrap();
    assert_eq!(calls(&scratch.dir()).len(), 1);

    let mut long = ledger.admit(&admitted).await.unwrap();
    let seen = long.drive(async {
        tokio::task::yield_now().await;
        calls(&scratch.dir()).len()
    });
    assert_eq!(seen.await, 2, "it can be seen to run");
    long.close(&closed(Ending::Ok)).unwrap();
    ledger.seal().await.unwrap();
    assert!(verify(&scratch.dir()).unwrap().intact());
}
