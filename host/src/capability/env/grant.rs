//! What the manifest may grant of the environment. Pure values.

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
