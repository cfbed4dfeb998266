//! One value against one test: of a set, of a pattern, equal to an argument of the call.
//!
//! It does not know where the value stands.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

/// The longest text that a pattern is tried on, in bytes.
pub(super) const MAX_TESTED: usize = 64 << 10;

/// What a value has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Nothing: any value will do.
    Any,
    /// It is one of these.
    OneOf(Vec<Scalar>),
    /// It is a text, and all of it fits.
    Pattern(Pattern),
    /// It is what the call's argument of this name is.
    Equals(Arc<str>),
}

/// A value that a rule can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
}

/// A regular expression that has to fit a whole text. It is matched in linear time.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    whole: regex::Regex,
}

/// The arguments of a call, read when the first rule asks for one.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    text: Arc<str>,
    read: OnceLock<Map<String, Value>>,
}

impl Test {
    pub(super) fn passes(&self, value: &Value, arguments: &Arguments) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(scalars) => scalars.iter().any(|scalar| scalar.is(value)),
            Self::Pattern(pattern) => value.as_str().is_some_and(|text| pattern.fits(text)),
            // Two texts of a number can be one float: only what has one text each can be equal.
            Self::Equals(name) => arguments.get(name) == Some(value) && !holds_float(value),
        }
    }

    /// As for a value, for the text of a query's parameter.
    pub(super) fn passes_text(&self, text: &str, arguments: &Arguments) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(scalars) => scalars.iter().any(|scalar| scalar.is_text(text)),
            Self::Pattern(pattern) => pattern.fits(text),
            Self::Equals(name) => match arguments.get(name) {
                Some(Value::String(argument)) => argument == text,
                Some(Value::Number(argument)) => argument.to_string() == text,
                Some(Value::Bool(argument)) => argument.to_string() == text,
                _ => false,
            },
        }
    }

    /// What it asks for, as the end of a sentence.
    pub(super) fn asks(&self) -> String {
        match self {
            Self::Any => "can be anything".to_owned(),
            Self::OneOf(_) => "is not one of the values that the rule allows".to_owned(),
            Self::Pattern(_) => "is not a text that fits the rule's pattern".to_owned(),
            Self::Equals(name) => format!("is not what the call's argument `{name}` is"),
        }
    }
}

fn holds_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(elements) => elements.iter().any(holds_float),
        Value::Object(fields) => fields.values().any(holds_float),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Integer(number) => value.as_i64() == Some(*number),
            Self::Flag(flag) => value.as_bool() == Some(*flag),
        }
    }

    fn is_text(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own == text,
            Self::Integer(number) => number.to_string() == text,
            Self::Flag(flag) => flag.to_string() == text,
        }
    }
}

impl Pattern {
    /// Compiles a regular expression that has to fit the whole of a text.
    ///
    /// # Errors
    /// It is none, or one that is too large.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // Classes of Unicode are large: `[^\n]{1,200}` takes some 200 KiB.
        const MOST: usize = 1 << 20;
        let build = |text: &str| regex::RegexBuilder::new(text).size_limit(MOST).build();
        // By itself first: `a)|(?:b` is no expression, but would be one between the anchors.
        build(text)?;
        let whole = build(&format!(r"\A(?:{text})\z"))?;
        Ok(Self {
            text: text.to_owned(),
            whole,
        })
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        text.len() <= MAX_TESTED && self.whole.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl Arguments {
    /// The arguments of a call, as the JSON object that its guest gets.
    #[must_use]
    pub fn new(text: Arc<str>) -> Self {
        Self {
            text,
            read: OnceLock::new(),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let read = || serde_json::from_str(&self.text).unwrap_or_default();
        self.read.get_or_init(read).get(name)
    }
}
