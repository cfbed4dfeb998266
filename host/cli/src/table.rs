//! Aligned tables for people, and how numbers are shown in them.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement};

use super::out::Painted;
use crate::terms::printable_lines;

/// Rows under a header.
pub(super) struct Table(comfy_table::Table);

/// A table without lines: columns aligned, the header in capitals.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| Cell::new(name.to_uppercase())));
    Table(table)
}

impl Table {
    /// One more row. Its texts are escaped before they are measured, so that columns stay aligned; a
    /// text of several lines takes as many.
    pub(super) fn add_row<I: IntoIterator<Item: AsRef<str>>>(&mut self, row: I) {
        let cells = row.into_iter();
        let cells = cells.map(|text| printable_lines(text.as_ref()).into_owned());
        self.0.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes these columns right-aligned: numbers.
pub(super) fn numbers(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.0.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A word that something went well, in colour where a terminal shows it.
pub(super) fn green(word: &str) -> Painted<'_> {
    Painted::new(word, "32")
}

/// A word that something did not, in colour where a terminal shows it.
pub(super) fn red(word: &str) -> Painted<'_> {
    Painted::new(word, "31")
}

/// A word as every other.
pub(super) fn plain(word: &str) -> Painted<'_> {
    Painted::new(word, "0")
}

/// A word in bold, where a terminal shows it.
pub(super) fn bold(word: &str) -> Painted<'_> {
    Painted::new(word, "1")
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
