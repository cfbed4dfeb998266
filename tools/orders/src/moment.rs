//! Points in time in the notations an old system mixes. It does not know the present.

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime};

/// What a notation says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// RFC 3339, a time or only a date.
    Clear(String),
    /// The same, but the zone was not said; UTC is a guess.
    NoZone(String),
    /// It is a date, but day and month could be either way round.
    Ambiguous,
    /// It is no point in time.
    Unreadable,
}

/// Reads a text.
pub(crate) fn parse(text: &str) -> Moment {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_or(Moment::Unreadable, unix);
    }
    let zoned =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Rfc2822));
    if let Ok(moment) = zoned {
        return clear(moment);
    }
    if let Some(moment) = without_zone(text) {
        return match clear(moment.assume_utc()) {
            Moment::Clear(shown) => Moment::NoZone(shown),
            other => other,
        };
    }
    date(text)
}

/// Seconds since 1970, or milliseconds where seconds would be after the year 5138.
pub(crate) fn unix(number: i64) -> Moment {
    let seconds = if number >= 100_000_000_000 {
        number / 1000
    } else {
        number
    };
    OffsetDateTime::from_unix_timestamp(seconds).map_or(Moment::Unreadable, clear)
}

fn clear(moment: OffsetDateTime) -> Moment {
    moment
        .format(&Rfc3339)
        .map_or(Moment::Unreadable, Moment::Clear)
}

fn without_zone(text: &str) -> Option<PrimitiveDateTime> {
    let seconds = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let minutes = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let german = format_description!("[day].[month].[year] [hour]:[minute]");
    let text = text.replace('T', " ");
    PrimitiveDateTime::parse(&text, seconds)
        .or_else(|_| PrimitiveDateTime::parse(&text, minutes))
        .or_else(|_| PrimitiveDateTime::parse(&text, german))
        .ok()
}

/// `2026-11-03`, `03.11.2026` or one with slashes.
fn date(text: &str) -> Moment {
    let parts = |separator| {
        let mut parts = text.split(separator).map(str::parse::<i32>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(a)), Some(Ok(b)), Some(Ok(c)), None) => Some((a, b, c)),
            _ => None,
        }
    };
    if let Some((year, month, day)) = parts('-') {
        return day_of(year, month, day);
    }
    if let Some((day, month, year)) = parts('.') {
        return day_of(year, month, day);
    }
    match parts('/') {
        Some((year, month, day)) if year > 31 => day_of(year, month, day),
        Some((day, month, year)) if day > 12 || day == month => day_of(year, month, day),
        Some((month, day, year)) if day > 12 => day_of(year, month, day),
        Some(_) => Moment::Ambiguous,
        None => Moment::Unreadable,
    }
}

fn day_of(year: i32, month: i32, day: i32) -> Moment {
    let date = || {
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()
    };
    match date() {
        Some(date) if (1970..=2200).contains(&year) => Moment::Clear(date.to_string()),
        _ => Moment::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_the_shop_is_read() {
        let clear = |text: &str| Moment::Clear(text.to_owned());
        let cases = [
            ("2026-11-03T10:00:00Z", clear("2026-11-03T10:00:00Z")),
            (
                "2026-11-03T10:00:00+01:00",
                clear("2026-11-03T10:00:00+01:00"),
            ),
            (
                "Tue, 03 Nov 2026 10:00:00 +0000",
                clear("2026-11-03T10:00:00Z"),
            ),
            ("2026-11-03", clear("2026-11-03")),
            ("03.11.2026", clear("2026-11-03")),
            ("23/11/2026", clear("2026-11-23")),
            ("11/23/2026", clear("2026-11-23")),
            ("11/11/2026", clear("2026-11-11")),
            ("1793700000", clear("2026-11-03T10:00:00Z")),
            ("1793700000000", clear("2026-11-03T10:00:00Z")),
            (
                "2026-11-03 10:00:00",
                Moment::NoZone("2026-11-03T10:00:00Z".to_owned()),
            ),
            (
                "03.11.2026 10:00",
                Moment::NoZone("2026-11-03T10:00:00Z".to_owned()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_two_days_is_neither() {
        assert_eq!(parse("03/11/2026"), Moment::Ambiguous);
    }

    #[test]
    fn nonsense_is_unreadable() {
        for text in [
            "",
            "soon",
            "2026-13-01",
            "31.02.2026",
            "0000-00-00",
            "1/2",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text), Moment::Unreadable, "{text}");
        }
    }
}
