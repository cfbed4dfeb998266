//! Aligned tables for people.

use std::io::{self, IsTerminal};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

/// A table without lines: columns aligned, the header in capitals.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
    table
}

/// Makes these columns right-aligned: numbers.
pub(super) fn numbers(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Whether people look at stdout.
pub(super) fn terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A word in colour, where a terminal shows it.
pub(super) fn green(word: &str) -> String {
    paint(word, "32")
}

/// A word in colour, where a terminal shows it.
pub(super) fn red(word: &str) -> String {
    paint(word, "31")
}

/// A word in bold, where a terminal shows it.
pub(super) fn bold(word: &str) -> String {
    paint(word, "1")
}

fn paint(word: &str, code: &str) -> String {
    if terminal() {
        format!("\u{1b}[{code}m{word}\u{1b}[0m")
    } else {
        word.to_owned()
    }
}

/// A number with thin groups, so that a billion is seen as one.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// A duration with three digits.
pub(super) fn short(duration: std::time::Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!(
            "{}.{:02} s",
            micros / 1_000_000,
            micros % 1_000_000 / 10_000
        ),
    }
}

/// Bytes in the unit that fits.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1_000");
        assert_eq!(grouped(5_000_000_000), "5_000_000_000");
        assert_eq!(short(std::time::Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(short(std::time::Duration::from_millis(61_230)), "61.23 s");
    }
}
