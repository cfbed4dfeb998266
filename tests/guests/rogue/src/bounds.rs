//! What runs into the bounds of a call: CPU, memory, time, stack, output streams.

use std::hint::black_box;
use std::time::Duration;

use toolhost_sdk::tool;

/// Loops for ever.
#[tool(read_only)]
pub(crate) fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Takes memory and touches every page of it.
#[tool(read_only)]
pub(crate) fn hog(
    /// How much, in MiB.
    mib: u32,
) -> String {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mib {
        taken.push(black_box(vec![1; 1 << 20]));
    }
    format!("took {} MiB", black_box(taken).len())
}

/// Copies one half of its memory to the other for ever, in single instructions.
#[tool(read_only)]
pub(crate) fn copy_for_ever(
    /// How much at once, in MiB.
    mib: usize,
) {
    let half = mib << 20;
    let mut taken = vec![1_u8; half * 2];
    loop {
        taken.copy_within(..half, half);
        black_box(&mut taken);
    }
}

/// Takes memory, piece by piece, and touches every page of it for ever.
#[tool(read_only)]
pub(crate) fn touch_for_ever(
    /// How much, in MiB.
    mib: usize,
) {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        if taken.len() < mib {
            taken.push(vec![0; 1 << 20]);
        }
        for page in taken
            .iter_mut()
            .flat_map(|piece| piece.iter_mut().step_by(4096))
        {
            *page = black_box(page.wrapping_add(1));
        }
    }
}

/// Waits without using CPU.
#[tool(read_only)]
pub(crate) fn nap(
    /// How long, in milliseconds.
    ms: u64,
) -> String {
    std::thread::sleep(Duration::from_millis(ms));
    format!("slept {ms} ms")
}

/// Calls itself without end.
#[tool(read_only)]
pub(crate) fn recurse() -> u64 {
    deeper(black_box(1))
}

/// The result is used after the call and the frame has an address: neither is optimised away.
#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    let below = deeper(black_box(depth.wrapping_add(1)));
    below.wrapping_add(black_box(&frame).iter().sum())
}

/// Panics.
#[tool(read_only)]
#[allow(clippy::panic)]
pub(crate) fn crash() {
    panic!("crashed on purpose");
}

/// Ends itself through `wasi:cli/exit`.
#[tool(read_only)]
pub(crate) fn quit() {
    std::process::exit(3);
}

/// Prints to stdout and stderr.
#[tool(read_only)]
pub(crate) fn babble(
    /// How much on each, in MiB.
    mib: u32,
) -> String {
    let line = "babble ".repeat(146);
    for _ in 0..u64::from(mib) * 1024 {
        println!("{line}");
        eprintln!("{line}");
    }
    format!("printed {mib} MiB on each")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_ends_by_itself_says_what_it_did() {
        assert_eq!(super::hog(2), "took 2 MiB");
        assert_eq!(super::nap(0), "slept 0 ms");
    }
}
