//! `build --watch`: builds, and builds anew whenever a source is another than before.
//!
//! It knows what lies in a folder, and nothing of what it means.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::super::Setting;
use super::super::table::{bold, red};
use super::super::watch::at_rest;
use super::build::once;

/// The most files that are looked at: beyond it this is no tool's folder.
const MOST_FILES: usize = 20_000;
/// Folders that builds fill.
const FILLED: [&str; 4] = ["target", "node_modules", "__pycache__", "dist"];
/// Files that builds write.
const WRITTEN: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Builds until it is stopped.
pub(super) async fn watch(setting: &Setting, folder: &Path) -> anyhow::Result<ExitCode> {
    let folder = std::fs::canonicalize(folder)
        .with_context(|| format!("cannot open the folder {}", folder.display()))?;
    let mut sources = Sources::new(&folder)?;
    let rounds = async {
        loop {
            // Before they are read: what changes from here on is heard.
            sources.listen();
            let before = sources.digest()?;
            if let Err(error) = once(setting, &folder).await {
                tell!("{} {error:#}", red("not built:"));
            }
            tell!("{} {} (Ctrl-C ends it)", bold("watching"), folder.display());
            loop {
                sources.heard().await;
                if sources.digest()? != before {
                    break;
                }
            }
            tell!("\n{}", bold("changed"));
        }
    };
    tokio::select! {
        ended = rounds => ended,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The sources of a project.
struct Sources<'a> {
    folder: &'a Path,
    watcher: RecommendedWatcher,
    bell: Arc<Notify>,
}

impl<'a> Sources<'a> {
    fn new(folder: &'a Path) -> anyhow::Result<Self> {
        let bell = Arc::new(Notify::new());
        let rung = bell.clone();
        let heard = move |event: notify::Result<Event>| {
            // Whoever reads changes nothing. What cannot be told counts: it is looked at then.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                rung.notify_one();
            }
        };
        Ok(Self {
            folder,
            watcher: notify::recommended_watcher(heard)
                .context("cannot watch files on this machine; build without --watch")?,
            bell,
        })
    }

    /// Listens to every folder with sources, also to those that are new.
    fn listen(&mut self) {
        let mut folders = BTreeSet::from([self.folder.to_owned()]);
        let _ = walk(self.folder, &mut |path, is_folder| {
            if is_folder {
                folders.insert(path.to_owned());
            }
            Ok(())
        });
        for folder in folders {
            if let Err(error) = self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                let folder = folder.display();
                tell!("changes in {folder} are not noticed: it cannot be watched: {error}");
            }
        }
    }

    /// Waits for something to change, and for it to come to rest.
    async fn heard(&self) {
        at_rest(&self.bell).await;
    }

    /// What the sources are, in one number: files that were written with what they held are no
    /// change, and neither is what a build itself writes.
    fn digest(&self) -> anyhow::Result<blake3::Hash> {
        let mut files = Vec::new();
        walk(self.folder, &mut |path, is_folder| {
            if !is_folder {
                files.push(path.to_owned());
            }
            match files.len() > MOST_FILES {
                true => Err(io::Error::other(format!(
                    "there are more than {MOST_FILES} files: this is no tool's folder"
                ))),
                false => Ok(()),
            }
        })
        .with_context(|| format!("cannot look at {}", self.folder.display()))?;
        files.sort();
        let mut hasher = blake3::Hasher::new();
        for file in &files {
            hasher.update(file.as_os_str().as_encoded_bytes());
            // One that is gone by now will be heard of.
            let content = std::fs::read(file).unwrap_or_default();
            hasher.update(&content.len().to_le_bytes());
            hasher.update(&content);
        }
        Ok(hasher.finalize())
    }
}

/// Goes through what an author writes: not what is hidden, and not what builds make. Links are not
/// followed.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, bool) -> io::Result<()>) -> io::Result<()> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            // Gone since it was seen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let name = name.to_string_lossy();
            let ours = if kind.is_dir() {
                !FILLED.contains(&&*name)
            } else {
                kind.is_file() && !WRITTEN.contains(&&*name) && !name.ends_with(".wasm")
            };
            if !ours || name.starts_with('.') {
                continue;
            }
            visit(&entry.path(), kind.is_dir())?;
            if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_build_writes_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/deep/lib.rs", "fn a() {}");
        let sources = Sources::new(folder.path()).unwrap();
        let before = sources.digest().unwrap();
        for made in [
            "target/x",
            "a.wasm",
            ".toolhost/sdk/x",
            "Cargo.lock",
            "node_modules/x/y.js",
        ] {
            write(made, "made");
        }
        write("src/deep/lib.rs", "fn a() {}");
        assert_eq!(sources.digest().unwrap(), before);
        write("src/deep/lib.rs", "fn b() {}");
        let changed = sources.digest().unwrap();
        assert_ne!(changed, before);
        write("cases/new.toml", "");
        assert_ne!(sources.digest().unwrap(), changed);
    }

    #[tokio::test]
    async fn new_files_in_new_folders_are_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::new(folder.path()).unwrap();
        let patience = Duration::from_secs(30);
        sources.listen();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        tokio::time::timeout(patience, sources.heard())
            .await
            .unwrap();
        sources.listen();
        std::fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        tokio::time::timeout(patience, sources.heard())
            .await
            .unwrap();
    }
}
