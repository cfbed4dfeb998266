//! Where the time comes from. Whoever needs it is handed a clock, so a test can let an hour pass without
//! waiting for it; who asks the system beside this file is listed in `tests/sources.rs`.
//!
//! Timers are not here: what sleeps or waits with a timeout uses the runtime's own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

/// The system's clocks, or a test's. A copy shows the same time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// None for the system's.
    manual: Option<&'static ManualClock>,
}

impl Clock {
    /// The system's clocks.
    pub const SYSTEM: Self = Self { manual: None };

    /// Now, for durations and deadlines: it never goes back.
    #[must_use]
    pub fn now(self) -> Instant {
        self.manual
            .map_or_else(Instant::now, |clock| clock.shown().0)
    }

    /// Now, as a date: for people and for other machines. It may jump.
    #[must_use]
    pub fn wall(self) -> SystemTime {
        self.manual
            .map_or_else(SystemTime::now, |clock| clock.shown().1)
    }

    /// How long ago that was; nothing for what is still to come.
    #[must_use]
    pub fn since(self, past: Instant) -> Duration {
        self.now().saturating_duration_since(past)
    }

    /// How long until then; nothing for what is past.
    #[must_use]
    pub fn until(self, end: Instant) -> Duration {
        end.saturating_duration_since(self.now())
    }
}

/// Time that passes when a test says so.
#[derive(Debug)]
pub struct ManualClock {
    shown: Mutex<(Instant, SystemTime)>,
}

impl ManualClock {
    /// A clock that stands at this date, for as long as the process runs: so many can have it.
    #[must_use]
    pub fn at(wall: SystemTime) -> &'static Self {
        Box::leak(Box::new(Self {
            shown: Mutex::new((Instant::now(), wall)),
        }))
    }

    /// The clock to hand in.
    #[must_use]
    pub const fn clock(&'static self) -> Clock {
        Clock { manual: Some(self) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.0 += by;
        shown.1 += by;
    }

    /// Sets the date, as an operator does, or a time server: durations are not affected.
    pub fn set_wall(&self, wall: SystemTime) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).1 = wall;
    }

    fn shown(&self) -> (Instant, SystemTime) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MILLIS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: std::num::NonZeroU8::new(3),
    })
    .encode();

/// RFC 3339 in UTC with milliseconds. All have the same width, so they sort as text.
///
/// A time that RFC 3339 cannot say (before 1970, after 9999) is written as the nearest end.
#[must_use]
pub fn stamp(at: SystemTime) -> String {
    moment(at)
        .format(&Iso8601::<MILLIS>)
        .unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned())
}

/// The same without what does not belong into a file's name: `20260711T090501.123Z`.
#[must_use]
pub fn file_stamp(at: SystemTime) -> String {
    stamp(at).replace(['-', ':'], "")
}

fn moment(at: SystemTime) -> OffsetDateTime {
    const LAST_SECOND: i64 = 253_402_300_799;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs())
        .unwrap_or(LAST_SECOND)
        .min(LAST_SECOND);
    OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .replace_nanosecond(since.subsec_nanos())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_when_a_test_says_so() {
        let manual = ManualClock::at(UNIX_EPOCH);
        let clock = manual.clock();
        let start = clock.now();
        assert_eq!(clock.since(start), Duration::ZERO);
        manual.advance(Duration::from_secs(3600));
        assert_eq!(clock.since(start), Duration::from_secs(3600));
        assert_eq!(clock.until(start), Duration::ZERO);
        assert_eq!(clock.wall(), UNIX_EPOCH + Duration::from_secs(3600));
        manual.set_wall(UNIX_EPOCH);
        assert_eq!(clock.wall(), UNIX_EPOCH);
        assert_eq!(clock.since(start), Duration::from_secs(3600));
    }

    #[test]
    fn the_systems_time_passes_by_itself() {
        let clock = Clock::SYSTEM;
        let (start, wall) = (clock.now(), clock.wall());
        while clock.since(start).is_zero() {}
        assert!(clock.now() > start && clock.wall() >= wall);
    }

    #[test]
    fn every_stamp_has_one_width() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (120, "1970-01-01T00:00:00.120Z"),
            (1_783_760_701_007, "2026-07-11T09:05:01.007Z"),
        ] {
            assert_eq!(stamp(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
        assert_eq!(
            file_stamp(UNIX_EPOCH + Duration::from_millis(1_783_760_701_007)),
            "20260711T090501.007Z"
        );
    }

    #[test]
    fn a_mad_clock_is_written_as_the_nearest_end() {
        assert_eq!(
            stamp(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(
            stamp(UNIX_EPOCH + Duration::from_secs(1 << 60)),
            "9999-12-31T23:59:59.000Z"
        );
    }
}
