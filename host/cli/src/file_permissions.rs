//! The operators' ground: what decides what tools may do, and what records it, is nobody else's to
//! change, nor, where it is secret, to read. Not the file alone counts: whoever can write a folder
//! on the way to it can put another file in its place.
//!
//! It does not know what stands in the files. The paths alone, as they are written, were judged when the
//! manifest was read (`manifest::shelter`), so that `check` can point at the line.

mod claims;
mod opened;

pub(super) use opened::FilePermissions;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::capability::dir::Tree;

/// How many links one path may lead through: as many as Linux follows.
const LINKS: usize = 40;

/// Permission to write: of the group, and of everybody else.
const WRITE: u32 = 0o022;
const GROUP_WRITE: u32 = 0o020;
/// In such a folder only its owner, and a file's own, can take the file away.
const STICKY: u32 = 0o1000;

/// Something that is the operator's.
#[derive(Debug)]
pub(super) struct Kept {
    /// What to call it: "the manifest".
    pub(super) what: String,
    /// Where it is, from the root.
    pub(super) path: PathBuf,
    /// The permissions that nobody else may have.
    pub(super) closed: u32,
    /// Whether no tool may read it either, nor what lies in it.
    pub(super) secret: bool,
    /// Whether it is held against other users too, and not against tools alone.
    pub(super) guarded: bool,
}

impl Kept {
    /// What others may read, but not change.
    pub(super) fn unchanged(what: impl Into<String>, path: PathBuf) -> Self {
        Self {
            what: what.into(),
            path,
            closed: WRITE,
            secret: false,
            guarded: true,
        }
    }

    /// What no tool may change. What other users may do to it is known in another way.
    pub(super) fn pinned(what: impl Into<String>, path: PathBuf) -> Self {
        Self {
            guarded: false,
            ..Self::unchanged(what, path)
        }
    }

    /// What others may read where its own room lets them, but no tool.
    pub(super) fn secret(what: impl Into<String>, path: PathBuf) -> Self {
        Self {
            secret: true,
            ..Self::unchanged(what, path)
        }
    }

    /// What is nobody else's in any way.
    pub(super) fn private(what: impl Into<String>, path: PathBuf) -> Self {
        Self {
            closed: 0o077,
            ..Self::secret(what, path)
        }
    }
}

/// A folder that a tool is granted.
#[derive(Debug)]
pub(super) struct Given {
    /// What to call it: "`notes` of the tool `files`".
    pub(super) what: String,
    /// Where it is, from the root.
    pub(super) path: PathBuf,
    /// Whether the tool may change what is in it.
    pub(super) writable: bool,
    /// The sections that have it, each with a number of its own: what one guest sees at once.
    pub(super) sections: Vec<usize>,
}

/// Whose ground it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// The user that the host runs under.
    pub(super) user: u32,
    /// Its group: where the host says `dev`, it is one with the user.
    pub(super) group: Option<u32>,
}

impl Owner {
    fn trusts(self, metadata: &Metadata) -> bool {
        [0, self.user].contains(&metadata.uid())
    }

    /// Those of `bits` that somebody else has.
    fn open(self, metadata: &Metadata, bits: u32) -> u32 {
        let own_group = self.group == Some(metadata.gid());
        let but = if own_group { GROUP_WRITE } else { 0 };
        metadata.mode() & bits & !but
    }
}

/// Everything that is wrong with the ground; each says what to do.
pub(super) fn inspect(kept: &[Kept], given: &[Given], owner: Owner) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut kept_ways = Vec::new();
    for one in kept {
        match Way::to(&one.path) {
            Ok(way) => {
                let mut steps = way.trail.iter().filter(|_| one.guarded);
                let swapped = |step| owner.swapped(&one.what, &one.path, step);
                wrong.extend(steps.clone().filter_map(swapped));
                wrong.extend(steps.next_back().and_then(|end| owner.exposed(one, end)));
                kept_ways.push((one, way));
            }
            Err(error) => wrong.push(unseen(&one.what, &one.path, &error)),
        }
    }
    let mut given_ways = Vec::new();
    for one in given {
        match Way::to(&one.path) {
            Ok(way) => {
                wrong.extend(owner.led(one, &way));
                wrong.extend(opened::kernels_own(one));
                given_ways.push((one, way));
            }
            Err(error) => wrong.push(unseen(&one.what, &one.path, &error)),
        }
    }
    wrong.extend(between(&kept_ways, &given_ways, |_| true));
    let mut said: Vec<String> = Vec::new();
    wrong.retain(|problem| {
        let new = !said.contains(problem);
        said.extend(new.then(|| problem.clone()));
        new
    });
    wrong
}

/// What is wrong between granted directories and everything else, where it is about one of `those`.
fn between(
    kept: &[(&Kept, Way)],
    given: &[(&Given, Way)],
    those: impl Fn(&Given) -> bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (one, way)) in given.iter().enumerate() {
        if those(one) {
            let kept = kept.iter();
            wrong.extend(kept.filter_map(|(kept, to_kept)| reached((kept, to_kept), (one, way))));
        }
        for (other_at, (other, to_other)) in given.iter().enumerate() {
            if other_at == at || !(those(one) || those(other)) {
                continue;
            }
            wrong.extend(within((one, way), (other, to_other)));
            if other_at < at {
                wrong.extend(twofold((one, way), (other, to_other)));
            }
        }
    }
    wrong
}

fn unseen(what: &str, path: &Path, error: &io::Error) -> String {
    format!("{what}: {} cannot be looked at: {error}", path.display())
}

impl Owner {
    /// Whether somebody else can put another thing at this step of the way.
    fn swapped(self, what: &str, path: &Path, step: &Step) -> Option<String> {
        let (folder, of_folder) = step.folder.as_ref()?;
        let path = path.display();
        let folder = folder.display();
        if !self.trusts(of_folder) {
            return Some(format!(
                "{what} {path}: the folder {folder} on its way belongs to user {}, who could put another in its place. Give it to the host's user: chown {} {folder}",
                of_folder.uid(),
                self.user
            ));
        }
        let sticky = of_folder.mode() & STICKY != 0;
        let held = step.metadata.as_ref().is_some_and(|own| self.trusts(own));
        if self.open(of_folder, WRITE) == 0 || (sticky && held) {
            return None;
        }
        Some(format!(
            "{what} {path}: other users may write the folder {folder} on its way (mode {:04o}) and could put another in its place. Close it: chmod go-w {folder}",
            of_folder.mode() & 0o7777
        ))
    }

    /// Whether somebody else decides to where the way to a granted directory leads. Other users may have
    /// a directory there, of their own; a link of theirs could lead to anybody's.
    fn led(self, given: &Given, way: &Way) -> Option<String> {
        let link = |step: &&Step| step.metadata.as_ref().is_some_and(Metadata::is_symlink);
        let mut links = way.trail.iter().filter(link);
        let what = format!("a link on the way to the granted directory {}:", given.what);
        links.find_map(|step| self.swapped(&what, &step.path, step))
    }

    /// Whether the thing itself is open to somebody else.
    fn exposed(self, kept: &Kept, end: &Step) -> Option<String> {
        let metadata = end.metadata.as_ref()?;
        let (what, path) = (&kept.what, end.path.display());
        if !self.trusts(metadata) {
            return Some(format!(
                "{what} {path} belongs to user {}, not to the host's. Give it back: chown {} {path}",
                metadata.uid(),
                self.user
            ));
        }
        let open = self.open(metadata, kept.closed);
        if open == 0 {
            return None;
        }
        let (verb, close) = if open & WRITE != 0 {
            ("change", "chmod go-w")
        } else {
            ("look into", "chmod go-rwx")
        };
        let close = if kept.closed == WRITE {
            close
        } else {
            "chmod go-rwx"
        };
        Some(format!(
            "{what} {path} is open to other users (mode {:04o}): they could {verb} it. Close it: {close} {path}",
            metadata.mode() & 0o7777
        ))
    }
}

/// How a path leads to what it leads to, and what that is.
struct Way {
    trail: Vec<Step>,
    /// None where there is nothing yet.
    tree: Option<Tree>,
}

impl Way {
    fn to(path: &Path) -> io::Result<Self> {
        let (trail, _) = trail(path)?;
        let tree = match Tree::at(path) {
            Ok(tree) => Some(tree),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { trail, tree })
    }

    /// Whether it leads through a folder, links followed.
    fn passes(&self, folder: &Way) -> bool {
        let Some(tree) = &folder.tree else {
            return false;
        };
        let mut folders = self.trail.iter().filter_map(|step| step.folder.as_ref());
        folders.any(|(_, passed)| tree.is(passed))
    }

    /// Whether both trees are there, and so to each other.
    fn and(&self, other: &Self, so: impl FnOnce(&Tree, &Tree) -> bool) -> bool {
        let both = self.tree.as_ref().zip(other.tree.as_ref());
        both.is_some_and(|(one, other)| so(one, other))
    }
}

/// Whether a tool reaches what is the operator's, links followed: the manifest's text did not tell.
fn reached((kept, to_kept): (&Kept, &Way), (given, to_given): (&Given, &Way)) -> Option<String> {
    if !(given.writable || kept.secret) {
        return None;
    }
    if to_kept.passes(to_given) || to_kept.and(to_given, Tree::lies_in) {
        return Some(format!(
            "{} lies in the granted directory {} ({}): grant one that has nothing else in it",
            kept.what,
            given.what,
            given.path.display()
        ));
    }
    // What is in a folder that is the host's alone is its own too.
    (kept.secret && (to_given.passes(to_kept) || to_given.and(to_kept, Tree::meets))).then(|| {
        format!(
            "the granted directory {} ({}) lies in {}: grant one that is not the host's own",
            given.what,
            given.path.display(),
            kept.what
        )
    })
}

/// Whether the way to a granted directory leads through one that a tool may change: the tool could
/// put a link there, to anywhere.
fn within((given, way): (&Given, &Way), (other, to_other): (&Given, &Way)) -> Option<String> {
    let within = way.passes(to_other) || way.and(to_other, Tree::lies_below);
    (other.writable && within).then(|| {
        format!(
            "the granted directory {} lies in {}, where a tool could put a link in its place: grant directories that are apart",
            given.what, other.what
        )
    })
}

/// Whether one guest could change through one grant what it may only read through another: the
/// manifest's text did not tell that they are one tree.
fn twofold((one, way): (&Given, &Way), (other, to_other): (&Given, &Way)) -> Option<String> {
    let at_once = one.sections.iter().any(|one| other.sections.contains(one));
    if one.writable == other.writable || !at_once || !way.and(to_other, Tree::meets) {
        return None;
    }
    let (read, written) = if one.writable {
        (other, one)
    } else {
        (one, other)
    };
    Some(format!(
        "{} ({}) is granted to be read, and {} ({}) to be written, and both lead to the same files: what may only be read could be changed. Grant separate directories",
        read.what,
        read.path.display(),
        written.what,
        written.path.display()
    ))
}

/// One name on the way to something: a folder, a link, or the end.
#[derive(Debug)]
struct Step {
    path: PathBuf,
    /// Of the name itself, not of what it leads to. None where there is nothing yet.
    metadata: Option<Metadata>,
    /// The folder it stands in. The root stands in none.
    folder: Option<(PathBuf, Metadata)>,
}

/// Every name that is looked up on the way to `path`, links followed, and the path without any that it
/// comes to. It ends where there is nothing.
fn trail(path: &Path) -> io::Result<(Vec<Step>, PathBuf)> {
    let mut rest: VecDeque<OsString> = parts(path);
    let mut at = PathBuf::from("/");
    let mut trail = Vec::new();
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let folder = (at.clone(), std::fs::symlink_metadata(&at)?);
        let next = at.join(&name);
        let metadata = match std::fs::symlink_metadata(&next) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let link = metadata.as_ref().is_some_and(Metadata::is_symlink);
        let ends = metadata.is_none();
        trail.push(Step {
            path: next.clone(),
            metadata,
            folder: Some(folder),
        });
        if ends {
            break;
        }
        if !link {
            at = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(io::Error::other("it leads through too many links"));
        }
        let target = std::fs::read_link(&next)?;
        if target.has_root() {
            at = PathBuf::from("/");
        }
        for name in parts(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    Ok((trail, at))
}

/// The names that decide what a path leads to: its own, that of its folder, and every link on the way.
pub(super) fn names(path: &Path) -> Vec<PathBuf> {
    // What cannot be looked at is watched for by its name.
    let Ok((trail, _)) = trail(path) else {
        return vec![path.to_owned()];
    };
    let count = trail.len();
    let decides = |at: usize, step: &Step| {
        at + 2 >= count || step.metadata.as_ref().is_some_and(Metadata::is_symlink)
    };
    let steps = trail.into_iter().enumerate();
    let names = steps.filter(|(at, step)| decides(*at, step));
    names.map(|(_, step)| step.path).collect()
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
#[path = "file_permissions_tests.rs"]
mod tests;
