//! The acts on `wasi:filesystem`.

use toolhost_sdk::ToolError;
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DirectoryEntryStream, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags, filesystem_error_code,
};
use wasip2::io::streams::{OutputStream, StreamError};

/// What is open, and listings that are not read.
pub(super) struct Desk(Vec<Option<Descriptor>>, Vec<DirectoryEntryStream>);

type Did = Result<String, ErrorCode>;

impl Desk {
    pub(super) fn new() -> Self {
        let given = get_directories().into_iter().map(|(dir, _)| Some(dir));
        Self(given.collect(), Vec::new())
    }

    pub(super) fn all(mut self, acts: &[Vec<String>]) -> Result<Vec<String>, ToolError> {
        let mut said = Vec::new();
        for act in acts {
            let words: Vec<&str> = act.iter().map(String::as_str).collect();
            let did = self
                .one(&words)
                .ok_or_else(|| ToolError::invalid_arguments(format!("no such act: {act:?}")))?;
            said.push(did.unwrap_or_else(|code| code.name().to_owned()));
        }
        Ok(said)
    }

    fn one(&mut self, words: &[&str]) -> Option<Did> {
        match *words {
            ["open", dir, path, flags] => {
                let opened = self.open(dir, path, flags);
                let (fd, did) = match opened {
                    Ok(fd) => (Some(fd), Ok("ok".to_owned())),
                    Err(code) => (None, Err(code)),
                };
                self.0.push(fd);
                Some(did)
            }
            ["close", fd] => {
                *self.0.get_mut(number(fd))? = None;
                Some(Ok("ok".to_owned()))
            }
            ["size", fd, size] => Some(done(self.fd(fd).and_then(|fd| fd.set_size(long(size))))),
            ["read", fd, offset, length] => Some(self.fd(fd).and_then(|fd| {
                let (bytes, _) = fd.read(long(length), long(offset))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            })),
            ["stat", fd] => Some(self.fd(fd).and_then(|fd| {
                let stat = fd.stat()?;
                Ok(format!("{:?} {}", stat.type_, stat.size))
            })),
            ["times", fd, seconds, nanoseconds] => {
                let time = time(seconds, nanoseconds);
                Some(done(self.fd(fd).and_then(|fd| fd.set_times(time, time))))
            }
            ["write" | "stream" | "append" | "zeroes", ..] => self.write(words),
            ["list", dir] => Some(self.list(dir)),
            ["list-begin", dir] => {
                let listing = self.fd(dir).and_then(Descriptor::read_directory);
                Some(done(listing.map(|listing| self.1.push(listing))))
            }
            ["list-end"] => Some(done(self.1.pop().map(drop).ok_or(ErrorCode::BadDescriptor))),
            _ => self.at_path(words),
        }
    }

    fn write(&self, words: &[&str]) -> Option<Did> {
        Some(match *words {
            ["write", fd, offset, length] => done(self.fd(fd).and_then(|fd| {
                fd.write(&vec![b'x'; number(length)], long(offset))
                    .map(drop)
            })),
            ["stream", fd, offset, length] => done(
                self.fd(fd)
                    .and_then(|fd| pour(&fd.write_via_stream(long(offset))?, number(length))),
            ),
            ["append", fd, length] => done(
                self.fd(fd)
                    .and_then(|fd| pour(&fd.append_via_stream()?, number(length))),
            ),
            ["zeroes", fd, offset, length] => done(self.fd(fd).and_then(|fd| {
                let stream = fd.write_via_stream(long(offset))?;
                let poured = stream.blocking_write_zeroes_and_flush(long(length));
                poured.map_err(|error| met(&error))
            })),
            _ => return None,
        })
    }

    fn at_path(&self, words: &[&str]) -> Option<Did> {
        Some(match *words {
            ["mkdir", dir, path] => done(self.fd(dir).and_then(|d| d.create_directory_at(path))),
            ["unlink", dir, path] => done(self.fd(dir).and_then(|d| d.unlink_file_at(path))),
            ["rmdir", dir, path] => done(self.fd(dir).and_then(|d| d.remove_directory_at(path))),
            ["symlink", dir, target, path] => {
                done(self.fd(dir).and_then(|d| d.symlink_at(target, path)))
            }
            ["readlink", dir, path] => self.fd(dir).and_then(|d| d.readlink_at(path)),
            ["rename", dir, path, to, new] => done(self.fd(dir).and_then(|d| {
                let to = self.fd(to)?;
                d.rename_at(path, to, new)
            })),
            ["link", dir, path, to, new, flags] => done(self.fd(dir).and_then(|d| {
                let to = self.fd(to)?;
                d.link_at(following(flags), path, to, new)
            })),
            ["stat-at", dir, path, flags] => self.fd(dir).and_then(|d| {
                let stat = d.stat_at(following(flags), path)?;
                Ok(format!("{:?} {}", stat.type_, stat.size))
            }),
            ["hash-at", dir, path, flags] => done(
                self.fd(dir)
                    .and_then(|d| d.metadata_hash_at(following(flags), path).map(drop)),
            ),
            ["times-at", dir, path, flags, seconds, nanoseconds] => {
                let time = time(seconds, nanoseconds);
                done(
                    self.fd(dir)
                        .and_then(|d| d.set_times_at(following(flags), path, time, time)),
                )
            }
            _ => return None,
        })
    }

    fn open(&self, dir: &str, path: &str, flags: &str) -> Result<Descriptor, ErrorCode> {
        let has = |flag: &str| flags.split(',').any(|one| one == flag);
        let mut open = OpenFlags::empty();
        open.set(OpenFlags::CREATE, has("create"));
        open.set(OpenFlags::EXCLUSIVE, has("exclusive"));
        open.set(OpenFlags::TRUNCATE, has("truncate"));
        open.set(OpenFlags::DIRECTORY, has("directory"));
        let mut mode = DescriptorFlags::empty();
        mode.set(DescriptorFlags::READ, has("read"));
        mode.set(DescriptorFlags::WRITE, has("write"));
        mode.set(DescriptorFlags::MUTATE_DIRECTORY, has("mutate"));
        self.fd(dir)?.open_at(following(flags), path, open, mode)
    }

    fn list(&self, dir: &str) -> Did {
        let entries = self.fd(dir)?.read_directory()?;
        let mut names = Vec::new();
        while let Some(entry) = entries.read_directory_entry()? {
            names.push(entry.name);
        }
        names.sort();
        Ok(names.join(" "))
    }

    fn fd(&self, fd: &str) -> Result<&Descriptor, ErrorCode> {
        let fd = self.0.get(number(fd)).and_then(Option::as_ref);
        fd.ok_or(ErrorCode::BadDescriptor)
    }
}

fn pour(stream: &OutputStream, mut length: usize) -> Result<(), ErrorCode> {
    while length > 0 {
        let piece = length.min(4096);
        stream
            .blocking_write_and_flush(&vec![b'x'; piece])
            .map_err(|error| met(&error))?;
        length -= piece;
    }
    Ok(())
}

/// The code that the host keeps for an error of a stream.
fn met(error: &StreamError) -> ErrorCode {
    match error {
        StreamError::LastOperationFailed(error) => {
            filesystem_error_code(error).unwrap_or(ErrorCode::Io)
        }
        StreamError::Closed => ErrorCode::Pipe,
    }
}

fn done(result: Result<(), ErrorCode>) -> Did {
    result.map(|()| "ok".to_owned())
}

fn following(flags: &str) -> PathFlags {
    if flags.split(',').any(|flag| flag == "follow") {
        PathFlags::SYMLINK_FOLLOW
    } else {
        PathFlags::empty()
    }
}

fn time(seconds: &str, nanoseconds: &str) -> NewTimestamp {
    NewTimestamp::Timestamp(Datetime {
        seconds: long(seconds),
        nanoseconds: u32::try_from(long(nanoseconds)).unwrap_or(u32::MAX),
    })
}

fn long(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_default()
}
