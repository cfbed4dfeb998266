//! The twin of the native echo that the host is measured against: it answers with the same.

use toolhost_sdk::tool;

/// Gives back what it gets.
#[tool(read_only)]
fn echo(
    /// What to give back.
    text: String,
) -> String {
    text
}

toolhost_sdk::export!(echo);
