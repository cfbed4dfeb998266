//! What the manifest may grant of storage. Pure values.

use std::sync::Arc;

/// One named grant: a bucket of keys and values that outlives the call, with its quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvGrant {
    /// Its name in the manifest, which is the name the guest opens it by.
    pub name: Arc<str>,
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// Whose bucket it is: `tool`, or `tool.function` where the grant stands in a function's section.
    pub owner: Arc<str>,
    /// The most it may hold, keys and values together, in bytes.
    pub bytes: u64,
    /// The most keys it may hold.
    pub keys: u64,
    /// Every caller has a bucket, and a quota, of its own.
    pub per_caller: bool,
}
