//! What the manifest may grant of storage. Pure values.

use std::sync::Arc;

use super::capability::{Capability, Grant, Granting};
use crate::terms::Reach;

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

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "kv",
    imports: &["wasi:keyvalue"],
    provides: &[
        ("wasi:keyvalue/atomics", "0.2.0-draft"),
        ("wasi:keyvalue/atomics", "0.2.0-draft2"),
        ("wasi:keyvalue/batch", "0.2.0-draft"),
        ("wasi:keyvalue/batch", "0.2.0-draft2"),
        ("wasi:keyvalue/store", "0.2.0-draft"),
        ("wasi:keyvalue/store", "0.2.0-draft2"),
    ],
    provides_v03: &[],
    grant: Some(Granting {
        needs: &["wasi:keyvalue/store"],
        finds: "what is granted, else nothing",
        purpose: "storage that outlives a call",
        example: "[tool.{}.kv.default]\nbytes = \"1MiB\"\nkeys = 1000\n",
    }),
};

impl Grant for KvGrant {
    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn line(&self) -> u32 {
        self.line
    }

    fn reach(&self) -> Reach {
        Reach::Writes
    }

    fn path(&self) -> String {
        format!("kv.{}", self.name)
    }

    fn brief(&self) -> String {
        format!("kv {}", self.name)
    }

    fn lines(&self) -> Vec<(u32, String)> {
        let of = match self.per_caller {
            true => " for each caller",
            false => "",
        };
        let bytes = bytesize::ByteSize(self.bytes).display().iec();
        let (name, owner, keys) = (&self.name, &self.owner, self.keys);
        let said = format!("kv {name} of {owner}{of} ({bytes}, {keys} keys)");
        vec![(self.line, said)]
    }

    fn asks(&self) -> String {
        let (bytes, name) = (self.bytes, &self.name);
        format!("keeps up to {bytes} bytes in the bucket {name}")
    }
}
