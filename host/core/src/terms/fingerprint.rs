//! What a text is known by where the text itself is not kept.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A text that is not in the ledger, known by its digest and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256, written in hex.
    #[serde(serialize_with = "hex_text", deserialize_with = "from_hex")]
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub bytes: u64,
}

impl Fingerprint {
    /// Takes the fingerprint of a text.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::digest(bytes).into(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

fn hex_text<S: Serializer>(digest: &[u8; 32], json: S) -> Result<S::Ok, S::Error> {
    let mut digits = [0; 64];
    hex::encode_to_slice(digest, &mut digits).map_err(S::Error::custom)?;
    json.serialize_str(std::str::from_utf8(&digits).map_err(S::Error::custom)?)
}

fn from_hex<'de, D: Deserializer<'de>>(json: D) -> Result<[u8; 32], D::Error> {
    let digits = Cow::<'de, str>::deserialize(json)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(digits.as_bytes(), &mut digest).map_err(D::Error::custom)?;
    Ok(digest)
}
