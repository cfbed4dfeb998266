//! Storage: `wasi:keyvalue`. A guest gets the buckets that the manifest grants, each with a quota that
//! holds whoever writes at once; what is in them outlives the call. Buckets of other tools, of other
//! functions' sections, and of other callers where they are apart, do not exist for it.
//!
//! `store` is the whole of it, whichever draft the guest speaks; `jobs` is what it asks of the host's store,
//! `space` the SQL.

mod contents;
mod draft;
mod draft2;
mod entries;
mod error;
mod jobs;
mod rules;
mod seam;
mod space;
mod state;
mod store;
mod tally;
#[cfg(test)]
mod tests;

pub use contents::{ContentsError, LeftBuckets, contents, fill, left_by};
pub use error::KvError;
pub use rules::{Cursor, MOST_ANSWER, MOST_BATCH, MOST_KEY, MOST_VALUE, PAGE};
pub(in crate::capability) use state::{Buckets, State, View};
pub use tally::{MOST_CARRIED, MOST_WISHES};

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    draft::link(linker, get)?;
    draft2::link(linker, get)
}

/// The linker for a component that asks for another form of an interface than the one that is linked
/// under its name; none for all others.
pub(super) fn variation<T: Send + 'static>(
    linker: &Linker<T>,
    engine: &Engine,
    component: &Component,
    get: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<Option<Linker<T>>> {
    if !entries::are_asked_for(engine, component) {
        return Ok(None);
    }
    let mut other = linker.clone();
    entries::link(&mut other, get)?;
    Ok(Some(other))
}
