//! What the cases came to, for people and for programs. It judges nothing.

use std::process::ExitCode;

use serde_json::json;

use super::super::table::{Table, bold, green, grouped, numbers, red, short, size, table};
use super::super::{Setting, out};
use crate::terms::printable;

use super::file::Case;
use super::find::Found;
use super::grants::{Need, Source, section};
use super::run::Done;

pub(super) fn report(
    setting: &Setting,
    found: &Found,
    source: &Source,
    cases: &[Case],
    done: &[Done],
) -> anyhow::Result<ExitCode> {
    let failed = done
        .iter()
        .filter(|one| !one.differences.is_empty())
        .count();
    let asked = match source {
        Source::Written(_) => None,
        Source::Derived { name, wasi } => {
            Some(section(name, *wasi, &cases.iter().collect::<Vec<_>>()))
        }
    };
    if setting.json {
        let one = |(case, done): (&Case, &Done)| {
            json!({
                "file": case.file,
                "name": case.name,
                "function": case.function,
                "passed": done.differences.is_empty(),
                "differences": done.differences,
                "bill": done.bill,
                "needs": done.needs,
            })
        };
        let shown = json!({
            "component": found.component,
            "grants": found.asks.as_ref().map(|asks| &asks.place),
            "cases": cases.iter().zip(done).map(one).collect::<Vec<_>>(),
            "passed": done.len() - failed,
            "failed": failed,
            "section": asked,
        });
        out::json(&shown)?;
    } else {
        say!("{}", bills(cases, done));
        differences(cases, done);
        if let Some(asked) = asked.filter(|_| failed == 0) {
            tell!("there is no tool.toml; this one grants what the cases need:\n");
            say!("{}", asked.trim_end());
        }
        match failed {
            0 => tell!("{} {} cases passed", green("ok"), done.len()),
            _ => tell!("{} {failed} of {} cases", red("failed"), done.len()),
        }
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn bills(cases: &[Case], done: &[Done]) -> Table {
    let mut shown = table(&[
        "",
        "function",
        "case",
        "fuel",
        "peak memory",
        "wall",
        "requests",
        "needs",
    ]);
    for (case, done) in cases.iter().zip(done) {
        let passed = done.differences.is_empty();
        let mut row = vec![
            if passed { "ok" } else { "failed" }.to_owned(),
            printable(&case.function).to_string(),
            printable(&case.name).to_string(),
        ];
        row.extend(match &done.bill {
            Some(bill) => [
                grouped(bill.fuel),
                size(bill.peak_memory),
                short(bill.wall),
                bill.egress_requests.to_string(),
            ],
            None => ["-"; 4].map(str::to_owned),
        });
        let needs: Vec<String> = done.needs.iter().map(need).collect();
        row.push(if needs.is_empty() {
            "-".to_owned()
        } else {
            needs.join("\n")
        });
        shown.add_row(row);
    }
    numbers(&mut shown, &[3, 4, 5, 6]);
    shown
}

fn need(need: &Need) -> String {
    let what = printable(&need.what);
    match &need.by {
        Some(by) => format!("{what} by {}", printable(by)),
        None => what.to_string(),
    }
}

fn differences(cases: &[Case], done: &[Done]) {
    for (case, done) in cases.iter().zip(done) {
        if done.differences.is_empty() {
            continue;
        }
        say!(
            "\n{} {}: {}",
            red("failed"),
            printable(&case.file),
            bold(&printable(&case.name))
        );
        for one in &done.differences {
            // A path may be a whole message of several lines.
            for line in one.path.lines() {
                say!("  {}", printable(line));
            }
            if let (Some(expected), Some(got)) = (&one.expected, &one.got) {
                say!("    expected  {}", printable(expected));
                say!("    got       {}", printable(got));
            }
        }
    }
}
