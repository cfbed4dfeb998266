//! Whether anything of a request has left the host: known from the connection that took it up, and from
//! the bytes that went over that one since.
//!
//! The client hands a request to a connection's own task, which may come to it late or never; a request
//! that no connection took up is handed to another one, and is still the same attempt. So what counts is
//! the moment in which a connection first looks at the request's body, just before it writes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::client::legacy::connect::CaptureConnection;

use super::meter::Meter;

/// Whether anything of a request has left. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Sending(Arc<Mutex<Stage>>);

#[derive(Debug, Default)]
enum Stage {
    /// No connection took it up: nothing of it has left.
    #[default]
    Waits,
    /// A connection did. Any of it may have left, unless it failed and not a byte has gone over that
    /// connection since it had this many; none where other requests go over it too.
    Taken(Option<(Meter, u64)>),
    /// Something else took it.
    Gone,
    /// Nothing of it has left, and nothing will.
    Never,
}

impl Sending {
    /// Whether anything of the request may have left. Nothing of it leaves later: whoever asks has
    /// given it up, or has its answer.
    #[must_use]
    pub fn has_left(&self) -> bool {
        let mut stage = self.stage();
        match *stage {
            Stage::Waits => {
                *stage = Stage::Never;
                false
            }
            Stage::Never => false,
            Stage::Taken(_) | Stage::Gone => true,
        }
    }

    /// Notes that the client gave it up, with its connection: where no byte went, none may follow.
    pub(super) fn failed(&self) {
        let mut stage = self.stage();
        if let Stage::Taken(Some((meter, before))) = &*stage {
            meter.close();
            if meter.sent() == *before {
                *stage = Stage::Never;
            }
        }
    }

    pub(super) fn to_stand_in(&self) {
        *self.stage() = Stage::Gone;
    }

    /// Notes that the connection that the client chose takes it up, within the task that writes.
    fn taken(&self, chosen: &CaptureConnection) {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Taken(_) | Stage::Gone) {
            return;
        }
        let meter = Meter::of(chosen);
        *stage = match (&*stage, meter) {
            // It stands on record as never sent: it cannot be taken back from this task, so the
            // connection ends before it writes.
            (Stage::Never, Some(meter)) => {
                meter.close();
                return;
            }
            (_, Some(meter)) if !meter.is_shared() => {
                let before = meter.sent();
                Stage::Taken(Some((meter, before)))
            }
            _ => Stage::Taken(None),
        };
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's body, which tells when a connection takes the request up.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) bytes: Full<Bytes>,
    pub(super) sending: Sending,
    pub(super) chosen: CaptureConnection,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sending.taken(&self.chosen);
        Pin::new(&mut self.bytes).poll_frame(context)
    }

    /// Every connection asks this of a request first, of one without a body too.
    fn is_end_stream(&self) -> bool {
        self.sending.taken(&self.chosen);
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}
