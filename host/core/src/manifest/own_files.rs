//! What no tool may be given: the host's own files.
//!
//! It judges the paths as they are written. What links lead to, and how a path from the root and
//! one from the manifest's folder meet, only shows when the directories are opened: `cli::ground` judges
//! that before a start, by a list of its own. What is on one list belongs on the other.

use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostics::{Finding, TextDiagnostics};
use super::dir::CanonicalDir;
use super::path;
use super::problem::quoted;
use super::secret::Secrets;
use super::spec::{HostSpec, ToolSpec};
use crate::grants::DirAccess;

/// A file or folder of the host's own.
struct Kept {
    path: PathBuf,
    what: String,
    /// Reading it does no harm, changing it does.
    readable: bool,
    /// What lies in it is its own too.
    deep: bool,
}

/// Reports each granted directory that holds something of the host's own, or lies in it.
pub(super) fn report_exposed(
    page: &TextDiagnostics<'_>,
    opened: &[CanonicalDir],
    host: &HostSpec,
    secrets: &Secrets,
    tools: &[Arc<ToolSpec>],
) {
    let kept = kept(host, secrets, tools);
    for grant in opened {
        let dir = path::normal(&grant.host);
        let held = |kept: &&Kept| {
            let matters = !kept.readable || grant.access == DirAccess::ReadWrite;
            let inside = kept.deep && path::holds(&kept.path, &dir);
            matters && (inside || path::holds(&dir, &kept.path))
        };
        if let Some(kept) = kept.iter().find(held) {
            let verb = if kept.readable { "change" } else { "read" };
            let message = format!("the tool could {verb} {}", kept.what);
            page.report(
                Finding::at(&grant.span, message)
                    .hint("grant a directory that has nothing else in it"),
            );
        }
    }
}

/// Reports each granted directory that lies in one which may be written: a tool could put a link in
/// its place, and the next opening would follow that to anywhere.
pub(super) fn report_within(page: &TextDiagnostics<'_>, opened: &[CanonicalDir]) {
    for grant in opened {
        let dir = path::normal(&grant.host);
        let around = opened.iter().find(|other| {
            let outer = path::normal(&other.host);
            other.access == DirAccess::ReadWrite && outer != dir && path::holds(&outer, &dir)
        });
        if let Some(around) = around {
            let message = format!(
                "this directory lies in {}, which is granted to be written",
                quoted(&around.host.display().to_string())
            );
            page.report(
                Finding::at(&grant.span, message)
                    .hint("a tool could put a link in its place: grant directories that are apart"),
            );
        }
    }
}

fn kept(host: &HostSpec, secrets: &Secrets, tools: &[Arc<ToolSpec>]) -> Vec<Kept> {
    let state = Kept {
        path: path::normal(&host.state),
        what: "the host's state: its ledger and its tokens".to_owned(),
        readable: false,
        deep: true,
    };
    let admin = host.admin.parent().map(|folder| Kept {
        path: path::normal(folder),
        what: "the operators' socket".to_owned(),
        readable: false,
        deep: true,
    });
    let secret = |(name, file): (&Arc<str>, &PathBuf)| Kept {
        path: path::normal(file),
        what: format!("the secret {}", quoted(name)),
        readable: false,
        deep: false,
    };
    let program = |(name, file): (&Arc<str>, &PathBuf)| Kept {
        path: path::normal(file),
        what: format!("the program that prints the secret {}", quoted(name)),
        readable: true,
        deep: false,
    };
    let component = |tool: &Arc<ToolSpec>| Kept {
        path: path::normal(&tool.component),
        what: format!("the component of the tool {}", quoted(&tool.name)),
        readable: true,
        deep: false,
    };
    // Relative paths start at the manifest's folder, so that is the empty one.
    let manifest = Kept {
        path: PathBuf::new(),
        what: "this manifest".to_owned(),
        readable: true,
        deep: false,
    };
    let programs = secrets.programs().map(program);
    let keys = tools
        .iter()
        .flat_map(|tool| client_keys(tool))
        .map(|file| Kept {
            path: path::normal(file),
            what: "the key of the host's client certificate".to_owned(),
            readable: false,
            deep: false,
        });
    let secrets = secrets.files().map(secret).chain(keys);
    let tools = tools.iter().map(component);
    std::iter::once(state)
        .chain(admin)
        .chain(secrets)
        .chain(programs)
        .chain(std::iter::once(manifest))
        .chain(tools)
        .collect()
}

/// The keys that a tool's grants show their certificates with.
fn client_keys(tool: &ToolSpec) -> impl Iterator<Item = &PathBuf> {
    let sections = std::iter::once(&tool.all).chain(tool.functions.values());
    let grants = sections.flat_map(|section| &section.grants.http);
    grants.filter_map(|grant| Some(&grant.way.tls.client.as_ref()?.key))
}
