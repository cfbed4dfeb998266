//! The body of a response as the guest reads it: scrubbed, and what is held back of it on the call's
//! account.
//!
//! It does not know where it comes from, nor who reads it.

use bytes::{Bytes, BytesMut};

use super::super::attempt::AttemptRecorder;
use crate::dial::IncomingBody;
use crate::http::{ErrorCode, HttpError};
use crate::secret::Scrubber;
use crate::shares::{Account, Holding};

/// What a guest hears where the call's account has no room for what is held back of a response.
const FULL: &str = "The response was not read: the host holds as much for this call as its limit `host_memory` allows. Read or drop other responses first.";

/// A response's body, scrubbed. When it ends or is dropped, the attempt is recorded.
#[derive(Debug)]
pub struct Body {
    incoming: IncomingBody,
    scrubber: Scrubber,
    record: AttemptRecorder,
    ended: bool,
    /// For what the scrubber holds, where somebody counts that.
    held: Option<Holding>,
}

impl Body {
    pub(super) const fn new(
        incoming: IncomingBody,
        scrubber: Scrubber,
        record: AttemptRecorder,
    ) -> Self {
        Self {
            incoming,
            scrubber,
            record,
            ended: false,
            held: None,
        }
    }

    /// The same, whose part that is held back is on this account until it ends.
    #[must_use]
    pub fn counted(self, account: &Account) -> Self {
        Self {
            held: Some(account.nothing()),
            ..self
        }
    }

    /// The next piece, never an empty one, or `None` at the end.
    ///
    /// # Errors
    /// Why the body is not whole; nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        while !self.ended {
            self.make_room()?;
            let piece = match self.incoming.next().await {
                Ok(Some(chunk)) => self.scrubber.push(chunk),
                Ok(None) => {
                    self.ended = true;
                    self.scrubber.finish()
                }
                Err(error) => {
                    self.ended = true;
                    return Err(self.record.fail(&error));
                }
            };
            self.record.received(self.incoming.received());
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`Body::next`].
    pub async fn collect(mut self) -> Result<Bytes, HttpError> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let mut whole = BytesMut::from(first);
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Room for what is held back, before anything is.
    fn make_room(&mut self) -> Result<(), HttpError> {
        let Some(held) = self.held.as_mut().filter(|held| held.bytes() == 0) else {
            return Ok(());
        };
        if !self.scrubber.holds_back() || held.grow(Scrubber::ROOM as u64).is_ok() {
            return Ok(());
        }
        self.ended = true;
        let error = HttpError {
            code: ErrorCode::LargeResponse,
            say: FULL.to_owned(),
        };
        self.record.failed(&error);
        Err(error)
    }
}
