//! What callers have used: the sums of the bills that their calls' places were settled with, since the
//! host started. It knows no bounds: nothing is refused by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::terms::Bill;

/// What one caller has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Calls that were settled with their bill, however they ended.
    pub calls: u64,
    /// Places that were given back without: the call was not admitted, or a defect of the host ended it.
    /// What it had used by then, as far as it was known, is in the sums.
    pub given_up: u64,
    /// Wasmtime fuel.
    pub fuel: u64,
    /// From admission to the end, added up.
    pub wall: Duration,
    /// Requests that left the host.
    pub egress_requests: u64,
    /// Bytes of request and response bodies that crossed the network.
    pub egress_bytes: u64,
}

impl Settled {
    fn add(&mut self, bill: &Bill) {
        self.fuel = self.fuel.saturating_add(bill.fuel);
        self.wall = self.wall.saturating_add(bill.wall);
        self.egress_requests = self
            .egress_requests
            .saturating_add(bill.egress_requests.into());
        self.egress_bytes = self.egress_bytes.saturating_add(bill.egress_bytes);
    }
}

/// The accounts of all callers.
#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<BTreeMap<Arc<str>, Settled>>);

impl Accounts {
    /// A place of this caller is given back.
    pub(super) fn settle(&self, caller: &Arc<str>, bill: &Bill, is_final: bool) {
        let mut accounts = self.lock();
        let account = accounts.entry(Arc::clone(caller)).or_default();
        account.add(bill);
        match is_final {
            true => account.calls += 1,
            false => account.given_up += 1,
        }
    }

    pub(super) fn of(&self, caller: &str) -> Settled {
        self.lock().get(caller).copied().unwrap_or_default()
    }

    /// Forgets the callers that are not among these.
    pub(super) fn keep(&self, is_named: impl Fn(&str) -> bool) {
        self.lock().retain(|caller, _| is_named(caller));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Settled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
