//! Clocks: `wasi:clocks`. Every guest has them, in steps of a millisecond: enough for timestamps
//! and timeouts, too coarse to measure what shares the processor with it.

mod seam;

pub(super) use seam::{Clocks, link};

use std::time::{Duration, Instant, UNIX_EPOCH};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::terms::Clock;

/// The step of both clocks. Cache-timing attacks need well under a microsecond.
pub const STEP: Duration = Duration::from_millis(1);

pub(super) fn grant(wasi: &mut WasiCtxBuilder, clock: Clock) {
    wasi.wall_clock(Wall(clock))
        .monotonic_clock(Monotonic::new(clock));
}

struct Wall(Clock);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        // A host clock before 1970 reads as 1970: a guest has no use for the difference.
        let now = self.0.wall().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default();
        now - Duration::from_nanos(u64::from(now.subsec_nanos() % 1_000_000))
    }
}

struct Monotonic {
    clock: Clock,
    /// The call's start: a guest does not learn how long the host is up.
    start: Instant,
}

impl Monotonic {
    fn new(clock: Clock) -> Self {
        let start = clock.now();
        Self { clock, start }
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        // From one step on: Go's runtime takes a time of zero for a broken clock and ends.
        let steps = u64::try_from(self.clock.since(self.start).as_millis()).unwrap_or(u64::MAX);
        steps.saturating_add(1).saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::ManualClock;

    #[test]
    fn both_clocks_move_in_whole_milliseconds() {
        let manual = ManualClock::at(UNIX_EPOCH);
        let wall = Wall(manual.clock());
        let monotonic = Monotonic::new(manual.clock());
        // Go's runtime takes a time of zero for a broken clock.
        assert_eq!((wall.now(), monotonic.now()), (Duration::ZERO, 1_000_000));
        for (micros, millis) in [(999, 0), (1, 1), (1_000, 2), (2_500, 4), (500, 5)] {
            manual.advance(Duration::from_micros(micros));
            assert_eq!(wall.now(), Duration::from_millis(millis));
            assert_eq!(monotonic.now(), (millis + 1) * 1_000_000);
        }
        // A date that is set does not move the other clock; one before 1970 reads as 1970.
        manual.set_wall(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!((wall.now(), monotonic.now()), (Duration::ZERO, 6_000_000));
    }
}
