//! Which tools exist, and are they what the lock says. It reads component files and keeps compiled
//! ones; it knows nothing of callers and of the network.

mod discover;
mod load;
mod lock;
mod recursion;
mod unused_grants;
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use load::{
    Loaded, Loading, Places, Trouble, load, load_each, lock_path, lock_tools, open_component,
};
pub use lock::{Change, Damaged, Lock, LockedTool, MOST_LOCK};
pub use unused_grants::idle;

use crate::manifest::{FunctionSpec, ToolSpec};
use crate::sandbox::{Prepared, PreparedFunction};
use crate::shares::Shares;
use crate::terms::{Annotations, FunctionId, Hints, Listed, Reach};

/// All tools of a host, ready to be called.
#[derive(Default)]
pub struct Catalog {
    tools: BTreeMap<Arc<str>, Arc<Tool>>,
    /// By the name agents use.
    functions: BTreeMap<String, Arc<Function>>,
    /// What the lock says of tools that could not be loaded, by the name agents use.
    missing: BTreeMap<String, FunctionId>,
    /// Whether a tool could not be loaded.
    lacking: bool,
}

/// One tool.
pub struct Tool {
    /// As the manifest has it.
    pub spec: Arc<ToolSpec>,
    /// Ready to run.
    pub prepared: Prepared,
    /// SHA-256 of its component, in hex.
    pub digest: String,
    /// What its component imports.
    pub imports: Vec<String>,
}

/// One function of a tool.
pub struct Function {
    /// As agents see it.
    pub listed: Listed,
    /// Its tool.
    pub tool: Arc<Tool>,
    /// What its calls are judged by (limits, grants, schemas), and its powers, made ready.
    pub ready: PreparedFunction,
    /// How many of its long checks may go on at once: they cannot be stopped.
    pub judges: Shares<Arc<str>>,
    /// How far its grants let it reach.
    pub reach: Reach,
}

impl Catalog {
    /// The function agents call by this name.
    #[must_use]
    pub fn find(&self, agent_name: &str) -> Option<&Arc<Function>> {
        self.functions.get(agent_name)
    }

    /// All functions, in the order of the names agents see.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.values()
    }

    /// The function that agents would call by this name, if its tool could be loaded.
    #[must_use]
    pub fn missing(&self, agent_name: &str) -> Option<&FunctionId> {
        self.missing.get(agent_name)
    }

    /// Whether a tool is missing, or a function misses something that it is granted.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        let mut functions = self.functions.values();
        self.lacking || functions.any(|function| function.ready.grants().is_lacking())
    }

    /// Notes a tool that could not be loaded.
    fn leave_out(&mut self, spec: &ToolSpec, lock: &Lock) {
        self.lacking = true;
        let locked = lock.tools.get(&*spec.name).into_iter();
        for function in locked.flat_map(|tool| &tool.functions) {
            let id = FunctionId {
                tool: spec.name.clone(),
                function: function.name.as_str().into(),
            };
            self.missing.insert(id.agent_name(), id);
        }
    }

    /// All tools, in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }
}

/// How far grants let a function reach: what its record has to survive before it runs, and what
/// makes agents ask before they call it.
fn reach(spec: &FunctionSpec) -> Reach {
    let each = spec.grants.each().map(|grant| grant.reach());
    each.max().unwrap_or(Reach::Nothing)
}

/// What agents are told: a promise is believed as far as the grants leave room for it.
fn annotations(hints: Hints, spec: &FunctionSpec) -> Annotations {
    let writes = reach(spec) == Reach::Writes;
    let deletes = spec
        .grants
        .http
        .iter()
        .flat_map(|grant| &grant.allow)
        .any(|rule| rule.method == http::Method::DELETE);
    let read_only = !writes && hints.read_only != Some(false);
    Annotations {
        read_only,
        destructive: writes && (deletes || hints.destructive != Some(false)),
        idempotent: read_only || hints.idempotent == Some(true),
        open_world: !spec.grants.http.is_empty() || hints.open_world == Some(true),
    }
}
