//! A program of WASI preview 1, its memory moved up by three pages.
//!
//! The adapter keeps its state and its stack in the program's own memory. Without this it takes two
//! pages there by `memory.grow`, which some programs do not expect: Go's runtime takes what it grows
//! by for the piece behind what it has, whatever `memory.grow` says, and older C libraries take all
//! there is at their first `malloc` for theirs. Both then write where the adapter's state lies, and it
//! traps.
//!
//! So the first three pages are the adapter's, and the program's address 0 is where the fourth begins.
//! The program cannot tell: every address in its code and data has the three pages added, where it
//! costs nothing since the offset of a load or store is part of the machine's instruction;
//! `memory.size` and `memory.grow` count without them; and what it asks of WASI passes through shims
//! that turn its addresses into the memory's. What was out of bounds stays so, also for the
//! adapter's pages: an address that would wrap around into them becomes the last one, where no memory
//! ever is.

mod shims;
mod survey;

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataSection, ExportKind, ExportSection, FunctionSection,
    GlobalSection, ImportSection, Instruction, MemArg, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{CustomSectionReader, DataKind, Operator, Parser};

use self::shims::Code;
use self::survey::Survey;
use super::inspect::bad;
use super::kind::PREVIEW_1;
use crate::terms::Fault;

/// Pages of memory, 64 KiB each, that are put below the program's: the first so that no address of the
/// adapter's is 0, one for its state, one for its stack.
const PAGES: u32 = 3;

/// The same in bytes.
const MOVED: u32 = PAGES * PAGE;

const PAGE: u32 = 1 << 16;

/// The most pages that a memory has afterwards. The last address of all is never one of it.
const MOST_PAGES: u64 = 65_535;

/// By this name the encoder takes the function with which the adapter gets its pages.
const REALLOC: &str = "cabi_realloc_adapter";

/// The module with its memory moved; nothing where that stays: the module asks the adapter for nothing,
/// has no memory, puts data where only its host knows, or hands addresses to others than the adapter, by functions with types of its own.
/// Such a one has a `cabi_realloc`, which those functions need, and the adapter gets its pages from that
/// too.
///
/// # Errors
///
/// `bad-component` for a module that cannot be read. It was validated before.
pub(super) fn relocated(module: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let unread = |error: &dyn std::fmt::Display| {
        bad(format!(
            "its memory cannot be laid out for the adapter: {error}"
        ))
    };
    let Some(survey) = Survey::of(module).map_err(|error| unread(&error))? else {
        return Ok(None);
    };
    // A world that cannot be read the encoder refuses, and says why.
    if survey::passes_addresses(module).unwrap_or(true) {
        return Ok(None);
    }
    let mut moved = Module::new();
    let mut relocator = Relocator {
        globals: vec![None; survey.globals],
        survey,
        is_known: true,
    };
    relocator
        .parse_core_module(&mut moved, Parser::new(0), module)
        .map_err(|error| unread(&error))?;
    Ok(relocator.is_known.then(|| moved.finish()))
}

/// Copies a module, with every address moved and the functions added that this needs.
struct Relocator<'a> {
    survey: Survey<'a>,
    /// The values of globals, where they are known before the module runs.
    globals: Vec<Option<u32>>,
    /// It is known where all data goes.
    is_known: bool,
}

impl Relocator<'_> {
    /// What an expression of constants comes to.
    fn value(&self, expression: &wasmparser::ConstExpr<'_>) -> wasmparser::Result<Option<u32>> {
        let mut stack: Vec<u32> = Vec::new();
        for operator in expression.get_operators_reader() {
            let value = match operator? {
                Operator::End => break,
                Operator::I32Const { value } => Some(value.cast_unsigned()),
                Operator::GlobalGet { global_index } => usize::try_from(global_index)
                    .ok()
                    .and_then(|index| *self.globals.get(index)?),
                operator => stack
                    .pop()
                    .zip(stack.pop())
                    .and_then(|(b, a)| match operator {
                        Operator::I32Add => Some(a.wrapping_add(b)),
                        Operator::I32Sub => Some(a.wrapping_sub(b)),
                        Operator::I32Mul => Some(a.wrapping_mul(b)),
                        _ => None,
                    }),
            };
            let Some(value) = value else { return Ok(None) };
            stack.push(value);
        }
        Ok(stack.pop())
    }
}

type Done = Result<(), Error<Infallible>>;

impl Reencode for Relocator<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.survey.function(function))
    }

    /// A sum beyond 32 bits was out of bounds before, as this is.
    fn mem_arg(&mut self, arg: wasmparser::MemArg) -> Result<MemArg, Error<Infallible>> {
        let mut arg = utils::mem_arg(self, arg)?;
        arg.offset = arg.offset.saturating_add(MOVED.into()).min(u32::MAX.into());
        Ok(arg)
    }

    fn instruction<'a>(&mut self, op: Operator<'a>) -> Result<Instruction<'a>, Error<Infallible>> {
        let code = match op {
            Operator::MemorySize { .. } => Code::Size,
            Operator::MemoryGrow { .. } => Code::Grow,
            Operator::MemoryCopy { .. } => Code::Copy,
            Operator::MemoryFill { .. } => Code::Fill,
            Operator::MemoryInit { data_index, .. } => Code::Init(data_index),
            op => return utils::instruction(self, op),
        };
        Ok(match self.survey.added(code) {
            Some(index) => Instruction::Call(index),
            // The survey has seen every instruction.
            None => Instruction::Unreachable,
        })
    }

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> Result<MemoryType, Error<Infallible>> {
        let mut ty = utils::memory_type(self, ty);
        let most = ty.maximum.unwrap_or(MOST_PAGES);
        ty.minimum = ty.minimum.saturating_add(PAGES.into());
        ty.maximum = Some(most.saturating_add(PAGES.into()).min(MOST_PAGES));
        Ok(ty)
    }

    fn parse_global(
        &mut self,
        globals: &mut GlobalSection,
        global: wasmparser::Global<'_>,
    ) -> Done {
        self.globals.push(self.value(&global.init_expr)?);
        utils::parse_global(self, globals, global)
    }

    fn parse_data(&mut self, data: &mut DataSection, datum: wasmparser::Data<'_>) -> Done {
        let DataKind::Active {
            memory_index,
            offset_expr,
        } = &datum.kind
        else {
            return utils::parse_data(self, data, datum);
        };
        let value = self.value(offset_expr)?;
        self.is_known &= value.is_some();
        // What did not fit must not wrap around into the adapter's pages.
        let moved = value.unwrap_or_default().saturating_add(MOVED);
        let offset = ConstExpr::i32_const(moved.cast_signed());
        data.active(*memory_index, &offset, datum.data.iter().copied());
        Ok(())
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Done {
        utils::parse_type_section(self, types, section)?;
        for (parameters, results) in shims::TYPES {
            let whole = |count: u32| (0..count).map(|_| ValType::I32);
            types.ty().function(whole(parameters), whole(results));
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Done {
        utils::parse_import_section(self, imports, section)?;
        let ty = self.survey.added_type(shims::SIZES);
        for name in &self.survey.asked {
            imports.import(PREVIEW_1, name, wasm_encoder::EntityType::Function(ty));
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Done {
        utils::parse_function_section(self, functions, section)?;
        for code in &self.survey.code {
            functions.function(self.survey.type_of(*code));
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Done {
        utils::parse_code_section(self, code, section)?;
        for added in &self.survey.code {
            code.function(&shims::body(*added, &self.survey));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Done {
        utils::parse_export_section(self, exports, section)?;
        if let Some(index) = self.survey.added(Code::Realloc) {
            exports.export(REALLOC, ExportKind::Func, index);
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Done {
        match export.name == REALLOC {
            true => Ok(()),
            false => utils::parse_export(self, exports, export),
        }
    }

    /// What speaks of places in the code is wrong afterwards: it is left out.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Done {
        let name = section.name();
        let stays = match name {
            "name" => self.survey.asked.is_empty(),
            "producers" | "target_features" => true,
            name => name.starts_with(super::kind::WORLD),
        };
        if stays {
            module.section(&CustomSection {
                name: name.into(),
                data: section.data().into(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
