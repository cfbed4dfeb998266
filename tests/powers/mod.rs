//! The powers: what a guest reaches with a grant, what it does not reach without, and what is
//! written down of both.

mod closed;
mod dir;
mod http;
mod kv;
mod lengths;
pub(crate) mod secrets;
mod sources;
mod surroundings;
