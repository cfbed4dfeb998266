//! The smallest tool.
use toolhost_sdk::tool;

/// Greets somebody by name.
#[tool(read_only)]
fn greet(
    /// Whom to greet.
    name: String,
) -> String {
    format!("Hello, {name}!")
}

toolhost_sdk::export!(greet);
