//! What a manifest says in vain: grants that no import could use, sections and rights of functions
//! that nobody has, rules that nothing passes. Each is an error, as whoever wrote it meant something.

use std::collections::BTreeMap;

use super::{Catalog, Lock, LockedTool, Trouble};
use crate::manifest::{Manifest, ToolSpec};
use crate::terms::FunctionId;

/// What is said of a tool in vain: grants, sections and rules that nothing of it can use.
#[must_use]
pub fn idle(spec: &ToolSpec, locked: &LockedTool) -> Vec<Trouble> {
    let mut troubles = idle_grants(spec, &locked.imports);
    troubles.extend(idle_sections(spec, locked));
    troubles.extend(idle_arguments(spec, locked));
    troubles
}

/// Rules that compare with an argument that no function under them has: nothing passes them.
fn idle_arguments(spec: &ToolSpec, locked: &LockedTool) -> Vec<Trouble> {
    let mut idle: BTreeMap<(u32, &str), bool> = BTreeMap::new();
    for function in &locked.functions {
        let properties = function.input_schema.as_map().get("properties");
        let rules = spec.function(&function.name).grants.http.iter();
        for rule in rules.flat_map(|grant| &grant.allow) {
            for name in rule.content.iter().flat_map(|content| content.arguments()) {
                let has = properties.is_some_and(|known| known.get(&**name).is_some());
                *idle.entry((rule.line, name)).or_default() |= has;
            }
        }
    }
    idle.into_iter()
        .filter(|(_, has)| !has)
        .map(|((line, argument), _)| Trouble {
            line,
            message: format!(
                "tool `{}`: no function under this rule has an argument `{argument}`; \
                 see `toolhost list --json`",
                spec.name
            ),
        })
        .collect()
}

/// Function sections for functions the tool does not have.
fn idle_sections(spec: &ToolSpec, locked: &LockedTool) -> Vec<Trouble> {
    spec.functions
        .iter()
        .filter(|(name, _)| {
            locked
                .functions
                .iter()
                .all(|function| *function.name != ***name)
        })
        .map(|(name, section)| Trouble {
            line: section.line,
            message: format!(
                "tool `{}` has no function `{name}`; see `toolhost list`",
                spec.name
            ),
        })
        .collect()
}

/// Grants that no import of the component could use.
fn idle_grants(spec: &ToolSpec, imports: &[String]) -> Vec<Trouble> {
    let mut found: Vec<(u32, &str)> = Vec::new();
    for section in std::iter::once(&spec.all).chain(spec.functions.values()) {
        let grants = section.grants.each();
        let idle = grants.filter(|grant| !grant.capability().is_usable(imports));
        found.extend(idle.map(|grant| (grant.line(), grant.capability().name)));
    }
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|(line, kind)| Trouble {
            line,
            message: format!(
                "tool `{}` cannot use this {kind} grant: its component imports nothing for it",
                spec.name
            ),
        })
        .collect()
}

/// Rights that name a function nobody has.
pub(super) fn idle_rights(manifest: &Manifest, catalog: &Catalog, lock: &Lock) -> Vec<Trouble> {
    let rights = manifest.callers.iter().flat_map(|caller| &caller.may);
    rights
        .filter_map(|right| {
            let (tool, function) = (right.tool.as_ref()?, right.function.as_ref()?);
            lock.tools.get(&**tool)?;
            let id = FunctionId {
                tool: tool.clone(),
                function: function.clone(),
            };
            let name = id.agent_name();
            let found = catalog.find(&name).map(|found| &found.listed.id);
            let known = found.or_else(|| catalog.missing(&name)) == Some(&id);
            (!known).then(|| Trouble {
                line: right.line,
                message: format!(
                    "`{id}`: tool `{tool}` has no function `{function}`; see `toolhost list`"
                ),
            })
        })
        .collect()
}
