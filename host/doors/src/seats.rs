//! The connections of a host, over all its doors, and whose they are. A caller's many connections
//! leave room for another's; whoever has shown nothing yet has a small part, in which the oldest
//! gives way to the newest.
//!
//! It does not know what is said on a connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::shares::{Lease, Shares, Short};

/// Connections of a host, at most, however many descriptors there are.
const MOST: usize = 1_024;

/// Of so many connections one is for whoever has shown nothing yet.
const STRANGERS: usize = 4;

/// A caller's connection that has been silent for so long may be ended for another one.
const SILENT: Duration = Duration::from_secs(1);

/// How long a stranger is left to show who it is, whoever comes after it.
const FRESH: Duration = Duration::from_millis(50);

/// Whose a connection is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A caller's.
    Caller(Arc<str>),
    /// A user's who is no caller as such.
    User(u32),
    /// Somebody's on TCP.
    Somebody,
}

impl Owner {
    const fn is_caller(&self) -> bool {
        matches!(self, Self::Caller(_))
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Seats {
    callers: Shares<Owner>,
    strangers: Shares<Owner>,
    taken: Mutex<BTreeMap<u64, Taken>>,
    present: TaskTracker,
    next: AtomicU64,
    began: Instant,
}

#[derive(Debug)]
struct Taken {
    owner: Owner,
    lease: Lease<Owner>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Since when nothing happens, in milliseconds after `began`; [`BUSY`] while something does.
    silent_since: AtomicU64,
    /// Since when it was looked at whether a stranger had shown in time who it is, likewise; [`BUSY`]
    /// until then. Whoever spoke while the host was at other things has not had his say.
    heard_since: AtomicU64,
    gives_way: CancellationToken,
}

const BUSY: u64 = u64::MAX;

/// Why a connection has no place any more, or none of the one whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseated {
    /// It showed too late whose it is: its place is another one's.
    Gone,
    /// That one has as many as it may.
    Short,
}

/// One connection's place. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    state: Arc<State>,
    _present: TaskTrackerToken,
}

impl Seats {
    /// For so many connections in all, as far as that is useful.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(2 * STRANGERS, MOST);
        let units = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            callers: Shares::new(units(most - most / STRANGERS)),
            strangers: Shares::new(units(most / STRANGERS)),
            taken: Mutex::default(),
            present: TaskTracker::new(),
            next: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// A place for a connection of `owner`. Where it has as many as it may, its longest silent one
    /// gives way.
    ///
    /// # Errors
    ///
    /// [`Short`] where none is silent.
    pub(super) fn take(self: &Arc<Self>, owner: Owner) -> Result<Seat, Short> {
        let mut taken = self.taken();
        let lease = self.lease(&mut taken, &owner)?;
        let state = Arc::new(State {
            silent_since: AtomicU64::new(self.now()),
            heard_since: AtomicU64::new(BUSY),
            gives_way: CancellationToken::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            seats: Arc::clone(self),
            number,
            state: Arc::clone(&state),
            _present: self.present.token(),
        };
        let entry = Taken {
            owner,
            lease,
            state,
        };
        taken.insert(number, entry);
        Ok(seat)
    }

    /// Waits until nobody is there.
    pub(super) async fn are_empty(&self) {
        self.present.close();
        self.present.wait().await;
    }

    fn lease(
        &self,
        taken: &mut BTreeMap<u64, Taken>,
        owner: &Owner,
    ) -> Result<Lease<Owner>, Short> {
        let stock = if owner.is_caller() {
            &self.callers
        } else {
            &self.strangers
        };
        let short = match stock.take(owner, 1) {
            Ok(lease) => return Ok(lease),
            Err(short) => short,
        };
        let now = self.now();
        // Since when it may go, if it may: a stranger whatever it does once it was heard, an honest one
        // shows at once who it is.
        let may_go = |entry: &Taken| {
            let (since, time) = match entry.owner {
                Owner::Caller(_) => (&entry.state.silent_since, SILENT),
                Owner::User(_) | Owner::Somebody => (&entry.state.heard_since, Duration::ZERO),
            };
            let since = since.load(Ordering::Relaxed);
            let is_over = u128::from(now.saturating_sub(since)) >= time.as_millis();
            (since != BUSY && is_over).then_some(since)
        };
        // What can be had from nobody else is had from whoever has most.
        let whose = match short {
            Short::Owner => Some(owner.clone()),
            Short::All => {
                let all = taken.values().map(|entry| &entry.owner);
                let same = all.filter(|other| other.is_caller() == owner.is_caller());
                same.max_by_key(|other| stock.held(other)).cloned()
            }
        };
        let all = taken
            .iter()
            .filter(|(_, entry)| Some(&entry.owner) == whose.as_ref());
        let may_go = all.filter_map(|(number, entry)| Some((may_go(entry)?, *number)));
        let (_, number) = may_go.min().ok_or(short)?;
        let gone = taken.remove(&number).ok_or(short)?;
        gone.state.gives_way.cancel();
        if gone.owner == *owner {
            return Ok(gone.lease);
        }
        drop(gone);
        stock.take(owner, 1)
    }

    fn now(&self) -> u64 {
        self.since(Instant::now())
    }

    fn since(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began);
        u64::try_from(passed.as_millis()).unwrap_or(BUSY - 1)
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// From now on it is this one's, who may have to let another of its own go for it.
    ///
    /// # Errors
    ///
    /// [`Unseated`] where that one has as many as it may, or where this place is another one's already.
    pub(super) fn belongs_to(&self, owner: Owner) -> Result<(), Unseated> {
        let mut taken = self.seats.taken();
        let mut entry = taken.remove(&self.number).ok_or(Unseated::Gone)?;
        if entry.owner != owner {
            match self.seats.lease(&mut taken, &owner) {
                Ok(lease) => (entry.owner, entry.lease) = (owner, lease),
                Err(_) => {
                    taken.insert(self.number, entry);
                    return Err(Unseated::Short);
                }
            }
        }
        taken.insert(self.number, entry);
        Ok(())
    }

    /// Something is being done for it.
    pub(super) fn is_busy(&self) {
        self.state.silent_since.store(BUSY, Ordering::Relaxed);
    }

    /// Nothing is being done for it since `now`.
    pub(super) fn is_silent(&self, now: Instant) {
        let since = self.seats.since(now);
        self.state.silent_since.store(since, Ordering::Relaxed);
    }

    /// Somebody else is to look at what came of it.
    pub(super) fn is_handed_on(&self) {
        self.state.heard_since.store(BUSY, Ordering::Relaxed);
    }

    /// Waits until another one takes this place, which a stranger's keeps for a moment. What looks at
    /// its socket is to be polled first: a runtime that was late has seen by then what came meanwhile.
    pub(super) async fn gives_way_once_heard(&self) {
        tokio::time::sleep(FRESH).await;
        self.is_heard();
        self.gives_way().await;
    }

    fn is_heard(&self) {
        let now = self.seats.now();
        self.state.heard_since.store(now, Ordering::Relaxed);
    }

    /// Waits until another one takes this place.
    pub(super) async fn gives_way(&self) {
        self.state.gives_way.cancelled().await;
    }

    /// The same, to be kept.
    pub(super) fn giving_way(&self) -> CancellationToken {
        self.state.gives_way.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let gone = self.seats.taken().remove(&self.number);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn ada() -> Owner {
        Owner::Caller("ada".into())
    }

    fn seats(most: usize) -> Arc<Seats> {
        Arc::new(Seats::new(most))
    }

    /// All that one can get.
    fn all(seats: &Arc<Seats>, owner: &Owner) -> Vec<Seat> {
        let one = || seats.take(owner.clone()).ok();
        std::iter::from_fn(one).take(MOST + 1).collect()
    }

    #[test]
    fn x29_one_callers_connections_leave_room_for_anothers() {
        let seats = seats(64);
        let mut held = Vec::new();
        for name in ["ada", "bob", "eve"] {
            let own = all(&seats, &Owner::Caller(name.into()));
            own.iter().for_each(Seat::is_busy);
            assert!(!own.is_empty(), "{name} found nothing");
            held.push(own);
        }
        assert_eq!(held[0].len(), 24);
    }

    /// Seats that were there for some time when the test begins.
    fn old_seats(most: usize) -> Arc<Seats> {
        Arc::new(Seats {
            began: Instant::now() - SILENT * 3,
            ..Seats::new(most)
        })
    }

    #[test]
    fn x29_the_longest_silent_one_of_the_same_caller_gives_way() {
        let seats = old_seats(64);
        let own = all(&seats, &ada());
        own.iter().for_each(Seat::is_busy);
        own[5].is_silent(Instant::now());
        assert!(seats.take(ada()).is_err(), "it was silent for a moment");
        own[3].is_silent(seats.began + SILENT);
        own[4].is_silent(seats.began);
        let _another = seats.take(ada()).expect("a silent one goes");
        let gone: Vec<bool> = own
            .iter()
            .map(|seat| seat.giving_way().is_cancelled())
            .collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 1);
        assert!(gone[4]);
    }

    #[test]
    fn x27_strangers_give_way_to_each_other_and_hold_up_no_caller() {
        let seats = old_seats(64);
        let own = all(&seats, &Owner::Somebody);
        assert_eq!(own.len(), 8);
        // Nobody has heard yet what they say, or just now.
        own[0].is_silent(seats.began);
        assert!(seats.take(Owner::Somebody).is_err());
        let others = seats.take(Owner::User(7)).expect("a place for others");
        // Whoever does something all the time and never says who it is gives way as well.
        own[0].is_busy();
        for (since, seat) in (0..).zip(&own) {
            seat.state.heard_since.store(since, Ordering::Relaxed);
        }
        let next = seats.take(Owner::Somebody).expect("the oldest goes");
        assert!(own[0].giving_way().is_cancelled());
        assert!(!own[1].giving_way().is_cancelled());
        assert_eq!(own[0].belongs_to(ada()), Err(Unseated::Gone));
        // Who shows who it is leaves them, and gives a place back to them.
        own[1].belongs_to(ada()).unwrap();
        assert_eq!(seats.callers.held(&ada()), 1);
        drop((own, others, next));
        assert_eq!((seats.callers.free(), seats.strangers.free()), (48, 16));
    }

    /// A runtime that was late looks at what came meanwhile before a place is given away.
    #[tokio::test]
    async fn x27_a_stranger_who_spoke_in_time_is_heard_however_late_the_host_is() {
        use tokio::io::AsyncReadExt as _;

        let seats = seats(64);
        let mut own = all(&seats, &Owner::Somebody);
        let (mut host, peer) = tokio::net::UnixStream::pair().unwrap();
        let mut heard = [0; 5];
        let looks = async {
            tokio::select! {
                biased;
                read = host.read_exact(&mut heard) => read.is_ok(),
                () = own[0].gives_way_once_heard() => false,
            }
        };
        let others = async {
            // It speaks, and the host is at other things until its time is long over.
            assert_eq!(peer.try_write(b"hello").unwrap(), 5);
            std::thread::sleep(FRESH * 2);
            assert!(seats.take(Owner::Somebody).is_err(), "nobody was heard yet");
        };
        let (is_heard, ()) = tokio::join!(looks, others);
        assert!(is_heard);
        // One that says nothing in its time goes.
        let seat = own.pop().unwrap();
        let silent = tokio::spawn(async move { seat.gives_way_once_heard().await });
        assert!(seats.take(Owner::Somebody).is_err(), "it has its time");
        while seats.take(Owner::Somebody).is_err() {
            tokio::task::yield_now().await;
        }
        silent.await.unwrap();
    }

    #[test]
    fn x29_where_nothing_is_left_whoever_has_most_lets_a_silent_one_go() {
        let seats = old_seats(64);
        let mut held = Vec::new();
        for n in 0.. {
            let own = all(&seats, &Owner::Caller(format!("caller {n}").into()));
            if own.is_empty() {
                break;
            }
            own.iter().for_each(Seat::is_busy);
            held.push(own);
        }
        assert_eq!(seats.callers.free(), 0);
        assert!(seats.take(ada()).is_err(), "nobody is silent");
        held[0][0].is_silent(seats.began);
        seats.take(ada()).expect("the silent one goes");
        assert!(held[0][0].giving_way().is_cancelled());
    }
}
