//! How large a component's parts may be, counted while its sections are read: what would make a
//! compiler work for ever is refused before one starts. What slips through meets the compile
//! process's own limits.
//!
//! It counts, and knows nothing of what the parts mean.

use wasmparser::{FunctionBody, Operator, Payload};

/// Something that is counted, and the most of it that is allowed.
struct Count {
    what: &'static str,
    now: u64,
    most: u64,
}

impl Count {
    const fn new(what: &'static str, most: u64) -> Self {
        Self { what, now: 0, most }
    }

    fn add(&mut self, more: u64) -> Result<(), Oversize> {
        self.now = self.now.saturating_add(more);
        if self.now > self.most {
            return Err(Oversize::Count(self.what, self.most));
        }
        Ok(())
    }
}

/// Why a component is not compiled.
pub(super) enum Oversize {
    /// Of something there is more than allowed.
    Count(&'static str, u64),
    /// It cannot be read at all.
    Damaged(wasmparser::BinaryReaderError),
}

impl From<wasmparser::BinaryReaderError> for Oversize {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Damaged(error)
    }
}

/// The largest function, in bytes of its body. An interpreter's main loop has some 300,000.
const BODY: u64 = 4 << 20;
/// Blocks, loops and ifs in one function: what a compiler's work grows with faster than evenly.
const BLOCKS: u64 = 100_000;
/// Blocks within blocks. A `switch` over so many cases is compiled to as many.
const DEPTH: u64 = 10_000;

/// What a whole component holds, nested ones included. A Python component of 20 MB has 14 core
/// instances and some 30,000 functions.
pub(super) struct Shape {
    functions: Count,
    targets: Count,
    data: Count,
    elements: Count,
    types: Count,
    globals: Count,
    imports: Count,
    nested: Count,
    instances: Count,
    depth: Count,
}

impl Shape {
    pub(super) const fn new() -> Self {
        Self {
            functions: Count::new("functions", 250_000),
            targets: Count::new("targets of jump tables", 1_000_000),
            // A snapshot of QuickJS has 10,000 and a few by its making, a CPython build 24,000, a
            // program in Go of 6 MB 53,000. No engine takes more of one module than this.
            data: Count::new("data segments", 100_000),
            elements: Count::new("element segments", 10_000),
            types: Count::new("types", 100_000),
            globals: Count::new("globals", 100_000),
            imports: Count::new("imports, exports and aliases", 100_000),
            nested: Count::new("modules and components within it", 1_000),
            instances: Count::new("instances", 1_000),
            depth: Count::new("levels of components within each other", 32),
        }
    }

    /// Counts one section.
    pub(super) fn note(&mut self, payload: &Payload<'_>) -> Result<(), Oversize> {
        match payload {
            Payload::FunctionSection(section) => self.functions.add(section.count().into()),
            Payload::CodeSectionEntry(body) => self.body(body),
            Payload::DataSection(section) => self.data.add(section.count().into()),
            Payload::ElementSection(section) => self.elements.add(section.count().into()),
            Payload::TypeSection(section) => self.types.add(section.count().into()),
            Payload::CoreTypeSection(section) => self.types.add(section.count().into()),
            Payload::ComponentTypeSection(section) => self.types.add(section.count().into()),
            Payload::GlobalSection(section) => self.globals.add(section.count().into()),
            Payload::ImportSection(section) => self.imports.add(section.count().into()),
            Payload::ExportSection(section) => self.imports.add(section.count().into()),
            Payload::ComponentImportSection(section) => self.imports.add(section.count().into()),
            Payload::ComponentExportSection(section) => self.imports.add(section.count().into()),
            Payload::ComponentAliasSection(section) => self.imports.add(section.count().into()),
            Payload::ComponentCanonicalSection(section) => {
                self.functions.add(section.count().into())
            }
            Payload::InstanceSection(section) => self.instances.add(section.count().into()),
            Payload::ComponentInstanceSection(section) => {
                self.instances.add(section.count().into())
            }
            // Each ends with an `End` of its own.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.nested.add(1)?;
                self.depth.add(1)
            }
            Payload::End(_) => {
                self.depth.now = self.depth.now.saturating_sub(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), Oversize> {
        let range = body.range();
        let bytes = u64::try_from(range.end.saturating_sub(range.start)).unwrap_or(u64::MAX);
        Count::new("bytes in one function", BODY).add(bytes)?;
        let mut blocks = Count::new("blocks in one function", BLOCKS);
        let mut depth = Count::new("levels of blocks in one function", DEPTH);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. } => {
                    blocks.add(1)?;
                    depth.add(1)?;
                }
                Operator::End => depth.now = depth.now.saturating_sub(1),
                Operator::BrTable { targets } => self.targets.add(targets.len().into())?,
                _ => {}
            }
        }
        Ok(())
    }
}
