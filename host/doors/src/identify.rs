//! Whom an HTTP request speaks for, and for how long that holds.
//!
//! It does not know what is asked for.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use zeroize::Zeroizing;

use super::denial::Denial;
use super::guard::{self, Claim};
use crate::call::{Credential, Host};
use crate::terms::Caller;

/// What a request was known by, for as long as its answer takes.
pub(super) enum Shown {
    Token(Zeroizing<String>),
    Uid(u32),
}

impl Shown {
    fn credential(&self) -> Credential<'_> {
        match self {
            Self::Token(token) => Credential::Token(token),
            Self::Uid(uid) => Credential::Uid(*uid),
        }
    }

    /// Whether it still stands for this caller.
    pub(super) fn stands_for(&self, host: &Host, caller: &Caller) -> bool {
        host.identify(self.credential()).as_ref() == Some(caller)
    }

    /// Waits until it stands for another caller, or for none.
    pub(super) async fn dismissed(self, host: Arc<Host>, caller: Caller) {
        host.dismissed(self.credential(), &caller).await;
    }
}

/// A token, where there is one, decides alone: an agent on the Unix socket may be another than the
/// user it runs as.
pub(super) fn identify(
    host: &Host,
    headers: &HeaderMap,
    uid: Option<u32>,
) -> Result<(Caller, Shown), Denial> {
    let unauthorized = |say| Denial::new(StatusCode::UNAUTHORIZED, say);
    match (guard::claim(headers), uid) {
        (Claim::Token(token), _) => host
            .identify(Credential::Token(token))
            .map(|caller| (caller, Shown::Token(Zeroizing::new(token.to_owned()))))
            .ok_or_else(|| unauthorized("The bearer token is not one of this host's callers.")),
        (Claim::None, Some(uid)) => host
            .identify(Credential::Uid(uid))
            .map(|caller| (caller, Shown::Uid(uid)))
            .ok_or_else(|| Denial::new(StatusCode::FORBIDDEN, stranger(uid))),
        (Claim::None, None) => Err(unauthorized(
            "A bearer token is needed: send \"Authorization: Bearer <token>\".",
        )),
        (Claim::Unreadable, _) => Err(unauthorized(
            "The Authorization header is not one bearer token: send \"Authorization: Bearer <token>\" once.",
        )),
    }
}

/// What to tell a peer that no caller stands for.
pub(super) fn stranger(uid: u32) -> String {
    format!(
        "User {uid} is none of this host's callers. Ask its operator for [caller.<name>] uid = {uid}."
    )
}
