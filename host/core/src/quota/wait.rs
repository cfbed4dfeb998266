//! Waiting for a place: one call's turn, from its ticket to its place.
//!
//! It does not know who is next; it hears that it was called.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::scheduler::{Seat, Ticket};
use super::{HeldSlot, Slots, stopping};
use crate::terms::Fault;

/// A call that waits. Dropping it gives its turn up; a place that it was given meanwhile goes on to
/// the next.
pub(super) struct SlotWait {
    slots: Arc<Slots>,
    ticket: Ticket,
    seat: Seat,
    over: bool,
}

impl SlotWait {
    pub(super) const fn new(slots: Arc<Slots>, ticket: Ticket, seat: Seat) -> Self {
        Self {
            slots,
            ticket,
            seat,
            over: false,
        }
    }
}

impl Future for SlotWait {
    type Output = Result<HeldSlot, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let slots = self.slots.clone();
        let mut opened = slots.lock();
        if opened.called.remove(&self.ticket) {
            self.over = true;
            return Poll::Ready(Ok(slots.held(self.seat)));
        }
        match opened.waits.get_mut(&self.ticket) {
            Some(waker) => {
                let before = waker.replace(context.waker().clone());
                drop(opened);
                // A waker may be the last to hold a task, and a task a place: not under the lock.
                drop(before);
                Poll::Pending
            }
            // The desk is closed, and nobody waits any more. The place that the ticket may have had in
            // the scheduler is not given to anybody either.
            None => {
                opened.scheduler.forget(self.ticket, self.seat);
                self.over = true;
                Poll::Ready(Err(stopping()))
            }
        }
    }
}

impl Drop for SlotWait {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (called, _waker) = {
            let mut opened = self.slots.lock();
            let waker = opened.waits.remove(&self.ticket);
            let called = opened.called.remove(&self.ticket);
            if !called {
                opened.scheduler.forget(self.ticket, self.seat);
            }
            (called, waker)
        };
        if called {
            self.slots.leave(self.seat);
        }
    }
}
