//! What the manifest may grant of configuration. Pure values.

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
