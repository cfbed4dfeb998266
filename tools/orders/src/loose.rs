//! Values out of an object that keeps no promise about its fields. It knows what a field may look
//! like and writes a warning for what it cannot use; it does not know what the object is.

use serde_json::{Map, Number, Value};

use crate::moment::{self, Moment};
use crate::money;

/// More items than any order has; the rest is left out with a warning.
const MOST_ITEMS: usize = 200;

/// Reads fields of one object, each under any of several names.
pub(crate) struct Reader<'a> {
    object: &'a Map<String, Value>,
    warnings: &'a mut Vec<String>,
    /// What stands before a field's name in a warning.
    within: String,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, warnings: &'a mut Vec<String>) -> Self {
        Self {
            object,
            warnings,
            within: String::new(),
        }
    }

    /// The first of the names that has a value; an empty text is none.
    fn find(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| match self.object.get(*name)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            value => Some(value),
        })
    }

    fn find_or_warn(&mut self, field: &str, names: &[&str]) -> Option<&'a Value> {
        let found = self.find(names);
        if found.is_none() {
            self.warn(field, "is missing");
        }
        found
    }

    fn warn(&mut self, field: &str, what: &str) {
        self.warnings
            .push(format!("`{}{field}` {what}", self.within));
    }

    /// A value that was there but says nothing usable.
    fn unreadable<T>(&mut self, field: &str, value: &Value) -> Option<T> {
        let mut shown = value.to_string();
        if shown.len() > 60 {
            shown = shown.chars().take(60).chain("...".chars()).collect();
        }
        self.warn(field, &format!("cannot be read: {shown}"));
        None
    }

    /// A text, or a number as text.
    pub(crate) fn text(&mut self, field: &str, names: &[&str]) -> Option<String> {
        let value = self.find_or_warn(field, names)?;
        as_text(value).or_else(|| self.unreadable(field, value))
    }

    /// The same where its absence is nothing to warn of.
    pub(crate) fn optional_text(&mut self, names: &[&str]) -> Option<String> {
        self.find(names).and_then(as_text)
    }

    /// A text, or the `name` (or else the `email`) of an object.
    pub(crate) fn name(&mut self, field: &str, names: &[&str]) -> Option<String> {
        let value = self.find_or_warn(field, names)?;
        let name = match value {
            Value::Object(person) => ["name", "full_name", "email"]
                .iter()
                .find_map(|name| as_text(person.get(*name)?)),
            other => as_text(other),
        };
        name.or_else(|| self.unreadable(field, value))
    }

    /// A whole number, also one written as text.
    pub(crate) fn integer(&mut self, field: &str, names: &[&str]) -> Option<i64> {
        let value = self.find_or_warn(field, names)?;
        let number = match value {
            Value::Number(number) => whole(number),
            Value::String(text) => whole_of_text(text),
            _ => None,
        };
        number.or_else(|| self.unreadable(field, value))
    }

    /// Yes or no in the ways there are; nothing where it is missing.
    pub(crate) fn flag(&mut self, names: &[&str]) -> Option<bool> {
        match self.find(names)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            Value::String(text) => match text.trim().to_lowercase().as_str() {
                "true" | "yes" | "y" | "1" => Some(true),
                "false" | "no" | "n" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// An amount of money, also one written as text or as the `amount` of an object.
    pub(crate) fn money(&mut self, field: &str, names: &[&str]) -> Option<String> {
        let value = self.find_or_warn(field, names)?;
        let cents = match value {
            Value::Object(money) => money
                .get("amount")
                .or_else(|| money.get("value"))
                .and_then(cents),
            other => cents(other),
        };
        cents
            .map(money::show)
            .or_else(|| self.unreadable(field, value))
    }

    /// A currency of its own, or one that stands within an amount.
    pub(crate) fn currency(&mut self, names: &[&str], amounts: &[&str]) -> Option<String> {
        let own = self.find(names).and_then(as_text);
        let within = || match self.find(amounts)? {
            Value::Object(money) => as_text(money.get("currency")?),
            Value::String(text) => currency_of(text),
            _ => None,
        };
        let code = own.or_else(within).map(|code| code.trim().to_uppercase());
        match code {
            Some(code) if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Some(code)
            }
            Some(code) => self.unreadable("currency", &Value::String(code)),
            None => {
                self.warn("currency", "is missing");
                None
            }
        }
    }

    /// A point in time.
    pub(crate) fn moment(&mut self, field: &str, names: &[&str]) -> Option<String> {
        let value = self.find_or_warn(field, names)?;
        self.moment_of(field, value)
    }

    /// The same where its absence is nothing to warn of; the first name is the field's.
    pub(crate) fn optional_moment(&mut self, names: &[&str]) -> Option<String> {
        let field = names.first()?;
        let value = self.find(names)?;
        self.moment_of(field, value)
    }

    fn moment_of(&mut self, field: &str, value: &Value) -> Option<String> {
        let moment = match value {
            Value::String(text) => moment::parse(text),
            Value::Number(number) => whole(number).map_or(Moment::Unreadable, moment::unix),
            _ => Moment::Unreadable,
        };
        match moment {
            Moment::Clear(shown) => Some(shown),
            Moment::NoZone(shown) => {
                self.warn(field, "has no time zone; taken as UTC");
                Some(shown)
            }
            Moment::Ambiguous => {
                self.warn(field, &format!("could be two dates: {value}"));
                None
            }
            Moment::Unreadable => self.unreadable(field, value),
        }
    }

    /// The objects of a list; what is no object is left out.
    pub(crate) fn list<T>(
        &mut self,
        field: &str,
        names: &[&str],
        read: fn(&mut Reader<'_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.find_or_warn(field, names) else {
            return Vec::new();
        };
        let Value::Array(values) = value else {
            self.unreadable::<()>(field, value);
            return Vec::new();
        };
        if values.len() > MOST_ITEMS {
            self.warn(
                field,
                &format!(
                    "has {} entries, the first {MOST_ITEMS} are here",
                    values.len()
                ),
            );
        }
        let mut items = Vec::new();
        for (index, value) in values.iter().take(MOST_ITEMS).enumerate() {
            match value {
                Value::Object(object) => items.push(read(&mut Reader {
                    object,
                    warnings: self.warnings,
                    within: format!("{field}[{index}]."),
                })),
                other => {
                    self.unreadable::<()>(&format!("{field}[{index}]"), other);
                }
            }
        }
        items
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, also one written as `3.0`.
fn whole(number: &Number) -> Option<i64> {
    number
        .as_i64()
        .or_else(|| whole_of_text(&number.to_string()))
}

fn whole_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.split_once('.').map_or(Some(text), |(whole, places)| {
        places.bytes().all(|byte| byte == b'0').then_some(whole)
    })?;
    digits.parse().ok()
}

/// JSON numbers are read by their text: a float would invent cents.
fn cents(value: &Value) -> Option<i64> {
    money::parse(&as_text(value)?)
}

fn currency_of(amount: &str) -> Option<String> {
    let letters: String = amount.chars().filter(|c| c.is_ascii_alphabetic()).collect();
    match letters.len() {
        3 => Some(letters),
        _ if amount.contains('€') => Some("EUR".to_owned()),
        _ if amount.contains('£') => Some("GBP".to_owned()),
        _ => None,
    }
}
