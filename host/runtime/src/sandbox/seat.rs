//! A call on the second lane: it goes on when it is its caller's turn, and what it uses is counted.
//!
//! It does not know who the callers are, nor what a call does.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::lanes::known_deadline;
use super::turns::{Ticket, Turns};

/// How long a call that gives way goes on before it looks whether another one is next. A guest gives
/// way every 30 to 100 microseconds; asking each time would make the turns one lock for all cores.
const SLICE: Duration = Duration::from_micros(500);

/// A call that gives way after less than this does not compute: it may be the runtime that asks it
/// to come again.
const SHORT: Duration = Duration::from_micros(10);

/// The turns of all calls there. Clones are the same lane.
#[derive(Clone)]
pub(super) struct Lane {
    turns: Arc<Mutex<Turns<Waker>>>,
}

impl Lane {
    /// A lane on which so many calls go on at once.
    pub(super) fn new(places: usize) -> Self {
        Self {
            turns: Arc::new(Mutex::new(Turns::new(places))),
        }
    }

    /// A seat for a call of this caller's.
    pub(super) fn seat(&self, caller: &Arc<str>) -> Seat {
        self.turns().join(caller);
        Seat {
            lane: self.clone(),
            caller: Arc::clone(caller),
            place: Place::Out,
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<Waker>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's part in the turns. Dropping it gives everything back.
pub(super) struct Seat {
    lane: Lane,
    caller: Arc<str>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Out,
    Waiting(Ticket),
    In,
}

impl Seat {
    /// Whether it is its turn; if not, it is woken when it is.
    fn enter(&mut self, waker: &Waker) -> bool {
        let mut turns = self.lane.turns();
        let is_in = match self.place {
            Place::In => true,
            Place::Waiting(ticket) => {
                let is_in = turns.take_up(ticket);
                if !is_in {
                    turns.rewake(&self.caller, ticket, waker.clone());
                }
                is_in
            }
            Place::Out => turns.take(&self.caller),
        };
        self.place = match self.place {
            _ if is_in => Place::In,
            Place::Out => Place::Waiting(turns.wait(&self.caller, waker.clone())),
            waiting => waiting,
        };
        is_in
    }

    /// It has nothing to do now.
    fn rest(&mut self, spent: u64) {
        let mut turns = self.lane.turns();
        turns.charge(&self.caller, spent);
        let next = turns.give_back(&self.caller);
        drop(turns);
        self.place = Place::Out;
        wake(next);
    }

    /// It has more to do: it stays, or waits behind somebody who has used less.
    fn give_way(&mut self, spent: u64, waker: &Waker) {
        let mut turns = self.lane.turns();
        turns.charge(&self.caller, spent);
        if turns.stays(&self.caller) {
            return;
        }
        self.place = Place::Waiting(turns.wait(&self.caller, waker.clone()));
        let next = turns.give_back(&self.caller);
        drop(turns);
        wake(next);
    }

    /// Does work that waits for no turn, and is counted all the same.
    pub(super) fn beside<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = processor_time();
        let done = work();
        let spent = processor_time().saturating_sub(start);
        self.lane.turns().charge(&self.caller, spent);
        done
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut turns = self.lane.turns();
        let next = match self.place {
            Place::Out => None,
            Place::Waiting(ticket) => turns.give_up(&self.caller, ticket),
            Place::In => turns.give_back(&self.caller),
        };
        turns.leave(&self.caller);
        drop(turns);
        wake(next);
    }
}

fn wake(next: Option<Waker>) {
    if let Some(next) = next {
        next.wake();
    }
}

/// What this thread has used, in nanoseconds.
pub(super) fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// A call that goes on in turn.
pub(super) struct InTurn<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    seat: Seat,
    noted: Arc<Noted>,
    ends: Ends,
}

/// What ends a call whether it is its turn or not.
pub(super) struct Ends {
    deadline: Option<Instant>,
    /// Made on the lane's own runtime.
    sleep: Option<Pin<Box<Sleep>>>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    are_there: bool,
}

impl Ends {
    /// Its cancellation, and its deadline once that is known.
    pub(super) fn new(cancel: &CancellationToken, deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            sleep: None,
            cancelled: Box::pin(cancel.clone().cancelled_owned()),
            are_there: false,
        }
    }

    fn are_there(&mut self, context: &mut Context<'_>) -> bool {
        if self.are_there {
            return true;
        }
        if let Some(deadline) = self.deadline {
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
            self.are_there = sleep.as_mut().poll(context).is_ready();
        }
        self.are_there |= self.cancelled.as_mut().poll(context).is_ready();
        self.are_there
    }
}

/// Wakes the call's task, and notes that it did.
#[derive(Default)]
struct Noted {
    task: AtomicWaker,
    woken: AtomicBool,
}

impl Wake for Noted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<T> InTurn<T> {
    pub(super) fn new(
        call: Pin<Box<dyn Future<Output = T> + Send>>,
        seat: Seat,
        ends: Ends,
    ) -> Self {
        Self {
            call,
            seat,
            noted: Arc::default(),
            ends,
        }
    }
}

impl<T> Future for InTurn<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        this.noted.task.register(context.waker());
        let waker = Waker::from(Arc::clone(&this.noted));
        let mut own = Context::from_waker(&waker);
        if !this.seat.enter(context.waker()) {
            // One that is over closes its books at once; its guest goes no further.
            return match this.ends.are_there(context) {
                true => this.seat.beside(|| this.call.as_mut().poll(&mut own)),
                false => Poll::Pending,
            };
        }
        let (begun, start) = (Instant::now(), processor_time());
        let mut last = begun;
        loop {
            this.noted.woken.store(false, Ordering::Release);
            let polled = this.call.as_mut().poll(&mut own);
            this.ends.deadline = known_deadline().or(this.ends.deadline);
            let spent = || processor_time().saturating_sub(start);
            if polled.is_ready() || !this.noted.woken.load(Ordering::Acquire) {
                this.seat.rest(spent());
                return polled;
            }
            let now = Instant::now();
            if now - begun >= SLICE || now - last < SHORT {
                // The runtime's own turn: timers, sockets. The task is woken already.
                this.seat.give_way(spent(), context.waker());
                return Poll::Pending;
            }
            last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// A call that does not end by itself, on a lane whose one place is another caller's for ever.
    fn never_its_turn(
        cancel: &CancellationToken,
        deadline: Option<Instant>,
    ) -> InTurn<&'static str> {
        let (lane, other): (_, Arc<str>) = (Lane::new(1), "other".into());
        lane.turns().join(&other);
        assert!(lane.turns().take(&other));
        let token = cancel.clone();
        let call = async move {
            tokio::select! {
                () = token.cancelled() => "cancelled",
                () = async { sleep_until(deadline.unwrap().into()).await }, if deadline.is_some() => "late",
            }
        };
        let seat = lane.seat(&"a".into());
        InTurn::new(Box::pin(call), seat, Ends::new(cancel, deadline))
    }

    #[tokio::test]
    async fn g68_a_call_that_waits_for_its_turn_ends_in_time_all_the_same() {
        let cancel = CancellationToken::new();
        let soon = Instant::now() + Duration::from_millis(10);
        let late = never_its_turn(&cancel, Some(soon));
        let patience = Duration::from_secs(20);
        assert_eq!(tokio::time::timeout(patience, late).await, Ok("late"));
        let cancelled = never_its_turn(&cancel, None);
        cancel.cancel();
        assert_eq!(
            tokio::time::timeout(patience, cancelled).await,
            Ok("cancelled")
        );
    }
}
