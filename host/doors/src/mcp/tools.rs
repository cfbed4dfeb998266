//! The list of tools as an agent reads it: pages of it, and the one lookup that headers need.
//!
//! It does not know who may use what: it lists what it is given.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rmcp::ErrorData;
use rmcp::model::{CacheScope, ListToolsResult, Tool, ToolAnnotations};
use serde_json::Value;

use super::schemas::stand_in;
use crate::terms::{Annotations, Listed};

/// Tools on one page: above what clients offer to a model, small enough for one message.
const PAGE: usize = 500;

/// How long a client may keep a page, in milliseconds. Changes are announced as well.
const FRESH_MS: u64 = 60_000;

/// One caller's list, made ready once and shared by all its requests.
#[derive(Debug)]
pub(super) struct Tools {
    /// What it was made from, to see when it is out of date.
    source: Arc<Vec<Listed>>,
    /// With stand-ins for their schemas.
    tools: Vec<Tool>,
    has_header_parameters: bool,
}

impl Tools {
    /// Makes a list ready. The order is the listing's: sorted by name.
    pub(super) fn new(source: Arc<Vec<Listed>>) -> Self {
        let tools: Vec<Tool> = source.iter().map(tool).collect();
        let has_header_parameters = source
            .iter()
            .flat_map(|listed| listed.definition.input_schema.as_map().values())
            .any(names_a_header);
        Self {
            source,
            tools,
            has_header_parameters,
        }
    }

    /// Whether it was made from this very listing.
    pub(super) fn is_of(&self, listing: &Arc<Vec<Listed>>) -> bool {
        Arc::ptr_eq(&self.source, listing)
    }

    /// The page that begins after `cursor`. A cursor names the last tool of the page before, so it
    /// stays good when the list changes between two pages.
    pub(super) fn page(&self, cursor: Option<&str>) -> Result<ListToolsResult, ErrorData> {
        let start = match cursor {
            None => 0,
            Some(cursor) => {
                let last = decode(cursor)?;
                self.tools.partition_point(|tool| *tool.name <= *last)
            }
        };
        let rest = self.tools.get(start..).unwrap_or_default();
        let page = rest.get(..PAGE).unwrap_or(rest);
        let mut result = ListToolsResult::with_all_items(page.to_vec());
        if page.len() < rest.len() {
            result.next_cursor = page.last().map(|tool| encode(&tool.name));
        }
        result.ttl_ms = Some(FRESH_MS);
        result.cache_scope = Some(CacheScope::Private);
        Ok(result)
    }

    /// The tool whose parameters an HTTP client may have repeated in headers, which must then
    /// agree (`x-mcp-header`). `None` spares the copy for lists without such a parameter.
    pub(super) fn with_header_parameters(&self, name: &str) -> Option<Tool> {
        let at = self
            .has_header_parameters
            .then(|| self.tools.binary_search_by(|tool| (*tool.name).cmp(name)))?
            .ok()?;
        let mut tool = self.tools.get(at)?.clone();
        tool.input_schema = self.source.get(at)?.definition.input_schema.shared_map();
        Some(tool)
    }
}

/// What tells cursors that were given out here from others: their hash under a key that is this
/// process's own.
static OWN: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn encode(name: &str) -> String {
    let hash = OWN.hash_one(name).to_le_bytes();
    BASE64.encode([&hash[..], name.as_bytes()].concat())
}

fn decode(cursor: &str) -> Result<String, ErrorData> {
    let read = || {
        let bytes = BASE64.decode(cursor).ok()?;
        let (hash, name) = bytes.split_first_chunk()?;
        let name = std::str::from_utf8(name).ok()?;
        (OWN.hash_one(name) == u64::from_le_bytes(*hash)).then(|| name.to_owned())
    };
    read().ok_or_else(|| {
        ErrorData::invalid_params(
            "The cursor is not one that tools/list of this host gave out since its start. Begin again without a cursor.",
            None,
        )
    })
}

fn tool(listed: &Listed) -> Tool {
    let definition = &listed.definition;
    let mut tool = Tool::new(
        listed.agent_name.clone(),
        definition.description.clone(),
        Arc::new(stand_in(&definition.input_schema)),
    )
    .with_annotations(annotations(listed.annotations));
    tool.title.clone_from(&definition.title);
    tool.output_schema = definition
        .output_schema
        .as_ref()
        .map(|schema| Arc::new(stand_in(schema)));
    tool
}

/// All four, always: what is left out means "destructive, open world" to a client.
fn annotations(annotations: Annotations) -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(annotations.read_only)
        .destructive(annotations.destructive)
        .idempotent(annotations.idempotent)
        .open_world(annotations.open_world)
}

fn names_a_header(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.contains_key("x-mcp-header") || fields.values().any(names_a_header)
        }
        Value::Array(items) => items.iter().any(names_a_header),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;
    use crate::mcp::schemas::in_place;
    use crate::terms::{Definition, FunctionId, Hints};

    fn listed(name: &str, input_schema: &Value) -> Listed {
        Listed {
            id: FunctionId {
                tool: "t".into(),
                function: name.into(),
            },
            agent_name: format!("t_{name}"),
            definition: Arc::new(Definition {
                name: name.into(),
                title: Some("A title".into()),
                description: "Does it.".into(),
                input_schema: serde_json::from_value(input_schema.clone()).unwrap(),
                output_schema: None,
                hints: Hints::default(),
            }),
            annotations: Annotations {
                read_only: true,
                destructive: false,
                idempotent: true,
                open_world: false,
            },
        }
    }

    fn many(count: usize) -> Tools {
        let schema = json!({"type": "object"});
        Tools::new(Arc::new(
            (0..count)
                .map(|n| listed(&format!("f{n:04}"), &schema))
                .collect(),
        ))
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let tools = many(PAGE * 2 + 1);
        let (mut names, mut cursor) = (Vec::new(), None);
        let mut pages = 0;
        loop {
            let page = tools.page(cursor.as_deref()).unwrap();
            names.extend(page.tools.iter().map(|tool| tool.name.to_string()));
            cursor = page.next_cursor;
            pages += 1;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3);
        let expected: Vec<String> = (0..=PAGE * 2).map(|n| format!("t_f{n:04}")).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn exactly_one_page_has_no_next() {
        let page = many(PAGE).page(None).unwrap();
        assert_eq!((page.tools.len(), page.next_cursor), (PAGE, None));
    }

    #[test]
    fn x34_a_cursor_of_ones_own_making_is_refused() {
        let name = BASE64.encode("t_f0001");
        let given = many(PAGE + 1).page(None).unwrap().next_cursor.unwrap();
        // Another list has the same cursors.
        assert!(many(PAGE + 2).page(Some(&given)).is_ok());
        let mut changed = BASE64.decode(&given).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        let changed = BASE64.encode(changed);
        for bad in ["", "%", "/w==", "_w", "aaaa", &name, &changed, &given[1..]] {
            let error = many(1).page(Some(bad)).unwrap_err();
            assert_eq!(error.code.0, -32602, "{bad}");
        }
    }

    #[test]
    fn a_tool_is_listed_with_everything_said() {
        let schema = json!({"type": "object", "$defs": {"a": {"$anchor": "a"}}});
        let tools = Tools::new(Arc::new(vec![listed("f", &schema)]));
        let page = serde_json::to_vec(&tools.page(None).unwrap()).unwrap();
        let page: Value = serde_json::from_slice(&in_place(&page).unwrap()).unwrap();
        assert_eq!(
            page["tools"],
            json!([{
                "name": "t_f", "title": "A title", "description": "Does it.",
                "inputSchema": schema,
                "annotations": {
                    "readOnlyHint": true, "destructiveHint": false,
                    "idempotentHint": true, "openWorldHint": false,
                },
            }])
        );
        assert_eq!(
            (&page["cacheScope"], &page["ttlMs"]),
            (&json!("private"), &json!(FRESH_MS))
        );
    }

    #[test]
    fn only_header_parameters_make_the_lookup_worth_a_copy() {
        assert!(many(2).with_header_parameters("t_f0000").is_none());
        let annotated =
            json!({"type": "object", "properties": {"r": {"type": "string", "x-mcp-header": "R"}}});
        let tools = Tools::new(Arc::new(vec![listed("f", &annotated)]));
        let found = tools.with_header_parameters("t_f").unwrap();
        assert_eq!(found.name, "t_f");
        // The library reads it: it is the schema itself.
        assert_eq!(Value::Object((*found.input_schema).clone()), annotated);
        assert!(tools.with_header_parameters("t_g").is_none());
    }
}
