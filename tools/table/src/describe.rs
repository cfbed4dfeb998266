//! What is in a file: columns, their kinds, how many rows. It looks at every row and keeps none.

use serde_json::Value;
use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::cell::Cell;
use crate::source::{Format, Table};

/// Different values shown of each column.
const EXAMPLES: usize = 3;

/// What is in a file.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Description {
    /// Its notation.
    pub(crate) format: Format,
    /// How many rows it has.
    pub(crate) rows: usize,
    /// Its columns, in order.
    pub(crate) columns: Vec<Column>,
    /// Rows with more or fewer fields than there are columns.
    pub(crate) ragged_rows: usize,
}

/// One column.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Column {
    /// Its name.
    name: String,
    /// What its values are.
    pub(crate) kind: Kind,
    /// How many rows have nothing there.
    empty: usize,
    /// Some of its values.
    examples: Vec<Value>,
}

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It has none.
    Empty,
    /// `true` and `false`.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Texts.
    Text,
    /// Of several kinds.
    Mixed,
}

impl Kind {
    fn with(self, cell: &Cell) -> Self {
        let other = match cell {
            Cell::Empty => return self,
            Cell::Bool(_) => Self::Boolean,
            Cell::Integer(_) => Self::Integer,
            Cell::Number(_) => Self::Number,
            Cell::Text(_) => Self::Text,
        };
        match (self, other) {
            (Self::Empty, other) => other,
            (own, other) if own == other => own,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            _ => Self::Mixed,
        }
    }
}

/// Says what is in a CSV or JSON-lines file: its columns with kinds and examples, and how many rows.
#[tool(read_only, idempotent, title = "Describe a table")]
pub(crate) fn describe(
    /// The file.
    path: String,
) -> Result<Description, ToolError> {
    let table = Table::open(&path)?;
    let fresh = |name: &String| Column {
        name: name.clone(),
        kind: Kind::Empty,
        empty: 0,
        examples: Vec::new(),
    };
    let mut description = Description {
        format: table.format,
        rows: 0,
        columns: table.columns.iter().map(fresh).collect(),
        ragged_rows: 0,
    };
    table.each(&path, |row, fields| {
        description.rows += 1;
        description.ragged_rows += usize::from(fields != description.columns.len());
        for (column, cell) in description.columns.iter_mut().zip(&row) {
            column.add(cell);
        }
        Ok(())
    })?;
    Ok(description)
}

impl Column {
    fn add(&mut self, cell: &Cell) {
        self.kind = self.kind.with(cell);
        if *cell == Cell::Empty {
            self.empty += 1;
        } else if self.examples.len() < EXAMPLES {
            let shown = cell.show();
            if !self.examples.contains(&shown) {
                self.examples.push(shown);
            }
        }
    }
}
