//! Two lanes for calls. A call starts on the thread that asked for it, so a short one costs no
//! hand-over. One that has burnt its fair share of processor time goes on in a second runtime
//! whose threads the kernel runs only when nobody else wants to: loops cannot slow honest calls.
//! There callers take turns by the processor time that they have used: see `turns`.
//!
//! Long work of the host's own for a call never is on the first lane either: the call steps aside
//! before it, see [`step_aside`], or what cannot be stopped gets a thread, see [`Lanes::aside`].
//!
//! A call that nobody waits for any more is not dropped but cancelled: the rest of its future runs
//! on the second lane, sees the token, and closes its books.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::run::panic_words;
use super::seat::{Ends, InTurn, Lane, processor_time};
use crate::shares::Shares;
use crate::terms::Fault;
use toolhost_outbound::CurrentCall;

/// Processor time a call may use on the first lane. An ordinary call needs some tens of
/// microseconds; an interpreter's a few hundred.
const FAIR_SHARE: Duration = Duration::from_millis(2);

/// So much of it is counted by the clock, which costs next to nothing. On a busy machine the clock also
/// goes on while the thread does not, so what is beyond is counted by what the thread has used.
const BY_CLOCK: Duration = Duration::from_millis(1);

/// Threads for work that cannot be stopped, over all callers.
const ASIDES: u64 = 256;

/// The second lane.
pub struct Lanes {
    slow: Option<Runtime>,
    lane: Lane,
    /// Threads for work that cannot be stopped.
    asides: Shares<Arc<str>>,
    away: Arc<Away>,
    /// Calls that are not over, whether or not anybody waits for them.
    calls: TaskTracker,
}

impl Lanes {
    /// For a host of many callers: the second lane is a thread a core, at the lowest priority.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn for_many() -> Result<Self, Fault> {
        Self::new(|| {
            // On Linux this is per thread. Where it fails the lane works, at normal priority.
            let _ = rustix::process::setpriority_process(None, 19);
        })
    }

    /// For a command that makes one call and waits for it: the second lane gives way to nobody, so
    /// that a busy machine does not turn a call that is out of fuel into one that is out of time.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn for_one() -> Result<Self, Fault> {
        Self::new(|| {})
    }

    fn new(at_start: fn()) -> Result<Self, Fault> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let slow = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("slow-lane")
            .on_thread_start(at_start)
            .enable_all()
            .build()
            .map_err(|error| Fault::internal(format!("the second lane cannot start: {error}")))?;
        let each = u64::try_from(cores).unwrap_or(u64::MAX);
        Ok(Self {
            slow: Some(slow),
            lane: Lane::new(cores),
            asides: Shares::with_most(ASIDES, each),
            away: Arc::default(),
            calls: TaskTracker::new(),
        })
    }

    /// Does long work of the host's own for this caller on a thread of the second lane, in nobody's
    /// way. It is not stopped when nobody waits for it any more. A caller has as many such threads as
    /// there are cores, and what they use counts when its calls take turns.
    ///
    /// # Errors
    ///
    /// When the work panics, or the lane is gone.
    pub async fn aside<T: Send + 'static>(
        &self,
        caller: &Arc<str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let stopped = || Fault::internal("the second lane is not there any more");
        let slow = self.slow.as_ref().ok_or_else(stopped)?;
        let place = self.asides.wait(caller, 1).await;
        let place = place.map_err(Fault::internal)?;
        let seat = self.lane.seat(caller);
        let current = CurrentCall::carried();
        let work = move || {
            let _place = place;
            current.around(|| seat.beside(work))
        };
        let done = slow.handle().spawn_blocking(work).await;
        done.map_err(|error| Fault::internal(format!("work of the host's failed: {error}")))
    }

    /// Runs a call of this caller's to its end. `make` gets the token that says that nobody waits any
    /// more.
    pub fn drive<T, F>(
        &self,
        caller: &Arc<str>,
        make: impl FnOnce(CancellationToken) -> F,
    ) -> Drive<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let slow = self.slow.as_ref().map(|slow| slow.handle().clone());
        Drive {
            stage: Stage::First(
                Box::pin(self.calls.track_future(make(cancel.clone()))),
                Duration::ZERO,
            ),
            cancel,
            deadline: None,
            caller: Arc::clone(caller),
            lane: self.lane.clone(),
            away: Arc::clone(&self.away),
            slow,
        }
    }
}

impl Lanes {
    /// Waits until no call is under way, for so long at most: those that nobody waits for any more
    /// close their books too. Whether none is left.
    pub async fn are_empty(&self, within: Duration) -> bool {
        self.calls.close();
        tokio::time::timeout(within, self.calls.wait())
            .await
            .is_ok()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        if let Some(slow) = self.slow.take() {
            // A guest that still runs is dropped at its next yield; nobody waits for it.
            slow.shutdown_background();
        }
    }
}

thread_local! {
    /// What the call that is polled on this thread wants: to go on in the second lane, and that its
    /// caller's next calls begin there for so long.
    static ASIDE: Cell<Option<Duration>> = const { Cell::new(None) };
    /// When the call that is polled on this thread has to be over, once it has said so.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Says when the call that runs here has to be over: by then it is looked at whether it is its turn or
/// not.
pub fn ends_by(deadline: Instant) {
    DEADLINE.set(Some(deadline));
}

/// What the call that was just polled has said of its deadline.
pub(super) fn known_deadline() -> Option<Instant> {
    DEADLINE.take()
}

/// Goes on in the second lane: what comes next is long work of the host's own for this call. For
/// `next` from now on the same caller's calls begin there too: this one held up the first lane
/// before it could be known that it would. Costs nothing but a turn where the call is there already.
pub async fn step_aside(next: Duration) {
    let mut asked = false;
    poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        ASIDE.set(Some(next));
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Callers whose calls begin in the second lane for a while.
#[derive(Default)]
struct Away {
    /// Whether there may be any: the common case costs one look.
    any: AtomicBool,
    until: Mutex<BTreeMap<Arc<str>, Instant>>,
}

impl Away {
    fn send(&self, caller: &Arc<str>, next: Duration) {
        let mut until = self.until();
        until.insert(Arc::clone(caller), Instant::now() + next);
        self.any.store(true, Ordering::Release);
    }

    fn is(&self, caller: &str) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let now = Instant::now();
        let mut until = self.until();
        until.retain(|_, until| *until > now);
        self.any.store(!until.is_empty(), Ordering::Release);
        until.contains_key(caller)
    }

    fn until(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call on its way, to be awaited. Dropping it cancels the call.
pub struct Drive<T: Send + 'static> {
    stage: Stage<T>,
    cancel: CancellationToken,
    deadline: Option<Instant>,
    caller: Arc<str>,
    lane: Lane,
    away: Arc<Away>,
    slow: Option<Handle>,
}

enum Stage<T> {
    First(Pin<Box<dyn Future<Output = T> + Send>>, Duration),
    Second(JoinHandle<T>),
    Over,
}

impl<T: Send + 'static> Future for Drive<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if matches!(this.stage, Stage::First(..)) && this.away.is(&this.caller) {
            this.change_lane();
        }
        if let Stage::First(call, spent) = &mut this.stage {
            let used = (*spent >= BY_CLOCK).then(processor_time);
            let start = Instant::now();
            ASIDE.set(None);
            DEADLINE.set(None);
            // A panic ends its call, not the door that asked for it.
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)));
            match polled {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(value)) => {
                    this.stage = Stage::Over;
                    return Poll::Ready(Ok(value));
                }
                Err(panic) => {
                    this.bury();
                    let what = panic_words(&*panic);
                    return Poll::Ready(Err(Fault::internal(format!("a call panicked: {what}"))));
                }
            }
            *spent = match used {
                None => (*spent + start.elapsed()).min(BY_CLOCK),
                Some(before) => {
                    let more = processor_time().saturating_sub(before);
                    *spent + Duration::from_nanos(more)
                }
            };
            this.deadline = known_deadline().or(this.deadline);
            let aside = ASIDE.take();
            if *spent < FAIR_SHARE && aside.is_none() {
                return Poll::Pending;
            }
            if let Some(next) = aside
                && !next.is_zero()
            {
                this.away.send(&this.caller, next);
            }
            this.change_lane();
        }
        let Stage::Second(task) = &mut this.stage else {
            return Poll::Pending;
        };
        Pin::new(task).poll(context).map(|ended| {
            this.stage = Stage::Over;
            ended.map_err(|error| Fault::internal(format!("a call's task failed: {error}")))
        })
    }
}

impl<T: Send + 'static> Drive<T> {
    /// Drops what is left of a call that panicked; what panics again in there was said before.
    fn bury(&mut self) {
        let rest = std::mem::replace(&mut self.stage, Stage::Over);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(rest)));
    }

    fn change_lane(&mut self) {
        if let Some(slow) = &self.slow
            && let Stage::First(call, _) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            let seat = self.lane.seat(&self.caller);
            let ends = Ends::new(&self.cancel, self.deadline);
            self.stage = Stage::Second(slow.spawn(InTurn::new(call, seat, ends)));
        }
    }
}

impl<T: Send + 'static> Drop for Drive<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.change_lane();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures_util::FutureExt as _;

    use super::*;

    fn here() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Where a call of this caller's begins, and where it is after it stepped aside.
    async fn places(lanes: &Lanes, caller: &str, next: Duration) -> (String, String) {
        let driven = lanes.drive(&caller.into(), |_| async move {
            let first = here();
            step_aside(next).await;
            (first, here())
        });
        driven.await.expect("an end")
    }

    #[tokio::test]
    async fn g66_long_work_of_the_hosts_is_never_on_the_first_lane() {
        let lanes = Lanes::for_one().expect("lanes");
        let own = here();
        let long = Duration::from_secs(600);
        let (first, then) = places(&lanes, "a", Duration::ZERO).await;
        assert_eq!((first, then.as_str()), (own.clone(), "slow-lane"));
        // It came too late for this one: the next ones begin there.
        assert_eq!(places(&lanes, "a", long).await.0, own);
        assert_eq!(places(&lanes, "a", long).await.0, "slow-lane");
        assert_eq!(places(&lanes, "b", Duration::ZERO).await.0, own);
        lanes.away.until().clear();
        assert_eq!(places(&lanes, "a", Duration::ZERO).await.0, own);
    }

    /// A caller has as many threads for work that cannot be stopped as there are cores, another one
    /// its own.
    #[tokio::test]
    async fn g68_work_that_cannot_be_stopped_is_bounded_by_caller() {
        let lanes = Lanes::for_one().expect("lanes");
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let blocked: Vec<_> = (0..cores)
            .map(|_| {
                let wait = Arc::clone(&wait);
                Box::pin(lanes.aside(&a, move || wait.lock().unwrap().recv().is_ok()))
            })
            .collect();
        let mut blocked = futures_util::future::join_all(blocked);
        assert!((&mut blocked).now_or_never().is_none());
        let mut more = Box::pin(lanes.aside(&a, || ()));
        assert!((&mut more).now_or_never().is_none());
        lanes.aside(&b, || ()).await.expect("its own place");
        assert!((&mut more).now_or_never().is_none());
        drop(release);
        for done in blocked.await {
            done.expect("done");
        }
        more.await.expect("its turn");
    }
}
