//! What came of a call, compared with what had to. Pure: values in, differences out.

use std::fmt;

use serde_json::Value;

use crate::terms::{Content, Fault, Outcome, Output, ToolError};

use super::file::{Case, WantedError};

/// Differences of one comparison that are shown.
const MOST: usize = 10;

/// The longest value that is shown whole, in characters.
const LONGEST: usize = 400;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is the same.
    Exact,
    /// It has all that is wanted: objects may have more.
    Contains,
}

/// One thing that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Difference {
    /// Where: `result.items[0].price`, `error.code`, `/notes/a.md`, ...
    pub(super) path: String,
    /// What had to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) got: Option<String>,
}

impl Difference {
    pub(super) fn new(
        path: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            expected: Some(cut(expected.into())),
            got: Some(cut(got.into())),
        }
    }

    /// Something that needs no comparison to be wrong.
    pub(super) fn plain(what: impl Into<String>) -> Self {
        Self {
            path: what.into(),
            expected: None,
            got: None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match (&self.expected, &self.got) {
            (Some(expected), Some(got)) => write!(f, ": expected {expected}, got {got}"),
            _ => Ok(()),
        }
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Judges how a call ended.
pub(super) fn judge(case: &Case, ended: &Result<Outcome, Fault>) -> Vec<Difference> {
    match ended {
        Ok(Outcome::Output(output)) => match (&case.error, &case.fault) {
            (Some(error), _) => unlike(&format!("the error {}", error.code), &shown(output)),
            (_, Some(code)) => unlike(&format!("the fault {code}"), &shown(output)),
            _ => of_output(case, output),
        },
        Ok(Outcome::Error(error)) => match (&case.error, &case.fault) {
            (Some(wanted), _) => of_error(wanted, error),
            (_, Some(code)) => unlike(&format!("the fault {code}"), &said(error)),
            _ => unlike("a result", &said(error)),
        },
        Err(fault) => {
            let mut got = format!("the fault {}: {}", fault.code.as_str(), fault.say);
            if let Some(detail) = &fault.detail {
                got.push_str(&format!(" ({detail})"));
            }
            match (&case.error, &case.fault) {
                (_, Some(code)) if code == fault.code.as_str() => Vec::new(),
                (_, Some(code)) => unlike(&format!("the fault {code}"), &got),
                (Some(error), _) => unlike(&format!("the error {}", error.code), &got),
                _ => unlike("a result", &got),
            }
        }
    }
}

fn unlike(expected: &str, got: &str) -> Vec<Difference> {
    vec![Difference::new("the call", expected, got)]
}

fn said(error: &ToolError) -> String {
    format!("the error {}: {}", error.code, error.message)
}

fn shown(output: &Output) -> String {
    match &output.structured {
        Some(value) => format!("the result {value}"),
        None => format!("the text {:?}", texts(output)),
    }
}

fn texts(output: &Output) -> String {
    let texts = output.contents.iter().filter_map(|content| match content {
        Content::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn of_output(case: &Case, output: &Output) -> Vec<Difference> {
    let mut found = Vec::new();
    let wanted = [
        (&case.result, Manner::Exact),
        (&case.contains, Manner::Contains),
    ];
    for (json, manner) in wanted {
        let Some(json) = json else { continue };
        match &output.structured {
            Some(got) => found.extend(within("result", &json.0, got, manner)),
            None => found.push(Difference::new("result", json.0.to_string(), shown(output))),
        }
    }
    let text = texts(output);
    if let Some(wanted) = case.text.as_ref().filter(|wanted| **wanted != text) {
        found.push(Difference::new(
            "text",
            format!("{wanted:?}"),
            format!("{text:?}"),
        ));
    }
    for wanted in case.text_contains.iter().flat_map(|texts| texts.all()) {
        found.extend(missing("text", wanted, &text));
    }
    found
}

fn of_error(wanted: &WantedError, got: &ToolError) -> Vec<Difference> {
    let mut found = Vec::new();
    if wanted.code != got.code.as_str() {
        found.push(Difference::new("error.code", &wanted.code, said(got)));
    }
    if let Some(message) = wanted
        .message
        .as_ref()
        .filter(|message| **message != got.message)
    {
        found.push(Difference::new(
            "error.message",
            format!("{message:?}"),
            format!("{:?}", got.message),
        ));
    }
    for part in wanted.message_contains.iter().flat_map(|texts| texts.all()) {
        found.extend(missing("error.message", part, &got.message));
    }
    if let Some(seconds) = wanted
        .retry_after
        .filter(|seconds| Some(*seconds) != got.retry_after)
    {
        let said = got
            .retry_after
            .map_or("none".to_owned(), |seconds| seconds.to_string());
        found.push(Difference::new(
            "error.retry_after",
            seconds.to_string(),
            said,
        ));
    }
    if let Some(data) = &wanted.data {
        let got = got.data.as_ref().unwrap_or(&Value::Null);
        found.extend(within("error.data", &data.0, got, Manner::Contains));
    }
    found
}

fn missing(what: &str, part: &str, whole: &str) -> Option<Difference> {
    (!whole.contains(part))
        .then(|| Difference::new(what, format!("{part:?} in it"), format!("{whole:?}")))
}

/// What differs between two values.
pub(super) fn differences(wanted: &Value, got: &Value, manner: Manner) -> Vec<Difference> {
    within("$", wanted, got, manner)
}

fn within(root: &str, wanted: &Value, got: &Value, manner: Manner) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(root, wanted, got, manner, &mut found);
    found
}

/// Neither side is deeper than a JSON parser goes.
fn compare(path: &str, wanted: &Value, got: &Value, manner: Manner, found: &mut Vec<Difference>) {
    if found.len() >= MOST {
        return;
    }
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (key, value) in wanted {
                let at = format!("{path}{}", member(key));
                match got.get(key) {
                    Some(got) => compare(&at, value, got, manner, found),
                    None => found.push(Difference::new(at, value.to_string(), "nothing")),
                }
            }
            let more = got.iter().filter(|(key, _)| !wanted.contains_key(*key));
            for (key, value) in more.filter(|_| manner == Manner::Exact) {
                let at = format!("{path}{}", member(key));
                found.push(Difference::new(at, "nothing", value.to_string()));
            }
        }
        (Value::Array(wanted), Value::Array(got)) => {
            for (at, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                compare(&format!("{path}[{at}]"), wanted, got, manner, found);
            }
            if wanted.len() != got.len() {
                let count = |list: &Vec<Value>| format!("{} elements", list.len());
                found.push(Difference::new(path, count(wanted), count(got)));
            }
        }
        (Value::Number(a), Value::Number(b)) if same_number(a, b) => {}
        _ if wanted == got => {}
        _ => found.push(Difference::new(path, wanted.to_string(), got.to_string())),
    }
}

/// By value: `1` is `1.0`.
fn same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    let whole = |n: &serde_json::Number| n.as_i128();
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

/// A member of an object, as a path says it.
fn member(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !key.is_empty() && key.chars().all(plain) {
        format!(".{key}")
    } else {
        format!("[{key:?}]")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(wanted: Value, got: Value, manner: Manner) -> Vec<String> {
        let found = differences(&wanted, &got, manner);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_path_that_differs_is_said() {
        let wanted = json!({ "items": [{ "sku": "S1", "price": "2.50" }], "a b": 1, "n": null });
        let got = json!({ "items": [{ "sku": "S1", "price": 2.5 }], "a b": 2, "more": true });
        assert_eq!(
            said(wanted.clone(), got.clone(), Manner::Exact),
            [
                "$[\"a b\"]: expected 1, got 2",
                "$.items[0].price: expected \"2.50\", got 2.5",
                "$.n: expected null, got nothing",
                "$.more: expected nothing, got true",
            ]
        );
        assert_eq!(said(wanted, got, Manner::Contains).len(), 3);
    }

    #[test]
    fn numbers_are_compared_by_value_and_lists_as_a_whole() {
        assert!(said(json!([1, 2.0]), json!([1.0, 2]), Manner::Exact).is_empty());
        assert!(
            !said(
                json!(9_007_199_254_740_993_u64),
                json!(9_007_199_254_740_992_u64),
                Manner::Exact
            )
            .is_empty()
        );
        assert_eq!(
            said(json!([1]), json!([1, 2]), Manner::Contains),
            ["$: expected 1 elements, got 2 elements"]
        );
        assert!(said(json!([{}]), json!([{ "more": 1 }]), Manner::Contains).is_empty());
    }

    #[test]
    fn what_is_long_is_cut() {
        let found = differences(&json!("a"), &json!("b".repeat(10_000)), Manner::Exact);
        assert!(found.iter().all(|one| one.to_string().len() < 500));
        let many: Vec<_> = (0..100).collect();
        let none = vec![-1; 100];
        assert_eq!(
            differences(&json!(many), &json!(none), Manner::Exact).len(),
            MOST
        );
    }
}
