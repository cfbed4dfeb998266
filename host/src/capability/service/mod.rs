//! The only places where a capability touches the world.

pub mod database;
pub mod dial;
pub mod resolve;
pub mod secret;
#[cfg(test)]
pub(crate) mod testing;
