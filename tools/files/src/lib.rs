//! Files for agents: list, read, write and search in the directories that the manifest grants.
//!
//! It does not decide what may be reached: what is not granted does not exist for it. It keeps
//! answers small enough for an agent and says where to go on.

mod list;
mod path;
mod read;
mod roots;
mod search;
mod walk;
mod write;

toolhost_sdk::export!(list::list, read::read, search::search, write::write);

#[cfg(test)]
mod tests;
