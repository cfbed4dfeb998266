//! What of a module has to be known before it is copied.

use std::collections::BTreeMap;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, FuncType, FunctionBody, MemoryType, Operator, Parser,
    Payload, TypeRef,
};
use wit_component::metadata;
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, WorldItem};

use super::shims::{Code, Shim, TYPES};
use super::{MOST_PAGES, PAGES};
use crate::compile::kind::PREVIEW_1;

/// A module whose memory is to be moved, by its indices.
#[derive(Default)]
pub(super) struct Survey<'a> {
    types: u32,
    imported: u32,
    defined: u32,
    /// Globals that are imported.
    pub(super) globals: usize,
    /// Functions of WASI that are imported besides: the shims need them.
    pub(super) asked: Vec<&'static str>,
    /// Functions of WASI that the module imports, and their types.
    wasi: Vec<(u32, &'a str, u32)>,
    /// What is added behind the module's own functions.
    pub(super) code: Vec<Code>,
    places: BTreeMap<Code, u32>,
    /// The shims that stand for imports.
    shims: BTreeMap<u32, u32>,
}

impl<'a> Survey<'a> {
    /// Nothing where there is nothing to move.
    pub(super) fn of(module: &'a [u8]) -> Result<Option<Self>, BinaryReaderError> {
        let mut survey = Self::default();
        let mut types: Vec<Option<FuncType>> = Vec::new();
        let (mut memories, mut exports, mut segments) = (Vec::new(), false, false);
        let mut inits = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                            CompositeInnerType::Func(function) => Some(function),
                            _ => None,
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                                if import.module == PREVIEW_1 {
                                    survey.wasi.push((survey.imported, import.name, ty));
                                }
                                survey.imported += 1;
                            }
                            TypeRef::Memory(_) => return Ok(None),
                            TypeRef::Global(_) => survey.globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => survey.defined = section.count(),
                Payload::MemorySection(section) => {
                    for memory in section {
                        memories.push(memory?);
                    }
                }
                Payload::ExportSection(_) => exports = true,
                Payload::DataCountSection { .. } => segments = true,
                // Without a count of segments no code takes one.
                Payload::CodeSectionEntry(body) if segments => inits_of(&body, &mut inits)?,
                _ => {}
            }
        }
        let movable = matches!(memories.as_slice(), [memory] if is_movable(memory));
        if survey.wasi.is_empty() || survey.defined == 0 || !movable || !exports {
            return Ok(None);
        }
        survey.types = u32::try_from(types.len()).unwrap_or(u32::MAX);
        survey.lay_out(&types, inits);
        Ok(Some(survey))
    }

    /// Decides what is added, and where.
    fn lay_out(&mut self, types: &[Option<FuncType>], mut inits: Vec<u32>) {
        let mut shims = Vec::new();
        for &(import, name, ty) in &self.wasi {
            let known = usize::try_from(ty).ok().and_then(|ty| types.get(ty));
            let Some(Some(known)) = known else { continue };
            if let Some(shim) = Shim::of(name, known) {
                shims.push((import, ty, shim));
            }
        }
        for needed in shims.iter().filter_map(|(.., shim)| shim.counts_with()) {
            let has = self.wasi.iter().any(|(_, name, _)| *name == needed);
            if !has && !self.asked.contains(&needed) {
                self.asked.push(needed);
            }
        }
        let shimmed = |&(import, ty, shim)| Code::Shim { import, ty, shim };
        self.code = shims.iter().map(shimmed).collect();
        self.code.extend([
            Code::Size,
            Code::Grow,
            Code::Copy,
            Code::Fill,
            Code::Realloc,
        ]);
        inits.sort_unstable();
        inits.dedup();
        self.code.extend(inits.into_iter().map(Code::Init));
        let first = self.imported + self.asked() + self.defined;
        self.places = self.code.iter().copied().zip(first..).collect();
        self.shims = shims
            .into_iter()
            .map(|(import, ..)| import)
            .zip(first..)
            .collect();
    }

    fn asked(&self) -> u32 {
        u32::try_from(self.asked.len()).unwrap_or(u32::MAX)
    }

    /// Where a function of the module is afterwards.
    pub(super) fn function(&self, index: u32) -> u32 {
        match self.shims.get(&index) {
            Some(shim) => *shim,
            None if index < self.imported => index,
            None => index.saturating_add(self.asked()),
        }
    }

    /// Where what is added is.
    pub(super) fn added(&self, code: Code) -> Option<u32> {
        self.places.get(&code).copied()
    }

    /// Where a type that is added is.
    pub(super) fn added_type(&self, which: usize) -> u32 {
        debug_assert!(which < TYPES.len());
        self.types
            .saturating_add(u32::try_from(which).unwrap_or(u32::MAX))
    }

    /// The type of what is added.
    pub(super) fn type_of(&self, code: Code) -> u32 {
        match code.ty() {
            Ok(own) => own,
            Err(added) => self.added_type(added),
        }
    }

    /// A function of WASI, as the module imports it or as it was added.
    pub(super) fn wasi(&self, name: &str) -> Option<u32> {
        let own = self.wasi.iter().find(|(_, own, _)| *own == name);
        let asked = || {
            let place = self.asked.iter().position(|asked| *asked == name)?;
            Some(self.imported + u32::try_from(place).ok()?)
        };
        own.map(|(index, ..)| *index).or_else(asked)
    }
}

/// Whether there is room below it. Other kinds of memory are not what the adapter is for.
fn is_movable(memory: &MemoryType) -> bool {
    let plain = !memory.memory64 && !memory.shared && memory.page_size_log2.is_none();
    plain && memory.initial.saturating_add(PAGES.into()) <= MOST_PAGES
}

/// The segments that code takes data from.
fn inits_of(body: &FunctionBody<'_>, inits: &mut Vec<u32>) -> Result<(), BinaryReaderError> {
    for op in body.get_operators_reader()? {
        if let Operator::MemoryInit { data_index, .. } = op? {
            inits.push(data_index);
        }
    }
    Ok(())
}

/// Whether a module gives addresses of its memory to others than the adapter: by the types of its
/// world, or by the component model's own functions.
pub(super) fn passes_addresses(module: &[u8]) -> Result<bool, Box<dyn std::error::Error>> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                if import.module != PREVIEW_1 && import.name.contains('[') {
                    return Ok(true);
                }
            }
        }
    }
    let (_, world) = metadata::decode(module)?;
    let resolve = &world.resolve;
    let Some(world) = resolve.worlds.get(world.world) else {
        return Ok(false);
    };
    let within = |item: &WorldItem, of: AbiVariant| match item {
        WorldItem::Function(function) => addresses(resolve, function, of),
        WorldItem::Interface { id, .. } => {
            let mut functions = resolve.interfaces[*id].functions.values();
            functions.any(|function| addresses(resolve, function, of))
        }
        WorldItem::Type { .. } => false,
    };
    let mut imports = world.imports.values();
    let mut exports = world.exports.values();
    Ok(imports.any(|item| within(item, AbiVariant::GuestImport))
        || exports.any(|item| within(item, AbiVariant::GuestExport)))
}

fn addresses(resolve: &Resolve, function: &Function, of: AbiVariant) -> bool {
    if function.kind.is_async() {
        return true;
    }
    let flat = resolve.wasm_signature(of, function);
    let mut values = flat.params.iter().chain(&flat.results);
    flat.retptr
        || flat.indirect_params
        || values.any(|value| {
            matches!(
                value,
                WasmType::Pointer | WasmType::PointerOrI64 | WasmType::Length
            )
        })
}
