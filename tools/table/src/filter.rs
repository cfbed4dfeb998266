//! Which rows are wanted. It does not know files.

use std::cmp::Ordering;

use serde_json::Value;
use toolhost_sdk::{JsonSchema, ToolError};

use crate::cell::Cell;
use crate::source::{Row, Table};

/// One condition.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// The column.
    column: String,
    /// How it is compared.
    op: Op,
    /// With what: a number, a text, `true` or `false`; a list for `in`; nothing for `empty` and
    /// `not_empty`. Dates compare as text where they are written year first.
    #[serde(default)]
    value: Value,
    /// Capitals do not matter.
    #[serde(default)]
    ignore_case: bool,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    StartsWith,
    EndsWith,
    In,
    Empty,
    NotEmpty,
}

/// Conditions that all have to hold.
pub(crate) struct Filter(Vec<Test>);

struct Test {
    column: usize,
    op: Op,
    values: Vec<Cell>,
    ignore_case: bool,
}

impl Filter {
    /// Conditions on a table's columns.
    ///
    /// # Errors
    /// `invalid-arguments`: a column that is not there, or a value that does not fit.
    pub(crate) fn new(conditions: Vec<Condition>, table: &Table) -> Result<Self, ToolError> {
        let tests = conditions
            .into_iter()
            .map(|condition| Test::new(condition, table));
        tests.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        self.0
            .iter()
            .all(|test| row.get(test.column).is_some_and(|cell| test.holds(cell)))
    }
}

impl Test {
    fn new(condition: Condition, table: &Table) -> Result<Self, ToolError> {
        let Condition {
            column,
            op,
            value,
            ignore_case,
        } = condition;
        let refused =
            |what: &str| ToolError::invalid_arguments(format_args!("filter on {column:?}: {what}"));
        let values = match (op, value) {
            (Op::Empty | Op::NotEmpty, Value::Null) => Vec::new(),
            (Op::Empty | Op::NotEmpty, _) => {
                return Err(refused("`empty` and `not_empty` take no value"));
            }
            (Op::In, Value::Array(values)) => values.iter().map(wanted).collect(),
            (Op::In, _) => return Err(refused("`in` takes a list of values")),
            (_, Value::Null | Value::Array(_) | Value::Object(_)) => {
                return Err(refused(
                    "it takes one value: a number, a text, `true` or `false`",
                ));
            }
            (_, value) => vec![wanted(&value)],
        };
        Ok(Self {
            column: table.column(&column)?,
            op,
            values: values
                .into_iter()
                .map(|cell| fold(cell, ignore_case))
                .collect(),
            ignore_case,
        })
    }

    fn holds(&self, cell: &Cell) -> bool {
        match self.op {
            Op::Empty => return *cell == Cell::Empty,
            Op::NotEmpty => return *cell != Cell::Empty,
            _ => {}
        }
        let folded;
        let cell = if self.ignore_case {
            folded = fold(cell.clone(), true);
            &folded
        } else {
            cell
        };
        match self.op {
            Op::Ne => !self
                .values
                .iter()
                .any(|value| compares(cell, value, Ordering::is_eq)),
            _ => self.values.iter().any(|value| self.fits(cell, value)),
        }
    }

    fn fits(&self, cell: &Cell, value: &Cell) -> bool {
        match self.op {
            Op::Lt => compares(cell, value, Ordering::is_lt),
            Op::Le => compares(cell, value, Ordering::is_le),
            Op::Gt => compares(cell, value, Ordering::is_gt),
            Op::Ge => compares(cell, value, Ordering::is_ge),
            Op::Contains => cell.text().contains(&value.text()),
            Op::StartsWith => cell.text().starts_with(&value.text()),
            Op::EndsWith => cell.text().ends_with(&value.text()),
            Op::Eq | Op::In | Op::Ne | Op::Empty | Op::NotEmpty => {
                compares(cell, value, Ordering::is_eq)
            }
        }
    }
}

/// A number that an agent wrote as text is a number, as it is in a CSV file.
fn wanted(value: &Value) -> Cell {
    match value {
        Value::String(text) => Cell::of_field(text),
        other => Cell::of_json(other),
    }
}

fn fold(cell: Cell, ignore_case: bool) -> Cell {
    match cell {
        Cell::Text(text) if ignore_case => Cell::Text(text.to_lowercase()),
        other => other,
    }
}

/// Values of different kinds compare as text where one of them is: `"12"` in a JSON file is still 12.
fn compares(cell: &Cell, value: &Cell, wanted: fn(Ordering) -> bool) -> bool {
    match (cell, value) {
        (Cell::Text(text), Cell::Integer(_) | Cell::Number(_) | Cell::Bool(_)) => {
            Cell::of_field(text).compare(value).is_some_and(wanted)
        }
        _ => cell.compare(value).is_some_and(wanted),
    }
}
