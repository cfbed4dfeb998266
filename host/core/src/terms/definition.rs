//! What a tool offers: functions with their schemas and promises.

use std::fmt;
use std::sync::Arc;

use super::SchemaDocument;

/// One function of one tool. Written `tool.function` in the manifest, the command line and the
/// ledger, `tool_function` for agents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId {
    /// The tool's name in the manifest.
    pub tool: Arc<str>,
    /// The function's name within the tool.
    pub function: Arc<str>,
}

impl FunctionId {
    /// The name that manifests and records have: `tool.function`.
    #[must_use]
    pub fn dotted(&self) -> String {
        [&*self.tool, ".", &*self.function].concat()
    }

    /// The name agents see.
    #[must_use]
    pub fn agent_name(&self) -> String {
        format!("{}_{}", self.tool, self.function)
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dotted())
    }
}

/// One function as its tool defines it and the lock pins it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// The function's name within the tool.
    pub name: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema 2020-12 of the arguments; its root is an object.
    pub input_schema: SchemaDocument,
    /// JSON Schema 2020-12 of the structured result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<SchemaDocument>,
    /// What it promises about itself.
    #[serde(default)]
    pub hints: Hints,
}

/// What a function promises about itself; `None` is no promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hints {
    /// It changes nothing anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// It may delete or overwrite something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Calling it again with the same arguments changes nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// It deals with an open outside world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

/// What agents are told of a function, from its promises and from its grants: the worse of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Annotations {
    /// It changes nothing anywhere.
    pub read_only: bool,
    /// It may delete or overwrite something.
    pub destructive: bool,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: bool,
    /// It deals with an open outside world.
    pub open_world: bool,
}

/// One function in an agent's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which function it is.
    pub id: FunctionId,
    /// `tool_function`, the name agents call it by.
    pub agent_name: String,
    /// As the tool defines it.
    pub definition: Arc<Definition>,
    /// As the host judges it.
    pub annotations: Annotations,
}
