//! What one call does in its directories, for its record: each change before it is made, and how often
//! each directory was used.
//!
//! It does not know whether a change succeeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::grants::{DirAccess, DirGrant};
use crate::terms::{Attempt, DirTarget, RuleRef, Target, Usage, Verdict};
use toolhost_outbound::AttemptLog;

/// As much of a path is kept for the record, in bytes.
const MOST: usize = 256;

/// What one call does in its directories.
pub(super) struct Changes {
    attempts: AttemptLog,
    /// By grant.
    usage: Mutex<BTreeMap<Arc<str>, Usage>>,
}

impl Changes {
    pub(super) fn new(attempts: &AttemptLog) -> Self {
        Self {
            attempts: attempts.clone(),
            usage: Mutex::default(),
        }
    }

    /// Counts that something is opened to be read.
    pub(super) fn read(&self, grant: &DirGrant) {
        let mut usage = self.usage();
        let usage = usage.entry(Arc::clone(&grant.name)).or_default();
        usage.reads = usage.reads.saturating_add(1);
    }

    /// Records a change before it is made.
    ///
    /// # Errors
    /// The directory is granted to be read only, or the host cannot record anything.
    pub(super) fn change(&self, grant: &DirGrant, to: DirTarget) -> Result<(), ErrorCode> {
        let may = grant.access == DirAccess::ReadWrite;
        let verdict = match may {
            true => Verdict::Allowed(RuleRef {
                grant: Arc::clone(&grant.name),
                line: grant.line,
                rule: None,
            }),
            false => Verdict::Refused {
                nearest: Some(Arc::clone(&grant.name)),
                kind: "denied".into(),
                why: "the directory is granted to be read".to_owned(),
            },
        };
        self.count(grant, may);
        let to = Target::Dir(to);
        let noted = self.attempts.note(Attempt { to, verdict });
        match (may, noted) {
            (true, Ok(())) => Ok(()),
            (true, Err(_)) => Err(ErrorCode::Io),
            (false, _) => Err(ErrorCode::NotPermitted),
        }
    }

    fn count(&self, grant: &DirGrant, may: bool) {
        let mut usage = self.usage();
        let usage = usage.entry(Arc::clone(&grant.name)).or_default();
        match may {
            true => usage.writes = usage.writes.saturating_add(1),
            false => usage.refused = usage.refused.saturating_add(1),
        }
    }

    fn usage(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        for (grant, usage) in std::mem::take(&mut *self.usage()) {
            self.attempts.used(Usage {
                of: "dir".into(),
                grant: Some(grant),
                ..usage
            });
        }
    }
}

/// A path within another one, as guests name it, `clean` before it is cut.
pub(super) fn within(base: &str, path: &str, clean: impl FnOnce(String) -> String) -> String {
    let whole = match (base, path) {
        (base, ".") => base.to_owned(),
        (".", path) => path.to_owned(),
        ("/", path) => format!("/{path}"),
        (base, path) => format!("{base}/{path}"),
    };
    let mut path = clean(whole);
    path.truncate(path.floor_char_boundary(MOST));
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::grants::DirQuota;
    use crate::terms::DirOperation;
    use toolhost_outbound::secret::Patterns;
    use toolhost_outbound::{Noted, Unrecordable};

    fn grant(access: DirAccess) -> DirGrant {
        DirGrant {
            name: "notes".into(),
            line: 3,
            host: "notes".into(),
            guest: "/notes".to_owned(),
            access,
            quota: DirQuota::DEFAULT,
        }
    }

    fn removal() -> DirTarget {
        DirTarget {
            operation: DirOperation::Remove,
            path: "/notes/a".to_owned(),
            from: None,
        }
    }

    #[test]
    fn g86_a_change_that_cannot_be_recorded_is_not_made() {
        let log = AttemptLog::new(Arc::new(Unrecordable), None);
        let changes = Changes::new(&log);
        let end = changes.change(&grant(DirAccess::ReadWrite), removal());
        assert_eq!(end, Err(ErrorCode::Io));
        let end = changes.change(&grant(DirAccess::Read), removal());
        assert_eq!(end, Err(ErrorCode::NotPermitted));
    }

    /// What a guest knows of a credential is not in the record, wherever in a path it stands.
    #[test]
    fn g86_a_credential_in_a_path_is_taken_out_before_the_path_is_cut() {
        let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
        let patterns = Patterns::new([secret.as_bytes()]).unwrap();
        for before in 200..260 {
            let path = format!("{}{secret}", "a".repeat(before));
            let clean = within("/notes", &path, |path| patterns.scrub(path));
            assert!(!clean.contains("hunter2"), "{clean}");
            assert!(clean.len() <= MOST);
        }
        assert_eq!(
            within("/notes", "b/c", std::convert::identity),
            "/notes/b/c"
        );
        assert_eq!(within(".", "b", std::convert::identity), "b");
        assert_eq!(within("/", "b", std::convert::identity), "/b");
        assert_eq!(within("/notes", ".", std::convert::identity), "/notes");
    }

    #[test]
    fn g86_each_use_is_counted_by_its_grant() {
        let noted = Arc::new(Noted::default());
        let changes = Changes::new(&AttemptLog::new(noted.clone(), None));
        for access in [DirAccess::Read, DirAccess::ReadWrite, DirAccess::ReadWrite] {
            let _ = changes.change(&grant(access), removal());
            changes.read(&grant(access));
        }
        drop(changes);
        let usage = noted.usage.lock().unwrap().clone();
        assert_eq!(
            (usage[0].reads, usage[0].writes, usage[0].refused),
            (3, 2, 1)
        );
    }
}
