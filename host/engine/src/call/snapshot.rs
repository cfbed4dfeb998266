//! Who may ask for what: everything that a reload replaces, as one value that never changes. A call
//! takes what it needs of it at its beginning and keeps that to its end.
//!
//! It does not know what a call does, nor when it is replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::catalog::{Catalog, Function};
use crate::gate::{self, Allowed, Callers};
use crate::ledger::Mode;
use crate::terms::{Caller, Fault, Listed};

/// Who may ask for what.
pub struct Snapshot {
    /// Who may use what.
    pub callers: Callers,
    /// Which tools exist.
    pub catalog: Catalog,
    /// Whether agents may run under the host's own user.
    pub mode: Mode,
    /// How many snapshots of this process there were before.
    load: u64,
    /// What each caller may use, made once.
    lists: BTreeMap<Arc<str>, Arc<Vec<Listed>>>,
}

impl Snapshot {
    /// Makes the callers' lists.
    #[must_use]
    pub fn new(callers: Callers, catalog: Catalog, mode: Mode) -> Self {
        let lists = callers.all().map(|caller| {
            let may = catalog
                .functions()
                .filter(|function| callers.may(&caller, &function.listed.id));
            let list = may.map(|function| function.listed.clone()).collect();
            (caller.agent, Arc::new(list))
        });
        Self {
            load: 0,
            lists: lists.collect(),
            callers,
            catalog,
            mode,
        }
    }

    /// The one behind another. A list that is the same as before is the same value, so that who has it
    /// can tell.
    pub(super) fn following(mut self, before: &Self) -> Self {
        self.load = before.load + 1;
        for (agent, list) in &mut self.lists {
            if let Some(known) = before.lists.get(agent).filter(|known| *known == list) {
                *list = known.clone();
            }
        }
        self
    }

    /// How many snapshots of this process there were before.
    pub(super) const fn load(&self) -> u64 {
        self.load
    }

    /// The function of this name, if this caller may use it: one that does not exist and one that it
    /// may not use look alike. One whose tool could not be loaded is named to whoever may use it.
    pub(super) fn find(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<(&Arc<Function>, Allowed), Fault> {
        if let Some(function) = self.catalog.find(name) {
            let allowed = self.callers.allow(caller, function.ready.policy());
            let found = allowed.map(|allowed| (function, allowed));
            return found.ok_or_else(|| gate::unknown(name));
        }
        let missing = self.catalog.missing(name);
        let missing = missing.filter(|id| self.callers.may(caller, id));
        Err(missing.map_or_else(|| gate::unknown(name), gate::missing))
    }

    /// The functions a caller may use, in the order of the names agents see. None for one that is
    /// no caller.
    #[must_use]
    pub fn listing(&self, caller: &Caller) -> Option<&Arc<Vec<Listed>>> {
        self.lists.get(&caller.agent)
    }
}

/// One caller's list, to be waited for.
pub struct ListWatch {
    caller: Caller,
    seen: Option<Arc<Vec<Listed>>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl ListWatch {
    pub(super) fn new(mut snapshots: watch::Receiver<Arc<Snapshot>>, caller: &Caller) -> Self {
        let seen = snapshots.borrow_and_update().listing(caller).cloned();
        Self {
            caller: caller.clone(),
            seen,
            snapshots,
        }
    }

    /// Waits until the list is another one. False: there will be none any more, because this is no
    /// caller any more.
    pub async fn changed(&mut self) -> bool {
        while self.seen.is_some() && self.snapshots.changed().await.is_ok() {
            let list = self
                .snapshots
                .borrow_and_update()
                .listing(&self.caller)
                .cloned();
            let same = match (&list, &self.seen) {
                (Some(list), Some(seen)) => Arc::ptr_eq(list, seen),
                _ => false,
            };
            if !same {
                self.seen = list;
                return self.seen.is_some();
            }
        }
        false
    }
}
