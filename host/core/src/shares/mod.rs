//! What the host has only so much of, and many owners draw from: bytes of messages, connections,
//! look-ups, places of a grant. One owner never takes it all: **an owner may hold at most as much as
//! it leaves free.** Whoever is alone gets half, two a third each, and whoever comes next still
//! finds something. (Dynamic thresholds, Choudhury and Hahne 1998, as in the shared buffers of
//! network switches: no number per owner has to be chosen, and owners need not be known.)
//!
//! It does not know what is shared, nor who the owners are.

mod account;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

pub use account::{Account, Exceeded, Holding};

/// Who holds something: cheap to copy, compared often.
pub trait Owner: Clone + Ord + Send + 'static {}

impl<T: Clone + Ord + Send + 'static> Owner for T {}

/// A stock and who holds how much of it. Clones are the same stock.
#[derive(Debug)]
pub struct Shares<K: Owner> {
    inner: Arc<Mutex<Stock<K>>>,
}

/// Something held, given back when it is dropped.
#[derive(Debug)]
pub struct Lease<K: Owner> {
    shares: Shares<K>,
    owner: K,
    amount: u64,
}

/// Why nothing can be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Short {
    /// The owner holds as much as one may.
    #[error("its owner holds as much as one may")]
    Owner,
    /// Nothing is left, whoever holds it.
    #[error("nothing is left")]
    All,
}

#[derive(Debug)]
struct Stock<K> {
    total: u64,
    /// The most that one owner may hold, whatever is free.
    each: u64,
    used: u64,
    /// Nobody who holds nothing and waits for nothing is in here.
    owners: BTreeMap<K, Held>,
    /// Whose turn comes after his.
    served: Option<K>,
    next: u64,
}

#[derive(Debug, Default)]
struct Held {
    amount: u64,
    waits: VecDeque<Wait>,
}

#[derive(Debug)]
struct Wait {
    ticket: u64,
    amount: u64,
    call: oneshot::Sender<()>,
}

impl<K: Owner> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: Owner> Shares<K> {
    /// A stock of `total` units.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self::with_most(total, total)
    }

    /// The same, of which no owner holds more than `each`, however much is free.
    #[must_use]
    pub fn with_most(total: u64, each: u64) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Stock {
                total,
                each,
                used: 0,
                owners: BTreeMap::new(),
                served: None,
                next: 0,
            })),
        }
    }

    /// Takes `amount` for `owner` at once.
    ///
    /// # Errors
    ///
    /// [`Short`] says whose fault it is that it cannot.
    pub fn take(&self, owner: &K, amount: u64) -> Result<Lease<K>, Short> {
        self.stock().take(owner, amount)?;
        Ok(self.lease(owner, amount))
    }

    /// Whether `owner` could take `amount` now.
    ///
    /// # Errors
    ///
    /// [`Short`] says whose fault it is that it could not.
    pub fn has(&self, owner: &K, amount: u64) -> Result<(), Short> {
        self.stock().has(owner, amount).map(|_| ())
    }

    /// Takes `amount` for `owner`, waiting for it: its own requests in order, the owners in turns.
    /// What it could never have is not waited for. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`Short`] where it is more than there can ever be for one owner.
    pub async fn wait(&self, owner: &K, amount: u64) -> Result<Lease<K>, Short> {
        let (ticket, called) = {
            let mut stock = self.stock();
            if amount > stock.each || amount > stock.total {
                return Err(Short::Owner);
            }
            let waits = stock
                .owners
                .get(owner)
                .is_some_and(|held| !held.waits.is_empty());
            if !waits && stock.take(owner, amount).is_ok() {
                return Ok(self.lease(owner, amount));
            }
            stock.queue(owner, amount)
        };
        let mut turn = Turn {
            shares: self,
            owner,
            ticket,
            amount,
            over: false,
        };
        // The other end is in the stock until it is called.
        called.await.map_err(|_| Short::All)?;
        turn.over = true;
        Ok(self.lease(owner, amount))
    }

    /// Units that nobody holds.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.stock().free()
    }

    /// Units that this owner holds.
    #[must_use]
    pub fn held(&self, owner: &K) -> u64 {
        self.stock().owners.get(owner).map_or(0, |held| held.amount)
    }

    fn lease(&self, owner: &K, amount: u64) -> Lease<K> {
        Lease {
            shares: self.clone(),
            owner: owner.clone(),
            amount,
        }
    }

    fn give_back(&self, owner: &K, amount: u64) {
        let served = {
            let mut stock = self.stock();
            stock.give_back(owner, amount);
            stock.serve()
        };
        for call in served {
            // Who has gone meanwhile gives it back himself.
            let _ = call.send(());
        }
    }

    fn stock(&self) -> MutexGuard<'_, Stock<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Owner> Stock<K> {
    const fn free(&self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    fn may_take(&self, held: u64, amount: u64) -> Result<(), Short> {
        let free = self.free();
        if amount > free {
            return Err(if held == 0 { Short::All } else { Short::Owner });
        }
        let then = held.saturating_add(amount);
        // Who holds nothing may have what there is.
        if then > self.each || (held > 0 && then > free) {
            return Err(Short::Owner);
        }
        Ok(())
    }

    /// What an owner holds who could take `amount` more.
    fn has(&self, owner: &K, amount: u64) -> Result<u64, Short> {
        let held = self.owners.get(owner).map_or(0, |held| held.amount);
        self.may_take(held, amount).map(|()| held)
    }

    fn take(&mut self, owner: &K, amount: u64) -> Result<(), Short> {
        let held = self.has(owner, amount)?;
        self.used = self.used.saturating_add(amount);
        self.owners.entry(owner.clone()).or_default().amount = held.saturating_add(amount);
        Ok(())
    }

    fn give_back(&mut self, owner: &K, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        if let Some(held) = self.owners.get_mut(owner) {
            held.amount = held.amount.saturating_sub(amount);
        }
        self.forget(owner);
    }

    fn queue(&mut self, owner: &K, amount: u64) -> (u64, oneshot::Receiver<()>) {
        let (call, called) = oneshot::channel();
        let ticket = self.next;
        self.next = self.next.wrapping_add(1);
        let waits = &mut self.owners.entry(owner.clone()).or_default().waits;
        waits.push_back(Wait {
            ticket,
            amount,
            call,
        });
        (ticket, called)
    }

    /// Gives what is free to those who wait: to the owners in turns, to each in his order.
    fn serve(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut served = Vec::new();
        while let Some((owner, amount)) = self.next_to_serve() {
            let Some(held) = self.owners.get_mut(&owner) else {
                break;
            };
            let Some(wait) = held.waits.pop_front() else {
                break;
            };
            held.amount = held.amount.saturating_add(amount);
            self.used = self.used.saturating_add(amount);
            self.served = Some(owner);
            served.push(wait.call);
        }
        served
    }

    fn next_to_serve(&self) -> Option<(K, u64)> {
        let can = |(owner, held): (&K, &Held)| {
            let amount = held.waits.front()?.amount;
            self.may_take(held.amount, amount).ok()?;
            Some((owner.clone(), amount))
        };
        let Some(last) = &self.served else {
            return self.owners.iter().find_map(can);
        };
        let after = (Bound::Excluded(last), Bound::Unbounded);
        let mut later = self.owners.range(after).filter_map(can);
        later.next().or_else(|| {
            let mut earlier = self.owners.range(..=last).filter_map(can);
            earlier.next()
        })
    }

    fn forget(&mut self, owner: &K) {
        let idle = |held: &Held| held.amount == 0 && held.waits.is_empty();
        if self.owners.get(owner).is_some_and(idle) {
            self.owners.remove(owner);
        }
    }
}

/// A request that waits. What it is given while it goes away, it gives back.
struct Turn<'a, K: Owner> {
    shares: &'a Shares<K>,
    owner: &'a K,
    ticket: u64,
    amount: u64,
    over: bool,
}

impl<K: Owner> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let was_called = {
            let mut stock = self.shares.stock();
            let waits = stock.owners.get_mut(self.owner).map(|held| &mut held.waits);
            let at = waits.as_ref().and_then(|waits| {
                let mut tickets = waits.iter();
                tickets.position(|wait| wait.ticket == self.ticket)
            });
            if let (Some(waits), Some(at)) = (waits, at) {
                waits.remove(at);
            }
            at.is_none()
        };
        // Whoever waited behind it may have what it was too much for.
        let amount = if was_called { self.amount } else { 0 };
        self.shares.give_back(self.owner, amount);
    }
}

impl<K: Owner> Lease<K> {
    /// Units held.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// Takes more for the same owner, at once.
    ///
    /// # Errors
    ///
    /// [`Short`]: then nothing has changed.
    pub fn grow(&mut self, more: u64) -> Result<(), Short> {
        self.shares.stock().take(&self.owner, more)?;
        self.amount = self.amount.saturating_add(more);
        Ok(())
    }

    /// Gives a part back.
    pub fn shrink(&mut self, less: u64) {
        let less = less.min(self.amount);
        self.amount -= less;
        self.shares.give_back(&self.owner, less);
    }
}

impl<K: Owner> Drop for Lease<K> {
    fn drop(&mut self) {
        self.shares.give_back(&self.owner, self.amount);
    }
}

#[cfg(test)]
mod tests;
