//! Directories: `wasi:filesystem`. wasmtime-wasi keeps a guest inside its directories; here stands
//! which those are, how much of them a guest may use, what in them is a file at all, and which
//! threads touch them.
//!
//! It does not know who may have which directory, nor whether the operator's own are safe.

mod account;
mod changes;
mod depth;
mod descriptor;
mod host;
mod measure;
mod open;
mod p3;
mod place;
mod seam;
mod stream;
mod temp_table;
mod tree;
mod wall;
mod words;
mod work;
mod workers;
mod write;

pub use host::{Dirs, State};
pub(super) use p3::link as link_p3;
pub use place::{Folders, Judge, LazyDirs, Unopened};
pub(super) use seam::{Files, link};
pub use tree::Tree;
pub use wall::landlock_is_here;
