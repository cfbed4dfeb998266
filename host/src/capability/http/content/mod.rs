//! What a rule says of a request's query and body, and whether a request says that and nothing else.
//!
//! A rule that says anything of either is closed: what it does not list is refused, so that a tool
//! cannot add a parameter or a field that somebody on the other side would obey. Query and body are
//! read once, strictly (`query`, `json`): where two readers could differ, the request is refused,
//! and what was read is sent byte for byte. Pure; it knows no origins, no paths and no credentials.

mod json;
mod query;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Map, Value};

/// The largest body that is judged, in bytes. Its parts are held in memory one by one, which takes
/// some thirty times as much.
const MAX_JUDGED: usize = 1 << 20;

/// The longest text that a pattern is tried on, in bytes.
const MAX_TESTED: usize = 64 << 10;

/// What a closed rule allows of a request beyond its method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What the query may say.
    pub query: QueryRule,
    /// What the body may say.
    pub body: BodyRule,
}

/// What a query may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryRule {
    /// Whatever it says: it is not read.
    Any,
    /// These parameters, each at most once, and no other.
    Only(BTreeMap<String, Field>),
}

/// What a body may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyRule {
    /// Whatever it says: it is not read.
    Any,
    /// There is none.
    Empty,
    /// JSON of this shape.
    Json(Shape),
}

/// What a JSON value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A value that is judged as a whole.
    Value(Field),
    /// An object with these fields and no other.
    Object(BTreeMap<String, Shape>),
    /// A list, each element of this shape.
    List(Box<Shape>),
}

/// What one parameter or one JSON value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// It has to be there.
    pub required: bool,
    /// What it has to pass where it is there.
    pub test: Test,
}

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

/// What a guest sends beside method and URL.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Names and values of its headers.
    pub headers: &'a [(String, Vec<u8>)],
    /// The whole body.
    pub body: &'a [u8],
    /// The arguments of the call that it answers.
    pub arguments: &'a Arguments,
}

/// Why a request's content is not what the rule allows. The texts name places, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentMiss {
    /// Where.
    pub part: Part,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// A part of a request's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Behind the `?`.
    Query,
    /// The body, or the headers that say what it is.
    Body,
}

impl<'a> Sent<'a> {
    /// Neither headers nor a body.
    #[must_use]
    pub const fn nothing(arguments: &'a Arguments) -> Self {
        Self {
            headers: &[],
            body: &[],
            arguments,
        }
    }
}

impl Content {
    /// Says whether a request says what this allows and nothing else.
    ///
    /// # Errors
    /// The first thing that it does not allow.
    pub fn admits(&self, query: Option<&str>, sent: &Sent<'_>) -> Result<(), ContentMiss> {
        if let QueryRule::Only(fields) = &self.query {
            let why = check_query(fields, query.unwrap_or_default(), sent.arguments);
            why.map_err(|why| miss(Part::Query, why))?;
        }
        let judged = match &self.body {
            BodyRule::Any => Ok(()),
            BodyRule::Empty if sent.body.is_empty() => Ok(()),
            BodyRule::Empty => Err("there is one, and the rule lists no field of it".to_owned()),
            BodyRule::Json(shape) => check_body(shape, sent),
        };
        judged.map_err(|why| miss(Part::Body, why))
    }

    /// The names of the call's arguments that this compares with.
    pub fn arguments(&self) -> impl Iterator<Item = &Arc<str>> + use<'_> {
        let mut tests = Vec::new();
        if let QueryRule::Only(fields) = &self.query {
            tests.extend(fields.values().map(|field| &field.test));
        }
        if let BodyRule::Json(shape) = &self.body {
            shape.collect(&mut tests);
        }
        tests.into_iter().filter_map(|test| match test {
            Test::Equals(name) => Some(name),
            _ => None,
        })
    }
}

fn miss(part: Part, why: String) -> ContentMiss {
    ContentMiss { part, why }
}

fn check_query(
    fields: &BTreeMap<String, Field>,
    query: &str,
    arguments: &Arguments,
) -> Result<(), String> {
    let mut given = query::parameters(query).map_err(|error| error.to_string())?;
    for (name, field) in fields {
        match given.remove(name) {
            Some(value) if field.test.passes_text(&value, arguments) => {}
            Some(_) => return Err(format!("`{name}` {}", field.test.asks())),
            None if field.required => return Err(format!("`{name}` is missing")),
            None => {}
        }
    }
    match given.into_keys().next() {
        Some(name) => Err(unlisted(&name, fields.keys())),
        None => Ok(()),
    }
}

fn check_body(shape: &Shape, sent: &Sent<'_>) -> Result<(), String> {
    if sent.body.is_empty() {
        return match shape.is_required() {
            true => Err("there is none, and the rule requires a field of it".to_owned()),
            false => Ok(()),
        };
    }
    if sent.body.len() > MAX_JUDGED {
        return Err(format!(
            "it is larger than {MAX_JUDGED} bytes, the most that is judged"
        ));
    }
    check_type(sent.headers)?;
    let value = json::parse(sent.body).map_err(|error| error.to_string())?;
    shape.admits(&value, &Place::Whole, sent.arguments)
}

/// The body is JSON in UTF-8, and says so: what else it could be taken for would not be judged.
fn check_type(headers: &[(String, Vec<u8>)]) -> Result<(), String> {
    // CGI and its heirs read `_` and `-` as one.
    let named = |wanted: http::HeaderName| {
        headers.iter().filter(move |(name, _)| {
            let name = name.replace('_', "-");
            name.eq_ignore_ascii_case(wanted.as_str())
        })
    };
    if named(CONTENT_ENCODING).next().is_some() {
        return Err("it has a content encoding, and only plain JSON is judged".to_owned());
    }
    let mut types = named(CONTENT_TYPE).map(|(_, value)| value.to_ascii_lowercase());
    let json = |value: &[u8]| {
        let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let (name, charset) = (parts.next(), parts.next());
        name == Some(b"application/json")
            && charset.is_none_or(|charset| charset == b"charset=utf-8")
            && parts.next().is_none()
    };
    match (types.next(), types.next()) {
        (Some(value), None) if json(&value) => Ok(()),
        _ => Err("its content-type has to be application/json, given once".to_owned()),
    }
}

impl Shape {
    /// Says whether something of this shape has to be there.
    #[must_use]
    pub fn is_required(&self) -> bool {
        match self {
            Self::Value(field) => field.required,
            Self::Object(fields) => fields.values().any(Self::is_required),
            Self::List(element) => element.is_required(),
        }
    }

    /// Recursion ends with the shape, whose depth the manifest bounds.
    fn admits(&self, value: &Value, place: &Place<'_>, args: &Arguments) -> Result<(), String> {
        match (self, value) {
            (Self::Value(field), value) if field.test.passes(value, args) => Ok(()),
            (Self::Value(field), _) => Err(format!("{place} {}", field.test.asks())),
            (Self::Object(shapes), Value::Object(fields)) => {
                admit_fields(shapes, fields, place, args)
            }
            (Self::Object(_), _) => Err(format!("{place} has to be an object")),
            (Self::List(shape), Value::Array(elements)) => {
                if elements.is_empty() && shape.is_required() {
                    return Err(format!("{place} has to have an element"));
                }
                let each =
                    |(index, element)| shape.admits(element, &Place::Element(place, index), args);
                elements.iter().enumerate().try_for_each(each)
            }
            (Self::List(_), _) => Err(format!("{place} has to be a list")),
        }
    }

    fn collect<'s>(&'s self, tests: &mut Vec<&'s Test>) {
        match self {
            Self::Value(field) => tests.push(&field.test),
            Self::Object(fields) => fields.values().for_each(|shape| shape.collect(tests)),
            Self::List(element) => element.collect(tests),
        }
    }
}

fn admit_fields(
    shapes: &BTreeMap<String, Shape>,
    fields: &Map<String, Value>,
    place: &Place<'_>,
    args: &Arguments,
) -> Result<(), String> {
    for (name, value) in fields {
        let Some(shape) = shapes.get(name) else {
            return Err(unlisted(&Place::Field(place, name).path(), shapes.keys()));
        };
        shape.admits(value, &Place::Field(place, name), args)?;
    }
    let missing =
        |(name, shape): &(&String, &Shape)| shape.is_required() && !fields.contains_key(*name);
    match shapes.iter().find(missing) {
        Some((name, _)) => Err(format!("{} is missing", Place::Field(place, name))),
        None => Ok(()),
    }
}

/// The sentence for what a rule does not list. The name is the guest's: bounded, and escaped.
fn unlisted<'n>(name: &str, listed: impl Iterator<Item = &'n String>) -> String {
    const MOST: usize = 64;
    let name: String = name
        .chars()
        .take(MOST)
        .flat_map(char::escape_debug)
        .collect();
    let listed: Vec<String> = listed.take(16).map(|name| format!("`{name}`")).collect();
    match listed.is_empty() {
        true => format!("`{name}` is not listed by the rule, and nothing else is"),
        false => format!(
            "`{name}` is not listed by the rule; it lists {}",
            listed.join(", ")
        ),
    }
}

impl Test {
    fn passes(&self, value: &Value, arguments: &Arguments) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(scalars) => scalars.iter().any(|scalar| scalar.is(value)),
            Self::Pattern(pattern) => value.as_str().is_some_and(|text| pattern.fits(text)),
            // Two texts of a number can be one float: only what has one text each can be equal.
            Self::Equals(name) => arguments.get(name) == Some(value) && !holds_float(value),
        }
    }

    /// As for a value, for the text of a query's parameter.
    fn passes_text(&self, text: &str, arguments: &Arguments) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(scalars) => scalars.iter().any(|scalar| scalar.is_text(text)),
            Self::Pattern(pattern) => pattern.fits(text),
            Self::Equals(name) => match arguments.get(name) {
                Some(Value::String(argument)) => argument == text,
                Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string() == text,
                _ => false,
            },
        }
    }

    /// What it asks for, as the end of a sentence.
    fn asks(&self) -> String {
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

    fn fits(&self, text: &str) -> bool {
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

/// Where in a body something stands.
enum Place<'p> {
    Whole,
    Field(&'p Place<'p>, &'p str),
    Element(&'p Place<'p>, usize),
}

impl Place<'_> {
    /// As a path (RFC 6901), empty for the whole.
    fn path(&self) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Field(within, name) => format!("{}/{name}", within.path()),
            Self::Element(within, index) => format!("{}/{index}", within.path()),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("it"),
            place => write!(f, "`{}`", place.path()),
        }
    }
}

#[cfg(test)]
mod tests;
