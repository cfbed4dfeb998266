//! From a file to a component that can run: what it is, what it asks for, and its machine code, made in a
//! confined process and kept in a cache.
//!
//! It knows nothing of callers and of the network.

mod adapt;
pub mod bounded;
mod cache;
mod child;
mod clearing;
mod compiler;
mod complexity;
mod confine;
pub mod create_once;
mod docs;
pub mod embedded_manifest;
mod inspect;
mod kind;
mod relocate;
mod seal;
mod type_depth;

pub use adapt::{adapt, adapt_here};
pub use cache::{Cache, Past};
pub use child::compile_child;
pub use compiler::{CompileLimits, Compiler};
pub use docs::Docs;
pub use inspect::{Inspected, MOST_BYTES, inspect};
pub use kind::{Kind, Looked, is_component, look};
