//! What a bridge knows of the conversation that passes over it: which requests wait for an answer, and
//! how the session was opened. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::frame::{BUSY, INTERNAL_ERROR, Outline, REFUSED, Refusal};
use crate::skim::Skim;

/// A conversation, as far as it went.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Requests without an answer, by their id's text.
    asked: HashMap<String, Asked>,
    /// A handshake that is not answered yet.
    opening: Option<Opening>,
    /// The last handshake that was answered well.
    hello: Option<Hello>,
    /// The line that the agent is in the midst of, where it is too long to be held.
    long: Option<Skim>,
}

#[derive(Debug)]
struct Asked {
    id: Value,
    is_call: bool,
}

#[derive(Debug)]
struct Opening {
    id: Value,
    line: Vec<u8>,
    /// What the agent said after it.
    ready: Vec<u8>,
}

/// A handshake that is over, to be asked of another host.
#[derive(Debug)]
pub(super) struct Hello {
    id: Value,
    line: Vec<u8>,
    version: String,
    ready: Vec<u8>,
}

#[derive(Deserialize)]
struct Opened {
    result: Version,
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "protocolVersion")]
    version: String,
}

impl Talk {
    /// The agent says this line to the host.
    pub(super) fn asks(&mut self, line: &[u8]) {
        let said = Outline::of(line.trim_ascii());
        if let Some(taken) = said.takes_back() {
            self.asked.remove(&taken.to_string());
            return;
        }
        let Some(id) = said.id() else {
            if said.method() == Some("notifications/initialized") {
                self.is_ready(line);
            }
            return;
        };
        if said.method() == Some("initialize") {
            self.opening = Some(Opening {
                id: id.clone(),
                line: line.to_owned(),
                ready: Vec::new(),
            });
        }
        if let Some(method) = said.method() {
            let is_call = method == "tools/call";
            self.asked.insert(id.to_string(), Asked { id, is_call });
        }
    }

    fn is_ready(&mut self, line: &[u8]) {
        let ready = match (&mut self.opening, &mut self.hello) {
            (Some(opening), _) => &mut opening.ready,
            (None, Some(hello)) => &mut hello.ready,
            (None, None) => return,
        };
        line.clone_into(ready);
    }

    /// The agent says a part of a line that is too long to be held. Of the whole line no more is known
    /// than its id, and it is taken for a call.
    pub(super) fn asks_in_part(&mut self, part: &[u8]) {
        let long = self.long.get_or_insert_default();
        long.feed(part);
        if part.ends_with(b"\n")
            && let Some(id) = self.long.take().and_then(Skim::id)
        {
            let is_call = true;
            self.asked.insert(id.to_string(), Asked { id, is_call });
        }
    }

    /// Whether the agent is in the midst of a line, a part of which was passed on.
    pub(super) fn is_in_part(&self) -> bool {
        self.long.is_some()
    }

    /// The host says this line to the agent. Whether it answers something.
    pub(super) fn answers(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        let Some(id) = Outline::of(line).answers() else {
            return false;
        };
        // A session that is open stays so where another handshake in it fails.
        if let Some(opening) = self.opening.take_if(|opening| opening.id == id)
            && let Some(version) = version(line)
        {
            let Opening { id, line, ready } = opening;
            self.hello = Some(Hello {
                id,
                line,
                version,
                ready,
            });
        }
        self.asked.remove(&id.to_string());
        true
    }

    /// The host is gone: what the agent is to hear of each request that it did not answer. A handshake
    /// is asked again instead.
    pub(super) fn lost(&mut self) -> Vec<Vec<u8>> {
        let opening = self.opening.as_ref().map(|opening| opening.id.to_string());
        let kept = opening.and_then(|id| self.asked.remove_entry(&id));
        let mut lost: Vec<Asked> = self.asked.drain().map(|(_, asked)| asked).collect();
        self.asked.extend(kept);
        lost.sort_by_key(|asked| asked.id.to_string());
        let refusal = |asked: Asked| {
            let say = match asked.is_call {
                true => {
                    "The host went away before it answered. Whether the call ran, and what it did, is not known: look before you call again. The host's ledger has every call that began."
                }
                false => "The host went away before it answered. Ask again.",
            };
            let refusal = Refusal {
                code: INTERNAL_ERROR,
                id: Some(asked.id),
                say: say.into(),
            };
            refusal.to_json()
        };
        lost.into_iter().map(refusal).collect()
    }

    /// What another host is to be asked before the conversation goes on with it, if there was a
    /// handshake.
    pub(super) fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What the agent is to hear where another host is there: its tools may be others.
    pub(super) fn found(&self) -> Option<Vec<u8>> {
        let changed = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        self.hello.is_some().then(|| changed.to_vec())
    }

    /// The handshake that no host has answered, to be said to the next one.
    pub(super) fn opening(&self) -> Option<&[u8]> {
        self.opening.as_ref().map(|opening| &*opening.line)
    }
}

/// The version of the protocol in a good answer to a handshake.
fn version(line: &[u8]) -> Option<String> {
    let opened: Opened = serde_json::from_slice(line).ok()?;
    Some(opened.result.version)
}

impl Hello {
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// What the agent says when it is answered.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// Whether a line answers it, and well: the session goes on in the version that it has.
    pub(super) fn answer(&self, line: &[u8]) -> Option<Result<(), String>> {
        let line = line.trim_ascii();
        (Outline::of(line).answers().as_ref() == Some(&self.id)).then(|| match version(line) {
            Some(version) if version == self.version => Ok(()),
            Some(version) => Err(format!(
                "it speaks version {version} of the protocol, and this session {}",
                self.version
            )),
            None => Err("it refuses to open this session again".to_owned()),
        })
    }
}

/// What the agent is to hear of a request that no host was asked.
pub(super) fn unasked(line: &[u8]) -> Option<Vec<u8>> {
    let said = Outline::of(line.trim_ascii());
    said.method()?;
    let refusal = Refusal {
        code: BUSY,
        id: Some(said.id()?),
        say: "The host is gone, and was not asked: nothing ran.".into(),
    };
    Some(refusal.to_json())
}

/// What the host says of the connection, and of no message on it.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    /// It ends the connection, and would end another one as well.
    Refused(String),
    /// It has no room for it now.
    Busy(String),
}

impl Notice {
    /// The one that a line is, if it is one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Refused {
            error: Said,
        }
        #[derive(Deserialize)]
        struct Said {
            code: i32,
            message: String,
        }
        if Outline::of(line.trim_ascii()).id().is_some() {
            return None;
        }
        let Refused { error: said } = serde_json::from_slice(line).ok()?;
        match said.code {
            REFUSED => Some(Self::Refused(said.message)),
            BUSY => Some(Self::Busy(said.message)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const HELLO: &[u8] = br#"{"jsonrpc":"2.0","id":"h","method":"initialize","params":{}}"#;
    const OPENED: &[u8] = br#"{"id":"h","result":{"protocolVersion":"2025-11-25"}}"#;

    fn said(lines: &[Vec<u8>]) -> Vec<(Value, String)> {
        let read = |line: &Vec<u8>| {
            let line: Value = serde_json::from_slice(line).unwrap();
            let say = line["error"]["message"].as_str().unwrap().to_owned();
            (line["id"].clone(), say)
        };
        lines.iter().map(read).collect()
    }

    #[test]
    fn x69_only_what_was_asked_and_not_answered_is_lost() {
        let mut talk = Talk::default();
        for line in [
            &br#"{"id":1,"method":"tools/call"}"#[..],
            br#"{"id":"1","method":"tools/call"}"#,
            br#"{"id":2,"method":"tools/list"}"#,
            br#"{"id":3,"method":"tools/call"}"#,
            br#"{"method":"notifications/cancelled","params":{"requestId":3}}"#,
            br#"{"id":9,"result":{}}"#,
            b"nonsense",
        ] {
            talk.asks(line);
        }
        assert!(talk.answers(br#"{"id":"1","result":{}}"#));
        assert!(!talk.answers(br#"{"method":"notifications/progress","params":{}}"#));
        let lost = said(&talk.lost());
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert_eq!(lost[0].0, 1);
        assert!(lost[0].1.contains("not known"), "{lost:?}");
        assert_eq!(lost[1].0, 2);
        assert!(lost[1].1.contains("Ask again"), "{lost:?}");
        assert!(talk.lost().is_empty());
        assert!(talk.hello().is_none() && talk.found().is_none());
    }

    #[test]
    fn x69_a_handshake_is_asked_again_and_not_lost() {
        let mut talk = Talk::default();
        talk.asks(HELLO);
        assert!(talk.lost().is_empty());
        assert_eq!(talk.opening(), Some(HELLO));
        assert!(talk.hello().is_none());
        assert!(talk.answers(OPENED));
        talk.asks(br#"{"method":"notifications/initialized"}"#);
        assert!(talk.lost().is_empty() && talk.opening().is_none());
        let hello = talk.hello().unwrap();
        assert_eq!(hello.line(), HELLO);
        assert!(hello.ready().ends_with(b"initialized\"}"));
        assert_eq!(hello.answer(OPENED), Some(Ok(())));
        assert_eq!(hello.answer(br#"{"id":"x","result":{}}"#), None);
        let older = br#"{"id":"h","result":{"protocolVersion":"2025-06-18"}}"#;
        let refused = hello.answer(older).unwrap().unwrap_err();
        assert!(refused.contains("2025-06-18"), "{refused}");
        assert!(talk.found().is_some());
    }

    #[test]
    fn x69_a_handshake_that_is_refused_is_not_asked_again_and_an_open_session_keeps_its_own() {
        let refused = br#"{"id":"h","error":{"code":-32602,"message":"no"}}"#;
        let mut talk = Talk::default();
        talk.asks(HELLO);
        assert!(talk.answers(refused));
        assert!(talk.opening().is_none() && talk.hello().is_none());
        // It opens on another try.
        talk.asks(HELLO);
        assert!(talk.answers(OPENED));
        talk.asks(br#"{"method":"notifications/initialized"}"#);

        let second = br#"{"id":2,"method":"initialize"}"#;
        talk.asks(second);
        assert_eq!(talk.hello().unwrap().line(), HELLO);
        assert!(talk.answers(br#"{"id":2,"error":{"code":-32600,"message":"twice"}}"#));
        let hello = talk.hello().unwrap();
        assert_eq!(hello.line(), HELLO);
        assert!(hello.ready().ends_with(b"initialized\"}"));
        talk.asks(second);
        assert!(talk.answers(br#"{"id":2,"result":{"protocolVersion":"2025-06-18"}}"#));
        let hello = talk.hello().unwrap();
        assert_eq!((hello.line(), hello.ready()), (&second[..], &b""[..]));
    }

    #[test]
    fn x69_a_refused_line_is_no_refused_connection() {
        let notice = |code: i32, id: &str| {
            let line =
                format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":"m"}}}}"#);
            Notice::of(line.as_bytes())
        };
        // Batches, deep messages, ids that are none: the host answers these, and goes on.
        assert_eq!(notice(-32600, ""), None);
        assert_eq!(notice(-32700, ""), None);
        assert_eq!(notice(REFUSED, r#""id":1,"#), None);
        assert_eq!(notice(REFUSED, ""), Some(Notice::Refused("m".into())));
        assert_eq!(notice(BUSY, ""), Some(Notice::Busy("m".into())));
    }
}
