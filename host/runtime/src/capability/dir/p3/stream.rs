//! Files and listings as streams of WASI 0.3. One piece at a time is on its way, done by a file worker; how
//! a stream ended is told once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Destination, Source as From, StreamConsumer, StreamProducer, StreamResult, VecBuffer,
};
use wasmtime_wasi::p2::bindings::filesystem::types as old;
use wasmtime_wasi::p2::{FsError, FsResult, ReaddirIterator};
use wasmtime_wasi::p3::bindings::filesystem::types::{DirectoryEntry, ErrorCode};

use super::End;
use super::convert::{told_code, told_entry};
use crate::capability::dir::stream::{PIECE, Source};
use crate::capability::dir::work::{Listed, is_passed_over};
use crate::capability::dir::workers::CallerWorkers;
use crate::capability::dir::write::Position;
use crate::shares::Holding;

type Waiting<T> = Pin<Box<dyn Future<Output = FsResult<T>> + Send>>;

/// Tells how a stream ended: well, if nobody said otherwise.
struct Told(Option<End>);

impl Told {
    /// The stream is over: by what it met, or by an end of the call.
    fn over(&mut self, error: FsError) -> wasmtime::Result<StreamResult> {
        let code = error.downcast()?;
        self.say(Err(told_code(code)));
        Ok(StreamResult::Dropped)
    }

    fn say(&mut self, how: Result<(), ErrorCode>) {
        if let Some(end) = self.0.take() {
            // Nobody may be waiting.
            let _ = end.send(how);
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.say(Ok(()));
    }
}

/// A file that a guest reads.
pub(super) struct Pulling {
    source: Source,
    position: u64,
    waiting: Option<Waiting<Bytes>>,
    told: Told,
}

impl Pulling {
    pub(super) const fn new(source: Source, position: u64, end: End) -> Self {
        Self {
            source,
            position,
            waiting: None,
            told: Told(Some(end)),
        }
    }
}

impl<D> StreamProducer<D> for Pulling {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = &mut *self;
        let room = to.remaining(&mut store).unwrap_or(PIECE);
        if room == 0 {
            // A file is always ready to be read.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let (source, position) = (&this.source, this.position);
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(source.read(position, room)));
        let read = match waiting.as_mut().poll(context) {
            // The piece is kept for the next time.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            read => ready!(read),
        };
        this.waiting = None;
        Poll::Ready(match read {
            Ok(piece) if piece.is_empty() => Ok(StreamResult::Dropped),
            Ok(piece) => {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                this.position = this.position.saturating_add(length);
                to.set_buffer(piece);
                Ok(StreamResult::Completed)
            }
            Err(error) => this.told.over(error),
        })
    }
}

/// A file that a guest writes.
pub(super) struct Pushing {
    target: Source,
    position: Position,
    waiting: Option<Waiting<u64>>,
    told: Told,
}

impl Pushing {
    pub(super) const fn new(target: Source, position: Position, end: End) -> Self {
        Self {
            target,
            position,
            waiting: None,
            told: Told(Some(end)),
        }
    }
}

impl<D> StreamConsumer<D> for Pushing {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        from: From<'_, u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = &mut *self;
        let mut from = from.as_direct(store);
        let (target, position) = (&this.target, this.position);
        let waiting = match &mut this.waiting {
            Some(waiting) => waiting,
            None => {
                let all = from.remaining();
                let piece = all.get(..PIECE).unwrap_or(all);
                if piece.is_empty() {
                    // A file is always ready to be written.
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                let piece = Bytes::copy_from_slice(piece);
                this.waiting.insert(Box::pin(target.write(piece, position)))
            }
        };
        // What has begun is not given up: the guest must learn how much was written.
        let written = ready!(waiting.as_mut().poll(context));
        this.waiting = None;
        Poll::Ready(match written {
            Ok(written) => {
                this.position = position.after(written);
                from.mark_read(usize::try_from(written).unwrap_or(usize::MAX));
                Ok(StreamResult::Completed)
            }
            Err(error) => this.told.over(error),
        })
    }
}

/// A directory's entries.
pub(super) struct Listing {
    waiting: Option<Waiting<Listed>>,
    entries: Option<(Entries, Holding)>,
    told: Told,
}

type Entries = <ReaddirIterator as IntoIterator>::IntoIter;

impl Listing {
    pub(super) fn new(
        crew: CallerWorkers,
        work: impl FnOnce() -> FsResult<Listed> + Send + 'static,
        end: End,
    ) -> Self {
        Self {
            waiting: Some(Box::pin(async move { crew.run(work).await })),
            entries: None,
            told: Told(Some(end)),
        }
    }
}

/// The next entries, at most so many, and what ended them.
fn some(
    entries: &mut dyn Iterator<Item = FsResult<old::DirectoryEntry>>,
    most: usize,
) -> (Vec<DirectoryEntry>, Option<FsResult<()>>) {
    let mut found = Vec::new();
    let mut entries = entries.filter(|entry| !is_passed_over(entry));
    while found.len() < most {
        match entries.next() {
            Some(Ok(entry)) => found.push(told_entry(entry)),
            Some(Err(error)) => return (found, Some(Err(error))),
            None => return (found, Some(Ok(()))),
        }
    }
    (found, None)
}

impl<D> StreamProducer<D> for Listing {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        /// Entries at a time.
        const MOST: usize = 256;
        let this = &mut *self;
        let room = to.remaining(&mut store).unwrap_or(MOST);
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if let Some(waiting) = &mut this.waiting {
            let listed = match waiting.as_mut().poll(context) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                listed => ready!(listed),
            };
            this.waiting = None;
            match listed {
                Ok(Listed { entries, held }) => this.entries = Some((entries.into_iter(), held)),
                Err(error) => return Poll::Ready(this.told.over(error)),
            }
        }
        let Some((entries, _held)) = &mut this.entries else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let (found, ended) = some(entries, room.min(MOST));
        to.set_buffer(found.into());
        Poll::Ready(match ended {
            None => Ok(StreamResult::Completed),
            Some(Ok(())) => Ok(StreamResult::Dropped),
            Some(Err(error)) => this.told.over(error),
        })
    }
}
