//! Amounts of money in whole cents. It does not know currencies.

/// Reads an amount: `12.5`, `12,50`, `1.234,56`, `1,234.56`, with or without a currency around it.
/// Nothing where it is not clear.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let number: String = text
        .trim()
        .trim_matches(|c: char| c.is_alphabetic() || c.is_whitespace() || "€$£¥".contains(c))
        .to_owned();
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.as_str()),
    };
    let (whole, places) = split(digits)?;
    let whole: i64 = whole.parse().ok()?;
    let cents = whole.checked_mul(100)?.checked_add(hundredths(places)?)?;
    Some(if negative { -cents } else { cents })
}

/// An amount as a decimal number with two places.
pub(crate) fn show(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// The whole part without its grouping, and the places. The last separator is the decimal one
/// unless exactly three digits follow it and it is the only kind there is: `1.234` is not clear.
fn split(text: &str) -> Option<(String, &str)> {
    let allowed = |c: char| c.is_ascii_digit() || c == '.' || c == ',' || c == '\'';
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(allowed) {
        return None;
    }
    let Some(at) = text.rfind(['.', ',']) else {
        return Some((ungroup(text, '\'')?, ""));
    };
    let (whole, rest) = text.split_at(at);
    let separator = rest.chars().next()?;
    let places = rest.get(1..)?;
    if places.len() > 2 || places.is_empty() || whole.contains(separator) {
        return None;
    }
    let group = ['.', ',', '\'']
        .into_iter()
        .find(|group| whole.contains(*group));
    Some((ungroup(whole, group.unwrap_or('\''))?, places))
}

/// Digits in groups of three behind the first.
fn ungroup(whole: &str, separator: char) -> Option<String> {
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let mut joined = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        joined.push_str(group);
    }
    (!joined.is_empty() && digits(&joined)).then_some(joined)
}

fn hundredths(places: &str) -> Option<i64> {
    match places.len() {
        0 => Some(0),
        1 => Some(places.parse::<i64>().ok()? * 10),
        _ => places.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_every_notation_the_shop_uses() {
        let cases = [
            ("12", Some(1200)),
            ("12.5", Some(1250)),
            ("12,50", Some(1250)),
            ("EUR 12.50", Some(1250)),
            ("12,50 €", Some(1250)),
            ("1.234,56", Some(123_456)),
            ("1,234.56", Some(123_456)),
            ("1'234.56", Some(123_456)),
            ("-3.00", Some(-300)),
            ("0.05", Some(5)),
        ];
        for (text, cents) in cases {
            assert_eq!(parse(text), cents, "{text}");
        }
    }

    #[test]
    fn what_is_not_clear_is_not_read() {
        for text in [
            "",
            "free",
            "1.234",
            "1,23,45",
            "12.345",
            "1.2.3",
            "--1",
            "9".repeat(30).as_str(),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_with_two_places() {
        assert_eq!(show(1250), "12.50");
        assert_eq!(show(5), "0.05");
        assert_eq!(show(-305), "-3.05");
    }
}
