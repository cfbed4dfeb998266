//! One value of a table: how it is read, compared and shown. It does not know its column.

use std::cmp::Ordering;

use serde_json::Value;

/// Characters of a text that are shown.
const MOST_SHOWN: usize = 2_000;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing: an empty field, `null`, a missing key.
    Empty,
    Bool(bool),
    Integer(i64),
    /// Always finite.
    Number(f64),
    Text(String),
}

impl Cell {
    /// A field of a CSV file. What only looks like a number (`007`, `1e5`, `+1`) stays text: it is
    /// rather a name.
    pub(crate) fn of_field(field: &str) -> Self {
        let text = field.trim();
        match text {
            "" => Self::Empty,
            "true" | "TRUE" | "True" => Self::Bool(true),
            "false" | "FALSE" | "False" => Self::Bool(false),
            _ => number(text).unwrap_or_else(|| Self::Text(field.to_owned())),
        }
    }

    /// A value of a JSON object; what is nested becomes its JSON text.
    pub(crate) fn of_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Empty,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => match (value.as_i64(), value.as_f64()) {
                (Some(value), _) => Self::Integer(value),
                (None, Some(value)) => Self::Number(value),
                (None, None) => Self::Text(value.to_string()),
            },
            Value::String(text) if text.is_empty() => Self::Empty,
            Value::String(text) => Self::Text(text.clone()),
            nested => Self::Text(nested.to_string()),
        }
    }

    /// As the agent sees it.
    pub(crate) fn show(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Number(value) => Value::from(*value),
            Self::Text(text) => match text.char_indices().nth(MOST_SHOWN) {
                Some((end, _)) => {
                    Value::from(format!("{}...", text.get(..end).unwrap_or_default()))
                }
                None => Value::from(text.as_str()),
            },
        }
    }

    /// As text, for `contains` and its kind.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// As a number, where it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(float(*value)),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Which of two comes first, where they are of one kind.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Empty, Self::Empty) => Some(Ordering::Equal),
            (a, b) => Some(a.number()?.total_cmp(&b.number()?)),
        }
    }

    /// An order of all values, for sorting: yes and no, numbers, texts, nothing.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let kind = |cell: &Self| match cell {
            Self::Bool(_) => 0,
            Self::Integer(_) | Self::Number(_) => 1,
            Self::Text(_) => 2,
            Self::Empty => 3,
        };
        self.compare(other)
            .unwrap_or_else(|| kind(self).cmp(&kind(other)))
    }
}

/// Beyond 2^53 the nearest float: a sum that large is no longer exact, and says so by its form.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}

fn number(text: &str) -> Option<Cell> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(places) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if digits.contains('.') {
        text.parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
            .map(Cell::Number)
    } else {
        text.parse().ok().map(Cell::Integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_what_they_are() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let cases = [
            ("", Cell::Empty),
            (" 7 ", Cell::Integer(7)),
            ("-0.5", Cell::Number(-0.5)),
            ("true", Cell::Bool(true)),
            ("007", text("007")),
            ("0", Cell::Integer(0)),
            ("1e5", text("1e5")),
            ("+1", text("+1")),
            ("1.", text("1.")),
            ("99999999999999999999", text("99999999999999999999")),
            ("2026-11-03", text("2026-11-03")),
        ];
        for (field, cell) in cases {
            assert_eq!(Cell::of_field(field), cell, "{field:?}");
        }
    }

    #[test]
    fn every_two_values_have_an_order() {
        let mut cells = [
            Cell::Empty,
            Cell::Text("a".to_owned()),
            Cell::Number(1.5),
            Cell::Integer(1),
            Cell::Bool(true),
        ];
        cells.sort_by(Cell::order);
        let shown: Vec<Value> = cells.iter().map(Cell::show).collect();
        assert_eq!(
            Value::from(shown),
            serde_json::json!([true, 1, 1.5, "a", null])
        );
    }
}
