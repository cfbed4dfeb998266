//! Which imports are provided: every interface that is linked, under every name and version that guests
//! ask for, what each is for, and what there is near one that is not.
//!
//! It knows names only, and of capabilities what they say of themselves.

use std::collections::BTreeSet;

use super::list::CAPABILITIES;
use crate::terms::Wasi;

/// What the runtimes of languages bring along and no grant changes.
const RUNTIME: &[(&str, &str)] = &[
    ("wasi:cli/exit", "0.2"),
    ("wasi:cli/stdin", "0.2"),
    ("wasi:cli/terminal-input", "0.2"),
    ("wasi:cli/terminal-output", "0.2"),
    ("wasi:cli/terminal-stderr", "0.2"),
    ("wasi:cli/terminal-stdin", "0.2"),
    ("wasi:cli/terminal-stdout", "0.2"),
    ("wasi:io/error", "0.2"),
    ("wasi:io/poll", "0.2"),
    ("wasi:io/streams", "0.2"),
    ("wasi:sockets/instance-network", "0.2"),
    ("wasi:sockets/ip-name-lookup", "0.2"),
    ("wasi:sockets/network", "0.2"),
    ("wasi:sockets/tcp", "0.2"),
    ("wasi:sockets/tcp-create-socket", "0.2"),
    ("wasi:sockets/udp", "0.2"),
    ("wasi:sockets/udp-create-socket", "0.2"),
];

/// The same for a tool of WASI 0.3.
const RUNTIME_V03: &[(&str, &str)] = &[
    ("wasi:cli/exit", "0.3"),
    ("wasi:cli/stdin", "0.3"),
    ("wasi:cli/terminal-input", "0.3"),
    ("wasi:cli/terminal-output", "0.3"),
    ("wasi:cli/terminal-stderr", "0.3"),
    ("wasi:cli/terminal-stdin", "0.3"),
    ("wasi:cli/terminal-stdout", "0.3"),
    ("wasi:cli/types", "0.3"),
    ("wasi:sockets/ip-name-lookup", "0.3"),
    ("wasi:sockets/types", "0.3"),
];

/// An interface without its version, and a series of versions of it.
type Linked = (&'static str, &'static str);

/// Every interface that is linked for every tool. WASI 0.2 releases are compatible with each other,
/// drafts only with themselves.
fn linked() -> impl Iterator<Item = &'static Linked> {
    let capabilities = CAPABILITIES.iter();
    RUNTIME
        .iter()
        .chain(capabilities.flat_map(|capability| capability.provides))
}

/// Every interface that is linked for every tool, each with a series of versions: no version, a draft, or
/// as `0.2` all of its releases.
pub fn provided() -> impl Iterator<Item = (&'static str, &'static str)> {
    linked().copied()
}

/// What is linked besides for a tool of WASI 0.3.
fn linked_v03() -> impl Iterator<Item = &'static Linked> {
    let capabilities = CAPABILITIES.iter();
    RUNTIME_V03
        .iter()
        .chain(capabilities.flat_map(|capability| capability.provides_v03))
}

/// What an import is for: the capability's name as manifests have it, or `runtime` for what every
/// language's runtime brings along and no grant changes.
#[must_use]
pub fn power(import: &str) -> &'static str {
    let mut all = CAPABILITIES.iter();
    match all.find(|capability| capability.is_for(import)) {
        Some(capability) => capability.name,
        None if import.starts_with("wasi:sockets/") => "sockets",
        None => "runtime",
    }
}

/// The generation of WASI that links an import; the older where both do. None is an import that
/// nobody provides, so that a component that asks for it is refused before it is compiled.
#[must_use]
pub fn provided_by(import: &str) -> Option<Wasi> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let fits = |(provided, series): &Linked| {
        *provided == name
            && match version.strip_prefix(series) {
                Some("") => true,
                Some(rest) => !series.is_empty() && rest.starts_with('.') && !rest.contains('-'),
                None => false,
            }
    };
    if linked().any(fits) {
        return Some(Wasi::V02);
    }
    linked_v03().any(fits).then_some(Wasi::V03)
}

/// What there is near an import that nobody provides: the same interface of other versions, or other
/// interfaces of its package. None where the package is foreign altogether.
#[must_use]
pub fn nearest(import: &str) -> Option<String> {
    let (name, asked) = import.split_once('@').unwrap_or((import, ""));
    if let Some(release) = drafted(name, asked) {
        return Some(format!(
            "a draft of WASI {release} from before its release, which no host of today runs: rebuild \
             the component with tools of {release} or later"
        ));
    }
    let every = || linked().chain(linked_v03());
    let versions: Vec<String> = every()
        .filter(|(provided, _)| *provided == name)
        .map(|(_, series)| version(series))
        .collect();
    if !versions.is_empty() {
        return Some(format!("it is here {}", versions.join(", ")));
    }
    let (package, _) = name.split_once('/')?;
    let siblings: BTreeSet<&str> = every()
        .filter_map(|(provided, _)| provided.split_once('/'))
        .filter(|(other, _)| *other == package)
        .map(|(_, interface)| interface)
        .collect();
    let siblings: Vec<&str> = siblings.into_iter().collect();
    (!siblings.is_empty()).then(|| format!("of {package} there is {}", siblings.join(", ")))
}

/// The release of WASI that a version is a draft of, where that is out: its drafts differed from it and
/// from each other.
fn drafted<'v>(name: &str, version: &'v str) -> Option<&'v str> {
    const RELEASED: [&str; 2] = ["0.2.0", "0.3.0"];
    let (release, draft) = version.split_once('-')?;
    let (series, _) = release.rsplit_once('.')?;
    let is_draft = draft.starts_with("rc") || draft.starts_with("draft");
    let package = |name: &'static str| name.split('/').next();
    // Packages that are drafts to this day, as wasi:keyvalue, have no release.
    let is_released = || {
        let mut every = linked().chain(linked_v03());
        let own = name.split('/').next();
        every.any(|(provided, known)| *known == series && package(provided) == own)
    };
    (is_draft && RELEASED.contains(&release) && is_released()).then_some(release)
}

/// A series as a version is written: `0.2` stands for all of its releases.
fn version(series: &str) -> String {
    match series {
        "" => "without a version".to_owned(),
        draft if draft.contains('-') => format!("@{draft}"),
        series => format!("@{series}.*"),
    }
}

/// Whether an import is linked for a tool of this generation.
#[must_use]
pub fn provides(import: &str, wasi: Wasi) -> bool {
    provided_by(import).is_some_and(|needed| needed <= wasi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_series_are_one() {
        for known in [
            "wasi:io/poll@0.2.0",
            "wasi:io/poll@0.2.12",
            "wasi:logging/logging",
            "wasi:logging/logging@0.1.0-draft",
            "toolhost:tool/http@0.1.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wasi:keyvalue/store@0.2.0-draft2",
        ] {
            assert!(provides(known, Wasi::V02), "{known}");
            assert!(provides(known, Wasi::V03), "{known}");
        }
        for unknown in [
            "wasi:io/poll@0.3.0",
            "wasi:http/client@0.2.0",
            "wasi:http/client@0.3.0-rc-2026-03-15",
            "wasi:io/poll",
            "wasi:io/poll@0.2.0-rc",
            "wasi:io/poll@0.22.0",
            "wasi:nn/tensor@0.2.0",
            "toolhost:tool/kv@0.1.0",
            "wasi:keyvalue/store@0.2.0-draft3",
            "wasi:keyvalue/store@0.2.0",
            "",
        ] {
            assert!(!provides(unknown, Wasi::V03), "{unknown}");
        }
    }

    #[test]
    fn what_is_of_0_3_is_there_for_tools_of_0_3_only() {
        for new in ["wasi:http/client@0.3.0", "wasi:clocks/types@0.3.2"] {
            assert_eq!(provided_by(new), Some(Wasi::V03), "{new}");
            assert!(!provides(new, Wasi::V02), "{new}");
            assert!(provides(new, Wasi::V03), "{new}");
        }
    }

    /// Such a component is not missing anything that somebody could add: it is older than the standard.
    #[test]
    fn a_draft_of_what_is_released_is_to_be_rebuilt() {
        for (import, release) in [
            ("wasi:http/types@0.3.0-rc-2026-03-15", "0.3.0"),
            ("wasi:http/handler@0.3.0-rc-2026-01-06", "0.3.0"),
            ("wasi:cli/run@0.3.0-draft", "0.3.0"),
            ("wasi:http/types@0.2.0-rc-2023-11-10", "0.2.0"),
        ] {
            let said = nearest(import).unwrap_or_default();
            let expected = format!("rebuild the component with tools of {release} or later");
            assert!(said.contains(&expected), "{import}: {said}");
        }
        for other in [
            "wasi:keyvalue/store@0.2.0-draft3",
            "wasi:config/store@0.2.0-rc.2",
            "wasi:nn/graph@0.2.0-rc-2024-10-28",
            "wasi:http/types@0.4.0-rc-2027-01-01",
        ] {
            let said = nearest(other).unwrap_or_default();
            assert!(!said.contains("rebuild"), "{other}: {said}");
        }
    }

    #[test]
    fn what_is_near_an_unknown_import_is_said() {
        for (import, near) in [
            (
                "wasi:keyvalue/store@0.2.0-draft3",
                Some("it is here @0.2.0-draft, @0.2.0-draft2"),
            ),
            (
                "wasi:keyvalue/watcher@0.2.0-draft",
                Some("of wasi:keyvalue there is atomics, batch, store"),
            ),
            (
                "wasi:logging/logging@0.2.0",
                Some("it is here @0.1.*, @0.1.0-draft, without a version"),
            ),
            ("wasi:nn/tensor@0.2.0", None),
            ("fermyon:spin/llm@2.0.0", None),
            ("print", None),
            ("", None),
        ] {
            assert_eq!(nearest(import).as_deref(), near, "{import}");
        }
    }
}
