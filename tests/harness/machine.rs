//! What some tests need of the machine: another user, a mount, a device, a part of the kernel.
//!
//! A test that does not find it says so by its name, with a count: the test harness itself calls it passed.
//! Where `TOOLHOST_TESTS` is `all`, the machine is said to have everything, and the test fails.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Says that this test, or what is left of it, cannot be run here, and why.
pub(crate) fn skipped(why: impl Display) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let all = std::env::var_os("TOOLHOST_TESTS").is_some_and(|tests| tests == "all");
    assert!(!all, "{test} cannot be run here: {why}");
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    // Not `eprintln!`, which is shown of failed tests only.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is not the program that says it"
    )]
    let _ = writeln!(std::io::stderr(), "skipped, {count} by now: {test}: {why}");
}
