//! `dir.*`: which directories of the host exist for a tool, and under which names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostics::{At, Finding, Span, TextDiagnostics};
use super::key_reader::{Entry, KeyReader};
use super::name::{Kind, did_you_mean};
use super::path;
use super::problem::quoted;
use super::units;
use crate::grants::{DirAccess, DirGrant, DirQuota};

/// The most bytes that can be granted: what is counted has to be counted again now and then.
const BYTES: RangeInclusive<u64> = 1..=1 << 40;
/// A million files are counted in a second or two.
const FILES: RangeInclusive<u64> = 1..=1_000_000;
/// One is enough to read, or to write, one file at a time: the file and its stream.
const HANDLES: RangeInclusive<u32> = 2..=10_000;

/// A grant as far as it could be read, and where its parts stand.
#[derive(Debug, Clone)]
pub(super) struct PartialDirGrant {
    line: u32,
    host: Option<At<PathBuf>>,
    guest: Option<At<String>>,
    access: Option<DirAccess>,
    quota: DirQuota,
}

/// Grants by name.
pub(super) type PartialDirGrants = BTreeMap<Arc<str>, PartialDirGrant>;

/// A directory that some tool gets, and where the manifest says so.
#[derive(Debug)]
pub(super) struct CanonicalDir {
    pub(super) host: PathBuf,
    pub(super) span: Span,
    pub(super) access: DirAccess,
}

/// The grants of a section, over those it inherits; what it opens is noted.
pub(super) fn read(
    sections: Vec<Entry<'_>>,
    inherited: &PartialDirGrants,
    opened: &RefCell<Vec<CanonicalDir>>,
) -> PartialDirGrants {
    let mut drafts = inherited.clone();
    for section in sections {
        let page = section.page;
        let name = Kind::Grant.read(page, &section.key);
        if drafts.contains_key(&name) {
            let message = format!("the tool already has a directory grant {}", quoted(&name));
            let finding = Finding::at(&section.key.span, message);
            page.report(finding.hint("give this one another name"));
            continue;
        }
        let Some(draft) = section.table().map(one) else {
            continue;
        };
        if let (Some(host), Some(access)) = (&draft.host, draft.access) {
            let At { value, span } = host.clone();
            opened.borrow_mut().push(CanonicalDir {
                host: value,
                span,
                access,
            });
        }
        let conflict = drafts.iter().find_map(|earlier| conflict(earlier, &draft));
        conflict
            .into_iter()
            .for_each(|finding| page.report(finding));
        drafts.insert(name, draft);
    }
    drafts
}

fn one(mut table: KeyReader<'_>) -> PartialDirGrant {
    let page = table.page;
    let mut required = |key: &'static str, example: &str| {
        let entry = table.take(key);
        if entry.is_none() {
            table.missing(key, format!("write for example `{key} = \"{example}\"`"));
        }
        entry.and_then(|entry| entry.text())
    };
    let host = required("host", "./notes");
    let guest = required("guest", "/notes");
    let access = required("access", "read");
    let host = host.and_then(|text| {
        let value = path::host(page, &text).and_then(|path| ordinary(page, &text, path))?;
        Some(At {
            value,
            span: text.span,
        })
    });
    let access = access.and_then(|text| access_named(page, &text));
    let draft = PartialDirGrant {
        line: table.line(),
        host,
        guest: guest.and_then(|text| guest_path(page, &text)),
        access,
        quota: quota(&mut table, access),
    };
    table.finish();
    draft
}

/// How much of it, over what holds where nothing is written.
fn quota(table: &mut KeyReader<'_>, access: Option<DirAccess>) -> DirQuota {
    let mut quota = DirQuota::DEFAULT;
    let handles = table.take("handles");
    quota.handles = handles
        .and_then(|entry| units::small_count(&entry, HANDLES))
        .unwrap_or(quota.handles);
    if access == Some(DirAccess::Read) {
        for key in ["bytes", "files"] {
            table.refuse(key, |entry| {
                let message = format!("{} has no effect: nothing is written here", entry.label());
                Finding::at(&entry.key.span, message)
                    .hint("leave it out, or grant `access = \"read-write\"`")
            });
        }
        return quota;
    }
    let (bytes, files) = (table.take("bytes"), table.take("files"));
    quota.bytes = bytes
        .and_then(|entry| units::bytes(&entry, BYTES))
        .unwrap_or(quota.bytes);
    quota.files = files
        .and_then(|entry| units::count(&entry, FILES))
        .unwrap_or(quota.files);
    quota
}

/// Refuses the folders that are windows into the kernel and its devices.
fn ordinary(page: &TextDiagnostics<'_>, text: &At<&str>, path: PathBuf) -> Option<PathBuf> {
    let normal = path::normal(&path);
    let special = ["/proc", "/sys", "/dev", "/run"];
    let special = special
        .into_iter()
        .find(|special| normal.starts_with(special));
    let message = match special {
        Some(special) => format!("`{special}` is not a place for a tool's files"),
        None if normal == Path::new("/") => "`/` would give the tool the whole machine".to_owned(),
        None => return Some(path),
    };
    page.report(
        Finding::at(&text.span, message).hint("grant the one directory that the tool needs"),
    );
    None
}

fn guest_path(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<At<String>> {
    let path = text.value;
    let normal = |segment: &str| !matches!(segment, "" | "." | "..");
    // Where relative paths begin, for programs that ask for those alone.
    let is_start = path == "/" || path == ".";
    let (message, hint) = if !path.starts_with('/') && !is_start {
        (
            "the guest's path is not absolute",
            match path.trim_start_matches("./") {
                "" => "write `\"/\"`, or `\".\"`".to_owned(),
                rest => format!("write `\"/{rest}\"`"),
            },
        )
    } else if path.contains(|c: char| c.is_control() || c == '\\') {
        (
            "the guest's path has a control character or `\\`",
            "write for example \"/data\"".to_owned(),
        )
    } else if path.len() > 255 {
        (
            "the guest's path has more than 255 bytes",
            "write for example \"/data\"".to_owned(),
        )
    } else if !is_start && !path.split('/').skip(1).all(normal) {
        (
            "the guest's path is not in its shortest form",
            "write it without `.`, `..`, `//` and without `/` at its end".to_owned(),
        )
    } else {
        return Some(At {
            value: path.to_owned(),
            span: text.span.clone(),
        });
    };
    page.report(Finding::at(&text.span, message).hint(hint));
    None
}

fn access_named(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<DirAccess> {
    match text.value {
        "read" => Some(DirAccess::Read),
        "read-write" => Some(DirAccess::ReadWrite),
        other => {
            let near = match other {
                "rw" | "write" | "readwrite" | "read_write" => {
                    Some("did you mean `read-write`?".to_owned())
                }
                "r" | "ro" | "read-only" | "readonly" => Some("did you mean `read`?".to_owned()),
                other => did_you_mean(other, ["read", "read-write"]),
            };
            let hint = near.unwrap_or_else(|| "write \"read\" or \"read-write\"".to_owned());
            let message = format!("unknown access {}", quoted(other));
            page.report(Finding::at(&text.span, message).hint(hint));
            None
        }
    }
}

/// Two grants that one instance would see at once: their guest paths are apart, and no tree is
/// there both to read and to write, because a link made in the one would open the other.
fn conflict(
    (name, earlier): (&Arc<str>, &PartialDirGrant),
    draft: &PartialDirGrant,
) -> Option<Finding> {
    let name = quoted(name);
    if let (Some(one), Some(other)) = (&earlier.guest, &draft.guest) {
        // A program finds a relative path in `.` or in `/`, whichever there is.
        let start = |path: &str| match path {
            "." => "/".to_owned(),
            path => path.to_owned(),
        };
        let (a, b) = (start(&one.value), start(&other.value));
        if Path::new(&a).starts_with(&b) || Path::new(&b).starts_with(&a) {
            let message = format!(
                "the guest would see this directory and the one of {name} at the same place"
            );
            let hint = format!(
                "{name} has `guest = \"{}\"`: choose a path that is not in it or around it",
                one.value
            );
            return Some(Finding::at(&other.span, message).hint(hint));
        }
    }
    if let (Some(one), Some(other)) = (&earlier.host, &draft.host) {
        let (a, b) = (path::normal(&one.value), path::normal(&other.value));
        let differ = earlier
            .access
            .zip(draft.access)
            .is_some_and(|(a, b)| a != b);
        if differ && (path::holds(&a, &b) || path::holds(&b, &a)) {
            let message = format!("{name} gives the same tree with another access");
            return Some(Finding::at(&other.span, message).hint(
                "what may only be read could be changed through the other: grant separate directories",
            ));
        }
    }
    None
}

/// The grants as every other room knows them.
pub(super) fn grants(drafts: &PartialDirGrants) -> Vec<DirGrant> {
    let grant = |(name, draft): (&Arc<str>, &PartialDirGrant)| {
        Some(DirGrant {
            name: Arc::clone(name),
            line: draft.line,
            host: draft.host.as_ref()?.value.clone(),
            guest: draft.guest.as_ref()?.value.clone(),
            access: draft.access?,
            quota: draft.quota,
        })
    };
    drafts.iter().filter_map(grant).collect()
}
