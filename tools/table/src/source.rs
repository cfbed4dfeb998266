//! Files as rows. It knows CSV and JSON lines, and nothing of queries.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

use serde_json::{Map, Value};
use toolhost_sdk::{Code, JsonSchema, ToolError};

use crate::cell::Cell;

/// Columns at most: a file with more is no table.
const MOST_COLUMNS: usize = 1_000;

/// Which notation a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// Separated by commas, semicolons, tabs or bars; the first line has the names.
    Csv,
    /// One JSON object per line.
    JsonLines,
}

/// A row, one cell per column.
pub(crate) type Row = Vec<Cell>;

/// A file as rows.
pub(crate) struct Table {
    pub(crate) format: Format,
    pub(crate) columns: Vec<String>,
    rows: Rows,
}

enum Rows {
    Csv(csv::Reader<BufReader<File>>),
    JsonLines(BufReader<File>),
}

impl Table {
    /// Opens a file.
    ///
    /// # Errors
    /// It is not there, or no table.
    pub(crate) fn open(path: &str) -> Result<Self, ToolError> {
        let mut file = BufReader::new(File::open(path).map_err(|error| missing(path, error))?);
        match format(path, &mut file)? {
            Format::Csv => Self::csv(path, file),
            Format::JsonLines => Self::json_lines(path, file),
        }
    }

    fn csv(path: &str, mut file: BufReader<File>) -> Result<Self, ToolError> {
        let delimiter = delimiter(file.fill_buf().map_err(|error| missing(path, error))?);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(file);
        let header = reader.byte_headers().map_err(|error| broken(path, error))?;
        let names = header
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let names = few(path, names.collect())?;
        Ok(Self {
            format: Format::Csv,
            columns: distinct(names),
            rows: Rows::Csv(reader),
        })
    }

    /// The columns are all keys of all lines, in the order they appear: the file is read twice.
    fn json_lines(path: &str, mut file: BufReader<File>) -> Result<Self, ToolError> {
        let mut columns: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        each_object(path, &mut file, |object| {
            for name in object.keys() {
                if known.insert(name.clone()) {
                    columns.push(name.clone());
                }
            }
            match columns.len() {
                0..=MOST_COLUMNS => Ok(()),
                _ => few(path, columns.clone()).map(|_| ()),
            }
        })?;
        file.rewind().map_err(|error| missing(path, error))?;
        Ok(Self {
            format: Format::JsonLines,
            columns,
            rows: Rows::JsonLines(file),
        })
    }

    /// The place of a column.
    ///
    /// # Errors
    /// `invalid-arguments` with the columns there are.
    pub(crate) fn column(&self, name: &str) -> Result<usize, ToolError> {
        place_of(&self.columns, name)
    }

    /// Gives every row to `visit`, with the number of fields it really had.
    pub(crate) fn each(
        self,
        path: &str,
        mut visit: impl FnMut(Row, usize) -> Result<(), ToolError>,
    ) -> Result<(), ToolError> {
        let width = self.columns.len();
        match self.rows {
            Rows::Csv(mut reader) => {
                let mut record = csv::ByteRecord::new();
                while reader
                    .read_byte_record(&mut record)
                    .map_err(|error| broken(path, error))?
                {
                    let fields = record
                        .iter()
                        .map(|field| Cell::of_field(&String::from_utf8_lossy(field)));
                    let mut row: Row = fields.take(width).collect();
                    row.resize(width, Cell::Empty);
                    visit(row, record.len())?;
                }
                Ok(())
            }
            Rows::JsonLines(mut file) => {
                let columns = self.columns;
                each_object(path, &mut file, |object| {
                    let cell = |name: &String| object.get(name).map_or(Cell::Empty, Cell::of_json);
                    visit(columns.iter().map(cell).collect(), width)
                })
            }
        }
    }
}

/// The place of a column among these.
pub(crate) fn place_of(columns: &[String], name: &str) -> Result<usize, ToolError> {
    columns
        .iter()
        .position(|column| column == name)
        .ok_or_else(|| {
            let known: Vec<&str> = columns.iter().take(50).map(String::as_str).collect();
            ToolError::invalid_arguments(format_args!(
                "there is no column {name:?}; there are {}",
                known.join(", ")
            ))
        })
}

/// By the file's name, else by its first character.
fn format(path: &str, file: &mut BufReader<File>) -> Result<Format, ToolError> {
    let extension = path
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut mark = [0; 3];
    let marked = file.read(&mut mark).map_err(|error| missing(path, error))?;
    if mark.get(..marked) != Some(b"\xef\xbb\xbf") {
        file.rewind().map_err(|error| missing(path, error))?;
    }
    let start = file.fill_buf().map_err(|error| missing(path, error))?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    match (extension.as_str(), first) {
        (_, None) => Err(ToolError::failed(format_args!("{path} is empty"))),
        _ if start.contains(&0) => Err(ToolError::failed(format_args!("{path} is no text file"))),
        ("csv" | "tsv", _) => Ok(Format::Csv),
        ("jsonl" | "ndjson", _) | (_, Some(b'{')) => Ok(Format::JsonLines),
        (_, Some(b'[')) => Err(ToolError::failed(format_args!(
            "{path} is one JSON list; a table has one JSON object per line"
        ))),
        _ => Ok(Format::Csv),
    }
}

/// The separator that the first line has most of.
fn delimiter(start: &[u8]) -> u8 {
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    let mut best = (b',', count(b','));
    for separator in [b';', b'\t', b'|'] {
        if count(separator) > best.1 {
            best = (separator, count(separator));
        }
    }
    best.0
}

/// Names that an agent can tell apart: the second `x` is `x_2`, one without a name `column_3`.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut distinct = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column_{}", index + 1),
            name => name.to_owned(),
        };
        let mut unique = name.clone();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        distinct.push(unique);
    }
    distinct
}

fn few(path: &str, columns: Vec<String>) -> Result<Vec<String>, ToolError> {
    if columns.len() <= MOST_COLUMNS {
        Ok(columns)
    } else {
        Err(ToolError::failed(format_args!(
            "{path} has more than {MOST_COLUMNS} columns"
        )))
    }
}

fn each_object(
    path: &str,
    file: &mut BufReader<File>,
    mut visit: impl FnMut(&Map<String, Value>) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if file
            .read_until(b'\n', &mut line)
            .map_err(|error| missing(path, error))?
            == 0
        {
            break;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        if text.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => visit(&object)?,
            Ok(_) => {
                return Err(ToolError::failed(format_args!(
                    "{path}, line {number}: this is no JSON object"
                )));
            }
            Err(error) => {
                return Err(ToolError::failed(format_args!(
                    "{path}, line {number}: {error}"
                )));
            }
        }
    }
    Ok(())
}

fn missing(path: &str, error: std::io::Error) -> ToolError {
    let error = ToolError::from(error);
    match error.code {
        Code::NotFound => ToolError::not_found(format_args!("{path} does not exist here")),
        _ => error.context(path),
    }
}

fn broken(path: &str, error: csv::Error) -> ToolError {
    ToolError::failed(format_args!("{path}: {error}"))
}
