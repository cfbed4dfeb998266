//! Is there room. Places for calls, over all, per tool and per caller, and a queue that ends: beyond
//! it a call hears "busy" at once instead of waiting for ever.
//!
//! Who is next is decided in `scheduler`, which is pure; here calls wait, are woken, and give up. How much
//! room there is may change meanwhile. A place is given back with the bill of its call (`account`).

mod account;
mod ids;
mod scheduler;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::manifest::Manifest;
use crate::terms::{Bill, Code, Fault};
use account::Accounts;
pub use account::Settled;
use ids::Ids;
use scheduler::{Admission, Bounds, Scheduler, Seat, Share, Ticket};
use wait::SlotWait;

/// When a call that was turned away may come again, in seconds: by then most calls that ran are over.
const AGAIN: u32 = 1;

/// The caller where the manifest names none.
const LOCAL: &str = "local";

/// The places of one host.
pub struct Quota {
    slots: Arc<Slots>,
}

/// Where places are given and taken back.
#[derive(Default)]
struct Slots {
    /// Held for some bookkeeping, never while anybody waits or is woken.
    opened: Mutex<SlotState>,
    accounts: Accounts,
}

#[derive(Default)]
struct SlotState {
    scheduler: Scheduler,
    tools: Ids,
    callers: Ids,
    /// Who waits, and how to wake him once he was asked.
    waits: BTreeMap<Ticket, Option<Waker>>,
    /// Who was given a place and has not come for it yet.
    called: BTreeSet<Ticket>,
    closed: bool,
}

/// Proof that a place is held for a call of this caller and tool. Only [`Quota::reserve`] makes one.
///
/// It is given back once: settled with the call's bill, or dropped where there is none, which counts what
/// is known until then. Once it is settled there is nothing to settle:
///
/// ```no_run
/// # use toolhost_core::{quota::Reservation, terms::Bill};
/// fn end(place: Reservation, bill: Bill) {
///     place.settle(bill);
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use toolhost_core::{quota::Reservation, terms::Bill};
/// fn end(place: Reservation, bill: Bill) {
///     place.settle(bill);
///     place.settle(bill);
/// }
/// ```
#[must_use = "a place that is dropped is given back"]
pub struct Reservation {
    caller: Arc<str>,
    tool: Arc<str>,
    used: Mutex<Bill>,
    is_settled: bool,
    held: HeldSlot,
}

impl Reservation {
    /// Whose call it is for.
    #[must_use]
    pub const fn caller(&self) -> &Arc<str> {
        &self.caller
    }

    /// The tool whose place it is.
    #[must_use]
    pub const fn tool(&self) -> &Arc<str> {
        &self.tool
    }

    /// Notes what the call has used by now: what counts if it does not come to its end.
    pub fn used(&self, bill: Bill) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = bill;
    }

    /// Gives the place back with the call's bill.
    pub fn settle(mut self, bill: Bill) {
        self.used(bill);
        self.is_settled = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let used = self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        let accounts = &self.held.slots.accounts;
        accounts.settle(&self.caller, used, self.is_settled);
    }
}

/// What is given back when it is dropped.
struct HeldSlot {
    slots: Arc<Slots>,
    seat: Seat,
}

impl Quota {
    /// The places that a manifest grants.
    ///
    /// A caller whose section has no `concurrency` may take all places but one for each other
    /// caller: nobody finds every place taken by one of the others. Each caller may fill an equal
    /// part of the queue.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        let quota = Self {
            slots: Arc::default(),
        };
        quota.change(manifest);
        quota
    }

    /// From now on the places are those of this manifest. Calls that run keep theirs, and count
    /// against the new bounds; calls that wait keep their turn. Tools and callers that are gone
    /// keep their bounds until nothing of them is left.
    pub fn change(&self, manifest: &Manifest) {
        let mut opened = self.slots.lock();
        let bounds = opened.bounds(manifest);
        let served = opened.scheduler.change(&bounds);
        let wakers = opened.call(served);
        drop(opened);
        wakers.into_iter().for_each(Waker::wake);
        let callers = &manifest.callers;
        let is_named = |name: &str| callers.iter().any(|caller| *caller.name == *name);
        let accounts = &self.slots.accounts;
        accounts.keep(|name| is_named(name) || (callers.is_empty() && name == LOCAL));
    }

    /// What a caller of the manifest has used since the host started, of all calls that are over.
    #[must_use]
    pub fn settled(&self, caller: &str) -> Settled {
        self.slots.accounts.of(caller)
    }

    /// Takes a place for a call of this caller and tool, waiting for one if there is room to wait.
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// `busy` when too many wait already, `shutting-down` when the host stops.
    pub async fn reserve(&self, caller: &Arc<str>, tool: &Arc<str>) -> Result<Reservation, Fault> {
        let held = match self.slots.ask(caller, tool)? {
            (Admission::Go, seat) => self.slots.held(seat),
            (Admission::Wait(ticket), seat) => {
                SlotWait::new(self.slots.clone(), ticket, seat).await?
            }
            (Admission::Busy, _) => {
                return Err(Fault::new(
                    Code::Busy,
                    format!("Too many calls are waiting (tool `{tool}`). Try again in a moment."),
                )
                .retry_after(AGAIN));
            }
        };
        Ok(Reservation {
            caller: caller.clone(),
            tool: tool.clone(),
            used: Mutex::default(),
            is_settled: false,
            held,
        })
    }

    /// Lets nobody in any more; who waits is told.
    pub fn close(&self) {
        let waits = {
            let mut opened = self.slots.lock();
            opened.closed = true;
            std::mem::take(&mut opened.waits)
        };
        waits.into_values().flatten().for_each(Waker::wake);
    }
}

impl SlotState {
    /// What a manifest grants, by number.
    fn bounds(&mut self, manifest: &Manifest) -> Bounds {
        let host = &manifest.host;
        let mut declared: Vec<(Arc<str>, Option<u32>)> = manifest
            .callers
            .iter()
            .map(|caller| (caller.name.clone(), caller.concurrency))
            .collect();
        if declared.is_empty() {
            declared.push((LOCAL.into(), None));
        }
        let count = u32::try_from(declared.len()).unwrap_or(u32::MAX);
        let spared = host.concurrency.saturating_sub(count.saturating_sub(1));
        let part = (host.queue / count).max(1);
        let share = |places: Option<u32>| Share {
            places: places.unwrap_or(spared.max(1)),
            queue: part,
        };
        let scheduler = &self.scheduler;
        let names = manifest.tools.iter().map(|tool| &tool.name);
        let tools = self.tools.renew(names, |tool| scheduler.is_idle_tool(tool));
        let places = manifest.tools.iter();
        let places = places.map(|tool| tool.all.limits.concurrency);
        let names = declared.iter().map(|(name, _)| name);
        let callers = self
            .callers
            .renew(names, |caller| scheduler.is_idle_caller(caller));
        let shares = declared.iter().map(|(_, places)| share(*places));
        Bounds {
            places: host.concurrency,
            queue: host.queue,
            tools: tools.into_iter().zip(places).collect(),
            callers: callers.into_iter().zip(shares).collect(),
        }
    }

    /// Those who were given a place may come for it; gives who has to be woken for that.
    fn call(&mut self, served: Vec<Ticket>) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for ticket in served {
            // Nobody is there any more once the slots are closed.
            if let Some(waker) = self.waits.remove(&ticket) {
                self.called.insert(ticket);
                wakers.extend(waker);
            }
        }
        wakers
    }
}

impl Slots {
    /// Nothing panics while it is held; if something did, the scheduler is whole between its methods.
    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, caller: &str, tool: &str) -> Result<(Admission, Seat), Fault> {
        // Whoever is here was found a moment ago: a reload has just taken it away.
        let gone = || {
            let say = "The host has just been loaded anew. Ask again, or list the tools.";
            Fault::new(Code::Busy, say).retry_after(AGAIN)
        };
        let mut opened = self.lock();
        if opened.closed {
            return Err(stopping());
        }
        let seat = Seat {
            caller: opened.callers.of(caller).ok_or_else(gone)?,
            tool: opened.tools.of(tool).ok_or_else(gone)?,
        };
        let admission = opened.scheduler.ask(seat);
        if let Admission::Wait(ticket) = admission {
            opened.waits.insert(ticket, None);
        }
        Ok((admission, seat))
    }

    /// A place that the scheduler has already given.
    fn held(self: &Arc<Self>, seat: Seat) -> HeldSlot {
        HeldSlot {
            slots: self.clone(),
            seat,
        }
    }

    /// Takes a place back and wakes whoever has it now.
    fn leave(&self, seat: Seat) {
        let wakers = {
            let mut opened = self.lock();
            let served = opened.scheduler.leave(seat);
            opened.call(served)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        self.slots.leave(self.seat);
    }
}

fn stopping() -> Fault {
    Fault::new(
        Code::ShuttingDown,
        "The host is stopping. Try again when it is back.",
    )
}

#[cfg(test)]
mod tests;
