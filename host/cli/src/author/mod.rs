//! The author's commands: `new` makes a project, `build` makes its component.
//!
//! It knows how each language is built, and no tool that is built.

mod build;
mod check;
mod kit;
mod language;
mod new;
mod project;
mod show;
mod watch;

pub(super) use build::build;
pub(super) use language::Language;
pub(super) use new::new;

/// What was asked for is not so: the program works, and the answer is no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Ends with the answer no.
fn refused(why: impl Into<String>) -> anyhow::Error {
    Refused(why.into()).into()
}
