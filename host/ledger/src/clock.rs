//! Points in time as the ledger writes them. Times are for people: records are ordered by their number.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

/// Where the time comes from: `SystemTime::now`, or a test's own.
pub type Clock = fn() -> SystemTime;

const MILLIS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: std::num::NonZeroU8::new(3),
    })
    .encode();

/// RFC 3339 in UTC with milliseconds. All have the same width, so they sort as text.
///
/// A time that RFC 3339 cannot say (before 1970, after 9999) is written as the nearest end.
pub(super) fn stamp(at: SystemTime) -> String {
    moment(at)
        .format(&Iso8601::<MILLIS>)
        .unwrap_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned())
}

/// The same without what does not belong into a file's name: `20260711T090501.123Z`.
pub(super) fn file_stamp(at: SystemTime) -> String {
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
    use std::time::Duration;

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
