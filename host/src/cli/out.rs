//! The one way to standard output. `println!` panics when whoever read it has gone away.

use std::fmt;
use std::io::{self, Write};

/// Prints a line of data.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::out::line(format_args!($($words)*)) };
}

/// Prints a line. Where nobody reads any more the program ends as if it had printed everything:
/// `toolhost list | head -1` is no failure. Where it cannot print for another reason it says so.
pub(super) fn line(words: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{words}") {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        let _ = writeln!(io::stderr(), "cannot print: {error}");
        std::process::exit(2);
    }
}
