//! `wasi:filesystem`.

use super::bindings::wasi::filesystem::preopens::get_directories;
use super::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use super::bindings::wit_stream;

fn said<E: std::fmt::Debug>(code: E) -> String {
    format!("{code:?}")
}

/// The directory that a path begins with, and the rest of the path.
fn find(path: &str) -> Result<(Descriptor, &str), String> {
    for (directory, name) in get_directories() {
        if let Some(rest) = path.strip_prefix(&name) {
            return Ok((directory, rest.trim_start_matches('/')));
        }
    }
    Err("no directory".to_owned())
}

async fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, String> {
    let (directory, rest) = find(path)?;
    let opened = directory.open_at(PathFlags::SYMLINK_FOLLOW, rest.to_owned(), how, flags);
    opened.await.map_err(said)
}

pub(crate) async fn read(path: String) -> Result<String, String> {
    let file = open(&path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (bytes, done) = file.read_via_stream(0);
    let bytes = bytes.collect().await;
    done.await.map_err(said)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) async fn write(path: String, text: String) -> Result<String, String> {
    let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file = open(&path, how, DescriptorFlags::WRITE).await?;
    let (mut writer, reader) = wit_stream::new::<u8>();
    let done = file.write_via_stream(reader, 0);
    writer.write_all(text.into_bytes()).await;
    drop(writer);
    done.await.map_err(said)?;
    let stat = file.stat().await.map_err(said)?;
    Ok(stat.size.to_string())
}

pub(crate) async fn list(path: String) -> Result<String, String> {
    let (directory, rest) = find(&path)?;
    let directory = if rest.is_empty() {
        directory
    } else {
        open(&path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await?
    };
    let (entries, done) = directory.read_directory();
    let mut names: Vec<_> = entries
        .collect()
        .await
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    done.await.map_err(said)?;
    names.sort();
    Ok(names.join(" "))
}

/// One file into another, without a byte passing through the guest.
pub(crate) async fn pipe(path: String, to: String) -> Result<String, String> {
    let from = open(&path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let to = open(&to, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (bytes, read) = from.read_via_stream(0);
    let written = to.append_via_stream(bytes).await;
    written.map_err(said)?;
    read.await.map_err(said)?;
    Ok(to.stat().await.map_err(said)?.size.to_string())
}
