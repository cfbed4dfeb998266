//! The compile process: it reads a component from standard input, compiles it behind walls, writes
//! native code to standard output, and says on standard error what is wrong. In the same way it makes a
//! component of a program of WASI preview 1.
//!
//! It knows nothing of the cache, the manifest, or who started it.

// The program as its own child: these streams are files of the host, which no reader holds up.
#![expect(clippy::disallowed_methods)]

use std::io::{self, Read, Write};
use std::process::ExitCode;

use wasmtime::Engine;

use super::adapt::adapt_here;
use super::clearing::without_clearing;
use super::confine::confine;
use super::inspect::{MOST_BYTES, why};
use super::kind::{Kind, look};
use crate::sandbox;
use crate::terms::Wasi;

/// The exit code for "this component does not compile", apart from everything that goes wrong with
/// the process itself.
pub(super) const REFUSED: u8 = 3;

/// Compiles what comes on standard input for the engine of this generation, or, without one, makes a
/// component of a program of WASI preview 1; within `cpu` seconds of processor time and `memory` bytes,
/// `alone` on one thread. This is what the host's own program does when the host starts it for that; nobody else should.
#[must_use]
pub fn compile_child(cpu: u64, memory: u64, wasi: Option<Wasi>, alone: bool) -> ExitCode {
    let bytes = match given(cpu, memory) {
        Ok(bytes) => bytes,
        Err(error) => return say(&error, ExitCode::FAILURE),
    };
    let made = match wasi {
        None => adapt_here(&bytes).map_err(|fault| why(&fault).to_owned()),
        Some(wasi) => match sandbox::compiling_engine(wasi, alone) {
            Ok(engine) => compiled(&engine, wasi, &bytes),
            Err(error) => return say(&error, ExitCode::FAILURE),
        },
    };
    match made.map(|made| io::stdout().write_all(&made)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => say(
            &format!("the result cannot be written: {error}"),
            ExitCode::FAILURE,
        ),
        Err(error) => say(&error, ExitCode::from(REFUSED)),
    }
}

/// A component's native code.
fn compiled(engine: &Engine, wasi: Wasi, component: &[u8]) -> Result<Vec<u8>, String> {
    // Of others the sandbox can tell whether they had answered when they trapped.
    let untold = wasi == Wasi::V03 || look(component).is_ok_and(|looked| looked.kind == Kind::Tool);
    // What cannot be copied the compiler says what is wrong with.
    let less = match untold {
        true => without_clearing(component).ok().flatten(),
        false => None,
    };
    let code = engine.precompile_component(less.as_deref().unwrap_or(component));
    code.map_err(|error| format!("{error:#}"))
}

/// What this process was started for, read behind its walls.
fn given(cpu: u64, memory: u64) -> Result<Vec<u8>, String> {
    for wall in confine(cpu, memory)? {
        // Nobody may read it; that is no reason not to compile.
        let _ = writeln!(io::stderr(), "{wall}");
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| format!("the component cannot be read: {error}"))?;
    Ok(bytes)
}

fn say(words: &str, code: ExitCode) -> ExitCode {
    let _ = io::stderr().write_all(words.as_bytes());
    code
}
