//! Bytes cut where lines end, for whoever passes lines on. A line that is too long comes in parts, so
//! that it need not be held.
//!
//! It does not know what a line says.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Room for one read, in bytes.
const READ: usize = 16 << 10;

/// What was read.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// A line, with its end.
    Line(BytesMut),
    /// A part of a line that is too long, or that never came to its end.
    Part(BytesMut),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Line(bytes) | Self::Part(bytes) => bytes,
        }
    }
}

/// The lines of a reader.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    reader: R,
    bytes: BytesMut,
    /// Bytes that hold no end of line.
    scanned: usize,
    longest: usize,
    /// The line that is coming was begun in a part.
    is_part: bool,
}

impl<R: AsyncRead + Unpin> Pieces<R> {
    /// Lines of at most `longest` bytes come whole.
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self {
            reader,
            bytes: BytesMut::new(),
            scanned: 0,
            longest,
            is_part: false,
        }
    }

    /// The next piece; `None` at the end. May be given up and asked again.
    pub(super) async fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let fresh = self.bytes.get(self.scanned..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', fresh) {
                let line = self.bytes.split_to(self.scanned + end + 1);
                self.scanned = 0;
                return Ok(Some(match std::mem::take(&mut self.is_part) {
                    true => Piece::Part(line),
                    false => Piece::Line(line),
                }));
            }
            self.scanned = self.bytes.len();
            self.is_part |= self.scanned > self.longest;
            if self.is_part && self.scanned > 0 {
                return Ok(Some(self.part()));
            }
            self.bytes.reserve(READ);
            if self.reader.read_buf(&mut self.bytes).await? == 0 {
                return Ok((!self.bytes.is_empty()).then(|| self.part()));
            }
        }
    }

    fn part(&mut self) -> Piece {
        self.scanned = 0;
        Piece::Part(self.bytes.split())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    async fn all(text: &str, longest: usize) -> Vec<(bool, String)> {
        let mut pieces = Pieces::new(text.as_bytes(), longest);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await.unwrap() {
            let is_line = matches!(piece, Piece::Line(_));
            all.push((is_line, String::from_utf8(piece.bytes().to_vec()).unwrap()));
        }
        all
    }

    #[tokio::test]
    async fn lines_come_whole_and_the_rest_in_parts() {
        let line = |text: &str| (true, text.to_owned());
        let part = |text: &str| (false, text.to_owned());
        assert_eq!(
            all("a\n\nb\n", 10).await,
            [line("a\n"), line("\n"), line("b\n")]
        );
        assert_eq!(all("a\nb", 10).await, [line("a\n"), part("b")]);
        assert_eq!(all("", 10).await, []);

        // Longer than one read, so that it is seen to be too long before it ends.
        let long = "x".repeat(3 * READ);
        let mut pieces = all(&format!("{long}\nb\n"), READ).await;
        assert_eq!(pieces.pop(), Some(line("b\n")));
        assert!(
            pieces.iter().all(|(is_line, _)| !is_line),
            "{}",
            pieces.len()
        );
        let whole: String = pieces.into_iter().map(|(_, text)| text).collect();
        assert_eq!(whole, format!("{long}\n"));
    }
}
