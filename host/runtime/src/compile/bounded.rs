//! The one way to read a file that somebody names: a regular file, opened without waiting for anybody,
//! whose size is looked at before anything of it is read.
//!
//! It does not know what is in the file, nor whose it is.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file, and says what was opened. To open a named pipe would be to wait for its other
/// end.
///
/// # Errors
///
/// It cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    regular(File::options().read(true).custom_flags(flags).open(path)?)
}

/// An open file, if it is a regular one.
///
/// # Errors
///
/// It is none.
pub fn regular(file: File) -> io::Result<(File, Metadata)> {
    let meta = file.metadata()?;
    match meta.is_file() {
        true => Ok((file, meta)),
        false => Err(io::Error::other("it is not a file")),
    }
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
///
/// It cannot be opened or read, is no regular file, or has more.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, most)
}

/// The same of a file that is open.
///
/// # Errors
///
/// It cannot be read, or has more.
pub fn read_open((file, meta): (File, Metadata), most: u64) -> io::Result<Vec<u8>> {
    let fits = |length: u64| match length <= most {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes"),
        )),
    };
    fits(meta.len())?;
    // At once and with room to see that it grew: nothing is moved in memory while it is read.
    let room = meta.len().saturating_add(1).min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    fits(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    Ok(bytes)
}

/// A text of at most `most` bytes.
///
/// # Errors
///
/// As [`read`], or it is no UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = read(path, most)?;
    // Without a mark it may be UTF-8, too; but no file of an operator's begins with a NUL.
    let text = match *bytes {
        [0, _, ..] | [_, 0, ..] => Err(NotUtf8::Wide),
        _ => utf8(bytes),
    };
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Why bytes are no text, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUtf8 {
    /// An editor of Windows wrote it, or a shell's redirection.
    #[error("it is UTF-16: save it as UTF-8")]
    Wide,
    /// Most likely a character of an older encoding.
    #[error(
        "line {line}, column {column}: the byte 0x{byte:02x} is not UTF-8 (in Latin-1 it is `{}`): save the file as UTF-8",
        char::from(*.byte)
    )]
    Byte {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What stands there.
        byte: u8,
    },
}

/// Bytes as a text.
///
/// # Errors
///
/// Where they are none, and in which encoding they may be one.
pub fn utf8(bytes: Vec<u8>) -> Result<String, NotUtf8> {
    String::from_utf8(bytes).map_err(|error| {
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = *error.as_bytes() {
            return NotUtf8::Wide;
        }
        let (before, rest) = error
            .as_bytes()
            .split_at_checked(error.utf8_error().valid_up_to())
            .unwrap_or_default();
        let before = String::from_utf8_lossy(before);
        let line = before.rsplit('\n').next().unwrap_or_default();
        NotUtf8::Byte {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            byte: rest.first().copied().unwrap_or_default(),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn x51_only_what_is_a_file_and_fits_is_read_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "12345678").unwrap();
        File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
        mkfifoat(CWD, at("pipe"), Mode::RUSR).unwrap();
        std::fs::write(at("bytes"), [0xff]).unwrap();
        assert_eq!(text(&at("file"), 8).unwrap(), "12345678");
        for (name, most, why) in [
            ("file", 7, "more than 7 bytes"),
            ("huge", 1 << 20, "more than 1048576 bytes"),
            ("pipe", 8, "not a file"),
            (".", 8, "not a file"),
            ("bytes", 8, "line 1, column 1: the byte 0xff is not UTF-8"),
        ] {
            let said = text(&at(name), most).unwrap_err().to_string();
            assert!(said.contains(why), "{name}: {said}");
        }
        let none = read(&at("none"), 8).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn g80_another_encoding_is_named_with_its_place() {
        assert_eq!(utf8(b"a\nb".to_vec()).as_deref(), Ok("a\nb"));
        let folder = tempfile::tempdir().unwrap();
        for bytes in [b"\xff\xfea\0", b"\xfe\xff\0a", b"a\0b\0", b"\0a\0b"] {
            std::fs::write(folder.path().join("wide"), bytes).unwrap();
            let said = text(&folder.path().join("wide"), 8).unwrap_err();
            assert_eq!(said.to_string(), "it is UTF-16: save it as UTF-8");
        }
        let latin = utf8(b"a = 1\n\xc3\xa4 = 'M\xfcller'\n".to_vec()).unwrap_err();
        assert_eq!(
            latin.to_string(),
            "line 2, column 7: the byte 0xfc is not UTF-8 (in Latin-1 it is `ü`): save the file as UTF-8"
        );
    }
}
