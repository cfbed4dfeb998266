//! Connections that nobody uses: how many are kept in all, whichever grants they are of. Beyond that
//! the oldest one gives way of the caller who has most of them, so nobody loses his to one who keeps
//! more.
//!
//! It knows no sockets: a connection is told that it gives way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections that rest. Clones are the same.
#[derive(Debug)]
pub(super) struct Idle<C> {
    most: usize,
    kept: Arc<Mutex<Kept<C>>>,
}

#[derive(Debug)]
struct Kept<C> {
    /// By caller, the longest unused one first.
    resting: BTreeMap<Arc<str>, BTreeMap<u64, C>>,
    count: usize,
    next: u64,
}

impl<C> Clone for Idle<C> {
    fn clone(&self) -> Self {
        Self {
            most: self.most,
            kept: Arc::clone(&self.kept),
        }
    }
}

impl<C> Idle<C> {
    /// So many are kept.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Arc::new(Mutex::new(Kept {
                resting: BTreeMap::new(),
                count: 0,
                next: 0,
            })),
        }
    }

    /// Nobody uses this caller's connection any more. Its number here, and another one that has to give
    /// way to it.
    pub(super) fn rests(&self, caller: &Arc<str>, connection: C) -> (u64, Option<C>) {
        let mut kept = self.kept();
        let number = kept.next;
        kept.next = kept.next.wrapping_add(1);
        let own = kept.resting.entry(Arc::clone(caller)).or_default();
        own.insert(number, connection);
        kept.count += 1;
        let is_one_too_many = kept.count > self.most;
        (number, is_one_too_many.then(|| kept.give_way()).flatten())
    }

    /// A connection is used again, or closed.
    pub(super) fn leaves(&self, caller: &Arc<str>, number: u64) {
        let mut kept = self.kept();
        let own = kept.resting.get_mut(caller);
        if own.is_some_and(|own| own.remove(&number).is_some()) {
            kept.count -= 1;
            kept.forget(caller);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<C>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Kept<C> {
    fn give_way(&mut self) -> Option<C> {
        let most = self.resting.iter_mut().max_by_key(|(_, own)| own.len());
        let (caller, own) = most?;
        let (caller, (_, connection)) = (Arc::clone(caller), own.pop_first()?);
        self.count -= 1;
        self.forget(&caller);
        Some(connection)
    }

    fn forget(&mut self, caller: &Arc<str>) {
        if self.resting.get(caller).is_some_and(BTreeMap::is_empty) {
            self.resting.remove(caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g83_who_keeps_most_connections_gives_way() {
        let idle = Idle::new(4);
        let [many, few]: [Arc<str>; 2] = ["many".into(), "few".into()];
        let numbers: Vec<u64> = (0..4).map(|at| idle.rests(&many, at).0).collect();
        assert_eq!(idle.rests(&few, 10).1, Some(0));
        assert_eq!(idle.rests(&few, 11).1, Some(1));
        // What is used is not there to give way, and what gave way is not there twice.
        idle.leaves(&many, numbers[2]);
        idle.leaves(&many, numbers[0]);
        assert_eq!(idle.rests(&many, 12).1, None);
        assert_eq!(idle.kept().count, 4);
        let given_way: Vec<_> = (20..24).map(|at| idle.rests(&many, at).1).collect();
        assert_eq!(given_way, [Some(3), Some(12), Some(20), Some(21)]);
        let few = idle.kept().resting[&few].len();
        assert_eq!(few, 2);
    }
}
