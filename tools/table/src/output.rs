//! Rows as an agent gets them: sorted, cut to a window. It does not know where they come from.

use serde_json::Value;
use toolhost_sdk::{JsonSchema, ToolError};

use crate::cell::Cell;
use crate::source::{Row, place_of};

/// By what rows are sorted.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortKey {
    /// The column.
    pub(crate) column: String,
    /// Largest first.
    #[serde(default)]
    pub(crate) descending: bool,
}

/// What a query found.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// The columns of `rows`.
    pub(crate) columns: Vec<String>,
    /// The rows, one value per column.
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many rows there are in all, with those that are not here.
    pub(crate) total: usize,
    /// Where to go on with `offset`, where there are more.
    pub(crate) next_offset: Option<usize>,
}

/// Sorts rows, each by the keys in turn; equal ones stay as they were.
pub(crate) fn sort(
    rows: &mut [Row],
    keys: &[SortKey],
    columns: &[String],
) -> Result<(), ToolError> {
    let places = keys
        .iter()
        .map(|key| Ok((place_of(columns, &key.column)?, key.descending)))
        .collect::<Result<Vec<_>, ToolError>>()?;
    rows.sort_by(|a, b| {
        let orders = places.iter().map(|(place, descending)| {
            let order = match (a.get(*place), b.get(*place)) {
                (Some(a), Some(b)) => a.order(b),
                _ => std::cmp::Ordering::Equal,
            };
            if *descending { order.reverse() } else { order }
        });
        orders
            .into_iter()
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(())
}

/// The chosen columns of the rows in a window. `total` counts rows that are not among these too.
pub(crate) fn answer(
    columns: Vec<String>,
    rows: &[Row],
    places: &[usize],
    total: usize,
    offset: usize,
) -> Answer {
    let show = |row: &Row| {
        let cell = |place: &usize| row.get(*place).map_or(Value::Null, Cell::show);
        places.iter().map(cell).collect()
    };
    let next = offset + rows.len();
    Answer {
        columns,
        rows: rows.iter().map(show).collect(),
        total,
        next_offset: (next < total && !rows.is_empty()).then_some(next),
    }
}
