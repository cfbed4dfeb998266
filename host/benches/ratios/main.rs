//! How much the host costs beside a reference that does the same work, in one run: the two take
//! turns, and what is printed are medians of ratios. An absolute time on a shared machine says
//! little; it stands beside the ratio all the same.
//!
//! With one call in flight the place of client and server decides as much as their work: these rows
//! are printed for equal places as well (see `place`).
//!
//! `cargo bench --bench ratios` prints all; a word after `--` chooses: call, typed, unix, http, stdio,
//! noise, crowd, cancel, egress, start, memory; `twins`, `shares` and `former` are printed only when
//! they are chosen (see `large`, `shares` and `former`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on ends with the place where"
)]

/// The program's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

mod bare;
mod crowd;
mod drive;
mod egress;
mod former;
mod inside;
mod large;
mod outside;
mod place;
mod shares;
mod stage;
mod stats;
mod typed;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if words.first().is_some_and(|word| word == "bare") {
        return bare::serve(&words[1..]);
    }
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    // Pure, so it needs no stage: `-- egress` alone builds no guests.
    let only_egress = words.iter().all(|word| word == "egress") && !words.is_empty();
    if only_egress {
        heading();
        return egress::judge();
    }
    let stage = stage::Stage::set();
    heading();
    if chosen("call") {
        inside::call(&stage);
    }
    if chosen("typed") {
        typed::functions(&stage);
    }
    if words.iter().any(|word| word == "twins") {
        large::twins(&stage);
    }
    if words.iter().any(|word| word == "shares") {
        shares::shares(&stage);
    }
    if words.iter().any(|word| word == "former") {
        former::former(&stage);
    }
    if chosen("unix") {
        outside::unix(&stage);
    }
    if chosen("http") {
        outside::http(&stage);
    }
    if chosen("stdio") {
        outside::stdio(&stage);
    }
    if chosen("noise") {
        outside::noise(&stage);
    }
    if chosen("crowd") {
        crowd::crowd(&stage);
    }
    if chosen("cancel") {
        outside::cancel(&stage);
    }
    if chosen("egress") {
        egress::judge();
    }
    if chosen("start") {
        outside::start(&stage);
    }
    if chosen("memory") {
        outside::memory(&stage);
    }
}

fn heading() {
    println!(
        "{:<44} {:>10} {:>10} {:>8}  asked",
        "what", "ours", "reference", "ratio"
    );
}
