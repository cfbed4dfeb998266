//! Randomness: `wasi:random`. Every guest has it, from the host's generator, freshly seeded per
//! call and in bounded pieces.

mod seam;

pub(super) use seam::{Random, link};

use wasmtime_wasi::WasiCtxBuilder;

/// The most bytes of one request; asking for more ends the call. The default would let a guest make
/// the host allocate 64 MiB at a time (THREATS 1.4).
pub const MOST: u64 = 64 << 10;

pub(super) fn grant(wasi: &mut WasiCtxBuilder) {
    wasi.max_random_size(MOST);
}
