//! The `toolhost` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolhost::cli::run()
}
