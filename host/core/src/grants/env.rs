//! What the manifest may grant of the environment. Pure values.

use super::capability::{Capability, Grant, Granting};
use crate::terms::Reach;

/// One variable the guest sees. Its value stands in the manifest: nothing is taken from the host's
/// own environment, and secrets have no way here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvGrant {
    /// Line of the variable in the manifest, from 1.
    pub line: u32,
    /// The variable's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "env",
    imports: &["wasi:cli/environment"],
    provides: &[("wasi:cli/environment", "0.2")],
    provides_v03: &[("wasi:cli/environment", "0.3")],
    grant: Some(Granting {
        needs: &["wasi:cli/environment"],
        finds: "what is granted, else nothing",
        purpose: "variables",
        example: "env = { NAME = \"value\" }\n",
    }),
};

impl Grant for EnvGrant {
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
        format!("env {}", self.name)
    }

    fn asks(&self) -> String {
        format!("the variable {} = {:?}", self.name, self.value)
    }
}
