//! The words of `wasi:filesystem` as plain data, both ways.

use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, DescriptorType, ErrorCode};

/// What there is, in the interface's order.
const KINDS: [DescriptorType; 8] = [
    DescriptorType::Unknown,
    DescriptorType::BlockDevice,
    DescriptorType::CharacterDevice,
    DescriptorType::Directory,
    DescriptorType::Fifo,
    DescriptorType::SymbolicLink,
    DescriptorType::RegularFile,
    DescriptorType::Socket,
];

/// How something may be open, bit by bit.
const FLAGS: [DescriptorFlags; 6] = [
    DescriptorFlags::READ,
    DescriptorFlags::WRITE,
    DescriptorFlags::FILE_INTEGRITY_SYNC,
    DescriptorFlags::DATA_INTEGRITY_SYNC,
    DescriptorFlags::REQUESTED_WRITE_SYNC,
    DescriptorFlags::MUTATE_DIRECTORY,
];

/// Every error.
const CODES: [ErrorCode; 37] = [
    ErrorCode::Access,
    ErrorCode::WouldBlock,
    ErrorCode::Already,
    ErrorCode::BadDescriptor,
    ErrorCode::Busy,
    ErrorCode::Deadlock,
    ErrorCode::Quota,
    ErrorCode::Exist,
    ErrorCode::FileTooLarge,
    ErrorCode::IllegalByteSequence,
    ErrorCode::InProgress,
    ErrorCode::Interrupted,
    ErrorCode::Invalid,
    ErrorCode::Io,
    ErrorCode::IsDirectory,
    ErrorCode::Loop,
    ErrorCode::TooManyLinks,
    ErrorCode::MessageSize,
    ErrorCode::NameTooLong,
    ErrorCode::NoDevice,
    ErrorCode::NoEntry,
    ErrorCode::NoLock,
    ErrorCode::InsufficientMemory,
    ErrorCode::InsufficientSpace,
    ErrorCode::NotDirectory,
    ErrorCode::NotEmpty,
    ErrorCode::NotRecoverable,
    ErrorCode::Unsupported,
    ErrorCode::NoTty,
    ErrorCode::NoSuchDevice,
    ErrorCode::Overflow,
    ErrorCode::NotPermitted,
    ErrorCode::Pipe,
    ErrorCode::ReadOnly,
    ErrorCode::InvalidSeek,
    ErrorCode::TextFileBusy,
    ErrorCode::CrossDevice,
];

/// The place of a kind in the interface's order.
pub(super) fn kind(kind: DescriptorType) -> u8 {
    let place = KINDS.iter().position(|known| *known == kind);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(0)
}

/// The kind at a place, if there is one.
pub(super) fn kind_of(place: u8) -> Option<DescriptorType> {
    KINDS.get(usize::from(place)).copied()
}

/// Flags, bit by bit.
pub(super) fn bits(flags: DescriptorFlags) -> u8 {
    let set = FLAGS
        .iter()
        .enumerate()
        .filter(|(_, flag)| flags.contains(**flag));
    set.fold(0, |bits, (place, _)| bits | 1 << place)
}

/// The flags of such bits.
pub(super) fn flags(bits: u8) -> DescriptorFlags {
    let set = FLAGS
        .iter()
        .enumerate()
        .filter(|(place, _)| bits & 1 << place != 0);
    set.fold(DescriptorFlags::empty(), |flags, (_, flag)| flags | *flag)
}

/// The error of a word, if there is one.
pub(super) fn code_of(word: &str) -> Option<ErrorCode> {
    CODES.iter().copied().find(|code| code.name() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_both_ways() {
        for code in CODES {
            assert_eq!(code_of(code.name()), Some(code));
        }
        for place in 0..8 {
            assert_eq!(kind_of(place).map(kind), Some(place));
        }
        assert_eq!(kind_of(8), None);
        for set in 0..64 {
            assert_eq!(bits(flags(set)), set);
        }
        assert_eq!(code_of("fine"), None);
    }
}
