//! Sorts numbers and the lines of its input.

use std::io::Read;

fn main() {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .expect("an input");
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable();
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 32
    };
    let mut numbers: Vec<u64> = (0..80_000).map(|_| next()).collect();
    numbers.sort();
    println!("ok {} {} {}", words.len(), words[0], numbers.is_sorted());
}
