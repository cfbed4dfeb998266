//! A rule in its long form: beyond method and path it says what query and body may say.
//!
//! The long form is closed: a part that it does not mention has to be empty. `"any"` opens one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostics::{At, Finding};
use super::key_reader::{Entry, KeyReader};
use super::problem::quoted;
use crate::egress::{BodyRule, ContentRule, Field, JsonRule, Pattern, QueryRule, Scalar, Test};

/// More than anybody reads over, of fields and of values.
const MOST: usize = 256;

/// How deep a field of a body can lie. A body itself is read 128 deep.
const DEEPEST: usize = 32;

/// The longest regular expression.
const LONGEST_PATTERN: usize = 1_000;

/// What stands for every element of a list in a field's path.
const EACH: &str = "*";

/// Where a value stands, which says what can be written of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Query,
    Body,
}

/// Reads `query` and `body` of a rule's table.
pub(super) fn read(table: &mut KeyReader<'_>) -> ContentRule {
    let query = table.take("query");
    let body = table.take("body");
    ContentRule {
        query: match &query {
            Some(entry) if is_any(entry) => QueryRule::Any,
            Some(entry) => QueryRule::Only(parameters(entry)),
            None => QueryRule::Only(BTreeMap::new()),
        },
        body: match &body {
            Some(entry) if is_any(entry) => BodyRule::Any,
            Some(entry) => shape(entry).map_or(BodyRule::Empty, BodyRule::Json),
            None => BodyRule::Empty,
        },
    }
}

fn is_any(entry: &Entry<'_>) -> bool {
    entry.value().as_str() == Some("any")
}

/// The rows of `query` or `body`: a table that lists something.
fn rows<'t>(entry: &Entry<'t>) -> Vec<Entry<'t>> {
    let Some(table) = (match entry.value().as_table() {
        Some(_) => entry.table(),
        None => entry.not("a table, or \"any\""),
    }) else {
        return Vec::new();
    };
    let page = table.page;
    let rows = table.into_rows();
    let message = match rows.len() {
        0 => format!("{} lists nothing", entry.label()),
        1..=MOST => return rows,
        many => format!(
            "{} lists {many} fields, at most {MOST} are possible",
            entry.label()
        ),
    };
    let hint = "without the key there may be none; \"any\" leaves it open";
    page.report(Finding::at(&entry.span, message).hint(hint));
    Vec::new()
}

fn parameters(entry: &Entry<'_>) -> BTreeMap<String, Field> {
    let mut fields = BTreeMap::new();
    for row in rows(entry) {
        let name = row.key.value;
        if name.is_empty() || name.chars().any(char::is_control) {
            let message = format!("{} is no name of a query parameter", quoted(name));
            row.page.report(Finding::at(&row.key.span, message));
        }
        if let Some(field) = field(&row, Stands::Query) {
            fields.insert(name.to_owned(), field);
        }
    }
    fields
}

/// What a body may be, from the paths of its fields; `None` where nothing is listed.
fn shape(entry: &Entry<'_>) -> Option<JsonRule> {
    let mut whole = None;
    for row in rows(entry) {
        let path = path(&row);
        let (Some(path), Some(field)) = (path, field(&row, Stands::Body)) else {
            continue;
        };
        if let Err(message) = insert(&mut whole, &path, field) {
            row.page.report(Finding::at(&row.key.span, message).hint(
                "a field is judged as a whole or by what is in it, an object by its names, \
                 a list by `*`",
            ));
        }
    }
    whole
}

/// One step of a field's path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Each,
}

/// A bare name is a field of the whole; what begins with `/` is a path (RFC 6901) in which `*`
/// stands for every element of a list.
fn path(row: &Entry<'_>) -> Option<Vec<Step>> {
    let At { value: text, span } = &row.key;
    let Some(rest) = text.strip_prefix('/') else {
        return Some(vec![Step::Name((*text).to_owned())]);
    };
    let steps: Option<Vec<Step>> = rest.split('/').map(step).collect();
    let finding = match steps {
        Some(steps) if steps.len() <= DEEPEST => return Some(steps),
        Some(_) => Finding::at(span, format!("a path has at most {DEEPEST} steps")),
        None => Finding::at(span, format!("{} is no path", quoted(text)))
            .hint("`~` is written `~0`, a `/` within a name `~1`"),
    };
    row.page.report(finding);
    None
}

fn step(text: &str) -> Option<Step> {
    if text == EACH {
        return Some(Step::Each);
    }
    let mut pieces = text.split('~');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (escaped, rest) = match (piece.strip_prefix('0'), piece.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (_, Some(rest)) => ('/', rest),
            _ => return None,
        };
        name.push(escaped);
        name.push_str(rest);
    }
    Some(Step::Name(name))
}

/// Adds a field to a shape. Recursion ends with the path, which is bounded.
fn insert(place: &mut Option<JsonRule>, path: &[Step], field: Field) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        return match place {
            None => {
                *place = Some(JsonRule::Value(field));
                Ok(())
            }
            Some(_) => Err("another entry judges what is in this field".to_owned()),
        };
    };
    // A list begins as an object without names, until its element is there.
    let within = place.get_or_insert_with(|| JsonRule::Object(BTreeMap::new()));
    match (step, within) {
        (Step::Name(name), JsonRule::Object(fields)) => {
            let mut inner = fields.remove(name);
            let inserted = insert(&mut inner, rest, field);
            fields.extend(inner.map(|shape| (name.clone(), shape)));
            inserted
        }
        (Step::Each, within) => each(within, rest, field),
        (Step::Name(_), JsonRule::Value(_)) => {
            Err("another entry judges the field that this one is in".to_owned())
        }
        (Step::Name(_), JsonRule::List(_)) => {
            Err("another entry takes for a list what is an object here".to_owned())
        }
    }
}

fn each(within: &mut JsonRule, rest: &[Step], field: Field) -> Result<(), String> {
    let mut element = match within {
        JsonRule::List(element) => Some((**element).clone()),
        // Just made for this entry, or an object by another one.
        JsonRule::Object(fields) if fields.is_empty() => None,
        JsonRule::Object(_) => {
            return Err("another entry takes for an object what is a list here".to_owned());
        }
        JsonRule::Value(_) => {
            return Err("another entry judges the field that this one is in".to_owned());
        }
    };
    insert(&mut element, rest, field)?;
    if let Some(element) = element {
        *within = JsonRule::List(Box::new(element));
    }
    Ok(())
}

/// What a value has to pass: at most one test.
fn field(row: &Entry<'_>, stands: Stands) -> Option<Field> {
    if row.value().as_table().is_none() {
        return row
            .not("a table: `{}` for any value, or with `one_of`, `pattern`, `equals`, `required`");
    }
    let mut table = row.table()?;
    let page = table.page;
    let required = table.take("required").is_some_and(|entry| flag(&entry));
    let tests = ["one_of", "pattern", "equals"].map(|key| table.take(key));
    table.finish();
    let mut tests = tests.into_iter().flatten();
    let (first, second) = (tests.next(), tests.next());
    if let Some(second) = second {
        let finding = Finding::at(&second.key.span, "a value has one test, this is a second");
        page.report(finding.hint("keep one of `one_of`, `pattern`, `equals`"));
    }
    let test = match first {
        None => Test::Any,
        Some(entry) => match entry.key.value {
            "one_of" => Test::OneOf(one_of(&entry, stands)?),
            "pattern" => Test::Pattern(pattern(&entry)?),
            _ => Test::Equals(argument(&entry)?),
        },
    };
    Some(Field { required, test })
}

fn flag(entry: &Entry<'_>) -> bool {
    let flag = entry.flag();
    if flag == Some(false) {
        let finding = Finding::at(&entry.key.span, "`required = false` has no effect");
        entry.page.report(finding.hint("delete it"));
    }
    flag == Some(true)
}

fn one_of(entry: &Entry<'_>, stands: Stands) -> Option<Vec<Scalar>> {
    let list = entry.list()?;
    let message = match list.len() {
        0 => "`one_of` allows nothing".to_owned(),
        1..=MOST => {
            let mut scalars = Vec::new();
            for element in &list {
                let scalar = scalar(element, stands)?;
                if scalars.contains(&scalar) {
                    let finding = Finding::at(&element.span, "this value is there twice");
                    entry.page.report(finding.hint("delete one of the two"));
                }
                scalars.push(scalar);
            }
            return Some(scalars);
        }
        many => format!("`one_of` has {many} values, at most {MOST} are possible"),
    };
    entry.page.report(Finding::at(&entry.span, message));
    None
}

fn scalar(entry: &Entry<'_>, stands: Stands) -> Option<Scalar> {
    let value = entry.value();
    if let Some(text) = value.as_str() {
        return Some(Scalar::Text(text.to_owned()));
    }
    if stands == Stands::Query {
        // Whether 1 stands for 01 or 1.0 too is not for a rule to guess.
        return entry.not("a string: a query is text");
    }
    if let Some(flag) = value.as_bool() {
        return Some(Scalar::Flag(flag));
    }
    let number = value
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    match number {
        Some(number) => Some(Scalar::Integer(number)),
        None => entry.not("a string, a whole number of 64 bits, or a boolean"),
    }
}

fn pattern(entry: &Entry<'_>) -> Option<Pattern> {
    let text = entry.text()?;
    let finding = if text.value.len() > LONGEST_PATTERN {
        let message = format!("a pattern has at most {LONGEST_PATTERN} bytes");
        Finding::at(&text.span, message)
    } else {
        match Pattern::new(text.value) {
            Ok(pattern) => return Some(pattern),
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default();
                let why = why.strip_prefix("error: ").unwrap_or(why);
                Finding::at(&text.span, format!("not a pattern: {why}")).hint(
                    "a regular expression without look-around and back references; \
                     it has to fit the whole value",
                )
            }
        }
    };
    entry.page.report(finding);
    None
}

fn argument(entry: &Entry<'_>) -> Option<Arc<str>> {
    let name = entry.text()?;
    if name.value.is_empty() || name.value.chars().any(char::is_control) {
        let message = format!("{} is no name of an argument", quoted(name.value));
        let finding = Finding::at(&name.span, message);
        entry
            .page
            .report(finding.hint("write the name of one of the function's arguments"));
        return None;
    }
    Some(Arc::from(name.value))
}
