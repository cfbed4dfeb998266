//! Core modules made into components. Programs of WASI preview 1 with Bytecode Alliance's adapter: what
//! they ask of the older interface is answered by the newer one's, under the same grants. And what a
//! compiler has left one step before a component, its world in a section.
//!
//! The encoder reads foreign bytes, and follows types within types as deep as they go: it works in a
//! process of its own, as the compiler does.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use rustix::fs::{MemfdFlags, memfd_create};
use wasi_preview1_component_adapter_provider as provider;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ImportSection, Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::compiler::{Compiler, Task};
use super::inspect::{MOST_BYTES, bad};
use super::kind::{Kind, Looked, PREVIEW_1, is_preview1, look, offered};
use super::relocate::relocated;
use crate::sandbox::compiling_engine;
use crate::terms::{Fault, Wasi};

/// The encoder's stack, in bytes: types within types make it recurse.
const STACK: usize = 64 << 20;

/// Imports that are named in a refusal.
const NAMED: usize = 5;

/// The component of a core module of WASI preview 1, made behind the walls of the compile process.
///
/// # Errors
///
/// `bad-component`: it is none, it asks for something else too, or there is nothing in it to call.
pub fn adapt(module: &[u8], compiler: &Compiler) -> Result<Vec<u8>, Fault> {
    measured(module)?;
    let memory = || memfd_create("component", MemfdFlags::CLOEXEC).map(File::from);
    let made = memory().map_err(io::Error::from);
    let made = made.and_then(|made| Ok((made.try_clone()?, made)));
    let (into, mut made) = made.map_err(Fault::internal)?;
    let done = compiler.make(Task::Adapt, module, into);
    done.map_err(|not| match not.lasting {
        true => bad(not.why),
        false => Fault::internal(not.why),
    })?;
    let mut component = Vec::new();
    let read = made.rewind().and_then(|()| {
        let mut bounded = made.take(MOST_BYTES + 1);
        bounded.read_to_end(&mut component)
    });
    read.map_err(Fault::internal)?;
    Ok(component)
}

/// The same in this process: what the compile process does.
///
/// # Errors
///
/// As of [`adapt`].
pub fn adapt_here(module: &[u8]) -> Result<Vec<u8>, Fault> {
    let looked = measured(module)?;
    runnable(module)?;
    let is_program = looked.exports.iter().any(|export| export == "_start");
    let component = apart(|| made(module, is_program))?;
    match look(&component)?.kind {
        Kind::Silent => Err(bad(format!(
            "it has neither a `_start` nor a world of typed functions: there is nothing in it to call{}",
            untyped(&looked)
        ))),
        _ => Ok(component),
    }
}

/// What the encoder may be given.
fn measured(module: &[u8]) -> Result<Looked, Fault> {
    if u64::try_from(module.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(bad(format!("it has more than {MOST_BYTES} bytes")));
    }
    let looked = look(module)?;
    adaptable(&looked)?;
    Ok(looked)
}

/// Whether a file is a core module that the adapter is for; if not, what it asks for that nobody here
/// has.
fn adaptable(looked: &Looked) -> Result<(), Fault> {
    match looked.kind {
        Kind::Preview1 | Kind::World => Ok(()),
        Kind::Core => Err(foreign(looked)),
        _ => Err(bad("it is a component already")),
    }
}

/// Whether the engine has what the module's code needs: to say so now is kinder than when a component
/// of it is in the manifest.
fn runnable(module: &[u8]) -> Result<(), Fault> {
    let engine = compiling_engine(Wasi::V02, true).map_err(Fault::internal)?;
    wasmtime::Module::validate(&engine, module).map_err(|error| {
        bad(format!(
            "this host's engine does not run its code: {error:#}; build it without that"
        ))
    })
}

/// What there is instead of typed functions.
fn untyped(looked: &Looked) -> String {
    match offered(&looked.exports) {
        Some(names) => format!(
            "; it exports {names}, without types: write them down as a world of WIT and make a component \
             of both (`wasm-tools component embed`, then `component new`)"
        ),
        None => String::new(),
    }
}

fn foreign(looked: &Looked) -> Fault {
    let others: Vec<&str> = looked
        .imports
        .iter()
        .map(String::as_str)
        .filter(|import| !is_preview1(import))
        .collect();
    if others.is_empty() {
        return bad(format!(
            "it is a core module that asks for nothing: it is no program of WASI preview 1, and its functions have no types{}",
            untyped(looked)
        ));
    }
    let named = others.get(..NAMED).unwrap_or(&others).join("`, `");
    let more = match others.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let made = MADE.iter().find(|(prefix, ..)| {
        let mut imports = others.iter();
        imports.any(|import| import.starts_with(prefix))
    });
    let why = match made {
        Some((_, what, instead)) => format!("{what}; {instead}"),
        None => "which only the program it was made for provides".to_owned(),
    };
    let exports = match offered(&looked.exports) {
        Some(names) => format!(" (it exports {names})"),
        None => String::new(),
    };
    bad(format!(
        "it is a core module that imports `{named}`{more}: {why}{exports}"
    ))
}

/// How the imports of those core modules begin that are often met: what they are, and what to build
/// instead.
const MADE: [(&str, &str, &str); 13] = [
    (
        "wasi_unstable.",
        "it is a program of the WASI of 2019, before preview 1",
        "build it again with a compiler of today",
    ),
    (
        "wasix_",
        "it is made for WASIX, which is Wasmer's",
        "build it for WASI preview 1 or 0.2",
    ),
    (
        "wasi.thread-spawn",
        "it starts threads, which no tool has",
        "build it for WASI preview 1 or 0.2 without them",
    ),
    (
        "gojs.",
        "it is made by Go for a browser",
        "build it with GOOS=wasip1",
    ),
    (
        "go.runtime.",
        "it is made by Go for a browser",
        "build it with GOOS=wasip1",
    ),
    (
        "wbg.",
        "it is made by wasm-bindgen for JavaScript",
        "build it for wasm32-wasip2",
    ),
    (
        "__wbindgen_",
        "it is made by wasm-bindgen for JavaScript",
        "build it for wasm32-wasip2",
    ),
    (
        "env.napi_",
        "it is an addon of Node.js",
        "it runs there only",
    ),
    (
        "extism:host/",
        "it is a plugin of Extism",
        "build it as a component",
    ),
    (
        "env.proxy_",
        "it is a filter of a proxy (proxy-wasm)",
        "it runs there only",
    ),
    ("env.emscripten_", EMSCRIPTEN.0, EMSCRIPTEN.1),
    ("env.__syscall_", EMSCRIPTEN.0, EMSCRIPTEN.1),
    ("env.invoke_", EMSCRIPTEN.0, EMSCRIPTEN.1),
];

const EMSCRIPTEN: (&str, &str) = (
    "it is made by Emscripten for JavaScript",
    "build it with -sSTANDALONE_WASM, or with wasi-sdk",
);

/// The world of what `with_exit_codes` links a program to.
const EXIT: &str = "package toolhost:adapted;
    package wasi:cli@0.2.12 {
        interface exit { exit: func(status: result); exit-with-code: func(status-code: u8); }
    }
    world w { import wasi:cli/exit@0.2.12; }";

/// The same program, its end linked to the function of WASI 0.2 that takes an exit code: the adapter's
/// own knows only that a program failed, not how. A program without an end of its own stays as it is.
fn with_exit_codes(module: &[u8]) -> Result<Vec<u8>, Fault> {
    let damaged = |error| bad("the file is damaged or cut off").detail(error);
    let mut linked = Module::new();
    let mut ends = false;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(damaged)?;
        if let Payload::ImportSection(section) = payload {
            let mut imports = ImportSection::new();
            for import in section.into_imports() {
                let import = import.map_err(damaged)?;
                let ty = RoundtripReencoder
                    .entity_type(import.ty)
                    .map_err(|error| bad("an import of it cannot be read").detail(error))?;
                let exits = (import.module, import.name) == (PREVIEW_1, "proc_exit");
                ends |= exits;
                match exits {
                    true => imports.import("wasi:cli/exit@0.2.12", "exit-with-code", ty),
                    false => imports.import(import.module, import.name, ty),
                };
            }
            linked.section(&imports);
        } else if let Some((id, range)) = payload.as_section() {
            let data = module.get(range).unwrap_or_default();
            linked.section(&RawSection { id, data });
        }
    }
    if !ends {
        return Ok(module.to_vec());
    }
    let mut linked = linked.finish();
    let mut embedded = || -> Result<(), Box<dyn std::error::Error>> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("exit.wit", EXIT)?;
        let world = resolve.select_world(&[package], None)?;
        embed_component_metadata(&mut linked, &resolve, world, StringEncoding::UTF8)?;
        Ok(())
    };
    embedded().map_err(Fault::internal)?;
    Ok(linked)
}

/// A validated module's component.
fn made(module: &[u8], is_program: bool) -> Result<Vec<u8>, Fault> {
    let moved = relocated(module)?;
    let module = moved.as_deref().unwrap_or(module);
    match is_program {
        true => encoded(
            &with_exit_codes(module)?,
            provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        ),
        false => encoded(module, provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER),
    }
}

fn encoded(module: &[u8], adapter: &[u8]) -> Result<Vec<u8>, Fault> {
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .adapter(provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
            .encode()
    };
    encode().map_err(|error| bad(format!("no component can be made of it: {error:#}")))
}

/// On a thread of its own: its stack is large, and its panic ends it alone.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work);
        thread.map(std::thread::ScopedJoinHandle::join)
    });
    match done {
        Ok(Ok(made)) => made,
        Ok(Err(_)) => Err(bad(
            "no component can be made of it: the encoder failed on it",
        )),
        Err(error) => Err(Fault::internal(format!(
            "no thread for the encoder: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PROGRAM: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "hello\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 8))
            (i32.store (i32.const 4) (i32.const 6))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;

    fn refused(module: &[u8]) -> String {
        let adapted = adapt_here(module).map(|_| ());
        adapted.map_or_else(|fault| fault.say.into_owned(), |()| String::new())
    }

    #[test]
    fn a_program_becomes_a_command() {
        let module = wat::parse_str(PROGRAM).unwrap();
        let component = adapt_here(&module).unwrap();
        let looked = look(&component).unwrap();
        assert_eq!(looked.kind, Kind::Command);
        assert!(
            looked
                .imports
                .iter()
                .any(|import| import.starts_with("wasi:cli/stdout@0.2"))
        );
        assert!(
            super::super::inspect(&component, Wasi::V02).is_ok(),
            "the host has all that it imports"
        );
        assert!(refused(&component).contains("component already"));
    }

    #[test]
    fn what_is_no_program_is_refused_with_the_reason() {
        let parsed = |text: &str| wat::parse_str(text).unwrap();
        for (text, said) in [
            ("(module)", "asks for nothing"),
            (
                "(module (memory (export \"memory\") 1) (func (export \"add\") (param i32 i32) (result i32) unreachable) (func (export \"__stop\")))",
                "its functions have no types; it exports `add`, without types: write them down as a world",
            ),
            (
                "(module (import \"env\" \"alloc\" (func)) (func (export \"run_it\")))",
                "which only the program it was made for provides (it exports `run_it`)",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (memory (export \"memory\") 1) (func (export \"_initialize\")) (func (export \"render\") (result i32) (call 0)))",
                "nothing in it to call; it exports `render`, without types",
            ),
            (
                "(module (import \"env\" \"alloc\" (func)))",
                "imports `env.alloc`: which only the program it was made for provides",
            ),
            (
                "(module (import \"wasi_unstable\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32))))",
                "imports `wasi_unstable.fd_write`: it is a program of the WASI of 2019, before preview 1; build it again",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (import \"env\" \"emscripten_resize_heap\" (func (param i32) (result i32))))",
                "imports `env.emscripten_resize_heap`: it is made by Emscripten for JavaScript; build it with -sSTANDALONE_WASM",
            ),
            (
                "(module (import \"a\" \"b\" (func)) (import \"gojs\" \"runtime.wasmExit\" (func (param i32))))",
                "imports `a.b`, `gojs.runtime.wasmExit`: it is made by Go for a browser; build it with GOOS=wasip1",
            ),
            (
                "(module (import \"wasi\" \"thread-spawn\" (func (param i32) (result i32))))",
                "it starts threads, which no tool has",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (import \"go\" \"debug\" (func)))",
                "imports `go.debug`",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (memory (export \"memory\") 1))",
                "nothing in it to call",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"no_such\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))",
                "no_such",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"fd_close\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))",
                "no component can be made of it",
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))) (tag) (memory (export \"memory\") 1) (func (export \"_start\")))",
                "this host's engine does not run its code: exceptions proposal not enabled",
            ),
        ] {
            let say = refused(&parsed(text));
            assert!(say.contains(said), "{text}: {say}");
        }
    }

    #[test]
    fn a_program_s_exit_code_stays_what_it_is() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const 3))))"#;
        let module = wat::parse_str(text).unwrap();
        let linked = look(&with_exit_codes(&module).unwrap()).unwrap();
        assert_eq!(
            linked.imports,
            [
                "wasi:cli/exit@0.2.12.exit-with-code",
                "wasi_snapshot_preview1.sched_yield"
            ]
        );
        assert_eq!(
            look(&adapt_here(&module).unwrap()).unwrap().kind,
            Kind::Command
        );
        // Nothing else is touched.
        let module = wat::parse_str(PROGRAM).unwrap();
        assert_eq!(with_exit_codes(&module).unwrap(), module);
    }

    /// Every prefix, and every byte turned over: an error or a component, never a panic.
    #[test]
    fn damaged_programs_end_in_errors() {
        let whole = wat::parse_str(PROGRAM).unwrap();
        for end in 0..whole.len() {
            let _ = adapt_here(whole.get(..end).unwrap());
        }
        for at in 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let _ = adapt_here(&bytes);
        }
    }
}
