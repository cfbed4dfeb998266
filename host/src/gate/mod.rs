//! May it in, may it out. Pure: no clock, no file, no network, no runtime; what it needs to know is
//! handed in.

mod admit;
mod callers;
mod canonical;
mod release;
mod schema;

pub use admit::{Permit, admit, missing, unknown};
pub use callers::{Callers, Credential};
pub use canonical::canonical;
pub use release::{Release, Results, ReleasePolicy, denial, explain, release, size};
pub use schema::{BadSchema, Checks, Schema};
