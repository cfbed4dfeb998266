//! Many rows as one. It does not know which rows.

use std::collections::{BTreeMap, HashSet};

use toolhost_sdk::{JsonSchema, ToolError};

use crate::cell::{Cell, float};
use crate::source::{Row, Table};

/// Groups at most: more are no summary.
const MOST_GROUPS: usize = 50_000;

/// What is worked out of a group's rows.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregate {
    /// What to work out.
    op: Op,
    /// The column; only `count` goes without one and then counts rows.
    #[serde(default)]
    column: Option<String>,
    /// What to call the result; `sum_price` for example where it is missing.
    #[serde(default, rename = "as")]
    name: Option<String>,
}

/// What to work out; empty values never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Op {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

impl Op {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::CountDistinct => "count_distinct",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// Groups of rows, and what was worked out of each so far.
pub(crate) struct Groups {
    by: Vec<usize>,
    plans: Vec<Plan>,
    groups: BTreeMap<Key, Vec<State>>,
}

struct Plan {
    op: Op,
    column: Option<usize>,
}

/// A group's values, in an order that is always the same.
struct Key(Vec<Cell>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(a, b)| a.order(b))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}

impl Groups {
    /// The plan for a table, and the columns its result will have.
    ///
    /// # Errors
    /// `invalid-arguments`: a column that is not there, or is missing.
    pub(crate) fn new(
        by: &[String],
        aggregates: Vec<Aggregate>,
        table: &Table,
    ) -> Result<(Self, Vec<String>), ToolError> {
        let places = by
            .iter()
            .map(|name| table.column(name))
            .collect::<Result<_, _>>()?;
        let mut columns = by.to_vec();
        let mut plans = Vec::new();
        for aggregate in aggregates {
            let column = aggregate
                .column
                .as_deref()
                .map(|name| table.column(name))
                .transpose()?;
            if column.is_none() && aggregate.op != Op::Count {
                let op = aggregate.op.as_str();
                return Err(ToolError::invalid_arguments(format_args!(
                    "aggregates: `{op}` needs a column"
                )));
            }
            let standard = match &aggregate.column {
                Some(column) => format!("{}_{column}", aggregate.op.as_str()),
                None => aggregate.op.as_str().to_owned(),
            };
            columns.push(aggregate.name.unwrap_or(standard));
            plans.push(Plan {
                op: aggregate.op,
                column,
            });
        }
        let groups = Self {
            by: places,
            plans,
            groups: BTreeMap::new(),
        };
        Ok((groups, columns))
    }

    /// Takes one row.
    ///
    /// # Errors
    /// `failed`: too many groups.
    pub(crate) fn add(&mut self, row: &Row) -> Result<(), ToolError> {
        let cell = |place: &usize| row.get(*place).cloned().unwrap_or(Cell::Empty);
        let key = Key(self.by.iter().map(cell).collect());
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            return Err(ToolError::failed(format_args!(
                "more than {MOST_GROUPS} groups; group by something that repeats"
            )));
        }
        let fresh = || self.plans.iter().map(|plan| State::new(plan.op)).collect();
        let states = self.groups.entry(key).or_insert_with(fresh);
        for (plan, state) in self.plans.iter().zip(states) {
            match &plan.column {
                Some(place) => state.add(&cell(place)),
                None => state.add(&Cell::Bool(true)),
            }
        }
        Ok(())
    }

    /// One row per group, in the groups' order. Without `group_by` there always is one.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        if self.by.is_empty() && self.groups.is_empty() {
            let states = self.plans.iter().map(|plan| State::new(plan.op)).collect();
            self.groups.insert(Key(Vec::new()), states);
        }
        let row = |(key, states): (Key, Vec<State>)| {
            key.0
                .into_iter()
                .chain(states.into_iter().map(State::done))
                .collect()
        };
        self.groups.into_iter().map(row).collect()
    }
}

/// What was worked out so far.
enum State {
    Count(i64),
    Distinct(HashSet<String>),
    Sum(Sum),
    Avg(Sum, i64),
    Best(Option<Cell>, std::cmp::Ordering),
}

/// A sum, exact as long as whole numbers fit.
#[derive(Clone, Copy)]
enum Sum {
    Nothing,
    Exact(i64),
    Float(f64),
}

impl Sum {
    fn add(self, cell: &Cell) -> Self {
        match (self, cell) {
            (Self::Nothing, Cell::Integer(value)) => Self::Exact(*value),
            (Self::Exact(sum), Cell::Integer(value)) => match sum.checked_add(*value) {
                Some(sum) => Self::Exact(sum),
                None => Self::Float(float(sum) + float(*value)),
            },
            (sum, cell) => match cell.number() {
                Some(value) => Self::Float(sum.float() + value),
                None => sum,
            },
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Exact(sum) => float(sum),
            Self::Float(sum) => sum,
        }
    }
}

impl State {
    fn new(op: Op) -> Self {
        match op {
            Op::Count => Self::Count(0),
            Op::CountDistinct => Self::Distinct(HashSet::new()),
            Op::Sum => Self::Sum(Sum::Nothing),
            Op::Avg => Self::Avg(Sum::Nothing, 0),
            Op::Min => Self::Best(None, std::cmp::Ordering::Less),
            Op::Max => Self::Best(None, std::cmp::Ordering::Greater),
        }
    }

    fn add(&mut self, cell: &Cell) {
        if *cell == Cell::Empty {
            return;
        }
        match self {
            Self::Count(count) => *count += 1,
            Self::Distinct(seen) => {
                seen.insert(cell.text());
            }
            Self::Sum(sum) => *sum = sum.add(cell),
            Self::Avg(sum, count) => {
                *sum = sum.add(cell);
                *count += i64::from(cell.number().is_some());
            }
            Self::Best(best, wanted) => {
                if best.as_ref().is_none_or(|best| cell.order(best) == *wanted) {
                    *best = Some(cell.clone());
                }
            }
        }
    }

    fn done(self) -> Cell {
        let number = |value: f64| {
            if value.is_finite() {
                Cell::Number(value)
            } else {
                Cell::Empty
            }
        };
        match self {
            Self::Count(count) => Cell::Integer(count),
            Self::Distinct(seen) => Cell::Integer(i64::try_from(seen.len()).unwrap_or(i64::MAX)),
            Self::Sum(Sum::Nothing) | Self::Avg(Sum::Nothing, _) => Cell::Empty,
            Self::Sum(Sum::Exact(sum)) => Cell::Integer(sum),
            Self::Sum(Sum::Float(sum)) => number(sum),
            Self::Avg(sum, count) => number(sum.float() / float(count)),
            Self::Best(best, _) => best.unwrap_or(Cell::Empty),
        }
    }
}
