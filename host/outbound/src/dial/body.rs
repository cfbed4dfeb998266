//! A response's body under way, within its bounds.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;

use super::decode::{Broken, Source};
use super::failed;
use super::fault::{DialError, DialErrorKind, Wrong};
use crate::shares::Lease;

/// A body under way, within its bounds.
#[derive(Debug)]
pub struct IncomingBody {
    source: Source,
    target: String,
    cap: u64,
    received: u64,
    _places: Places,
}

/// Its places among the connections of its call, of its grant and of the host.
pub(super) type Places = (OwnedSemaphorePermit, Lease<Arc<str>>, Lease<Arc<str>>);

impl IncomingBody {
    pub(super) fn new(source: Source, target: String, cap: u64, places: Places) -> Self {
        Self {
            source,
            target,
            cap,
            received: 0,
            _places: places,
        }
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// The body is too large, too slow or broken; nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DialError> {
        let next = self.source.next(self.received, self.cap).await;
        let piece = next.map_err(|broken| self.error(broken))?;
        let size = piece.as_ref().map_or(0, Bytes::len);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(size);
        Ok(piece)
    }

    fn error(&self, broken: Broken) -> DialError {
        match broken {
            Broken::Client(error) => {
                failed(&error, false, |why| DialError::in_body(why, &self.target))
            }
            Broken::Coding(coding, error) => DialError::broken(
                Wrong::Coding(coding.name()),
                &self.target,
                Some(error.to_string()),
            ),
            Broken::Late => DialError::new(DialErrorKind::Timeout, &self.target, None),
            Broken::TooLarge => DialError::too_large(&self.target, self.cap),
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`IncomingBody::next`].
    pub async fn collect(mut self) -> Result<Bytes, DialError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Bytes that came so far, decoded.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }
}
