//! What the manifest may grant of configuration. Pure values.

use super::capability::{Capability, Grant, Granting};
use crate::terms::Reach;

/// One value the guest can ask for. It stands in the manifest: secrets have no way here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigGrant {
    /// Line of the key in the manifest, from 1.
    pub line: u32,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "config",
    imports: &["wasi:config"],
    provides: &[
        ("wasi:config/runtime", "0.2.0-draft"),
        ("wasi:config/store", "0.2.0-draft"),
        ("wasi:config/store", "0.2.0-draft-2024-09-27"),
        ("wasi:config/store", "0.2.0-rc.1"),
    ],
    provides_v03: &[],
    grant: Some(Granting {
        needs: &["wasi:config/store", "wasi:config/runtime"],
        finds: "what is granted, else nothing",
        purpose: "configuration",
        example: "config = { name = \"value\" }\n",
    }),
};

impl Grant for ConfigGrant {
    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn line(&self) -> u32 {
        self.line
    }

    fn reach(&self) -> Reach {
        Reach::Nothing
    }

    fn brief(&self) -> String {
        format!("config {}", self.key)
    }

    fn asks(&self) -> String {
        format!("the value {} = {:?}", self.key, self.value)
    }
}
