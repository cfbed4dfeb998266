//! What toolhost decides, without doing any of it: the words everybody shares, what an operator wrote, what
//! is granted, which requests may go out, what may come in and out, and who is next.
//!
//! Pure: no file, no socket, no clock, no runtime, no engine. What such a thing has to say is an argument.

pub mod egress;
pub mod gate;
pub mod grants;
pub mod manifest;
pub mod quota;
pub mod shares;
pub mod terms;
