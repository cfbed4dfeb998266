//! Both functions over files of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use toolhost_sdk::{Code, Function, ToolError};

use crate::describe::describe;
use crate::query::query;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A file that goes away with the test.
struct Fixture(PathBuf);

impl Fixture {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tool-table-{}-{number}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn query(&self, mut arguments: Value) -> Result<Value, ToolError> {
        arguments["path"] = json!(self.0);
        let output = <query as Function>::call(&arguments.to_string())?;
        Ok(serde_json::from_str(&output.structured.unwrap()).unwrap())
    }

    fn rows(&self, arguments: Value) -> Value {
        self.query(arguments).unwrap()["rows"].clone()
    }

    fn describe(&self) -> Result<Value, ToolError> {
        let output = <describe as Function>::call(&json!({ "path": self.0 }).to_string())?;
        Ok(serde_json::from_str(&output.structured.unwrap()).unwrap())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const SALES: &str = "\u{feff}day;item;qty;price;zip\n\
    2026-11-01;Cup;2;3.50;01099\n2026-11-01;Pot;1;20;01099\n2026-11-02;Cup;5;3.5;\n\
    2026-11-03;\"Pan; big\";;45.25;10115\n";

fn sales() -> Fixture {
    Fixture::new("sales.csv", SALES)
}

#[test]
fn a_csv_file_is_described() {
    let description = sales().describe().unwrap();
    assert_eq!(description["format"], "csv");
    assert_eq!(description["rows"], 4);
    let kinds: Vec<&str> = description["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["text", "text", "integer", "number", "mixed"]);
    assert_eq!(
        description["columns"][2],
        json!({ "name": "qty", "kind": "integer", "empty": 1, "examples": [2, 1, 5] })
    );
}

#[test]
fn json_lines_have_the_columns_of_all_lines() {
    let file = Fixture::new(
        "a.jsonl",
        "{\"b\":1,\"a\":{\"x\":1}}\n\n{\"c\":true,\"b\":null}\n",
    );
    let description = file.describe().unwrap();
    assert_eq!(
        (description["rows"].clone(), description["format"].clone()),
        (json!(2), json!("json-lines"))
    );
    let answer = file.query(json!({ "columns": ["b", "a", "c"] })).unwrap();
    assert_eq!(
        answer["rows"],
        json!([[1, "{\"x\":1}", null], [null, null, true]])
    );
}

#[test]
fn rows_are_filtered_by_every_operator() {
    let sales = sales();
    let items = |column: &str, op: &str, value: Value| {
        sales.rows(json!({ "columns": ["item"], "filter": [{ "column": column, "op": op, "value": value }] }))
    };
    assert_eq!(items("item", "eq", json!("Pot")), json!([["Pot"]]));
    assert_eq!(
        items("item", "ne", json!("Cup")),
        json!([["Pot"], ["Pan; big"]])
    );
    assert_eq!(items("price", "lt", json!(20)), json!([["Cup"], ["Cup"]]));
    assert_eq!(
        items("price", "ge", json!("20")),
        json!([["Pot"], ["Pan; big"]])
    );
    assert_eq!(items("price", "le", json!(3.5)), json!([["Cup"], ["Cup"]]));
    assert_eq!(
        items("day", "gt", json!("2026-11-02")),
        json!([["Pan; big"]])
    );
    assert_eq!(
        items("item", "contains", json!("big")),
        json!([["Pan; big"]])
    );
    assert_eq!(
        items("item", "starts_with", json!("P")),
        json!([["Pot"], ["Pan; big"]])
    );
    assert_eq!(items("item", "ends_with", json!("t")), json!([["Pot"]]));
    assert_eq!(
        items("qty", "in", json!([1, "5"])),
        json!([["Pot"], ["Cup"]])
    );
    assert_eq!(items("qty", "empty", Value::Null), json!([["Pan; big"]]));
    assert_eq!(
        items("zip", "eq", json!("01099")),
        json!([["Cup"], ["Pot"]])
    );
    assert_eq!(
        items("zip", "not_empty", Value::Null)
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn conditions_add_up_and_capitals_may_not_matter() {
    let filter = json!([
        { "column": "item", "op": "eq", "value": "CUP", "ignore_case": true },
        { "column": "qty", "op": "gt", "value": 2 },
    ]);
    assert_eq!(
        sales().rows(json!({ "columns": ["qty"], "filter": filter })),
        json!([[5]])
    );
}

#[test]
fn groups_are_worked_out_and_sorted() {
    let answer = sales().query(json!({
        "group_by": ["item"],
        "aggregates": [
            { "op": "count" }, { "op": "sum", "column": "qty" }, { "op": "avg", "column": "price", "as": "mean" },
            { "op": "max", "column": "day" }, { "op": "count_distinct", "column": "day" },
        ],
        "sort": [{ "column": "mean", "descending": true }],
    })).unwrap();
    assert_eq!(
        answer["columns"],
        json!([
            "item",
            "count",
            "sum_qty",
            "mean",
            "max_day",
            "count_distinct_day"
        ])
    );
    assert_eq!(
        answer["rows"],
        json!([
            ["Pan; big", 1, null, 45.25, "2026-11-03", 1],
            ["Pot", 1, 1, 20.0, "2026-11-01", 1],
            ["Cup", 2, 7, 3.5, "2026-11-02", 2],
        ])
    );
}

#[test]
fn aggregates_alone_are_over_all_rows_even_none() {
    let count = |filter: Value| {
        sales().rows(json!({ "filter": filter, "aggregates": [{ "op": "count" }, { "op": "min", "column": "price" }] }))
    };
    assert_eq!(count(json!([])), json!([[4, 3.5]]));
    assert_eq!(
        count(json!([{ "column": "item", "op": "eq", "value": "None" }])),
        json!([[0, null]])
    );
}

#[test]
fn a_window_says_where_to_go_on() {
    let lines: String = (0..250).map(|number| format!("{number}\n")).collect();
    let file = Fixture::new("n.csv", format!("n\n{lines}"));
    let first = file.query(json!({})).unwrap();
    assert_eq!(
        (first["total"].clone(), first["next_offset"].clone()),
        (json!(250), json!(100))
    );
    assert_eq!(file.rows(json!({ "offset": 249 })), json!([[249]]));
    assert_eq!(file.rows(json!({ "offset": 250 })), json!([]));
    let sorted = file
        .query(json!({ "sort": [{ "column": "n", "descending": true }], "limit": 2, "offset": 1 }))
        .unwrap();
    assert_eq!(
        (sorted["rows"].clone(), sorted["next_offset"].clone()),
        (json!([[248], [247]]), json!(3))
    );
}

#[test]
fn a_ragged_file_is_read_and_says_so() {
    let file = Fixture::new("r.csv", "a,a,\n1\n1,2,3,4\n");
    assert_eq!(file.describe().unwrap()["ragged_rows"], 2);
    let answer = file.query(json!({})).unwrap();
    assert_eq!(answer["columns"], json!(["a", "a_2", "column_3"]));
    assert_eq!(answer["rows"], json!([[1, null, null], [1, 2, 3]]));
}

#[test]
fn what_is_no_table_says_why() {
    let message =
        |name: &str, content: &[u8]| Fixture::new(name, content).describe().unwrap_err().message;
    assert!(message("a.json", b"[1]").contains("is one JSON list"));
    assert!(message("a.jsonl", b"{}\n7\n").ends_with("line 2: this is no JSON object"));
    assert!(message("a.jsonl", b"{}\n{\"a\"").contains("line 2: EOF"));
    assert!(message("a.csv", b"").ends_with("is empty"));
    assert!(message("a.bin", b"\x00\x01").ends_with("is no text file"));
    let wide = vec!["x"; 1001].join(",");
    assert!(message("a.csv", wide.as_bytes()).ends_with("more than 1000 columns"));
    let error = describe("/nowhere.csv".to_owned()).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::NotFound, "/nowhere.csv does not exist here")
    );
}

#[test]
fn wrong_arguments_are_named() {
    let message = |arguments: Value| {
        let error = sales().query(arguments).unwrap_err();
        assert_eq!(error.code, Code::InvalidArguments);
        error.message
    };
    assert_eq!(
        message(json!({ "columns": ["x"] })),
        "there is no column \"x\"; there are day, item, qty, price, zip"
    );
    assert!(message(json!({ "sort": [{ "column": "x" }] })).contains("no column"));
    assert!(
        message(json!({ "filter": [{ "column": "qty", "op": "eq" }] })).contains("takes one value")
    );
    assert!(
        message(json!({ "filter": [{ "column": "qty", "op": "in", "value": 1 }] }))
            .contains("a list")
    );
    assert!(
        message(json!({ "filter": [{ "column": "qty", "op": "like", "value": 1 }] }))
            .starts_with("filter[0].op: unknown variant")
    );
    assert!(message(json!({ "aggregates": [{ "op": "sum" }] })).contains("needs a column"));
    assert!(
        message(json!({ "columns": ["qty"], "group_by": ["item"] }))
            .contains("leave `columns` out")
    );
}
