//! What may be granted, a file for each capability, and what is said of each: its key in a manifest, the
//! interfaces it has, how a grant reads in words.
//!
//! What a capability does, and that it does it, is not in here: these are values.

mod capability;
mod command;
mod config;
mod dir;
mod env;
mod everyones;
mod http;
mod kv;
mod list;
mod log;
mod provided;

pub use capability::{Capability, Grant, Granting};
pub use command::{Argument, CommandGrant, Stdout, Template, TemplatePart};
pub use config::ConfigGrant;
pub use dir::{DirAccess, DirGrant, DirQuota};
pub use env::EnvGrant;
pub use kv::KvGrant;
pub use list::{CAPABILITIES, Grants};
pub use log::{Level, LogGrant};
pub use provided::{nearest, power, provided, provided_by, provides};
