//! The `toolhost` program.

use std::process::ExitCode;

/// The system's gives memory back to the kernel after every large value and takes it again for the
/// next: half the time of a call with a megabyte of arguments.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    toolhost::run()
}
