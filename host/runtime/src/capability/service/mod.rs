//! The only places where a capability touches the world.

pub mod database;
