//! The folder that one case plays in: its directories before the call, and what became of them. It is
//! gone with the case.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use super::super::authoring::bounded;
use super::content::Content;
use super::file::Case;
use super::grants::{Granted, folder};
use super::judge::Difference;

/// What is looked at of all files after a call, in bytes.
const MOST: u64 = 256 << 20;

/// What is shown of a file or value that is another one, in bytes.
const SHOWN: usize = 4 << 10;

/// Content by path or key.
type Contents = BTreeMap<String, Vec<u8>>;

pub(super) struct Fixture {
    folder: TempDir,
    dirs: Vec<Dir>,
}

/// One directory that may be changed, or only read: either way it is compared afterwards.
struct Dir {
    guest: String,
    path: PathBuf,
    wanted: Contents,
}

impl Fixture {
    /// Makes the folders of all directories that the function has; those of the case have its files.
    pub(super) fn set(case: &Case, granted: &Granted) -> anyhow::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("toolhost-test-").tempdir();
        let temporary = temporary.context("cannot make a temporary folder")?;
        let mut dirs = Vec::new();
        for (at, grant) in granted.spec.grants.dir.iter().enumerate() {
            let path = temporary.path().join(folder(at));
            fs::create_dir_all(&path)?;
            let mut wanted = Contents::new();
            if let Some(dir) = case.dir.get(&grant.guest) {
                for (name, content) in &dir.files {
                    write(&path.join(name), content.bytes())?;
                }
                wanted = expected(&dir.files, &dir.after, &dir.gone);
            }
            let guest = grant.guest.clone();
            dirs.push(Dir {
                guest,
                path,
                wanted,
            });
        }
        Ok(Self {
            folder: temporary,
            dirs,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What in the directories is not as it has to be.
    pub(super) fn differences(&self) -> anyhow::Result<Vec<Difference>> {
        let (mut found, mut room) = (Vec::new(), MOST);
        for dir in &self.dirs {
            let mut there = Contents::new();
            collect(&dir.path, "", &mut there, &mut room)?;
            let name = |path: &str| format!("{}/{path}", dir.guest.trim_end_matches('/'));
            found.extend(compare(&dir.wanted, &there, name));
        }
        Ok(found)
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(cannot)?;
    fs::write(path, bytes).with_context(cannot)
}

/// What has to be there after a call: what was there, but for what is said.
pub(super) fn expected(
    before: &BTreeMap<String, Content>,
    after: &BTreeMap<String, Content>,
    gone: &[String],
) -> Contents {
    let all = before.iter().chain(after);
    let mut wanted: Contents = all
        .map(|(name, content)| (name.clone(), content.bytes().to_owned()))
        .collect();
    wanted.retain(|name, _| !gone.contains(name));
    wanted
}

/// What is not as it has to be. `name` is what to call an entry.
pub(super) fn compare(
    wanted: &Contents,
    there: &Contents,
    name: impl Fn(&str) -> String,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (key, bytes) in wanted {
        match there.get(key) {
            Some(got) if got == bytes => {}
            Some(got) => found.push(Difference::new(name(key), shown(bytes), shown(got))),
            None => found.push(Difference::new(name(key), shown(bytes), "nothing")),
        }
    }
    for (key, got) in there.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        found.push(Difference::new(name(key), "nothing", shown(got)));
    }
    found
}

fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() > SHOWN => {
            let begin = text
                .get(..text.floor_char_boundary(SHOWN))
                .unwrap_or_default();
            format!("{begin:?}... ({} bytes)", text.len())
        }
        Ok(text) => format!("{text:?}"),
        Err(_) => format!(
            "{} bytes ({}...)",
            bytes.len(),
            hex::encode(bytes.get(..16).unwrap_or(bytes))
        ),
    }
}

/// Every file below a folder, as far as there is room. Links are not followed: a guest may have made
/// them.
fn collect(folder: &Path, below: &str, found: &mut Contents, room: &mut u64) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found, room)?;
        } else if kind.is_file() {
            let bytes = bounded(&entry.path(), *room).with_context(|| {
                format!("the directories of the case hold more than {MOST} bytes after the call")
            })?;
            *room = room.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            found.insert(name, bytes);
        } else {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            found.insert(name, format!("a link to {}", target.display()).into_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn x60_what_a_guest_leaves_in_files_is_bounded_in_sum() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [("a", 600), ("b", 500)] {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(length).unwrap();
        }
        let collect = |mut room: u64| collect(folder.path(), "", &mut Contents::new(), &mut room);
        collect(1_100).unwrap();
        let error = format!("{:#}", collect(1_099).unwrap_err());
        assert!(error.contains("hold more than"), "{error}");
    }

    #[test]
    fn a_long_text_is_shown_by_its_begin() {
        let shown = shown("ä".repeat(10_000).as_bytes());
        assert!(shown.len() < 2 * SHOWN, "{}", shown.len());
        assert!(shown.ends_with("... (20000 bytes)"), "{shown}");
    }
}
