//! How one call goes, from a request to what is released, and which tools there are.
//!
//! It does not know any protocol, nor what a capability does.

pub mod call;
pub mod catalog;

use toolhost_core::{gate, manifest, quota, shares, terms};
use toolhost_ledger as ledger;
use toolhost_runtime::{capability, compile, sandbox};

pub use toolhost_runtime::sandbox::Lanes;
