//! Lines with their hashes: how one is finished, and whether one is genuine. It does not know what stands in a line.
//!
//! A line ends in `,"hash":"<h>"}`, where `h` is SHA-256, in hex, of the previous line's `h` (64
//! zeros for the first) followed by this line's bytes before `,"hash"`. So each line vouches for
//! itself and for all lines before it, and a damaged line is known by itself: with only the previous
//! line's hash in a line, the last one could be changed unseen. By hand:
//! `printf '%s%s' "$previous_hash" "$line_before_hash" | sha256sum`.

use std::fmt;

use sha2::{Digest, Sha256};

/// Bytes in one line, without its line break. Tiled transparency logs take entries of this length.
pub(super) const LINE_MAX: usize = 65_535;

const LABEL: &[u8] = br#","hash":""#;
const END: &[u8] = br#""}"#;

/// The hash of a line and all before it, as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; 64]);

impl Hash {
    /// What stands before a segment's first line.
    pub(super) const NONE: Self = Self([b'0'; 64]);

    fn after(self, line: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(line)
            .finalize();
        let mut hex = [0; 64];
        // 64 digits are just what 32 bytes take, so this has no other outcome.
        let written = hex::encode_to_slice(digest, &mut hex);
        debug_assert!(written.is_ok());
        Self(hex)
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Adds hash and line break to the line that begins at `begin` and has all its other members, but
/// not its last brace.
pub(super) fn finish(line: &mut Vec<u8>, begin: usize, previous: Hash) -> Hash {
    let hash = previous.after(line.get(begin..).unwrap_or_default());
    line.extend_from_slice(LABEL);
    line.extend_from_slice(&hash.0);
    line.extend_from_slice(END);
    line.push(b'\n');
    hash
}

/// Bytes that [`finish`] adds, without the line break.
pub(super) const FINISH: usize = LABEL.len() + 64 + END.len();

/// The hash of a line (without its line break), if it is the one it has to have.
pub(super) fn check(line: &[u8], previous: Hash) -> Option<Hash> {
    let (body, hash) = split(line)?;
    (previous.after(body) == hash).then_some(hash)
}

/// The hash that a line says it has.
pub(super) fn claimed(line: &[u8]) -> Option<Hash> {
    split(line).map(|(_, hash)| hash)
}

fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (body, hash) = line.strip_suffix(END)?.split_last_chunk::<64>()?;
    Some((body.strip_suffix(LABEL)?, Hash(*hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_line_is_genuine_after_its_own_predecessor_only() {
        let mut line = br#"{"seq":0"#.to_vec();
        let hash = finish(&mut line, 0, Hash::NONE);
        let line = line.strip_suffix(b"\n").unwrap_or_default();
        assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok());
        assert_eq!(line.len(), br#"{"seq":0"#.len() + FINISH);
        assert_eq!(check(line, Hash::NONE), Some(hash));
        assert_eq!(check(line, hash), None);
    }

    #[test]
    fn the_hash_can_be_made_by_hand() {
        // printf '%s%s' "$(printf '0%.0s' {1..64})" '{"seq":0' | sha256sum
        let mut line = br#"{"seq":0"#.to_vec();
        let hash = finish(&mut line, 0, Hash::NONE);
        assert_eq!(hash.as_str(), BY_HAND);
    }
    const BY_HAND: &str = "bc0fc609b07bb783bbcd0d523b632bd2d60b046c2b230d9f812472ee04ad7a59";

    #[test]
    fn no_bytes_confuse_the_check() {
        for bytes in [
            &b""[..],
            b"{}",
            b"\"}",
            &[0xff; 64],
            &[b'0'; 80],
            br#","hash":""}"#,
        ] {
            assert_eq!(check(bytes, Hash::NONE), None);
        }
    }
}
