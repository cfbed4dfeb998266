//! How the process's file descriptors are divided: the one place that says which part of them may
//! use how many, so that the parts together are never more than there are.
//!
//! It does not know what a part does with its descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More descriptors than this are never asked for: the kernel keeps a table for them.
const ENOUGH: u64 = 65_536;

/// Who may hold how many descriptors. What is left, an eighth, is the host's own: its record, its
/// locks, its runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// Connections of agents, at all doors together: a quarter.
    pub doors: usize,
    /// Connections of tools to the outside: a quarter.
    pub upstreams: usize,
    /// Files and folders that guests have open: three eighths.
    pub files: usize,
}

impl Descriptors {
    /// The parts of so many descriptors.
    #[must_use]
    pub fn of(limit: u64) -> Self {
        let limit = usize::try_from(limit.min(ENOUGH)).unwrap_or(usize::MAX);
        Self {
            doors: limit / 4,
            upstreams: limit / 4,
            files: limit / 8 * 3,
        }
    }

    /// The parts of what this process may have open now.
    #[must_use]
    pub fn now() -> Self {
        Self::of(getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH))
    }
}

/// Raises what the process may have open to what the system allows it, before anybody asks for the
/// parts. Service managers and shells start programs with 1,024, for the sake of `select`, which
/// nothing here uses.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if limit.current.is_some_and(|now| now < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays what it was");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x31_the_parts_are_never_more_than_the_whole() {
        for limit in [0, 7, 64, 1_024, 4_096, ENOUGH, u64::MAX] {
            let parts = Descriptors::of(limit);
            let sum = parts.doors + parts.upstreams + parts.files;
            let whole = usize::try_from(limit.min(ENOUGH)).unwrap_or(usize::MAX);
            assert!(sum <= whole - whole / 8, "{limit}: {parts:?}");
        }
        let usual = Descriptors::of(1_024);
        assert_eq!((usual.doors, usual.upstreams, usual.files), (256, 256, 384));
    }
}
