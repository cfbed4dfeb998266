//! The store's layout, as the steps that lead to it. The file's `user_version` says how many of them it
//! has; the others are taken when its owner opens it, each in one transaction with its number.
//!
//! A step that was released never changes: what is wrong in one is put right by the next. It does not know
//! what the rooms do with their tables.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::file::APPLICATION_ID;
use super::{OpenError, backup};
use crate::terms::Clock;

/// One step from a version to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// What it is for, in a word: operators read it when it fails.
    pub(super) name: &'static str,
    /// The statements, without a transaction around them.
    pub(super) sql: &'static str,
}

/// All steps, in order. Whatever room keeps something in the store puts its tables here.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    name: "kv",
    sql: include_str!("migrations/1-kv.sql"),
}];

/// Takes the steps that a file of this version lacks. A file that something is in is backed up first.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    version: usize,
    steps: &[Migration],
    clock: Clock,
) -> Result<(), OpenError> {
    let mut lacking = steps.iter().zip(1..).skip(version).peekable();
    if lacking.peek().is_none() {
        return Ok(());
    }
    if version > 0 {
        let backup = backup::make(connection, path, version, clock)?;
        let (from, to) = (version, steps.len());
        tracing::info!(from, to, backup = %backup.display(), "the store is brought to a new version");
    }
    for (step, version) in lacking {
        take(connection, step, version).map_err(|error| OpenError::Migration {
            path: path.to_owned(),
            version,
            name: step.name,
            error: error.to_string(),
        })?;
    }
    Ok(())
}

/// The step and its number, or neither.
fn take(connection: &mut Connection, step: &Migration, version: i32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step.sql)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}
