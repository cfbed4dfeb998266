//! Numbers with units: bytes, counts and durations within their range.
//!
//! There is no way to write "unlimited", in any spelling.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use toml::de::DeValue;

use super::diagnostics::Finding;
use super::key_reader::Entry;
use super::problem::quoted;

/// What people write when they want no bound.
const BOUNDLESS: [&str; 8] = [
    "unlimited",
    "infinite",
    "infinity",
    "inf",
    "none",
    "never",
    "off",
    "no",
];

/// Where a value may lie; wide enough to hold what is written, also below zero.
type Range = RangeInclusive<i128>;

/// A number of bytes: `"64MiB"`, or an integer.
pub(super) fn bytes(entry: &Entry<'_>, range: RangeInclusive<u64>) -> Option<u64> {
    let range = wide(range);
    let value = match entry.value() {
        DeValue::String(text) => size(entry, text, &range)?,
        _ => integer(entry, "a size such as \"64MiB\"", &range, human)?,
    };
    within(entry, value, &range, human)
}

/// How many of something.
pub(super) fn count(entry: &Entry<'_>, range: RangeInclusive<u64>) -> Option<u64> {
    let range = wide(range);
    let value = match entry.value() {
        DeValue::String(text) if is_boundless(text) => boundless(entry, &range, plain)?,
        _ => integer(entry, "an integer", &range, plain)?,
    };
    within(entry, value, &range, plain)
}

/// As [`count`], for what is kept in 32 bits.
pub(super) fn small_count(entry: &Entry<'_>, range: RangeInclusive<u32>) -> Option<u32> {
    let range = u64::from(*range.start())..=u64::from(*range.end());
    count(entry, range).and_then(|count| u32::try_from(count).ok())
}

/// A length of time: `"10s"`, `"1m 30s"`, `"500ms"`.
pub(super) fn duration(entry: &Entry<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
    let millis = |d: &Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let range = wide(millis(range.start())..=millis(range.end()));
    let value = match entry.value() {
        DeValue::String(text) if is_boundless(text) => boundless(entry, &range, time)?,
        DeValue::String(text) => span_of_time(entry, text)?,
        DeValue::Float(float) if float.as_str().contains("inf") => boundless(entry, &range, time)?,
        DeValue::Integer(number) => {
            let message = format!("{} has no unit", entry.label());
            let hint = format!("write \"{number}s\" for seconds, \"{number}ms\" for milliseconds");
            entry
                .page
                .report(Finding::at(&entry.span, message).hint(hint));
            return None;
        }
        _ => return entry.not("a duration such as \"10s\""),
    };
    let known = within(entry, i128::from(millis(&value)), &range, time)?;
    Some(Duration::from_millis(known))
}

fn span_of_time(entry: &Entry<'_>, text: &str) -> Option<Duration> {
    // No duration within an hour needs more, and humantime adds up numbers near `u64::MAX` seconds
    // in a way that panics.
    const LONGEST: usize = 16;
    let parsed = (text.len() <= LONGEST).then(|| humantime::parse_duration(text).ok());
    if let Some(Some(duration)) = parsed {
        return Some(duration);
    }
    let message = format!("{} is not a duration: {}", entry.label(), quoted(text));
    let hint = "write for example \"10s\", \"500ms\" or \"1m 30s\"";
    entry
        .page
        .report(Finding::at(&entry.span, message).hint(hint));
    None
}

fn size(entry: &Entry<'_>, text: &str, range: &Range) -> Option<i128> {
    if is_boundless(text) {
        return boundless(entry, range, human);
    }
    let bare = text.bytes().all(|b| b.is_ascii_digit());
    if let (Ok(size), false) = (text.parse::<ByteSize>(), bare) {
        return Some(i128::from(size.as_u64()));
    }
    let message = format!("{} is not a size: {}", entry.label(), quoted(text));
    let hint = if bare && !text.is_empty() {
        format!("write \"{text}MiB\" or another unit, or the bytes as a number without quotes")
    } else {
        "write for example \"64MiB\", \"500kB\" or a number of bytes".to_owned()
    };
    entry
        .page
        .report(Finding::at(&entry.span, message).hint(hint));
    None
}

fn integer(
    entry: &Entry<'_>,
    expected: &str,
    range: &Range,
    show: fn(u64) -> String,
) -> Option<i128> {
    match entry.value() {
        DeValue::Integer(number) => {
            let value = i128::from_str_radix(number.as_str(), number.radix());
            Some(value.unwrap_or(i128::MAX))
        }
        DeValue::Float(float) if float.as_str().contains("inf") => boundless(entry, range, show),
        _ => entry.not(expected),
    }
}

fn wide(range: RangeInclusive<u64>) -> Range {
    i128::from(*range.start())..=i128::from(*range.end())
}

fn within(entry: &Entry<'_>, value: i128, range: &Range, show: fn(u64) -> String) -> Option<u64> {
    if range.contains(&value) {
        return u64::try_from(value).ok();
    }
    let (word, bound) = if value < *range.start() {
        ("least", *range.start())
    } else {
        ("most", *range.end())
    };
    let bound = u64::try_from(bound).unwrap_or_default();
    let message = format!("{} must be at {word} {}", entry.label(), show(bound));
    let mut finding = Finding::at(&entry.span, message);
    if value == 0 {
        finding = finding.hint("0 does not mean \"unlimited\": nothing is without a bound");
    }
    entry.page.report(finding);
    None
}

fn boundless<T>(entry: &Entry<'_>, range: &Range, show: fn(u64) -> String) -> Option<T> {
    let message = format!("{} cannot be without a bound", entry.label());
    let most = u64::try_from(*range.end()).unwrap_or_default();
    let hint = format!("the most is {}", show(most));
    entry
        .page
        .report(Finding::at(&entry.span, message).hint(hint));
    None
}

fn is_boundless(text: &str) -> bool {
    BOUNDLESS.contains(&text.trim().to_ascii_lowercase().as_str())
}

/// As TOML writes it: 10_000.
fn plain(value: u64) -> String {
    let digits = value.to_string();
    let (mut out, length) = (String::new(), digits.len());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && length > 4 && (length - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

fn time(millis: u64) -> String {
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// Bytes in the largest binary unit that divides them.
fn human(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |(shift, _): &(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.into_iter().find(fits) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
}

/// The number of a user, from 0.
pub(super) fn id(entry: &Entry<'_>, last: u32) -> Option<u32> {
    match entry.value() {
        DeValue::Integer(number) => {
            let id = u32::from_str_radix(number.as_str(), number.radix()).ok();
            if let Some(id) = id.filter(|id| *id <= last) {
                return Some(id);
            }
            let message = format!("{} must be from 0 to {last}", entry.label());
            entry.page.report(Finding::at(&entry.span, message));
            None
        }
        _ => entry.not("an integer"),
    }
}
