//! Lines of a segment of any size, one at a time, in bounded memory. It does not know what stands in them.

use std::io::{self, BufRead};

use super::chain::LINE_MAX;

/// Reads line by line and says where each begins.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    offset: u64,
    buffer: Vec<u8>,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole line, without its line break.
    Line(&'a [u8]),
    /// Bytes at the end of the file without a line break: so many.
    Torn(usize),
    /// More bytes without a line break than a line may have.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line and the offset of its first byte; `None` at the end. After `Torn` or `TooLong`
    /// there is nothing to go on with.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Found<'_>)>> {
        self.buffer.clear();
        let limit = u64::try_from(LINE_MAX + 1).unwrap_or(u64::MAX);
        let read = io::Read::take(&mut self.reader, limit).read_until(b'\n', &mut self.buffer)?;
        let begin = self.offset;
        self.offset += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(match self.buffer.strip_suffix(b"\n") {
            _ if read == 0 => None,
            Some(line) => Some((begin, Found::Line(line))),
            None if read > LINE_MAX => Some((begin, Found::TooLong)),
            None => Some((begin, Found::Torn(read))),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_come_with_their_offsets() {
        let mut lines = Lines::new(&b"ab\n\ncd"[..]);
        assert_eq!(lines.next().unwrap(), Some((0, Found::Line(b"ab"))));
        assert_eq!(lines.next().unwrap(), Some((3, Found::Line(b""))));
        assert_eq!(lines.next().unwrap(), Some((4, Found::Torn(2))));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let full = [vec![b'x'; LINE_MAX], vec![b'\n']].concat();
        let mut lines = Lines::new(&full[..]);
        assert!(matches!(lines.next().unwrap(), Some((0, Found::Line(l))) if l.len() == LINE_MAX));
        let endless = vec![b'x'; LINE_MAX + 1];
        assert_eq!(
            Lines::new(&endless[..]).next().unwrap(),
            Some((0, Found::TooLong))
        );
    }
}
