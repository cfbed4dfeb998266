//! Responses that are read ahead of their guest, as far as its call's room for that goes.
//!
//! A response keeps a place among the connections of its grant until its body is read. A guest that
//! opens more requests than there are places, and reads none of them before it has all, would wait
//! for itself. So what is short is taken off the network at once, and gives its place back unread.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::{Body, HttpError};

/// What one call may have read and not given to its guest yet, in bytes. What is longer waits for the
/// guest, and keeps its place.
pub const ROOM: usize = 1 << 20;

/// What a piece takes of it at least, in bytes: it has a cost of its own, however short it is.
const PIECE: usize = 64;

/// The room of one call.
pub fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ROOM))
}

type Piece = (Result<Bytes, HttpError>, Option<OwnedSemaphorePermit>);

/// The pieces of a body, read as far ahead as there is room. Dropping the stream ends it. The body owns
/// what its call's record waits for, so it may be dropped here, in the task, or before that ever runs.
pub fn ahead(
    body: Body,
    room: Arc<Semaphore>,
) -> impl Stream<Item = Result<Bytes, HttpError>> + Send {
    // The room bounds it.
    let (sender, pieces) = mpsc::unbounded_channel::<Piece>();
    let reading = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut body = body;
        while let Some(piece) = body.next().await.transpose() {
            let permit = Arc::clone(&room).acquire_many_owned(cost(&piece)).await;
            if sender.send((piece, permit.ok())).is_err() {
                return;
            }
        }
    }));
    stream::unfold((pieces, reading), |(mut pieces, reading)| async move {
        let (piece, _room) = pieces.recv().await?;
        Some((piece, (pieces, reading)))
    })
}

fn cost(piece: &Result<Bytes, HttpError>) -> u32 {
    let bytes = piece.as_ref().map_or(0, Bytes::len);
    u32::try_from(bytes.clamp(PIECE, ROOM)).unwrap_or(u32::MAX)
}
