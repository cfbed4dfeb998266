//! GitHub for agents: search issues, read an issue with its comments, read a file, write a comment.
//!
//! It holds no token: the host adds one where the manifest grants it, and what a call may reach is
//! the manifest's to say. It does not know who asks.

mod api;
mod files;
mod issues;

use files::read_file;
use issues::{create_comment, read_issue, search_issues};

toolhost_sdk::export!(search_issues, read_issue, read_file, create_comment);

#[cfg(test)]
mod tests;
