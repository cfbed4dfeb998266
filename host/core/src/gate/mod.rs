//! May it in, may it out. Pure: no clock, no file, no network, no runtime; what it needs to know is
//! handed in.

mod admit;
mod arguments;
mod callers;
mod canonical;
mod policy;
mod release;
mod schema;

pub use admit::{
    Allowed, ApprovalRequest, CheckedArguments, Cleared, Decision, Permit, admit, decide, missing,
    unknown,
};
pub use arguments::{CanonicalArguments, RawArguments};
pub use callers::{Callers, Credential, Operator, StateOwner};
pub use policy::FunctionPolicy;
pub use release::{Release, ReleasePolicy, Results, denial, explain, release, size};
pub use schema::{BadSchema, Schema};
