//! What the program brings along for authors: templates, SDKs and the contract, taken from the
//! checkout that it was built from (`host/build.rs`).
//!
//! It writes files, and knows no language.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::start::private_folder;

/// Path from the root of the checkout, and text.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// A project's folder for what is not its own. It is an operator's state folder, too, where one runs
/// the host there.
pub(super) const FOLDER: &str = ".toolhost";
/// The SDK in it, laid out as the checkout is.
pub(super) const SDK: &str = "sdk";
/// Says which SDK it is.
const STAMP: &str = "written-by-toolhost";
/// Stands in a template for the name of the project.
const NAME: &str = "{{name}}";

/// The path of the SDK within a project, as its files name it.
pub(super) const SDK_PATH: &str = ".toolhost/sdk";

/// A file that is not a template's.
pub(super) fn file(name: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find_map(|(path, text)| (*path == name).then_some(*text))
}

/// The files of a template, with the project's name in them, by their path in the project.
pub(super) fn template(root: &str, name: &str) -> impl Iterator<Item = (PathBuf, String)> {
    FILES.iter().filter_map(move |(path, text)| {
        let path = path.strip_prefix(root)?.strip_prefix('/')?;
        // With its dot it would count for the template's own files, in the checkout.
        let path = match path {
            "gitignore" => ".gitignore".to_owned(),
            path => path.replace(NAME, name),
        };
        Some((path.into(), text.replace(NAME, name)))
    })
}

/// Writes the parts of the SDK that begin with one of `roots`, and `more` files, into a project,
/// unless it has just these. Gives the SDK's folder.
pub(super) fn bring_sdk(
    project: &Path,
    roots: &[&str],
    more: &[(&str, String)],
) -> anyhow::Result<PathBuf> {
    let folder = project.join(FOLDER);
    let sdk = folder.join(SDK);
    let cannot = || format!("cannot write the SDK to {}", sdk.display());
    let within = |path: &str| {
        let below = |root: &&str| {
            path.strip_prefix(*root)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        !path.contains("/template/") && roots.iter().any(|root| path == *root || below(root))
    };
    let ours = FILES.iter().filter(|(path, _)| within(path)).copied();
    let more = more.iter().map(|(path, text)| (*path, text.as_str()));
    let files: Vec<(&str, &str)> = ours.chain(more).collect();
    let stamp = stamp(&files);
    if fs::read_to_string(sdk.join(STAMP)).is_ok_and(|there| there == stamp) {
        return Ok(sdk);
    }
    private_folder(&folder)?;
    let beside = folder.join(format!("{SDK}.{}", std::process::id()));
    clear(&beside).with_context(cannot)?;
    for (path, text) in files.into_iter().chain([(STAMP, stamp.as_str())]) {
        write(&beside.join(path), text).with_context(cannot)?;
    }
    clear(&sdk).with_context(cannot)?;
    fs::rename(&beside, &sdk).with_context(cannot)?;
    Ok(sdk)
}

/// Writes a file, and the folders it is in.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn stamp(files: &[(&str, &str)]) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, text) in files {
        for part in [path, text] {
            hasher.update(&part.len().to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    format!(
        "The SDK of toolhost {} ({}).\n`toolhost build` writes it anew where it is another: what is changed here is lost.\n",
        env!("CARGO_PKG_VERSION"),
        hasher.finalize().to_hex()
    )
}
