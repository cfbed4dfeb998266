//! The words of `wasi:filesystem` 0.3 in those of 0.2, which the file workers know, and back.

use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as old;
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types as new;
use wasmtime_wasi::p3::filesystem::FilesystemError;

/// An error as a guest of 0.3 is told it.
pub(super) fn told(error: FsError) -> FilesystemError {
    match error.downcast() {
        Ok(code) => told_code(code).into(),
        Err(trap) => FilesystemError::trap(trap),
    }
}

/// The same names for the same things.
macro_rules! same {
    ($value:expr, $from:path, $to:path, [$($name:ident),* $(,)?], $($rest:tt)*) => {{
        use $from as from;
        use $to as to;
        match $value {
            $(from::$name => to::$name,)*
            $($rest)*
        }
    }};
}

pub(super) fn told_code(code: old::ErrorCode) -> new::ErrorCode {
    same!(
        code,
        old::ErrorCode,
        new::ErrorCode,
        [
            Access, Already, BadDescriptor, Busy, Deadlock, Quota, Exist, FileTooLarge,
            IllegalByteSequence, InProgress, Interrupted, Invalid, Io, IsDirectory, Loop,
            TooManyLinks, MessageSize, NameTooLong, NoDevice, NoEntry, NoLock, InsufficientMemory,
            InsufficientSpace, NotDirectory, NotEmpty, NotRecoverable, Unsupported, NoTty,
            NoSuchDevice, Overflow, NotPermitted, Pipe, ReadOnly, InvalidSeek, TextFileBusy,
            CrossDevice,
        ],
        old::ErrorCode::WouldBlock => new::ErrorCode::Other(Some("would block".to_owned())),
    )
}

pub(super) fn old_advice(advice: new::Advice) -> old::Advice {
    same!(
        advice,
        new::Advice,
        old::Advice,
        [Normal, Sequential, Random, WillNeed, DontNeed, NoReuse],
    )
}

pub(super) fn told_type(kind: old::DescriptorType) -> new::DescriptorType {
    same!(
        kind,
        old::DescriptorType,
        new::DescriptorType,
        [BlockDevice, CharacterDevice, Directory, Fifo, SymbolicLink, RegularFile, Socket],
        old::DescriptorType::Unknown => new::DescriptorType::Other(None),
    )
}

/// Each flag of one set as the flag of the same name of another.
macro_rules! flags {
    ($value:expr, $from:path, $to:path, [$($name:ident),*]) => {{
        use $from as From;
        use $to as To;
        let mut all = To::empty();
        $(if $value.contains(From::$name) {
            all |= To::$name;
        })*
        all
    }};
}

pub(super) fn old_path(flags: new::PathFlags) -> old::PathFlags {
    flags!(flags, new::PathFlags, old::PathFlags, [SYMLINK_FOLLOW])
}

pub(super) fn old_open(flags: new::OpenFlags) -> old::OpenFlags {
    flags!(
        flags,
        new::OpenFlags,
        old::OpenFlags,
        [CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE]
    )
}

pub(super) fn old_flags(flags: new::DescriptorFlags) -> old::DescriptorFlags {
    flags!(
        flags,
        new::DescriptorFlags,
        old::DescriptorFlags,
        [
            READ,
            WRITE,
            FILE_INTEGRITY_SYNC,
            DATA_INTEGRITY_SYNC,
            REQUESTED_WRITE_SYNC,
            MUTATE_DIRECTORY
        ]
    )
}

pub(super) fn told_flags(flags: old::DescriptorFlags) -> new::DescriptorFlags {
    flags!(
        flags,
        old::DescriptorFlags,
        new::DescriptorFlags,
        [
            READ,
            WRITE,
            FILE_INTEGRITY_SYNC,
            DATA_INTEGRITY_SYNC,
            REQUESTED_WRITE_SYNC,
            MUTATE_DIRECTORY
        ]
    )
}

/// A time before 1970 cannot be said in 0.2.
pub(super) fn old_time(time: new::NewTimestamp) -> Result<old::NewTimestamp, new::ErrorCode> {
    Ok(match time {
        new::NewTimestamp::NoChange => old::NewTimestamp::NoChange,
        new::NewTimestamp::Now => old::NewTimestamp::Now,
        new::NewTimestamp::Timestamp(time) => old::NewTimestamp::Timestamp(Datetime {
            seconds: u64::try_from(time.seconds).map_err(|_| new::ErrorCode::Overflow)?,
            nanoseconds: time.nanoseconds,
        }),
    })
}

pub(super) fn told_stat(stat: old::DescriptorStat) -> new::DescriptorStat {
    let time = |time: Option<Datetime>| {
        let time = time?;
        Some(Instant {
            seconds: i64::try_from(time.seconds).ok()?,
            nanoseconds: time.nanoseconds,
        })
    };
    new::DescriptorStat {
        type_: told_type(stat.type_),
        link_count: stat.link_count,
        size: stat.size,
        data_access_timestamp: time(stat.data_access_timestamp),
        data_modification_timestamp: time(stat.data_modification_timestamp),
        status_change_timestamp: time(stat.status_change_timestamp),
    }
}

pub(super) fn told_entry(entry: old::DirectoryEntry) -> new::DirectoryEntry {
    new::DirectoryEntry {
        type_: told_type(entry.type_),
        name: entry.name,
    }
}
