//! What a rule says of a request's query and body, and whether a request says that and nothing else.
//!
//! A rule that says anything of either is closed: what it does not list is refused, so that a tool
//! cannot add a parameter or a field that somebody on the other side would obey. Query and body are
//! read once, strictly (`query`, `terms::json`): where two readers could differ, the request is refused,
//! and what was read is sent byte for byte. Pure; it knows no origins, no paths and no credentials.

mod query;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Map, Value};

pub use value::{Arguments, Pattern, Scalar, Test};

use crate::terms::json;

/// The largest body that is judged, in bytes. Its parts are held in memory one by one, which takes
/// some thirty times as much.
const MAX_JUDGED: usize = 1 << 20;

/// The most that such a body may become when it is read, in bytes.
const MAX_TREE: u64 = 32 << 20;

/// What a closed rule allows of a request beyond its method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRule {
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
    Json(JsonRule),
}

/// What a JSON value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonRule {
    /// A value that is judged as a whole.
    Value(Field),
    /// An object with these fields and no other.
    Object(BTreeMap<String, JsonRule>),
    /// A list, each element of this shape.
    List(Box<JsonRule>),
}

/// What one parameter or one JSON value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// It has to be there.
    pub required: bool,
    /// What it has to pass where it is there.
    pub test: Test,
}

/// What a guest sends beside method and URL.
#[derive(Debug, Clone, Copy)]
pub struct RequestContent<'a> {
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
    pub part: ContentPart,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// A part of a request's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentPart {
    /// Behind the `?`.
    Query,
    /// The body, or the headers that say what it is.
    Body,
}

impl<'a> RequestContent<'a> {
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

impl ContentRule {
    /// Says whether a request says what this allows and nothing else.
    ///
    /// # Errors
    /// The first thing that it does not allow.
    pub fn admits(
        &self,
        query: Option<&str>,
        sent: &RequestContent<'_>,
    ) -> Result<(), ContentMiss> {
        if let QueryRule::Only(fields) = &self.query {
            let why = check_query(fields, query.unwrap_or_default(), sent.arguments);
            why.map_err(|why| miss(ContentPart::Query, why))?;
        }
        let judged = match &self.body {
            BodyRule::Any => Ok(()),
            BodyRule::Empty if sent.body.is_empty() => Ok(()),
            BodyRule::Empty => Err("there is one, and the rule lists no field of it".to_owned()),
            BodyRule::Json(shape) => check_body(shape, sent),
        };
        judged.map_err(|why| miss(ContentPart::Body, why))
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

fn miss(part: ContentPart, why: String) -> ContentMiss {
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

fn check_body(shape: &JsonRule, sent: &RequestContent<'_>) -> Result<(), String> {
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
    if json::weight(sent.body) > MAX_TREE {
        return Err("it has more values than are judged".to_owned());
    }
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

impl JsonRule {
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
    shapes: &BTreeMap<String, JsonRule>,
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
        |(name, shape): &(&String, &JsonRule)| shape.is_required() && !fields.contains_key(*name);
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
