//! A response's body, decoded here and not in the HTTP client, so that what comes in and what it
//! unpacks to are both counted.
//!
//! Time is measured where bytes arrive: what a decoder keeps back, and when somebody reads, has no part
//! in it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt as _, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_util::io::StreamReader;

use super::reply::Arriving;

/// What the host asks for, and so all that a response may be encoded in.
pub(super) const OFFERED: HeaderValue = HeaderValue::from_static("zstd,gzip,deflate,br");

/// The most that a byte may unpack to, on the average of a body.
const RATIO: u64 = 100;

/// So much may come out whatever went in: small texts of one letter are no attack.
const UNMEASURED: u64 = 64 << 10;

/// What may come in beyond the cap on what comes out: frames and checksums have a size, too.
const OVERHEAD: u64 = 64 << 10;

/// What is decoded at once, in bytes.
const PIECE: usize = 16 << 10;

/// Windows of zstd: 8 MiB, the most that HTTP allows (RFC 9659). Its frames may ask for gigabytes.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is encoded, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Its name in HTTP.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Why a body is not read: what it holds could not be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unoffered {
    /// It has this encoding, which the host did not ask for.
    Other(&'static str),
    /// It has several on top of each other.
    Several,
}

/// Encodings that the host does not ask for: the rest of IANA's list, and what some servers send
/// without it.
const OTHERS: [&str; 16] = [
    "aes128gcm",
    "bzip2",
    "compress",
    "dcb",
    "dcz",
    "exi",
    "lz4",
    "lzma",
    "pack200-gzip",
    "sdch",
    "snappy",
    "x-bzip2",
    "x-compress",
    "x-lzma",
    "x-snappy",
    "xz",
];

/// How long is waited for bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The longest silence.
    pub(super) silence: Duration,
    /// When all have to be there.
    pub(super) deadline: Instant,
}

/// Bytes that are waited for.
pub(super) struct Awaited {
    arriving: Arriving,
    patience: Patience,
}

impl Awaited {
    pub(super) const fn new(arriving: Arriving, patience: Patience) -> Self {
        Self { arriving, patience }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        let Patience { silence, deadline } = self.patience;
        let until = deadline.min(Instant::now() + silence);
        let chunk = timeout_at(until, self.arriving.chunk()).await;
        chunk.map_err(|_| Broken::Late)?.map_err(Broken::Client)
    }
}

/// A body as it comes out of its encoding.
pub(super) struct Source {
    pipe: Pipe,
    arrived: Arc<AtomicU64>,
}

enum Pipe {
    Plain(Awaited),
    Coded(Coding, Pin<Box<dyn AsyncRead + Send>>),
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Broken {
    /// The client's own failure.
    Client(hyper::Error),
    /// It is not what its encoding says.
    Coding(Coding, io::Error),
    /// Nothing came for too long, or not all in time.
    Late,
    /// It is larger than the cap, or unpacks to too many times its size.
    TooLarge,
}

/// The encoding that a response says it has. Servers write other things there, too (a charset, `none`,
/// the `aws-chunked` of an upload): what names no encoding says nothing of the body.
///
/// # Errors
/// It has one that was not offered, or more than one: whatever such a body holds could not be judged.
pub(super) fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Unoffered> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for element in text.split(',') {
            // Encodings have no parameters; one that is written with some is meant all the same.
            let name = element.split(';').next().unwrap_or_default().trim();
            let coding = match name {
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                other => match OTHERS.iter().find(|known| **known == other) {
                    Some(known) => return Err(Unoffered::Other(known)),
                    None => continue,
                },
            };
            if found.replace(coding).is_some() {
                return Err(Unoffered::Several);
            }
        }
    }
    Ok(found)
}

/// Takes out of the headers what is no longer true of a decoded body.
pub(super) fn forget(headers: &mut HeaderMap) {
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
}

impl Source {
    pub(super) fn plain(response: Awaited) -> Self {
        Self {
            pipe: Pipe::Plain(response),
            arrived: Arc::default(),
        }
    }

    /// Undoes `coding`. No more than `cap` bytes and some overhead are taken from the network.
    pub(super) fn coded(response: Awaited, coding: Coding, cap: u64) -> Self {
        let arrived: Arc<AtomicU64> = Arc::default();
        let counter = Arc::clone(&arrived);
        let most = cap.saturating_add(OVERHEAD);
        let pieces = stream::try_unfold(response, |mut response| async move {
            let piece = response.chunk().await.map_err(through)?;
            Ok::<_, io::Error>(piece.map(|piece| (piece, response)))
        });
        let counted = pieces.and_then(move |chunk| {
            let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let before = counter.fetch_add(size, Ordering::Relaxed);
            let fits = before.saturating_add(size) <= most;
            std::future::ready(if fits { Ok(chunk) } else { Err(oversized()) })
        });
        Self {
            pipe: Pipe::Coded(coding, decoder(coding, StreamReader::new(counted))),
            arrived,
        }
    }

    /// The next piece, or `None` at the end. `received` is what came out before it.
    pub(super) async fn next(&mut self, received: u64, cap: u64) -> Result<Option<Bytes>, Broken> {
        let piece = match &mut self.pipe {
            Pipe::Plain(response) => response.chunk().await?,
            Pipe::Coded(coding, reader) => read(*coding, reader, &self.arrived).await?,
        };
        let Some(piece) = piece else { return Ok(None) };
        let size = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let all = received.saturating_add(size);
        if all > cap || self.swells(all) {
            return Err(Broken::TooLarge);
        }
        Ok(Some(piece))
    }

    /// Whether so much came out of so little that it is meant to do harm.
    fn swells(&self, all: u64) -> bool {
        matches!(self.pipe, Pipe::Coded(..))
            && all > UNMEASURED
            && all / RATIO > self.arrived.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source(..)")
    }
}

fn decoder(
    coding: Coding,
    encoded: impl AsyncBufRead + Send + 'static,
) -> Pin<Box<dyn AsyncRead + Send>> {
    match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Coding::Deflate => Box::pin(ZlibDecoder::new(encoded)),
        Coding::Brotli => Box::pin(BrotliDecoder::new(encoded)),
        Coding::Zstd => {
            let window = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
            let mut decoder = ZstdDecoder::with_params(encoded, &window);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
    }
}

async fn read(
    coding: Coding,
    reader: &mut Pin<Box<dyn AsyncRead + Send>>,
    arrived: &AtomicU64,
) -> Result<Option<Bytes>, Broken> {
    let mut piece = BytesMut::with_capacity(PIECE);
    match reader.read_buf(&mut piece).await {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(piece.freeze())),
        // Nothing, encoded, is nothing: many servers say `gzip` of an empty body.
        Err(error) if arrived.load(Ordering::Relaxed) == 0 && is_decoders(&error) => Ok(None),
        Err(error) => Err(broken(coding, error)),
    }
}

/// Whether the decoder failed, and not what feeds it.
fn is_decoders(error: &io::Error) -> bool {
    let inner = error.get_ref();
    error.kind() != io::ErrorKind::TimedOut
        && !inner.is_some_and(|inner| inner.is::<hyper::Error>())
}

/// The error that says, through a decoder, why nothing more arrives.
fn through(broken: Broken) -> io::Error {
    match broken {
        Broken::Client(error) => io::Error::other(error),
        Broken::Late => io::Error::from(io::ErrorKind::TimedOut),
        Broken::TooLarge => oversized(),
        Broken::Coding(_, error) => error,
    }
}

/// The error that says, through a decoder, that too much came in.
fn oversized() -> io::Error {
    io::Error::from(io::ErrorKind::FileTooLarge)
}

fn broken(coding: Coding, error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::FileTooLarge => return Broken::TooLarge,
        io::ErrorKind::TimedOut => return Broken::Late,
        _ => {}
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => Broken::Client(error),
        Err(error) => Broken::Coding(coding, error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn n45_only_one_encoding_that_was_offered_is_undone() {
        let coding_of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            coding(&headers)
        };
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&["identity"], Ok(None)),
            (&["GZIP"], Ok(Some(Coding::Gzip))),
            (&["x-gzip"], Ok(Some(Coding::Gzip))),
            (&["identity, br"], Ok(Some(Coding::Brotli))),
            (&["deflate"], Ok(Some(Coding::Deflate))),
            (&["zstd"], Ok(Some(Coding::Zstd))),
            (&["gzip;q=1"], Ok(Some(Coding::Gzip))),
            (&["gzip, gzip"], Err(Unoffered::Several)),
            (&["gzip", "br"], Err(Unoffered::Several)),
            (&["compress"], Err(Unoffered::Other("compress"))),
            (&["utf-8, XZ"], Err(Unoffered::Other("xz"))),
            (&["aws-chunked"], Ok(None)),
            (&["aws-chunked,gzip"], Ok(Some(Coding::Gzip))),
            (&["utf-8"], Ok(None)),
            (&["none"], Ok(None)),
            (&["text/plain; charset=utf-8"], Ok(None)),
            (&[""], Ok(None)),
        ] {
            assert_eq!(coding_of(values), expected, "{values:?}");
        }
    }
}
