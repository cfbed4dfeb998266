//! Calls that wait, are woken, give up, and are turned away: one after the other in seeded random
//! orders, and all at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::join_all;

use super::scheduler::tests::Dice;
use super::*;

fn quota(text: &str) -> Quota {
    let text = format!("schema = 1\n{text}");
    Quota::new(&crate::manifest::parse("toolhost.toml", &text).expect("a manifest"))
}

const TWO: &str = r#"
[host]
concurrency = 4
queue = 6
[caller.a]
stdio = true
may = ["*"]
[caller.b]
uid = 1
may = ["*"]
concurrency = 1
[tool.x]
component = "x.wasm"
limits = { concurrency = 2 }
[tool.y]
component = "y.wasm"
limits = { concurrency = 2 }
"#;

/// A place for a call of this caller and tool.
async fn reserve(quota: &Quota, caller: &str, tool: &str) -> Result<Reservation, Fault> {
    quota.reserve(&caller.into(), &tool.into()).await
}

fn code<T>(result: &Result<T, Fault>) -> Option<Code> {
    result.as_ref().err().map(|fault| fault.code)
}

/// Knows whether it was woken since it was last asked.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<Reservation, Fault>> + 'a>>;

/// One call that asks for a place, polled by hand.
struct Asked<'a> {
    future: Asking<'a>,
    bell: Arc<Bell>,
}

impl<'a> Asked<'a> {
    fn new(quota: &'a Quota, caller: &'a str, tool: &'a str) -> Self {
        Self {
            future: Box::pin(reserve(quota, caller, tool)),
            bell: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<Result<Reservation, Fault>> {
        let waker = self.bell.clone().into();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn rang(&self) -> bool {
        self.bell.0.swap(false, Ordering::SeqCst)
    }
}

/// Says that every place is free again and nobody is expected.
fn empty(quota: &Quota) {
    let opened = quota.slots.lock();
    assert!(opened.waits.is_empty() && opened.called.is_empty());
    let fresh = super::tests::quota(TWO);
    let fresh = fresh.slots.lock();
    let plain = |opened: &SlotState| {
        format!("{:?}", opened.scheduler)
            .split("turn")
            .next()
            .map(str::to_owned)
    };
    assert_eq!(plain(&opened), plain(&fresh));
}

#[test]
fn whoever_is_called_was_woken_in_any_order_of_events() {
    let (mut called, mut given_up) = (0, 0);
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let quota = quota(TWO);
        let mut held = Vec::new();
        let mut asking: Vec<Asked<'_>> = Vec::new();
        for _ in 0..300 {
            match dice.roll(4) {
                0 | 1 => {
                    let caller = ["a", "b"][dice.roll(2)];
                    let mut asked = Asked::new(&quota, caller, ["x", "y"][dice.roll(2)]);
                    match asked.poll() {
                        Poll::Ready(Ok(place)) => held.push(place),
                        Poll::Ready(Err(fault)) => assert_eq!(fault.code, Code::Busy),
                        Poll::Pending => asking.push(asked),
                    }
                }
                2 if !held.is_empty() => drop(held.swap_remove(dice.roll(held.len()))),
                // Gives up, called or not.
                3 if !asking.is_empty() && dice.roll(2) == 0 => {
                    drop(asking.swap_remove(dice.roll(asking.len())));
                    given_up += 1;
                }
                _ => {}
            }
            // A task that was woken runs now or later; one that was not has nothing to find.
            let mut index = 0;
            while index < asking.len() {
                let woken = asking[index].bell.0.load(Ordering::SeqCst);
                if woken && dice.roll(2) == 0 {
                    index += 1;
                    continue;
                }
                asking[index].rang();
                match asking[index].poll() {
                    Poll::Ready(place) => {
                        assert!(woken, "seed {seed}: called, and nobody said so");
                        held.extend(place);
                        drop(asking.swap_remove(index));
                        called += 1;
                    }
                    Poll::Pending => {
                        assert!(!woken, "seed {seed}: woken for nothing");
                        index += 1;
                    }
                }
            }
        }
        drop(asking);
        drop(held);
        empty(&quota);
    }
    assert!(
        called > 1_000 && given_up > 1_000,
        "{called} called, {given_up} gave up"
    );
}

/// Lets others go on first.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn no_place_is_lost_when_many_give_up_at_once() {
    let quota = quota(TWO);
    let call = |n: usize| {
        let quota = &quota;
        async move {
            let reserve = reserve(quota, ["a", "b"][n % 2], ["x", "y"][n / 2 % 2]);
            // Gives up after some polls, or keeps its place for some.
            let patience = Dice(n as u64).roll(4);
            let mut reserve = Box::pin(reserve);
            for _ in 0..=patience {
                if let Poll::Ready(place) = futures_util::poll!(reserve.as_mut()) {
                    yield_now().await;
                    drop(place);
                    return;
                }
                yield_now().await;
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let calls = (0..500).map(move |n| call(4 * n + thread));
            scope.spawn(move || block_on(join_all(calls)));
        }
    });
    empty(&quota);
}

#[test]
fn a_caller_has_its_own_places_and_its_own_part_of_the_queue() {
    block_on(async {
        let quota = quota(&TWO.replace("concurrency = 2", "concurrency = 3"));
        let held = reserve(&quota, "b", "x").await;
        assert!(held.is_ok());
        let mut waiting: Vec<Asked<'_>> = (0..3).map(|_| Asked::new(&quota, "b", "y")).collect();
        assert!(
            waiting.iter_mut().all(|asked| asked.poll().is_pending()),
            "one at once is b's all"
        );
        let end = reserve(&quota, "b", "y").await;
        assert_eq!(code(&end), Some(Code::Busy));
        assert_eq!(end.err().and_then(|fault| fault.retry_after), Some(1));

        // `a` may take all but the one that is kept for `b`: the queue of `b` is no concern of its.
        let first = [
            reserve(&quota, "a", "x").await,
            reserve(&quota, "a", "y").await,
            reserve(&quota, "a", "y").await,
        ];
        assert!(first.iter().all(Result::is_ok));
        assert!(Asked::new(&quota, "a", "x").poll().is_pending());
        drop(held);
        assert!(waiting[0].rang(), "a place of y was left for it");
        drop(first);
        assert!(!waiting[1].rang(), "one at once is b's all");
    });
}

/// The same with another number of places for each tool, another caller and another tool.
fn other(x: u32) -> crate::manifest::Manifest {
    let text = format!(
        r#"
schema = 1
[host]
concurrency = 4
queue = 6
[caller.b]
uid = 1
may = ["*"]
[caller.c]
stdio = true
may = ["*"]
[tool.x]
component = "x.wasm"
limits = {{ concurrency = {x} }}
[tool.z]
component = "z.wasm"
"#
    );
    crate::manifest::parse("toolhost.toml", &text).expect("a manifest")
}

#[test]
fn places_that_are_taken_count_after_a_change_and_who_waits_is_called() {
    block_on(async {
        let quota = quota(TWO);
        let held = [
            reserve(&quota, "a", "x").await,
            reserve(&quota, "b", "x").await,
        ];
        let mut waiting = Asked::new(&quota, "a", "x");
        assert!(waiting.poll().is_pending());
        quota.change(&other(2));
        assert!(!waiting.rang(), "both places are taken still");
        let mut second = Asked::new(&quota, "b", "x");
        assert!(second.poll().is_pending());
        quota.change(&other(3));
        assert!(
            waiting.rang() && !second.rang(),
            "the one place more is the first one's"
        );
        // `a` and `y` are gone for good, but for what is still there.
        assert!(matches!(waiting.poll(), Poll::Ready(Ok(_))));
        drop(held);
        assert!(second.rang());
        drop(second);
        quota.change(&other(3));
        // A reload has just taken them away: whoever asked meanwhile may ask again.
        assert_eq!(code(&reserve(&quota, "a", "x").await), Some(Code::Busy));
        assert!(reserve(&quota, "c", "z").await.is_ok());
    });
}

/// A place is given back with a bill, or with what is known, and to its caller's account alone.
#[test]
fn g92_what_a_call_used_is_counted_however_it_ends() {
    block_on(async {
        let quota = quota(TWO);
        let bill = |fuel| Bill {
            fuel,
            wall: Duration::from_millis(fuel),
            egress_requests: 1,
            egress_bytes: 10,
            ..Bill::default()
        };
        let place = async |caller| {
            let place = reserve(&quota, caller, "x").await;
            place.unwrap_or_else(|fault| panic!("{fault:?}"))
        };
        place("a").await.settle(bill(5));
        // Not admitted.
        drop(place("a").await);
        // Ended by a panic after its guest was done.
        let ended = place("a").await;
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            ended.used(bill(7));
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        // What is settled is what counts, once.
        let last = place("a").await;
        last.used(bill(100));
        last.settle(bill(101));
        let expected = Settled {
            calls: 2,
            given_up: 2,
            fuel: 113,
            wall: Duration::from_millis(113),
            egress_requests: 3,
            egress_bytes: 30,
        };
        assert_eq!(quota.settled("a"), expected);
        assert_eq!(quota.settled("b"), Settled::default());
        empty(&quota);

        // Who waited and gave up had no place.
        let held = place("b").await;
        drop(Asked::new(&quota, "b", "x").poll());
        held.settle(bill(u64::MAX));
        place("b").await.settle(bill(1));
        let own = quota.settled("b");
        assert_eq!((own.calls, own.given_up, own.fuel), (2, 0, u64::MAX));

        // A reload keeps the accounts of those it names.
        quota.change(&other(2));
        assert_eq!(quota.settled("b"), own);
        assert_eq!(quota.settled("a"), Settled::default());
    });
}

#[test]
fn closing_tells_who_waits() {
    block_on(async {
        let quota = quota(TWO);
        let held = reserve(&quota, "b", "x").await;
        let (waited, ()) = futures_util::join!(reserve(&quota, "b", "x"), async { quota.close() });
        assert_eq!(code(&waited), Some(Code::ShuttingDown));
        assert_eq!(
            code(&reserve(&quota, "a", "y").await),
            Some(Code::ShuttingDown)
        );
        drop(held);
    });
}
