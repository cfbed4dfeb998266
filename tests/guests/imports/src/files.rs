//! Directories and files, and the errors of their streams. The guest has one directory.

use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, NewTimestamp, OpenFlags, PathFlags, filesystem_error_code,
};
use crate::bindings::wasi::http::types::http_error_code;
use crate::bindings::wasi::io::streams::StreamError;
use crate::note;

pub(crate) fn ask(all: &mut Vec<String>) {
    let given = preopens::get_directories();
    let paths: Vec<&str> = given.iter().map(|(_, path)| path.as_str()).collect();
    all.push(format!("{paths:?}"));
    let Some((root, _)) = given.first() else {
        return;
    };
    let none = PathFlags::empty();
    let new = OpenFlags::CREATE;
    let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let Ok(file) = root.open_at(none, "new", new, both) else {
        all.push("the directory cannot be written".to_owned());
        return;
    };
    note!(
        all,
        file.write(b"hello, world", 0),
        file.read(5, 7),
        file.read(100, 0),
        file.set_size(11),
        file.advise(0, 11, Advice::Sequential),
        file.set_times(NewTimestamp::NoChange, NewTimestamp::Now),
        file.sync_data(),
        file.sync(),
        file.get_flags(),
        file.get_type(),
        file.stat(),
        file.metadata_hash(),
        file.is_same_object(&file),
        file.is_same_object(root),
        file.read_directory().map(drop),
        root.open_at(none, "absent", OpenFlags::empty(), both)
            .map(drop),
        root.create_directory_at("sub"),
        root.create_directory_at("sub"),
        root.stat_at(none, "there"),
        root.stat_at(none, "sub"),
        root.metadata_hash_at(none, "sub"),
        root.set_times_at(none, "new", NewTimestamp::Now, NewTimestamp::NoChange),
        root.link_at(none, "new", root, "also"),
        root.symlink_at("new", "link"),
        root.readlink_at("link"),
        root.rename_at("also", root, "sub/moved"),
    );
    streams(all, root, &file);
    listing(all, root);
    note!(
        all,
        root.unlink_file_at("sub/moved"),
        root.unlink_file_at("link"),
        root.remove_directory_at("sub"),
        root.remove_directory_at("sub"),
    );
}

fn listing(all: &mut Vec<String>, root: &Descriptor) {
    let listing = match root.read_directory() {
        Ok(listing) => listing,
        Err(error) => {
            all.push(format!("{error:?}"));
            return;
        }
    };
    loop {
        let entry = listing.read_directory_entry();
        all.push(format!("{entry:?}"));
        if !matches!(entry, Ok(Some(_))) {
            return;
        }
    }
}

fn streams(all: &mut Vec<String>, root: &Descriptor, file: &Descriptor) {
    if let Ok(writer) = file.write_via_stream(0) {
        note!(
            all,
            writer.check_write(),
            writer.write(b"HELLO"),
            writer.subscribe().block(),
            writer.blocking_flush(),
        );
    }
    if let Ok(writer) = file.append_via_stream() {
        note!(all, writer.blocking_write_and_flush(b"!"));
    }
    if let (Ok(reader), Ok(writer)) = (file.read_via_stream(0), file.append_via_stream()) {
        note!(
            all,
            reader.read(3),
            reader.subscribe().block(),
            reader.read(3)
        );
        note!(
            all,
            reader.blocking_skip(2),
            writer.blocking_splice(&reader, 4)
        );
        note!(all, writer.splice(&reader, 2), reader.blocking_read(100));
    }
    // It may only be written.
    let closed = root.open_at(
        PathFlags::empty(),
        "new",
        OpenFlags::empty(),
        DescriptorFlags::WRITE,
    );
    let Ok(reader) = closed.and_then(|closed| closed.read_via_stream(0)) else {
        return;
    };
    if let Err(StreamError::LastOperationFailed(error)) = reader.blocking_read(1) {
        note!(
            all,
            error.to_debug_string(),
            filesystem_error_code(&error),
            http_error_code(&error),
        );
    }
}
