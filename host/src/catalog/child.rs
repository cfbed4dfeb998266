//! The compile process: it reads a component from standard input, compiles it behind walls, writes
//! native code to standard output, and says on standard error what is wrong.
//!
//! It knows nothing of the cache, the manifest, or who started it.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use super::confine::confine;
use super::inspect::MOST_BYTES;
use crate::sandbox;
use crate::terms::Wasi;

/// The exit code for "this component does not compile", apart from everything that goes wrong with
/// the process itself.
pub(super) const REFUSED: u8 = 3;

/// Compiles what comes on standard input for the engine of this generation, within `cpu` seconds of
/// processor time and `memory` bytes.
/// This is what the host's own program does when the host starts it for that; nobody else should.
#[must_use]
pub fn compile_child(cpu: u64, memory: u64, wasi: Wasi) -> ExitCode {
    let done = confine(cpu, memory).and_then(|missing| {
        // Nobody may read it; that is no reason not to compile.
        for wall in missing {
            let _ = writeln!(io::stderr(), "{wall}");
        }
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| format!("the component cannot be read: {error}"))?;
        Ok(bytes)
    });
    let compiled = match done.and_then(|bytes| Ok((sandbox::compiling_engine(wasi)?, bytes))) {
        Ok((engine, bytes)) => engine.precompile_component(&bytes),
        Err(error) => return say(&error, ExitCode::FAILURE),
    };
    match compiled.map(|code| io::stdout().write_all(&code)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => say(
            &format!("the result cannot be written: {error}"),
            ExitCode::FAILURE,
        ),
        Err(error) => say(&format!("{error:#}"), ExitCode::from(REFUSED)),
    }
}

fn say(words: &str, code: ExitCode) -> ExitCode {
    let _ = io::stderr().write_all(words.as_bytes());
    code
}
