//! What a schema can cost: how much there is to do for one value in it, and how that grows with the
//! value. A schema is somebody else's program, and the library that runs it cannot be stopped.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// The most keywords of a schema, each reference counted with what it points to.
const MOST: u64 = 100_000;

/// How deep parts may stand within parts, references unfolded.
const DEPTH: u32 = 256;

/// What the heaviest regular expression counts for: it goes over a text many times.
const PATTERN: u64 = 10_000;

/// What a schema can cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// Keywords, references unfolded.
    keywords: u64,
    /// What their regular expressions count for besides.
    patterns: u64,
    /// How many ways lead from a part of it back into the same part: the work is as many times as much
    /// with every level of the value.
    turns: u64,
}

impl Weight {
    /// Weighs a schema.
    ///
    /// # Errors
    ///
    /// What to change, where it is too heavy or refers to what cannot be found in it.
    pub(super) fn of(schema: &Value) -> Result<Self, String> {
        let mut scale = Scale {
            root: schema,
            names: HashMap::new(),
            known: HashMap::new(),
            open: HashSet::new(),
            turns: 0,
            depth: 0,
        };
        scale.name(schema);
        let Sum {
            keywords, patterns, ..
        } = scale.weigh(schema)?;
        if keywords > MOST {
            return Err(format!(
                "it has more than {MOST} keywords, counted wherever they are referred to; make it smaller"
            ));
        }
        Ok(Self {
            keywords,
            patterns,
            turns: scale.turns,
        })
    }

    /// What checking the value of this JSON text may come to, in visits of a keyword, at the most.
    pub(super) fn work(self, text: &str) -> u64 {
        self.visits(text, self.keywords.saturating_add(self.patterns))
    }

    /// How many complaints there may be about the value of this JSON text, at the most.
    pub(super) fn complaints(self, text: &str) -> u64 {
        self.visits(text, self.keywords)
    }

    fn visits(self, text: &str, each: u64) -> u64 {
        let shape = Shape::of(text.as_bytes());
        let branches = self.turns.max(1).saturating_pow(shape.depth);
        each.saturating_mul(shape.values).saturating_mul(branches)
    }
}

/// What there is in a JSON text, as it seems without reading it: brackets and commas within strings
/// count as well.
struct Shape {
    values: u64,
    depth: u32,
}

impl Shape {
    fn of(text: &[u8]) -> Self {
        let (mut values, mut depth, mut deepest) = (1_u64, 0_u32, 0);
        for byte in text {
            match byte {
                b'[' | b'{' => {
                    depth = depth.saturating_add(1);
                    deepest = deepest.max(depth);
                    values += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' | b':' => values += 1,
                _ => {}
            }
        }
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Self {
            values: values.saturating_add(length / 64),
            depth: deepest,
        }
    }
}

/// What a part of a schema comes to.
#[derive(Clone, Copy)]
struct Sum {
    keywords: u64,
    patterns: u64,
    /// References in it that lead back to what it stands in.
    turns: u64,
}

impl Sum {
    const fn keywords(keywords: u64) -> Self {
        Self {
            keywords,
            patterns: 0,
            turns: 0,
        }
    }

    fn pattern(pattern: &str) -> Self {
        Self {
            patterns: expression(pattern),
            ..Self::keywords(1)
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            keywords: self.keywords.saturating_add(other.keywords),
            patterns: self.patterns.saturating_add(other.patterns),
            turns: self.turns.saturating_add(other.turns),
        }
    }
}

struct Scale<'a> {
    root: &'a Value,
    /// What has a name to refer to; nothing where two have the same.
    names: HashMap<String, Option<&'a Value>>,
    /// References that were unfolded.
    known: HashMap<*const Value, Sum>,
    /// References that are being unfolded.
    open: HashSet<*const Value>,
    /// The most turns of any reference.
    turns: u64,
    /// How deep it is looked into now.
    depth: u32,
}

impl<'a> Scale<'a> {
    /// Finds everything that has a name.
    fn name(&mut self, at: &'a Value) {
        match at {
            Value::Object(map) => {
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = map.get(key) {
                        let named = self.names.entry(name.clone());
                        named.and_modify(|found| *found = None).or_insert(Some(at));
                    }
                }
                map.values().for_each(|value| self.name(value));
            }
            Value::Array(list) => list.iter().for_each(|value| self.name(value)),
            _ => {}
        }
    }

    fn weigh(&mut self, at: &'a Value) -> Result<Sum, String> {
        if self.depth == DEPTH {
            return Err(format!(
                "its parts stand more than {DEPTH} deep within each other, references followed; make it flatter"
            ));
        }
        self.depth += 1;
        let sum = self.part(at);
        self.depth -= 1;
        sum
    }

    fn part(&mut self, at: &'a Value) -> Result<Sum, String> {
        match at {
            // References in there would have another base.
            Value::Object(map)
                if map.get("$id").is_some_and(Value::is_string)
                    && !std::ptr::eq(at, self.root) =>
            {
                Err("it has an `$id` within; put what has one under $defs without it, and refer to it like `#/$defs/name`".to_owned())
            }
            Value::Object(map) => {
                let keyword = |sum: Sum, (key, value): (&String, &'a Value)| {
                    Ok(sum.and(self.keyword(key, value)?))
                };
                map.iter().try_fold(Sum::keywords(1), keyword)
            }
            Value::Array(list) => self.all(list.iter()),
            _ => Ok(Sum::keywords(1)),
        }
    }

    fn all(&mut self, mut parts: impl Iterator<Item = &'a Value>) -> Result<Sum, String> {
        parts.try_fold(Sum::keywords(1), |sum, part| Ok(sum.and(self.weigh(part)?)))
    }

    fn keyword(&mut self, key: &str, value: &'a Value) -> Result<Sum, String> {
        match (key, value) {
            ("$ref" | "$dynamicRef", Value::String(place)) => self.reference(place),
            ("pattern", Value::String(pattern)) => Ok(Sum::pattern(pattern)),
            // Its keys are names.
            ("properties" | "dependentSchemas", Value::Object(map)) => self.all(map.values()),
            ("patternProperties", Value::Object(map)) => {
                let patterns = map.keys().map(|pattern| Sum::pattern(pattern));
                let patterns = patterns.fold(Sum::keywords(0), Sum::and);
                Ok(patterns.and(self.all(map.values())?))
            }
            // They stand for themselves, whatever they look like.
            ("const" | "enum" | "default" | "examples", _) => Ok(Sum::keywords(1)),
            // They count where they are used.
            ("$defs" | "definitions", _) => Ok(Sum::keywords(0)),
            _ => self.weigh(value),
        }
    }

    fn reference(&mut self, place: &str) -> Result<Sum, String> {
        let target = self.find(place).ok_or_else(|| {
            let shown: String = place.chars().take(100).collect();
            format!(
                "it points outside itself, to `{shown}`; nothing is fetched, put what it needs under $defs"
            )
        })?;
        let key = std::ptr::from_ref(target);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        if !self.open.insert(key) {
            return Ok(Sum {
                turns: 1,
                ..Sum::keywords(1)
            });
        }
        let sum = self.weigh(target)?;
        self.open.remove(&key);
        self.turns = self.turns.max(sum.turns);
        self.known.insert(key, sum);
        Ok(sum)
    }

    fn find(&self, place: &str) -> Option<&'a Value> {
        let (base, fragment) = place.split_once('#').unwrap_or((place, ""));
        let own = self.root.get("$id").and_then(Value::as_str);
        if !base.is_empty() && own.map(|id| id.trim_end_matches('#')) != Some(base) {
            return None;
        }
        if fragment.is_empty() {
            return Some(self.root);
        }
        if fragment.starts_with('/') {
            let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8();
            return self.root.pointer(&pointer.ok()?);
        }
        *self.names.get(fragment)?
    }
}

/// What a regular expression counts for. Look-around and references step back; all others go over a
/// text once for as many states as there are.
fn expression(pattern: &str) -> u64 {
    let steps_back = ["(?=", "(?!", "(?<", "(?>", "(?P=", "\\k"];
    let refers = |pair: &[u8]| pair[0] == b'\\' && pair[1].is_ascii_digit();
    if steps_back.iter().any(|part| pattern.contains(part))
        || pattern.as_bytes().windows(2).any(refers)
    {
        return PATTERN;
    }
    let length = u64::try_from(pattern.len()).unwrap_or(u64::MAX);
    let repeated = |rest: &str| {
        let (counts, _) = rest.split_once('}')?;
        counts.rsplit(',').next()?.trim().parse::<u64>().ok()
    };
    let times = pattern.split('{').skip(1).filter_map(repeated);
    let states = times.fold(length, |states, count| states.saturating_mul(count.max(1)));
    (20 + states / 16).min(PATTERN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Map, json};

    use super::*;

    fn weight(schema: &Value) -> Weight {
        Weight::of(schema).unwrap()
    }

    #[test]
    fn an_ordinary_schema_is_light() {
        let schema = json!({
            "type": "object",
            "properties": {
                "pattern": { "type": "string" },
                "$ref": { "$ref": "#/$defs/line%3C1%3E" },
            },
            "$defs": { "line<1>": { "type": "integer", "enum": [1, 2, 3] } },
        });
        assert_eq!(weight(&schema).turns, 0);
        assert!(weight(&schema).work(r#"{"pattern":"x"}"#) < 100);
    }

    #[test]
    fn a_pattern_counts_for_what_it_does() {
        let weight = |pattern: &str| weight(&json!({ "pattern": pattern })).patterns;
        assert!(weight("^-?[0-9]{1,19}$") < 50);
        assert!(weight("^[A-Za-z0-9_-]{1,64}$") < 200);
        for heavy in ["(?!a)b", "(a)\\1", "((a{99}){99}){99}", "(?<=a)b"] {
            assert_eq!(weight(heavy), PATTERN, "{heavy}");
        }
        let keys = json!({ "patternProperties": { "(?=a)": true, "b": true } });
        assert!(self::weight(&keys).patterns > PATTERN);
    }

    #[test]
    fn a_reference_counts_wherever_it_stands() {
        let mut defs = Map::new();
        for level in 0..20 {
            let next = format!("#/$defs/l{}", level + 1);
            let twice = json!({ "allOf": [{ "$ref": next }, { "$ref": next }] });
            defs.insert(format!("l{level}"), twice);
        }
        defs.insert(
            "l20".to_owned(),
            json!({ "$anchor": "end", "type": "string" }),
        );
        let schema = json!({ "$defs": defs, "$ref": "#/$defs/l0" });
        assert!(Weight::of(&schema).unwrap_err().contains("keywords"));
        let schema = json!({ "$defs": defs, "$ref": "#/$defs/l12" });
        assert!(weight(&schema).keywords > 1 << 8);
        assert!(weight(&json!({ "$defs": defs, "$ref": "#end" })).keywords < 10);
    }

    #[test]
    fn what_leads_back_multiplies_with_every_level() {
        let twice = json!({
            "$defs": {
                "a": { "anyOf": [{ "items": { "$ref": "#/$defs/b" } }, { "$ref": "#/$defs/b" }] },
                "b": { "items": { "$ref": "#/$defs/a" } },
            },
            "$ref": "#/$defs/a",
        });
        assert_eq!(weight(&twice).turns, 2);
        let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        assert!(weight(&twice).work(&deep) > 1 << 60);
        let tree = json!({ "type": "object", "properties": { "next": { "$ref": "#" } } });
        assert_eq!(weight(&tree).turns, 1);
        assert!(weight(&tree).work(&deep) < 10_000);
    }

    /// What a reference means is what the library takes it for, or it is refused.
    #[test]
    fn a_reference_has_one_meaning() {
        let own = json!({ "$id": "https://a.test/x#", "$ref": "https://a.test/x#/$defs/a", "$defs": { "a": true } });
        assert!(Weight::of(&own).is_ok());
        let twice =
            json!({ "$ref": "#a", "$defs": { "b": { "$anchor": "a" }, "c": { "$anchor": "a" } } });
        assert!(Weight::of(&twice).is_err());
        let based = json!({ "properties": { "$id": { "$id": "https://b.test", "$ref": "#/$defs/a" } }, "$defs": { "a": true } });
        assert!(Weight::of(&based).unwrap_err().contains("`$id` within"));
        let referred = json!({ "$ref": "#/$defs/b", "$defs": { "b": { "$id": "b" } } });
        assert!(Weight::of(&referred).is_err());
    }

    #[test]
    fn what_is_not_in_it_or_too_far_in_is_refused() {
        for place in ["https://other.test/x.json", "#/$defs/none", "#none", "x#/a"] {
            let said = Weight::of(&json!({ "$ref": place })).unwrap_err();
            assert!(said.contains("outside itself"), "{said}");
        }
        let chain = |level: u32| json!({ "$ref": format!("#/$defs/l{}", level + 1) });
        let mut defs: Map<String, Value> = (0..600)
            .map(|level| (format!("l{level}"), chain(level)))
            .collect();
        defs.insert("l600".to_owned(), json!(true));
        let schema = json!({ "$defs": defs, "$ref": "#/$defs/l0" });
        assert!(Weight::of(&schema).unwrap_err().contains("flatter"));
    }
}
