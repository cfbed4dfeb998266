//! Randomness: `wasi:random`. Every guest has it, from the host's generator, freshly seeded per
//! call and in bounded pieces.

use wasmtime_wasi::WasiCtxBuilder;

use super::described::Capability;

/// The most bytes of one request; asking for more ends the call. The default would let a guest make
/// the host allocate 64 MiB at a time (THREATS 1.4).
pub const MOST: u64 = 64 << 10;

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "random",
    imports: &["wasi:random"],
    provides: &[
        ("wasi:random/insecure", "0.2"),
        ("wasi:random/insecure-seed", "0.2"),
        ("wasi:random/random", "0.2"),
    ],
    provides_v03: &[
        ("wasi:random/insecure", "0.3"),
        ("wasi:random/insecure-seed", "0.3"),
        ("wasi:random/random", "0.3"),
    ],
    grant: None,
};

pub(super) fn grant(wasi: &mut WasiCtxBuilder) {
    wasi.max_random_size(MOST);
}
