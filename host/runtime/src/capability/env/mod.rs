//! Environment variables: `wasi:cli/environment`. A guest sees what the manifest says, and nothing
//! of the host's own environment.

mod seam;

pub(super) use seam::{Environment, link};

use crate::grants::EnvGrant;
use wasmtime_wasi::WasiCtxBuilder;

pub(super) fn grant(wasi: &mut WasiCtxBuilder, grants: &[EnvGrant]) {
    for variable in grants {
        wasi.env(&variable.name, &variable.value);
    }
}
