//! What a file is, before anything is compiled: its kind by its first bytes, its imports and
//! exports by its sections, and whether a compiler should be given it at all.

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentExternalKind, Encoding, Parser, Payload,
};

use super::complexity::{Oversize, Shape};
use super::kind::{look, offered};
use super::type_depth::{Extra, Outline, types};
use crate::grants;
use crate::terms::{Code, Fault, Wasi};

/// The largest component that is read, in bytes. A Python component has 20 MB.
pub const MOST_BYTES: u64 = 64 << 20;

/// What a component's outer sections say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Interfaces and functions it imports.
    pub imports: Vec<String>,
    /// Imports that only name types, and that this host does not have under that name: nobody has
    /// to provide them. Components get them from every interface whose types theirs use, and empty ones
    /// from interfaces that they declare and never call.
    pub types: Vec<String>,
    /// Interfaces and functions it exports.
    pub exports: Vec<String>,
    /// Whether the component model's async is somewhere within: in its types (an async function, a
    /// stream, a future) or in what its code is given.
    pub has_async: bool,
    /// What it has of the component model that no engine of this host runs.
    pub off: Option<&'static str>,
    /// Whether it exports types and nothing else, as the packages of WIT do that registries hold.
    pub is_package: bool,
    /// How many components in it, itself among them, have functions of their own.
    pub components: usize,
    /// How many fields, cases or elements the widest of its types has.
    pub widest: usize,
}

/// The most fields, cases or elements of a type that one component can hand to another. The engine
/// makes a function for each wider one that calls nothing but itself.
const MOST_PARTS: usize = 1_000;

/// Looks at the bytes of a component that is to be run with this generation of WASI.
///
/// # Errors
///
/// `bad-component`, naming what the file is instead, what of it is too much to compile, the import
/// that nobody provides, or that it is of the other generation.
pub fn inspect(bytes: &[u8], wasi: Wasi) -> Result<Inspected, Fault> {
    kind(bytes)?;
    let inspected = sections(bytes).map_err(|oversize| unread(oversize, bytes))?;
    if inspected.is_package {
        return Err(bad(
            "it is a WIT package: interfaces and worlds, without any code; the component that \
             implements them is another file",
        ));
    }
    if let Some(why) = unprovided(&inspected.imports) {
        return Err(bad(why));
    }
    if let Some(what) = inspected.off {
        return Err(bad(format!(
            "it has {what} in its types, an addition to the component model that this host's engine \
             does not run yet; build it without them"
        )));
    }
    if inspected.components > 1 && inspected.widest > MOST_PARTS {
        return Err(bad(format!(
            "it is composed of {} components and has a type of {} fields, cases or elements: from one \
             component to another this host's engine passes at most {MOST_PARTS}; divide that type, \
             or build it as one component",
            inspected.components, inspected.widest
        )));
    }
    generation(&inspected, wasi)?;
    Ok(inspected)
}

impl Inspected {
    fn note(&mut self, extra: Option<Extra>) {
        match extra {
            Some(Extra::Async) => self.has_async = true,
            Some(Extra::Off(what)) => self.off = self.off.or(Some(what)),
            None => {}
        }
    }

    /// What it imports that only tools of WASI 0.3 have.
    fn new_imports(&self) -> Vec<&str> {
        let new = |import: &&str| grants::provided_by(import) == Some(Wasi::V03);
        let imports = self.imports.iter().map(String::as_str);
        imports.filter(new).collect()
    }

    /// The generation of WASI that it needs.
    #[must_use]
    pub fn needs(&self) -> Wasi {
        if self.has_async || !self.new_imports().is_empty() {
            Wasi::V03
        } else {
            Wasi::V02
        }
    }
}

/// Imports that a refusal names.
const NAMED: usize = 10;

/// What is imported that nobody provides, what there is instead, and what to do.
fn unprovided(imports: &[String]) -> Option<String> {
    let unknown: Vec<&String> = imports
        .iter()
        .filter(|import| grants::provided_by(import).is_none())
        .collect();
    let named = unknown.get(..NAMED).unwrap_or(&unknown);
    let names: Vec<String> = named
        .iter()
        .map(|import| match grants::nearest(import) {
            Some(nearest) => format!("`{import}` ({nearest})"),
            None => format!("`{import}`"),
        })
        .collect();
    let more = match unknown.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!unknown.is_empty()).then(|| {
        format!(
            "it imports {}{more}, which this host does not provide; have it built without, or \
             compose it with a component that provides it (`wac plug`)",
            names.join(", ")
        )
    })
}

/// Whether the manifest says of the component what is so.
fn generation(inspected: &Inspected, wasi: Wasi) -> Result<(), Fault> {
    let new = inspected.new_imports();
    match wasi {
        Wasi::V02 if !new.is_empty() => Err(bad(format!(
            "it imports `{}`, which is WASI 0.3, for all of its functions; write `wasi = \"0.3\"` into \
             its tool's section",
            new.join("`, `")
        ))),
        Wasi::V02 if inspected.has_async => Err(bad(
            "it has async functions, streams or futures, which are WASI 0.3; write `wasi = \"0.3\"` \
             into its tool's section",
        )),
        Wasi::V03 if inspected.needs() != Wasi::V03 => Err(bad(
            "it needs nothing of WASI 0.3; delete `wasi = \"0.3\"` from its tool's section",
        )),
        Wasi::V02 | Wasi::V03 => Ok(()),
    }
}

/// Why a component is not read to its end: it may be older than the format. The component model's async
/// was written in other ways before WASI 0.3 was released.
pub(super) fn unread(oversize: Oversize, bytes: &[u8]) -> Fault {
    let names_draft = || memchr::memmem::find(bytes, b"@0.3.0-rc").is_some();
    match oversize {
        Oversize::Damaged(error) if names_draft() => bad(
            "it is of a draft of WASI 0.3 from before its release, whose form nobody reads any more: \
             rebuild the component with tools of 0.3.0 or later",
        )
        .detail(error),
        other => measured(other),
    }
}

/// Why a file is not even looked at to its end.
pub(super) fn measured(oversize: Oversize) -> Fault {
    match oversize {
        Oversize::Damaged(error) => bad("the file is damaged or cut off").detail(error),
        Oversize::Count(what, most) => bad(format!(
            "it has more than {most} {what}, which is more than any compiler should be given"
        )),
    }
}

/// How everything begins that is said of a component that cannot run here.
const BAD: &str = "not a component this host can run: ";

pub(super) fn bad(why: impl std::fmt::Display) -> Fault {
    Fault::new(Code::BadComponent, format!("{BAD}{why}"))
}

/// The reason alone, of what [`bad`] says.
pub(super) fn why(fault: &Fault) -> &str {
    fault.say.strip_prefix(BAD).unwrap_or(&fault.say)
}

/// Names a file that is no component.
pub(super) fn kind(bytes: &[u8]) -> Result<(), Fault> {
    match bytes {
        [] => Err(bad("the file is empty")),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            let exports = look(bytes)?.exports;
            let offered = offered(&exports).map(|names| {
                format!(", whose exports ({names}) have no types that agents could read")
            });
            Err(bad(format!(
                "it is a core module{}; make a component of it, for Rust with the target wasm32-wasip2; `toolhost add` does so with a program of WASI preview 1",
                offered.unwrap_or_default()
            )))
        }
        [b'\0', b'a', b's', b'm', ..] => {
            Err(bad("its binary version is unknown, or it is cut off"))
        }
        [0x7f, b'E', b'L', b'F', ..] => Err(bad(
            "it is native code (a `.cwasm` or a program); only the host itself compiles components",
        )),
        [b'P', b'K', ..] => Err(bad("it is a zip archive")),
        [0x1f, 0x8b, ..] => Err(bad("it is a gzip file; unpack it first")),
        [b'(', ..] => Err(bad("it is WebAssembly text; translate it to binary first")),
        _ => Err(bad("its first bytes are not WebAssembly")),
    }
}

/// What a component's outer sections say, as far as it can be measured.
pub(super) fn sections(bytes: &[u8]) -> Result<Inspected, Oversize> {
    let mut inspected = Inspected {
        imports: Vec::new(),
        types: Vec::new(),
        exports: Vec::new(),
        has_async: false,
        off: None,
        is_package: false,
        components: 0,
        widest: 0,
    };
    let mut others = false;
    let mut outline = Outline::default();
    // Of each file that is open, the outermost first, whether it has functions of its own.
    let mut lifts = Vec::new();
    let mut shape = Shape::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        shape.note(&payload)?;
        match payload {
            Payload::Version {
                encoding: Encoding::Component | Encoding::Module,
                ..
            } => lifts.push(false),
            Payload::End(_) => inspected.components += usize::from(lifts.pop() == Some(true)),
            Payload::ComponentTypeSection(section) => {
                let section = bytes.get(section.range()).unwrap_or_default();
                for ty in types(section)? {
                    inspected.note(ty.extra);
                    inspected.widest = inspected.widest.max(ty.parts);
                    if lifts.len() == 1 {
                        outline.define(ty);
                    }
                }
            }
            Payload::ComponentAliasSection(section) if lifts.len() == 1 => {
                for alias in section {
                    outline.alias(&alias?);
                }
            }
            Payload::ComponentImportSection(section) if lifts.len() == 1 => {
                for import in section {
                    let import = import?;
                    let name = import.name.name.to_owned();
                    let types_alone = outline.import(import.ty);
                    match types_alone && grants::provided_by(&name).is_none() {
                        true => inspected.types.push(name),
                        false => inspected.imports.push(name),
                    }
                }
            }
            Payload::ComponentExportSection(section) if lifts.len() == 1 => {
                for export in section {
                    let export = export?;
                    outline.export(export.kind);
                    others |= export.kind != ComponentExternalKind::Type;
                    inspected.exports.push(export.name.name.to_owned());
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    let function = function?;
                    inspected.has_async |= is_async(&function);
                    if let (CanonicalFunction::Lift { .. }, Some(lifts)) =
                        (&function, lifts.last_mut())
                    {
                        *lifts = true;
                    }
                }
            }
            _ => {}
        }
    }
    inspected.is_package = !others && !inspected.exports.is_empty();
    inspected.imports.sort();
    inspected.types.sort();
    inspected.exports.sort();
    Ok(inspected)
}

/// Whether a function that the component model gives to core code is of its async part.
fn is_async(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.contains(&CanonicalOption::Async)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. }
        | CanonicalFunction::ThreadSpawnRef { .. }
        | CanonicalFunction::ThreadSpawnIndirect { .. }
        | CanonicalFunction::ThreadAvailableParallelism => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be read because it is old says so, and not that it is damaged.
    #[test]
    fn a_component_in_an_older_form_is_to_be_rebuilt() {
        let text = "(component (import \"wasi:cli/stdin@0.3.0-rc-2025-09-16\" (instance)))";
        let mut bytes = wat::parse_str(text).unwrap_or_default();
        // A canonical section with a function of a kind that there is none of.
        bytes.extend_from_slice(&[8, 2, 1, 0xff]);
        let said = inspect(&bytes, Wasi::V03).map_err(|fault| fault.say.into_owned());
        assert!(
            said.as_ref()
                .is_err_and(|say| say.contains("rebuild the component")),
            "{said:?}"
        );
        let said = inspect(b"\0asm\x0d\0\x01\0\x08\x02\x01\xff", Wasi::V03);
        assert!(said.is_err_and(|fault| fault.say.contains("damaged")));
    }

    #[test]
    fn every_other_file_is_named() {
        for (bytes, said) in [
            (&b""[..], "empty"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\x7fELF....", "native code"),
            (b"PK\x03\x04", "zip"),
            (b"(component)", "text"),
            (b"\0asm", "cut off"),
            (b"hello", "first bytes"),
        ] {
            let say = inspect(bytes, Wasi::V02).map_err(|fault| fault.say.into_owned());
            assert!(
                say.as_ref().is_err_and(|say| say.contains(said)),
                "{said}: {say:?}"
            );
        }
    }
}
