//! One query over one file. It knows the order of the steps, and no step's inside.

use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::aggregate::{Aggregate, Groups};
use crate::filter::{Condition, Filter};
use crate::output::{self, Answer, SortKey};
use crate::source::{Row, Table};

/// Rows that a sort may hold: they are all in memory.
const MOST_SORTED: usize = 100_000;

/// What to look for, in the order it is done: filter, group, sort, offset and limit.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// The file.
    path: String,
    /// The columns wanted, all where it is missing. Not together with `group_by` or `aggregates`.
    #[serde(default)]
    columns: Vec<String>,
    /// Conditions that all have to hold.
    #[serde(default)]
    filter: Vec<Condition>,
    /// Rows with the same values in these columns become one.
    #[serde(default)]
    group_by: Vec<String>,
    /// What to work out of each group, or of all rows.
    #[serde(default)]
    aggregates: Vec<Aggregate>,
    /// By what to sort; columns of the result where rows are grouped.
    #[serde(default)]
    sort: Vec<SortKey>,
    /// Rows at most, 100 where it is missing.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
    /// Rows to pass over.
    #[serde(default)]
    offset: usize,
}

/// Queries a CSV or JSON-lines file: filter, group, aggregate, sort, and only the rows you need.
/// `describe` shows the columns.
#[tool(read_only, idempotent, title = "Query a table")]
pub(crate) fn query(args: Query) -> Result<Answer, ToolError> {
    let table = Table::open(&args.path)?;
    let filter = Filter::new(args.filter, &table)?;
    let window = Window {
        offset: args.offset,
        limit: args.limit.unwrap_or(100).clamp(1, 1_000),
    };
    if args.group_by.is_empty() && args.aggregates.is_empty() {
        return plain(
            table,
            &args.path,
            &filter,
            &args.columns,
            &args.sort,
            window,
        );
    }
    if !args.columns.is_empty() {
        return Err(ToolError::invalid_arguments(
            "columns: a grouped result has the columns of `group_by` and `aggregates`; leave `columns` out",
        ));
    }
    let (groups, columns) = Groups::new(&args.group_by, args.aggregates, &table)?;
    grouped(
        table, &args.path, &filter, groups, columns, &args.sort, window,
    )
}

/// Which rows of the result are wanted.
#[derive(Clone, Copy)]
struct Window {
    offset: usize,
    limit: usize,
}

impl Window {
    fn of(self, rows: &[Row]) -> &[Row] {
        let from = rows.get(self.offset..).unwrap_or_default();
        from.get(..self.limit).unwrap_or(from)
    }
}

fn plain(
    table: Table,
    path: &str,
    filter: &Filter,
    wanted: &[String],
    sort: &[SortKey],
    window: Window,
) -> Result<Answer, ToolError> {
    let names = table.columns.clone();
    let columns = if wanted.is_empty() {
        names.clone()
    } else {
        wanted.to_vec()
    };
    let places: Vec<usize> = columns
        .iter()
        .map(|name| table.column(name))
        .collect::<Result<_, _>>()?;
    for key in sort {
        table.column(&key.column)?;
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut total = 0_usize;
    // Without a sort only the window is held, however long the file is.
    let (first, last) = if sort.is_empty() {
        (window.offset, window.offset.saturating_add(window.limit))
    } else {
        (0, usize::MAX)
    };
    table.each(path, |row, _| {
        if !filter.wants(&row) {
            return Ok(());
        }
        if (first..last).contains(&total) {
            rows.push(row);
        }
        total += 1;
        if rows.len() <= MOST_SORTED {
            Ok(())
        } else {
            Err(ToolError::failed(format_args!(
                "more than {MOST_SORTED} rows to sort; filter more of them out, or group them"
            )))
        }
    })?;
    if sort.is_empty() {
        return Ok(output::answer(
            columns,
            &rows,
            &places,
            total,
            window.offset,
        ));
    }
    output::sort(&mut rows, sort, &names)?;
    Ok(output::answer(
        columns,
        window.of(&rows),
        &places,
        total,
        window.offset,
    ))
}

fn grouped(
    table: Table,
    path: &str,
    filter: &Filter,
    mut groups: Groups,
    columns: Vec<String>,
    sort: &[SortKey],
    window: Window,
) -> Result<Answer, ToolError> {
    table.each(path, |row, _| {
        if filter.wants(&row) {
            groups.add(&row)
        } else {
            Ok(())
        }
    })?;
    let mut rows = groups.rows();
    output::sort(&mut rows, sort, &columns)?;
    let places: Vec<usize> = (0..columns.len()).collect();
    Ok(output::answer(
        columns,
        window.of(&rows),
        &places,
        rows.len(),
        window.offset,
    ))
}
