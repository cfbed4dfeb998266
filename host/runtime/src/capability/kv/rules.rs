//! What a key, a value, a cursor and a number may be. Pure; it knows neither SQLite nor guests.

use super::error::KvError;

/// The longest key, in bytes.
pub const MOST_KEY: usize = 1_024;

/// The longest value, in bytes.
pub const MOST_VALUE: usize = 1 << 20;

/// Keys of one batch.
pub const MOST_BATCH: usize = 1_000;

/// What one answer may carry of values, in bytes.
pub const MOST_ANSWER: usize = 4 << 20;

/// Keys of one page of a list: half a mebibyte at the most.
pub const PAGE: usize = 500;

/// Refuses what cannot be a key.
pub(super) fn check_key(key: &str) -> Result<(), KvError> {
    let why = match key.len() {
        0 => "a key is not empty".to_owned(),
        1..=MOST_KEY if !key.contains('\0') => return Ok(()),
        1..=MOST_KEY => "a key has no NUL character".to_owned(),
        length => format!("this key has {length} bytes; {MOST_KEY} are allowed"),
    };
    Err(KvError::Refused(why))
}

/// Refuses what is too large to be a value.
pub(super) fn check_value(value: &[u8]) -> Result<(), KvError> {
    if value.len() <= MOST_VALUE {
        return Ok(());
    }
    let length = value.len();
    Err(KvError::Refused(format!(
        "this value has {length} bytes; {MOST_VALUE} are allowed"
    )))
}

/// Refuses a batch that is too long.
pub(super) fn check_batch(length: usize) -> Result<(), KvError> {
    if length <= MOST_BATCH {
        return Ok(());
    }
    Err(KvError::Refused(format!(
        "this batch has {length} keys; {MOST_BATCH} are allowed"
    )))
}

/// A place in a bucket's list: behind the key that was the bucket's so-many-th to be made. Keys that
/// stay are listed once, whatever is made and deleted meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor(i64);

impl Cursor {
    /// Behind a key.
    pub(super) const fn behind(born: i64) -> Self {
        Self(born)
    }

    /// The number of the key that it is behind; 0 before the first.
    pub(super) const fn born(self) -> i64 {
        self.0
    }

    /// As guests of the first draft hold it.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Reads a number; one beyond all keys is behind the last.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// Reads what a guest says that it was given: exactly what [`Cursor::to_string`] writes.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, KvError> {
        let read = text.parse().ok().map(Self);
        let same = read.filter(|cursor| cursor.0 >= 0 && cursor.to_string() == text);
        same.ok_or_else(|| {
            KvError::Refused(
                "this cursor was not given by this bucket; begin the list without one".to_owned(),
            )
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What numbers a guest's `increment` can return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) least: i128,
    pub(super) most: i128,
}

impl Range {
    /// The first draft's.
    pub(super) const U64: Self = Self {
        least: 0,
        most: u64::MAX as i128,
    };
    /// The second draft's.
    pub(super) const S64: Self = Self {
        least: i64::MIN as i128,
        most: i64::MAX as i128,
    };
}

/// Adds to a number, which is stored as decimal digits; where there is none it is 0.
pub(super) fn increased(value: Option<&[u8]>, delta: i128, range: Range) -> Result<i128, KvError> {
    let within = |number: &i128| (range.least..=range.most).contains(number);
    let refuse = |why: &str| KvError::Refused(why.to_owned());
    let stands = match value {
        None => 0,
        Some(value) => number(value)
            .filter(within)
            .ok_or_else(|| refuse("the value of this key is no number that can be increased"))?,
    };
    let sum = stands.checked_add(delta).filter(within);
    sum.ok_or_else(|| refuse("the number would be out of its range; it was not changed"))
}

/// Decimal digits, and a sign before them where it is below zero.
fn number(value: &[u8]) -> Option<i128> {
    // The longest number of 64 bits has 20 characters.
    let text = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= 20 && !text.starts_with('+'))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_values_and_batches_have_their_sizes() {
        assert!(check_key("a").is_ok() && check_key(&"ä".repeat(512)).is_ok());
        for never in ["", "a\0b", &"a".repeat(1_025)] {
            assert!(check_key(never).is_err(), "{never:?}");
        }
        assert!(check_value(&vec![0; MOST_VALUE]).is_ok());
        assert!(check_value(&vec![0; MOST_VALUE + 1]).is_err());
        assert!(check_batch(MOST_BATCH).is_ok() && check_batch(MOST_BATCH + 1).is_err());
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_not_otherwise() {
        for number in [0, 1, 499, u64::try_from(i64::MAX).unwrap_or(0)] {
            let cursor = Cursor::from_number(number);
            assert_eq!(Cursor::parse(&cursor.to_string()).ok(), Some(cursor));
            assert_eq!(cursor.number(), number);
        }
        assert_eq!(Cursor::from_number(u64::MAX).born(), i64::MAX);
        for never in [
            "",
            "-1",
            "+1",
            "01",
            "1 ",
            " 1",
            "1e3",
            "9223372036854775808",
            "x",
        ] {
            assert!(Cursor::parse(never).is_err(), "{never:?}");
        }
    }

    #[test]
    fn numbers_grow_within_their_range_or_stay() {
        let add = |value: Option<&str>, delta, range| {
            increased(value.map(str::as_bytes), delta, range).ok()
        };
        assert_eq!(add(None, 5, Range::U64), Some(5));
        assert_eq!(add(Some("41"), 1, Range::S64), Some(42));
        assert_eq!(add(Some("1"), -2, Range::S64), Some(-1));
        assert_eq!(add(Some("-1"), 1, Range::U64), None, "not a number there");
        assert_eq!(add(Some("18446744073709551615"), 1, Range::U64), None);
        assert_eq!(add(Some("18446744073709551615"), 0, Range::S64), None);
        assert_eq!(add(Some("-9223372036854775808"), -1, Range::S64), None);
        for no_number in ["", "a", "+1", "1.0", " 1", "99999999999999999999999"] {
            assert_eq!(add(Some(no_number), 1, Range::S64), None, "{no_number:?}");
        }
        assert_eq!(increased(Some(&[0xff]), 1, Range::U64).ok(), None);
    }
}
