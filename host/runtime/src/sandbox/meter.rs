//! The meter of one call: what its memories, tables and instances add up to, and why it was stopped
//! from growing. wasmtime's own limiter bounds each memory, not their sum.

use wasmtime::ResourceLimiter;

use super::engine::{MEMORIES_PER_CALL, TABLES_PER_CALL};
use crate::terms::Limits;

/// Measures and bounds one store.
pub(super) struct Meter {
    memory: Sum,
    tables: Sum,
    instances: usize,
}

struct Sum {
    now: u64,
    peak: u64,
    most: u64,
    refused: bool,
}

impl Sum {
    const fn new(most: u64) -> Self {
        Self {
            now: 0,
            peak: 0,
            most,
            refused: false,
        }
    }

    /// Whether something may grow from `current` to `desired`; wasmtime counts a new one from zero.
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let wanted = self.now.saturating_add(more);
        if wanted > self.most {
            self.refused = true;
            return false;
        }
        self.now = wanted;
        self.peak = self.peak.max(wanted);
        true
    }
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: Sum::new(limits.memory),
            tables: Sum::new(limits.table_elements),
            instances: usize::try_from(limits.instances).unwrap_or(usize::MAX),
        }
    }

    /// The largest sum of linear memories, in bytes.
    pub(super) const fn peak_memory(&self) -> u64 {
        self.memory.peak
    }

    /// Whether the guest was refused memory or tables: the likely reason of a trap that follows.
    pub(super) const fn refused(&self) -> bool {
        self.memory.refused || self.tables.refused
    }
}

/// Whether the guest's own type lets something grow so far. Where it does not the engine refuses, but
/// only after it has asked: what does not come about is not counted.
fn within(maximum: Option<usize>, desired: usize) -> bool {
    maximum.is_none_or(|most| desired <= most)
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(within(maximum, desired) && self.memory.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(within(maximum, desired) && self.tables.grow(current, desired))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        TABLES_PER_CALL as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_CALL as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocators ask for much and then for less.
    #[test]
    fn what_a_memory_s_own_type_forbids_is_not_counted() {
        let mut meter = Meter::new(&Limits {
            memory: 100,
            table_elements: 100,
            ..Limits::DEFAULT
        });
        for _ in 0..3 {
            assert!(meter.memory_growing(0, 90, Some(50)).is_ok_and(|yes| !yes));
            assert!(meter.table_growing(0, 90, Some(50)).is_ok_and(|yes| !yes));
        }
        assert!(!meter.refused() && meter.peak_memory() == 0);
        assert!(meter.memory_growing(0, 90, Some(90)).is_ok_and(|yes| yes));
    }

    #[test]
    fn memories_are_summed() {
        let mut meter = Meter::new(&Limits {
            memory: 100,
            ..Limits::DEFAULT
        });
        assert!(meter.memory_growing(0, 60, None).is_ok_and(|yes| yes));
        assert!(meter.memory_growing(0, 40, None).is_ok_and(|yes| yes));
        assert!(!meter.refused());
        assert!(meter.memory_growing(40, 41, None).is_ok_and(|yes| !yes));
        assert!(meter.refused());
        assert_eq!(meter.peak_memory(), 100);
    }
}
