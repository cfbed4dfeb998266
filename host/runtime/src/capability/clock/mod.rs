//! Clocks: `wasi:clocks`. Every guest has them, in steps of a millisecond: enough for timestamps
//! and timeouts, too coarse to measure what shares the processor with it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// The step of both clocks. Cache-timing attacks need well under a microsecond.
pub const STEP: Duration = Duration::from_millis(1);

pub(super) fn grant(wasi: &mut WasiCtxBuilder) {
    wasi.wall_clock(Wall).monotonic_clock(Monotonic {
        start: Instant::now(),
    });
}

struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        // A host clock before 1970 reads as 1970: a guest has no use for the difference.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        now - Duration::from_nanos(u64::from(now.subsec_nanos() % 1_000_000))
    }
}

struct Monotonic {
    /// The call's start: a guest does not learn how long the host is up.
    start: Instant,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        // From one step on: Go's runtime takes a time of zero for a broken clock and ends.
        let steps = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        steps.saturating_add(1).saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_move_in_whole_milliseconds() {
        for _ in 0..1_000 {
            assert_eq!(Wall.now().subsec_nanos() % 1_000_000, 0);
        }
        let monotonic = Monotonic {
            start: Instant::now(),
        };
        let first = monotonic.now();
        assert!(first > 0 && first.is_multiple_of(1_000_000), "{first}");
    }
}
