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
    let (root, _) = given.first().expect("the guest has a directory");
    let none = PathFlags::empty();
    let new = OpenFlags::CREATE;
    let both = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = root.open_at(none, "new", new, both);
    let file = file.expect("the directory can be written");
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
    let listing = root.read_directory().expect("a listing");
    while let Some(entry) = listing.read_directory_entry().expect("an entry or the end") {
        all.push(format!("{entry:?}"));
    }
}

fn streams(all: &mut Vec<String>, root: &Descriptor, file: &Descriptor) {
    let writer = file.write_via_stream(0).expect("a stream");
    note!(
        all,
        writer.check_write(),
        writer.write(b"HELLO"),
        writer.subscribe().block(),
        writer.blocking_flush(),
    );
    drop(writer);
    let writer = file.append_via_stream().expect("a stream");
    note!(all, writer.blocking_write_and_flush(b"!"));
    drop(writer);
    let reader = file.read_via_stream(0).expect("a stream");
    let writer = file.append_via_stream().expect("a stream");
    note!(
        all,
        reader.read(3),
        reader.subscribe().block(),
        reader.read(3),
        reader.blocking_skip(2),
        writer.blocking_splice(&reader, 4),
        writer.splice(&reader, 2),
        reader.blocking_read(100),
    );
    drop((reader, writer));
    // It may only be written.
    let closed = root.open_at(
        PathFlags::empty(),
        "new",
        OpenFlags::empty(),
        DescriptorFlags::WRITE,
    );
    let closed = closed.expect("a file to write");
    let reader = closed.read_via_stream(0).expect("a stream that fails");
    let Err(StreamError::LastOperationFailed(error)) = reader.blocking_read(1) else {
        panic!("it was read");
    };
    note!(
        all,
        error.to_debug_string(),
        filesystem_error_code(&error),
        http_error_code(&error),
    );
}
