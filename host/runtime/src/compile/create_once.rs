//! A file that is made once: of several processes that start together the first one's counts, and
//! nobody reads half of it.
//!
//! It knows nothing of what is in the file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes a file that only this user reads and writes: written whole beside its place, then linked
/// there.
///
/// # Errors
///
/// `AlreadyExists` where somebody was first; what the disk says otherwise.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    linked
}
