//! What a WebAssembly file is and what it asks for, told of every file, also of one that cannot run
//! here. It compiles nothing and decides nothing: `inspect` does.

use wasmparser::{Parser, Payload};

use super::complexity::Shape;
use super::inspect::{Inspected, bad, kind, measured, sections, unread};
use crate::terms::{Fault, Wasi};

/// How a component begins.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// How a core module begins.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What web servers call, of either generation of WASI.
const PROXY: [&str; 2] = ["wasi:http/incoming-handler", "wasi:http/handler"];

/// The module that programs of WASI preview 1 import.
pub(super) const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// The section in which the tools of WIT keep the world of a core module, with a name behind it.
pub(super) const WORLD: &str = "component-type";

/// The longest list of names of a core module that is kept.
const MOST_NAMES: usize = 10_000;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A component of this host's own world: it says itself what it offers.
    Tool,
    /// A `wasi:cli` program as a component.
    Command,
    /// A component that exports functions of its own.
    Typed,
    /// A component that answers HTTP requests for a web server, and exports nothing else.
    Proxy,
    /// A component that exports types and nothing else: a package of WIT.
    Package,
    /// A component that exports nothing.
    Silent,
    /// A core module that asks for nothing but WASI preview 1: `add` makes a component of it.
    Preview1,
    /// A core module that carries the world of a component: `add` makes one of it.
    World,
    /// A core module that asks for something else.
    Core,
}

impl Kind {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Tool => "a tool: a component of the world toolhost:tool",
            Self::Command => "a program: a component of the world wasi:cli/command",
            Self::Typed => "a component with functions of its own",
            Self::Proxy => "a web server's component, of the world wasi:http/proxy",
            Self::Package => "a WIT package: interfaces and worlds, no code",
            Self::Silent => "a component that exports nothing",
            Self::Preview1 => "a core module of WASI preview 1",
            Self::World => "a core module that carries a component's world",
            Self::Core => "a core module",
        }
    }
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What it is.
    pub kind: Kind,
    /// What it imports; of a core module as `module.name`.
    pub imports: Vec<String>,
    /// Imports that only name types, which nobody has to provide.
    pub types: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// The generation of WASI that it needs.
    pub wasi: Wasi,
}

/// Looks at a file.
///
/// # Errors
///
/// `bad-component`, where it is no WebAssembly, damaged, or larger than any compiler should be given.
pub fn look(bytes: &[u8]) -> Result<Looked, Fault> {
    if bytes.starts_with(MODULE) {
        return core(bytes);
    }
    kind(bytes)?;
    let inspected = sections(bytes).map_err(|oversize| unread(oversize, bytes))?;
    let wasi = inspected.needs();
    let Inspected {
        imports,
        types,
        exports,
        is_package,
        ..
    } = inspected;
    let of = |package: &str| exports.iter().any(|export| is_of(export, package));
    let serves = |export: &String| PROXY.iter().any(|name| is_of(export, name));
    let kind = if is_package {
        Kind::Package
    } else if of("toolhost:tool/tools") {
        Kind::Tool
    } else if of("wasi:cli/run") {
        Kind::Command
    } else if exports.is_empty() {
        Kind::Silent
    } else if exports.iter().all(serves) {
        Kind::Proxy
    } else {
        Kind::Typed
    };
    Ok(Looked {
        kind,
        imports,
        types,
        exports,
        wasi,
    })
}

/// Whether a name is this interface's, of whatever version.
fn is_of(name: &str, interface: &str) -> bool {
    name.split('@').next() == Some(interface)
}

/// A core module, measured as a component is.
fn core(bytes: &[u8]) -> Result<Looked, Fault> {
    let damaged = |error: wasmparser::BinaryReaderError| measured(error.into());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut shape = Shape::new();
    let mut has_world = false;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(damaged)?;
        shape.note(&payload).map_err(measured)?;
        match payload {
            Payload::CustomSection(section) if section.name().starts_with(WORLD) => {
                // A component in itself, without code, which the encoder reads.
                sections(section.data()).map_err(measured)?;
                has_world = true;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(damaged)?;
                    imports.push(format!("{}.{}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.map_err(damaged)?.name.to_owned());
                }
            }
            _ => {}
        }
        if imports.len().max(exports.len()) > MOST_NAMES {
            return Err(bad(format!(
                "it imports or exports more than {MOST_NAMES} names"
            )));
        }
    }
    let others = imports.iter().any(|import| !is_preview1(import));
    imports.sort();
    imports.dedup();
    exports.sort();
    let kind = match others || imports.is_empty() {
        false => Kind::Preview1,
        true if has_world => Kind::World,
        true => Kind::Core,
    };
    Ok(Looked {
        kind,
        imports,
        types: Vec::new(),
        exports,
        wasi: Wasi::V02,
    })
}

/// Exports that are named of a core module.
const NAMED: usize = 5;

/// What a core module exports of its own, as the end of a sentence; none where that is nothing. What
/// compilers and runtimes add is left out.
pub(super) fn offered(exports: &[String]) -> Option<String> {
    const ADDED: [&str; 6] = [
        "memory",
        "_start",
        "_initialize",
        "malloc",
        "free",
        "realloc",
    ];
    let is_own = |name: &&String| {
        !ADDED.contains(&name.as_str()) && !name.starts_with("__") && !name.starts_with("cabi_")
    };
    let own: Vec<&String> = exports.iter().filter(is_own).collect();
    let named = own.get(..NAMED).unwrap_or(&own);
    // A name may be as long as a file.
    let short = |name: &&String| format!("`{}`", name.chars().take(64).collect::<String>());
    let names: Vec<String> = named.iter().map(short).collect();
    let more = match own.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
}

/// Whether a core module's import is one of WASI preview 1.
pub(super) fn is_preview1(import: &str) -> bool {
    import
        .strip_prefix(PREVIEW_1)
        .is_some_and(|name| name.starts_with('.'))
}

/// Whether these bytes are a component's.
#[must_use]
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(COMPONENT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(text: &str) -> Looked {
        look(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn kinds_are_told_apart() {
        for (text, kind) in [
            ("(component)", Kind::Silent),
            (
                "(component (instance $i) (export \"toolhost:tool/tools@0.1.0\" (instance $i)))",
                Kind::Tool,
            ),
            (
                "(component (instance $i) (export \"wasi:cli/run@0.2.6\" (instance $i)))",
                Kind::Command,
            ),
            (
                "(component (instance $i) (export \"a:b/c\" (instance $i)))",
                Kind::Typed,
            ),
            (
                "(component (type $t (component)) (export \"types\" (type $t)))",
                Kind::Package,
            ),
            (
                "(component (instance $i) (export \"wasi:http/incoming-handler@0.2.8\" (instance $i)))",
                Kind::Proxy,
            ),
            (
                "(component (instance $i) (export \"wasi:http/handler@0.3.0\" (instance $i)) (export \"a:b/c\" (instance $i)))",
                Kind::Typed,
            ),
            ("(module)", Kind::Core),
            ("(module (import \"env\" \"f\" (func)))", Kind::Core),
            (
                "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func)))",
                Kind::Preview1,
            ),
            (
                "(module (import \"wasi_snapshot_preview1\" \"a\" (func)) (import \"env\" \"f\" (func)))",
                Kind::Core,
            ),
            (
                "(module (import \"a:b/c\" \"f\" (func)) (@custom \"component-type:w\" \"\\00asm\\0d\\00\\01\\00\"))",
                Kind::World,
            ),
        ] {
            assert_eq!(of(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_is_said() {
        let whole =
            wat::parse_str("(module (import \"env\" \"f\" (func)) (export \"f\" (func 0)))")
                .unwrap();
        for end in 9..whole.len() {
            // At the end of a section it is whole, with less in it.
            if let Err(fault) = look(whole.get(..end).unwrap()) {
                assert!(fault.say.contains("damaged"), "{}", fault.say);
            }
        }
    }
}
