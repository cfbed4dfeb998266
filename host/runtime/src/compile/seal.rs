//! The seal of compiled components: a key that lies in the cache's folder, and what it says of a
//! file. A file that was changed, cut off, or put under another's name does not have it.
//!
//! It knows nothing of components. Whoever can read the folder can make seals: the folder's mode
//! keeps others out, the seal finds what a disk, a backup or a slip of the hand did.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use blake3::{Hash, Hasher};

use super::cache::owned;
use super::create_once;

/// What stands at the end of a sealed file, in bytes.
pub(super) const LENGTH: usize = 32;

const KEY_FILE: &str = "seal.key";

/// The key of one folder.
#[derive(Clone)]
pub(super) struct Seal([u8; LENGTH]);

impl Seal {
    /// The folder's key, made where there is none. One that is damaged, or that others could read,
    /// is replaced: what was sealed with it is compiled anew.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(KEY_FILE);
        if let Some(key) = read_key(&path) {
            return Ok(Self(key));
        }
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let mut key = [0; LENGTH];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        match create_once::create(&path, &key) {
            Ok(()) => Ok(Self(key)),
            Err(error) => read_key(&path).map(Self).ok_or(error),
        }
    }

    /// Writes the seal of all that `file` holds to its end. `name` is part of it.
    pub(super) fn put(&self, name: &str, file: &mut File) -> io::Result<()> {
        let length = file.metadata()?.len();
        let seal = self.of(name, file, length)?;
        file.write_all(seal.as_bytes())
    }

    /// Whether a file under this name ends with its seal.
    pub(super) fn holds(&self, name: &str, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let sealed = u64::try_from(LENGTH).unwrap_or(u64::MAX);
        let Some(length) = file.metadata()?.len().checked_sub(sealed) else {
            return Ok(false);
        };
        let seal = self.of(name, &mut file, length)?;
        let mut said = [0; LENGTH];
        file.read_exact(&mut said)?;
        Ok(seal == Hash::from_bytes(said))
    }

    /// The seal of `length` bytes from the beginning. Every start reads every compiled component, so
    /// the hash is the fastest with a key.
    fn of(&self, name: &str, file: &mut File, length: u64) -> io::Result<Hash> {
        let mut seal = Hasher::new_keyed(&self.0);
        // Names have one form and one length each; the zero ends them all the same.
        seal.update(name.as_bytes());
        seal.update(&[0]);
        io::Seek::rewind(file)?;
        seal.update_reader(file.take(length))?;
        Ok(seal.finalize())
    }
}

fn read_key(path: &Path) -> Option<[u8; LENGTH]> {
    owned(path).ok()?;
    let secret = std::fs::symlink_metadata(path).ok()?.mode() & 0o077 == 0;
    let bytes = std::fs::read(path).ok()?;
    bytes.try_into().ok().filter(|_| secret)
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}
