//! Where guests run: the sandbox, the capabilities that they may be granted, and how components are
//! compiled. wasmtime is named here and nowhere else.
//!
//! It does not know who may call what, nor any protocol of agents.

pub mod capability;
pub mod compile;
pub mod sandbox;

use toolhost_core::{egress, gate, grants, shares, terms};
