//! Which number a tool or a caller has in the scheduler: small ones, that stay while anything goes by them.
//!
//! It does not know what they count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The numbers of names.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<Arc<str>, Number>);

#[derive(Debug, Clone, Copy)]
struct Number {
    number: usize,
    /// The name was among the last ones.
    named: bool,
}

impl Ids {
    /// The number of a name.
    pub(super) fn of(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|one| one.number)
    }

    /// Gives these names their numbers: those they have, or new ones. A name that is not among them any
    /// more keeps its own once: a call that found its tool before the change may ask for a place
    /// after it. Later it goes as soon as it is idle.
    pub(super) fn renew<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Arc<str>>,
        is_idle: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        self.0
            .retain(|_, one| std::mem::take(&mut one.named) || !is_idle(one.number));
        let taken: BTreeSet<usize> = self.0.values().map(|one| one.number).collect();
        let mut free = (0..).filter(|number| !taken.contains(number));
        let mut number = |name: &Arc<str>| {
            let number = match self.0.get(name) {
                Some(one) => one.number,
                None => free.next()?,
            };
            let one = Number {
                number,
                named: true,
            };
            self.0.insert(name.clone(), one);
            Some(number)
        };
        names.filter_map(&mut number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renew(ids: &mut Ids, names: &[&str], busy: &[usize]) -> Vec<usize> {
        let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
        ids.renew(names.iter(), |number| !busy.contains(&number))
    }

    #[test]
    fn a_name_keeps_its_number_and_nobody_gets_one_that_is_in_use() {
        let mut ids = Ids::default();
        assert_eq!(renew(&mut ids, &["a", "b", "c"], &[]), [0, 1, 2]);
        assert_eq!(renew(&mut ids, &["c", "d"], &[]), [2, 3]);
        assert_eq!(ids.of("a"), Some(0), "for a call that is on its way");
        // `a` is busy and stays; what `b` had is free for `e`.
        assert_eq!(renew(&mut ids, &["c", "e"], &[0]), [2, 1]);
        assert_eq!((ids.of("a"), ids.of("b")), (Some(0), None));
        assert_eq!(renew(&mut ids, &["a", "c"], &[0]), [0, 2]);
    }
}
