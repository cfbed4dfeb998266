//! The functions that are added to a module whose memory is moved: what its instructions become, and
//! what stands between it and the adapter.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};
use wasmparser::FuncType;

use super::survey::Survey;
use super::{MOVED, PAGE, PAGES};

/// The types of what is added, all of them 32-bit integers: how many go in, how many come out.
pub(super) const TYPES: [(u32, u32); 5] = [(0, 1), (1, 1), (3, 0), (4, 1), (2, 1)];

/// Of them that of a function which says how many arguments or variables there are.
pub(super) const SIZES: usize = 4;

/// Where in the first page is written how much of the adapter's two pages is taken.
const TAKEN: u32 = 16;

/// Where in the first page the one buffer is described that the adapter is given.
const BUFFER: u32 = 64;

/// Where in the first page the number of arguments or variables is written, and their bytes.
const COUNT: u32 = 80;

/// A function that is added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    /// In an import's place.
    Shim { import: u32, ty: u32, shim: Shim },
    /// `memory.size`
    Size,
    /// `memory.grow`
    Grow,
    /// `memory.copy`
    Copy,
    /// `memory.fill`
    Fill,
    /// `memory.init` of this segment.
    Init(u32),
    /// What gives the adapter its pages.
    Realloc,
}

impl Code {
    /// The module's own type, or which of the added ones.
    pub(super) const fn ty(self) -> Result<u32, usize> {
        match self {
            Self::Shim { ty, .. } => Ok(ty),
            Self::Size => Err(0),
            Self::Grow => Err(1),
            Self::Copy | Self::Fill | Self::Init(_) => Err(2),
            Self::Realloc => Err(3),
        }
    }
}

/// A function of WASI that is given addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shim {
    name: &'static str,
    parameters: &'static str,
}

/// Those functions and their parameters: an address `p`, a table of addresses to be filled `t`, a list
/// of buffers `b` with its length behind it, other values of 32 and 64 bits `i` and `l`. All of them
/// give an error's number.
const SHIMS: [(&str, &str); 33] = [
    ("adapter_open_badfd", "p"),
    ("args_get", "tp"),
    ("args_sizes_get", "pp"),
    ("clock_res_get", "ip"),
    ("clock_time_get", "ilp"),
    ("environ_get", "tp"),
    ("environ_sizes_get", "pp"),
    ("fd_fdstat_get", "ip"),
    ("fd_filestat_get", "ip"),
    ("fd_pread", "ibilp"),
    ("fd_prestat_dir_name", "ipi"),
    ("fd_prestat_get", "ip"),
    ("fd_pwrite", "ibilp"),
    ("fd_read", "ibip"),
    ("fd_readdir", "ipilp"),
    ("fd_seek", "ilip"),
    ("fd_tell", "ip"),
    ("fd_write", "ibip"),
    ("path_create_directory", "ipi"),
    ("path_filestat_get", "iipip"),
    ("path_filestat_set_times", "iipilli"),
    ("path_link", "iipiipi"),
    ("path_open", "iipiillip"),
    ("path_readlink", "ipipip"),
    ("path_remove_directory", "ipi"),
    ("path_rename", "ipiipi"),
    ("path_symlink", "piipi"),
    ("path_unlink_file", "ipi"),
    ("poll_oneoff", "ppip"),
    ("random_get", "pi"),
    ("sock_accept", "iip"),
    ("sock_recv", "ibiipp"),
    ("sock_send", "ibiip"),
];

impl Shim {
    /// The shim for an import. One of another type than WASI's is left to the encoder, which refuses it.
    pub(super) fn of(name: &str, ty: &FuncType) -> Option<Self> {
        let &(name, parameters) = SHIMS.iter().find(|(known, _)| *known == name)?;
        let fits = ty.results() == [wasmparser::ValType::I32]
            && ty.params().len() == parameters.len()
            && parameters.chars().zip(ty.params()).all(|(kind, ty)| {
                *ty == match kind {
                    'l' => wasmparser::ValType::I64,
                    _ => wasmparser::ValType::I32,
                }
            });
        fits.then_some(Self { name, parameters })
    }

    /// The function that says how long the table of addresses is which this one fills.
    pub(super) fn counts_with(self) -> Option<&'static str> {
        match self.name {
            "args_get" => Some("args_sizes_get"),
            "environ_get" => Some("environ_sizes_get"),
            _ => None,
        }
    }
}

/// A function's code.
pub(super) fn body(code: Code, survey: &Survey<'_>) -> Function {
    let mut function = match code {
        Code::Shim { .. } | Code::Realloc => Function::new([(1, ValType::I32)]),
        _ => Function::new([]),
    };
    let mut to = function.instructions();
    match code {
        Code::Shim { import, shim, .. } => shimmed(&mut to, import, shim, survey),
        Code::Size => {
            to.memory_size(0);
            below(&mut to);
        }
        Code::Grow => grow(&mut to),
        Code::Copy => {
            real(&mut to, 0);
            real(&mut to, 1);
            to.local_get(2).memory_copy(0, 0);
        }
        Code::Fill => {
            real(&mut to, 0);
            to.local_get(1).local_get(2).memory_fill(0);
        }
        Code::Init(segment) => {
            real(&mut to, 0);
            to.local_get(1).local_get(2).memory_init(0, segment);
        }
        Code::Realloc => realloc(&mut to),
    }
    to.end();
    function
}

const fn at(offset: u32) -> MemArg {
    MemArg {
        offset: offset as u64,
        align: 2,
        memory_index: 0,
    }
}

const fn signed(value: u32) -> i32 {
    value.cast_signed()
}

/// The address in the memory of the program's address in a local; the last of all for what would wrap
/// around.
fn real(to: &mut InstructionSink<'_>, local: u32) {
    to.local_get(local)
        .i32_const(signed(MOVED))
        .i32_add()
        .i32_const(-1)
        .local_get(local)
        .i32_const(signed(u32::MAX - MOVED))
        .i32_le_u()
        .select();
}

/// Takes the pages below off a number of them.
fn below(to: &mut InstructionSink<'_>) {
    to.i32_const(signed(PAGES)).i32_sub();
}

fn grow(to: &mut InstructionSink<'_>) {
    to.local_get(0)
        .memory_grow(0)
        .local_tee(0)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Result(ValType::I32))
        .i32_const(-1)
        .else_()
        .local_get(0);
    below(to);
    to.end();
}

/// Piece by piece from the two pages, each aligned; nothing is ever given back. Beyond them it traps.
fn realloc(to: &mut InstructionSink<'_>) {
    let (old, align, size, taken) = (0, 2, 3, 4);
    let most = signed(MOVED - PAGE);
    to.i32_const(0)
        .i32_load(at(TAKEN))
        .local_get(align)
        .i32_add()
        .i32_const(1)
        .i32_sub()
        .i32_const(0)
        .local_get(align)
        .i32_sub()
        .i32_and()
        .local_set(taken);
    to.local_get(old)
        .local_get(size)
        .i32_const(most)
        .i32_gt_u()
        .i32_or()
        .local_get(taken)
        .local_get(size)
        .i32_add()
        .i32_const(most)
        .i32_gt_u()
        .i32_or()
        .if_(BlockType::Empty)
        .unreachable()
        .end();
    to.i32_const(0)
        .local_get(taken)
        .local_get(size)
        .i32_add()
        .i32_store(at(TAKEN));
    to.local_get(taken).i32_const(signed(PAGE)).i32_add();
}

/// Calls an import with the memory's addresses in place of the program's.
fn shimmed(to: &mut InstructionSink<'_>, import: u32, shim: Shim, survey: &Survey<'_>) {
    let temporary = u32::try_from(shim.parameters.len()).unwrap_or(u32::MAX);
    let places = || (0_u32..).zip(shim.parameters.chars());
    for (place, _) in places().filter(|(_, kind)| *kind == 'b') {
        first_buffer(to, place, place + 1, temporary);
    }
    for (place, kind) in places() {
        match kind {
            'p' | 't' => real(to, place),
            _ => {
                to.local_get(place);
            }
        }
    }
    to.call(import);
    if let Some(sizes) = shim.counts_with().and_then(|name| survey.wasi(name)) {
        table(to, 0, sizes, temporary);
    }
}

/// The adapter reads and writes the first buffer with anything in it and no other; this one is described
/// to it in the first page. The two parameters, which are locals, become that list.
fn first_buffer(to: &mut InstructionSink<'_>, list: u32, count: u32, temporary: u32) {
    to.block(BlockType::Empty)
        .loop_(BlockType::Empty)
        .local_get(count)
        .i32_eqz()
        .br_if(1)
        .local_get(list)
        .i32_load(at(MOVED + 4))
        .br_if(1)
        .local_get(list)
        .i32_const(8)
        .i32_add()
        .local_set(list)
        .local_get(count)
        .i32_const(1)
        .i32_sub()
        .local_set(count)
        .br(0)
        .end()
        .end();
    to.local_get(count)
        .if_(BlockType::Empty)
        .local_get(list)
        .i32_load(at(MOVED))
        .local_set(temporary)
        .i32_const(0);
    real(to, temporary);
    to.i32_store(at(BUFFER))
        .i32_const(0)
        .local_get(list)
        .i32_load(at(MOVED + 4))
        .i32_store(at(BUFFER + 4))
        .i32_const(1)
        .local_set(count)
        .end();
    to.i32_const(signed(BUFFER)).local_set(list);
}

/// Makes what the adapter wrote into a table the program's addresses. An error's number is on the stack
/// before and after.
fn table(to: &mut InstructionSink<'_>, table: u32, sizes: u32, temporary: u32) {
    to.local_tee(temporary)
        .i32_eqz()
        .if_(BlockType::Empty)
        .i32_const(0)
        .i32_const(0)
        .i32_store(at(COUNT))
        .i32_const(signed(COUNT))
        .i32_const(signed(COUNT + 4))
        .call(sizes)
        .drop()
        .block(BlockType::Empty)
        .loop_(BlockType::Empty)
        .i32_const(0)
        .i32_load(at(COUNT))
        .i32_eqz()
        .br_if(1)
        .local_get(table)
        .local_get(table)
        .i32_load(at(MOVED))
        .i32_const(signed(MOVED))
        .i32_sub()
        .i32_store(at(MOVED))
        .local_get(table)
        .i32_const(4)
        .i32_add()
        .local_set(table)
        .i32_const(0)
        .i32_const(0)
        .i32_load(at(COUNT))
        .i32_const(1)
        .i32_sub()
        .i32_store(at(COUNT))
        .br(0)
        .end()
        .end()
        .end();
    to.local_get(temporary);
}
