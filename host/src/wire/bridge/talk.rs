//! What a bridge knows of the conversation that passes over it: which requests wait for an answer, and
//! how the session was opened. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::wire::frame::{BUSY, INTERNAL_ERROR, INVALID_REQUEST, Outline, Refusal};

/// A conversation, as far as it went.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Requests without an answer, by their id's text.
    asked: HashMap<String, Asked>,
    hello: Option<Handshake>,
}

#[derive(Debug)]
struct Asked {
    id: Value,
    is_call: bool,
}

/// How the session is opened.
#[derive(Debug)]
struct Handshake {
    id: Value,
    line: Vec<u8>,
    /// The version that the host answered with, once it did.
    version: Option<String>,
    /// What the agent said then.
    ready: Option<Vec<u8>>,
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
            if said.method() == Some("notifications/initialized")
                && let Some(hello) = &mut self.hello
            {
                hello.ready = Some(line.to_owned());
            }
            return;
        };
        if said.method() == Some("initialize") {
            self.hello = Some(Handshake {
                id: id.clone(),
                line: line.to_owned(),
                version: None,
                ready: None,
            });
        }
        if let Some(method) = said.method() {
            let is_call = method == "tools/call";
            self.asked.insert(id.to_string(), Asked { id, is_call });
        }
    }

    /// The host says this line to the agent. Whether it answers something.
    pub(super) fn answers(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        let Some(id) = Outline::of(line).answers() else {
            return false;
        };
        if let Some(hello) = &mut self.hello
            && hello.version.is_none()
            && hello.id == id
        {
            let opened: Option<Opened> = serde_json::from_slice(line).ok();
            hello.version = opened.map(|opened| opened.result.version);
        }
        self.asked.remove(&id.to_string());
        true
    }

    /// The host is gone: what the agent is to hear of each request that it did not answer. A handshake
    /// is asked again instead.
    pub(super) fn lost(&mut self) -> Vec<Vec<u8>> {
        let opening = self.hello.as_ref().filter(|hello| hello.version.is_none());
        let opening = opening.map(|hello| hello.id.to_string());
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
    pub(super) fn hello(&self) -> Option<Hello> {
        let hello = self.hello.as_ref()?;
        Some(Hello {
            id: hello.id.clone(),
            line: hello.line.clone(),
            version: hello.version.clone()?,
            ready: hello.ready.clone().unwrap_or_default(),
        })
    }

    /// What the agent is to hear where another host is there: its tools may be others.
    pub(super) fn found(&self) -> Option<Vec<u8>> {
        let is_open = self.hello.as_ref()?.version.is_some();
        let changed = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        is_open.then(|| changed.to_vec())
    }

    /// The handshake that no host has answered, to be said to the next one.
    pub(super) fn opening(&self) -> Option<&[u8]> {
        let hello = self.hello.as_ref()?;
        hello.version.is_none().then_some(&*hello.line)
    }
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
        (Outline::of(line).answers().as_ref() == Some(&self.id)).then(|| {
            let opened: Option<Opened> = serde_json::from_slice(line).ok();
            let version = opened.map(|opened| opened.result.version);
            match version {
                Some(version) if version == self.version => Ok(()),
                Some(version) => Err(format!(
                    "it speaks version {version} of the protocol, and this session {}",
                    self.version
                )),
                None => Err("it refuses to open this session again".to_owned()),
            }
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

/// What the host says where it refuses a whole connection, and no request on it.
pub(super) fn refusal(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refused {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        code: i32,
        message: String,
    }
    let is_of_a_request = Outline::of(line.trim_ascii()).id().is_some();
    let refused: Option<Refused> = match is_of_a_request {
        true => None,
        false => serde_json::from_slice(line).ok(),
    };
    let said = refused?.error;
    (said.code == INVALID_REQUEST).then_some(said.message)
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
}
