//! The only places where a capability touches the world.

pub mod database;
pub mod dial;
pub mod resolve;
#[cfg(test)]
pub(crate) mod testing;
