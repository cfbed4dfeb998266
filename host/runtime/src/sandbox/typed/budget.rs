//! What the conversion of one call's values may come to: fuel, time, and bytes that the host holds
//! for them. It is work of the call's, so it is bounded like the guest's own and billed with it; the
//! same values cost the same fuel on every machine.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use crate::shares::{Account, Holding};
use crate::terms::Clock;

/// Fuel for one value, read or written: as much as a guest burns in the time that it takes, about.
const VALUE: u64 = 100;

/// Values after which the time is looked at.
const LOOK: u64 = 1_024;

/// Bytes that are put on the account at once, where there is as much room.
const PIECE: u64 = 64 << 10;

/// Why a conversion does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Stop {
    /// There is no fuel for it.
    Fuel,
    /// The call's deadline has come.
    Late,
    /// The host would hold more for the call than it may.
    Memory,
    /// It is long: it has to be done where nobody waits for it.
    Long,
}

/// What one conversion may come to, and what it has come to until now.
#[derive(Debug)]
pub(in crate::sandbox) struct Budget {
    fuel: u64,
    /// Where it is long, in fuel.
    pause: u64,
    spent: Cell<u64>,
    looks: Cell<u64>,
    deadline: Option<Instant>,
    clock: Clock,
    /// Where bytes are held; none counts them only.
    held: Option<RefCell<Holding>>,
    bytes: Cell<u64>,
    stopped: Cell<Option<Stop>>,
}

impl Budget {
    /// So much fuel, until then by this clock, with what the account has left.
    pub(in crate::sandbox) fn new(
        fuel: u64,
        (deadline, clock): (Instant, Clock),
        account: &Account,
    ) -> Self {
        Self {
            fuel,
            deadline: Some(deadline),
            clock,
            held: Some(RefCell::new(account.nothing())),
            ..Self::endless()
        }
    }

    /// No bound: for whoever has the values already.
    pub(in crate::sandbox) const fn endless() -> Self {
        Self {
            fuel: u64::MAX,
            pause: u64::MAX,
            spent: Cell::new(0),
            looks: Cell::new(0),
            deadline: None,
            clock: Clock::SYSTEM,
            held: None,
            bytes: Cell::new(0),
            stopped: Cell::new(None),
        }
    }

    /// The same, to be left off after so much fuel.
    pub(in crate::sandbox) const fn pausing(mut self, after: u64) -> Self {
        self.pause = after;
        self
    }

    /// The fuel that is left.
    pub(in crate::sandbox) fn left(&self) -> u64 {
        self.fuel.saturating_sub(self.spent.get())
    }

    /// Why it was stopped, if it was.
    pub(in crate::sandbox) fn stopped(&self) -> Option<Stop> {
        self.stopped.get()
    }

    /// Another value.
    pub(super) fn value(&self) -> Result<(), Stop> {
        let looks = self.looks.get() + 1;
        self.looks.set(looks);
        if looks.is_multiple_of(LOOK) && self.deadline.is_some_and(|end| self.clock.now() >= end) {
            return Err(self.stop(Stop::Late));
        }
        self.spend(VALUE)
    }

    /// So many bytes of text.
    pub(super) fn text(&self, bytes: usize) -> Result<(), Stop> {
        self.spend(wide(bytes))
    }

    fn spend(&self, fuel: u64) -> Result<(), Stop> {
        let spent = self.spent.get().saturating_add(fuel);
        self.spent.set(spent);
        if spent > self.fuel {
            return Err(self.stop(Stop::Fuel));
        }
        if spent > self.pause {
            return Err(self.stop(Stop::Long));
        }
        Ok(())
    }

    /// So many bytes of the host's memory, before they are allocated.
    pub(super) fn hold(&self, bytes: u64) -> Result<(), Stop> {
        let bytes = self.bytes.get().saturating_add(bytes);
        self.bytes.set(bytes);
        let Some(held) = &self.held else {
            return Ok(());
        };
        let mut held = held.borrow_mut();
        let missing = bytes.saturating_sub(held.bytes());
        if missing == 0 || held.grow(missing.max(PIECE)).is_ok() || held.grow(missing).is_ok() {
            return Ok(());
        }
        Err(self.stop(Stop::Memory))
    }

    /// So many of them were freed.
    pub(super) fn free(&self, bytes: u64) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// Adds to a list, whose room is counted before it grows.
    pub(super) fn push<T>(&self, list: &mut Vec<T>, element: T) -> Result<(), Stop> {
        let old = list.capacity();
        if list.len() == old {
            let new = old.saturating_mul(2).max(4);
            let size = |elements: usize| wide(elements.saturating_mul(size_of::<T>()));
            self.hold(size(new))?;
            list.reserve_exact(new - old);
            self.free(size(old));
        }
        list.push(element);
        Ok(())
    }

    fn stop(&self, why: Stop) -> Stop {
        self.stopped.set(Some(why));
        why
    }
}

/// A size in bytes, as costs are counted.
pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
