//! The id of a message that is too large to be kept, found while its bytes go by: whoever sent it
//! hears which of its requests is refused. Pure, and of a fixed size.
//!
//! It does not know any method, nor whether the message is one.

use serde_json::Value;

use super::frame::{self, LONGEST_ID};

/// The longest id that is looked for, in bytes as it is written: two quotes, and an escape for each byte
/// that it stands for.
const LONGEST: usize = 6 * LONGEST_ID + 2;

/// What is known of a message so far.
#[derive(Debug, Default)]
pub(super) struct Skim {
    /// Objects and arrays that are open.
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// What follows is a member's value, not its name.
    is_value: bool,
    is_id: bool,
    /// The name or the value that is being read, if it is one of the message's own members. Of what
    /// is longer than ids are its beginning, which is no JSON.
    token: Vec<u8>,
    id: Option<Value>,
}

impl Skim {
    /// Looks at the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.step(*byte));
    }

    /// The id, where one went by.
    pub(super) fn id(self) -> Option<Value> {
        self.id
    }

    fn step(&mut self, byte: u8) {
        if self.in_text {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        let is_own = self.depth == 1;
        match byte {
            b'"' => {
                self.in_text = true;
                self.keep(byte);
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                if is_own {
                    self.settle();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b':' if is_own => {
                self.is_id = self.token == br#""id""#;
                self.is_value = true;
                self.token.clear();
            }
            b',' if is_own => self.settle(),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < LONGEST {
            self.token.push(byte);
        }
    }

    /// A member is over.
    fn settle(&mut self) {
        if self.is_value && self.is_id {
            let value = serde_json::from_slice(&self.token).ok();
            self.id = value.and_then(frame::answerable);
        }
        (self.is_value, self.is_id) = (false, false);
        self.token.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn id(message: &str) -> Option<Value> {
        // Whatever the pieces are that it comes in.
        let found: Vec<_> = [1, 3, 1 << 20]
            .map(|size| {
                let mut skim = Skim::default();
                message
                    .as_bytes()
                    .chunks(size)
                    .for_each(|piece| skim.feed(piece));
                skim.id()
            })
            .into();
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found.into_iter().next().flatten()
    }

    #[test]
    fn x67_the_id_of_a_message_is_found_wherever_it_stands_and_no_other() {
        for (message, expected) in [
            (r#"{"id":7,"method":"x"}"#, Some(Value::from(7))),
            (
                r#" { "params" : {"id":1,"a":[{"id":2}]} , "id" : "x\"y" } "#,
                Some("x\"y".into()),
            ),
            (
                format!(r#"{{"id":"{}"}}"#, r"\u0061".repeat(256)).as_str(),
                Some("a".repeat(256).into()),
            ),
            (format!(r#"{{"id":"{}"}}"#, "a".repeat(257)).as_str(), None),
            (r#"{"a":"\"id\":3","id":-4}"#, Some((-4).into())),
            (r#"{"params":{"id":1}}"#, None),
            (r#"[{"id":1}]"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":1.5}"#, None),
            (r#"{"id":{"id":1}}"#, None),
            (r#"{"ids":1,"":2}"#, None),
            (r#"{"method":"id","x":9}"#, None),
            (r#"]]}{"id":1"#, None),
        ] {
            assert_eq!(id(message), expected, "{message}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(id(&long), None);
        let late = format!(r#"{{"params":{{"a":"{}"}},"id":5}}"#, "{".repeat(1 << 20));
        assert_eq!(id(&late), Some(5.into()));
    }
}
