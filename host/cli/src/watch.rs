//! Files that are watched: who changes one, also by putting another in its place, is noticed.
//!
//! Not the files are watched but the folders that their names stand in, links on the way included: a
//! file that is replaced is another file, under the same name. It does not know what is in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::file_permissions;

/// How long nothing has to change before a change counts: editors write in several steps, and several
/// files are often written together.
const QUIET: Duration = Duration::from_millis(200);

/// How long a change is held back at the most.
const LONGEST: Duration = Duration::from_secs(2);

/// How often it is looked where names lead, while that changes under the eyes.
const TRIES: usize = 4;

/// Names that count.
type Names = Arc<Mutex<BTreeSet<PathBuf>>>;

/// Watched files.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    names: Names,
    folders: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        let (names, changed) = (Names::default(), Arc::new(Notify::new()));
        let (known, bell) = (names.clone(), changed.clone());
        let heard = move |event: notify::Result<Event>| {
            if matters(&event, &known) {
                bell.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(heard)
            .context("cannot watch files on this machine; serve without --watch and send SIGHUP")?;
        Ok(Self {
            watcher,
            names,
            folders: BTreeSet::new(),
            changed,
        })
    }

    /// Watches these files, and no others any more. What cannot be watched is said and left out.
    pub(super) fn keep(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let lead = || -> BTreeSet<PathBuf> {
            let names = files.iter().flat_map(|file| file_permissions::names(file));
            names.collect()
        };
        let mut names = lead();
        for _ in 0..TRIES {
            self.keep_names(names.clone());
            // What came to be before its folder was watched is not heard of.
            let now = lead();
            if now == names {
                return;
            }
            names = now;
        }
        // They lead somewhere else all the time: that is a change too.
        self.changed.notify_one();
    }

    fn keep_names(&mut self, names: BTreeSet<PathBuf>) {
        let folders: BTreeSet<PathBuf> = names
            .iter()
            .filter_map(|name| name.parent())
            .map(Path::to_owned)
            .collect();
        // Before the folders: what is heard from then on counts.
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        for folder in self.folders.difference(&folders) {
            // One that is gone is not watched any more anyway.
            let _ = self.watcher.unwatch(folder);
        }
        // Those that were watched too: another folder may stand there now.
        for folder in &folders {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "cannot watch a folder: changes in it are not noticed");
            }
        }
        self.folders = folders;
    }

    /// Waits until something changed and nothing does any more.
    pub(super) async fn changed(&self) {
        at_rest(&self.changed).await;
    }
}

/// Waits until the bell rang and does not ring any more; one that never rests is not waited for for
/// ever.
pub(super) async fn at_rest(bell: &Notify) {
    bell.notified().await;
    let more = async {
        let still = || timeout(QUIET, bell.notified());
        while still().await.is_ok() {}
    };
    let _ = timeout(LONGEST, more).await;
}

/// Whether something may be another than before. Whoever reads changes nothing.
fn matters(event: &notify::Result<Event>, names: &Names) -> bool {
    match event {
        Ok(event) if event.need_rescan() => true,
        Ok(event) => {
            let names = names.lock().unwrap_or_else(PoisonError::into_inner);
            !event.kind.is_access() && event.paths.iter().any(|path| names.contains(path))
        }
        Err(error) => {
            tracing::warn!(%error, "watching files failed; everything is loaded anew");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::symlink;

    use super::*;

    /// A watched file in a folder of its own, behind a link as mounted configuration is.
    struct Scene {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for version in ["one", "two"] {
                std::fs::create_dir(path(version)).unwrap();
                std::fs::write(path(version).join("file"), version).unwrap();
            }
            symlink("one", path("data")).unwrap();
            let mut watch = Watch::new().unwrap();
            watch.keep([path("data/file")]);
            Self { folder, watch }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Whether a change is noticed; a long time is only waited for what has to come.
        async fn notices(&self, change: impl FnOnce()) {
            change();
            let noticed = tokio::time::timeout(Duration::from_secs(30), self.watch.changed());
            noticed.await.expect("it was not noticed");
        }
    }

    #[tokio::test]
    async fn a_file_is_watched_however_it_is_changed() {
        let mut scene = Scene::new();
        let file = scene.path("data/file");
        scene
            .notices(|| std::fs::write(&file, "new").unwrap())
            .await;
        std::fs::write(scene.path("beside"), "renamed").unwrap();
        scene
            .notices(|| std::fs::rename(scene.path("beside"), &file).unwrap())
            .await;
        scene.notices(|| std::fs::remove_file(&file).unwrap()).await;
        scene
            .notices(|| std::fs::write(&file, "again").unwrap())
            .await;
        // The link to its folder is exchanged.
        symlink("two", scene.path("data.new")).unwrap();
        scene
            .notices(|| std::fs::rename(scene.path("data.new"), scene.path("data")).unwrap())
            .await;
        scene.watch.keep([file.clone()]);
        scene
            .notices(|| std::fs::write(&file, "newer").unwrap())
            .await;
        // The folder is taken away and comes back.
        scene
            .notices(|| std::fs::rename(scene.path("two"), scene.path("three")).unwrap())
            .await;
        scene.watch.keep([file.clone()]);
        scene
            .notices(|| std::fs::rename(scene.path("three"), scene.path("two")).unwrap())
            .await;
    }

    #[tokio::test]
    async fn what_lies_beside_and_whoever_reads_is_not_noticed() {
        let scene = Scene::new();
        std::fs::write(scene.path("one/other"), "x").unwrap();
        std::fs::read(scene.path("data/file")).unwrap();
        // Heard after both: had one of them counted, the bell would have rung before.
        let bell = scene.watch.changed.clone();
        let names = scene.watch.names.clone();
        let events = |path: PathBuf| Ok(Event::new(notify::EventKind::Any).add_path(path));
        assert!(!matters(&events(scene.path("one/other")), &names));
        assert!(matters(&events(scene.path("one/file")), &names));
        assert!(matters(&events(scene.path("data")), &names));
        let read = notify::event::AccessKind::Read;
        let read = Event::new(notify::EventKind::Access(read)).add_path(scene.path("one/file"));
        assert!(!matters(&Ok(read), &names));
        drop(bell);
    }
}
