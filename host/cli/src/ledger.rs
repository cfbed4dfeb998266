//! `ledger verify` and `ledger show`: is the record whole, and what does it say.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context;
use serde::Serialize;

use super::owner::PATIENCE;
use super::start::HostConfig;
use super::table::{Table, green, grouped, numbers, red, short, size, table};
use super::{Setting, out};
use crate::terms::{AnswerEnd, Target, Usage, Verdict, printable};
use toolhost_ledger::{Attempted, Call, End, Filter, Head, LedgerReport, SegmentEnd};

#[derive(clap::Subcommand)]
pub(super) enum LedgerCommand {
    /// Check every record's number, hash and place.
    Verify {
        /// A hash that an earlier `verify` gave and that was kept elsewhere: a record has to have it.
        /// Can be repeated.
        #[arg(long, value_name = "HASH")]
        expect: Vec<String>,
    },
    /// The newest calls, newest last.
    Show {
        /// Only of this caller.
        #[arg(long, value_name = "NAME")]
        caller: Option<String>,
        /// Only of this function (`tool.function`) or tool.
        #[arg(long, value_name = "FUNCTION")]
        function: Option<String>,
        /// Only what ended with this code.
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Only what is not older: "10m", "2h", "7days".
        #[arg(long, value_name = "DURATION")]
        since: Option<humantime::Duration>,
        /// Only calls that were turned away before they ran.
        #[arg(long)]
        refused: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: usize,
        /// With every attempt to reach something outside.
        #[arg(long)]
        attempts: bool,
    },
}

pub(super) async fn ledger(setting: &Setting, command: LedgerCommand) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting)?;
    let folder = config.state().join("ledger");
    match command {
        LedgerCommand::Verify { expect } => {
            let head = written_last(&config).await;
            let known = head.as_ref().ok().and_then(Option::as_ref);
            let hashes = expect
                .into_iter()
                .chain(known.map(|head| head.hash.clone()));
            let hashes: Vec<String> = hashes.collect();
            let mut report = toolhost_ledger::verify_expecting(&folder, &hashes)
                .with_context(|| format!("cannot verify {}", folder.display()))?;
            let is_whole = report.intact() && head.is_ok();
            let owner = match head {
                Ok(None) => None,
                Ok(Some(head)) => {
                    // What the owner said was nobody's to type.
                    let found = report.expected.pop();
                    let is_found = found.is_some_and(|found| found.found.is_some());
                    Some(Owned::Asked { head, is_found })
                }
                Err(error) => Some(Owned::Silent {
                    silent: format!("{error:#}"),
                }),
            };
            if setting.json {
                out::json(&Verified {
                    report: &report,
                    owner: owner.as_ref(),
                })?;
            } else {
                show_report(&report);
                show_owned(owner.as_ref());
            }
            Ok(if is_whole {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        LedgerCommand::Show {
            caller,
            function,
            code,
            since,
            refused,
            limit,
            attempts,
        } => {
            let since = since.and_then(|ago| SystemTime::now().checked_sub(*ago));
            let filter = Filter {
                caller,
                function,
                code,
                since,
                refused_only: refused,
                limit,
            };
            let shown = toolhost_ledger::show(&folder, &filter)
                .with_context(|| format!("cannot read {}", folder.display()))?;
            if setting.json {
                out::json(&shown)?;
            } else {
                say!("{}", calls_table(&shown.calls));
                if attempts {
                    show_attempts(&shown.calls);
                }
                if shown.reloads > 0 {
                    let times = if shown.reloads == 1 {
                        "once"
                    } else {
                        &format!("{} times", shown.reloads)
                    };
                    tell!("the manifest was loaded anew {times}");
                }
                if shown.unreadable > 0 {
                    tell!(
                        "{} lines are no records; `toolhost ledger verify` says more",
                        shown.unreadable
                    );
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What verifying found, and what the host that writes the ledger says of its end.
#[derive(Serialize)]
struct Verified<'a> {
    #[serde(flatten)]
    report: &'a LedgerReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a Owned>,
}

/// What the host that runs says of the end of its record.
#[derive(Serialize)]
#[serde(untagged)]
enum Owned {
    /// The last record that it wrote.
    Asked {
        #[serde(flatten)]
        head: Head,
        #[serde(rename = "found")]
        is_found: bool,
    },
    /// It does not answer: whether the end is there is not known.
    Silent { silent: String },
}

/// The last record of the host that runs, as it knows it: the files cannot show that their end was cut
/// off. Asked before they are read, so that they have to have it.
async fn written_last(config: &HostConfig) -> anyhow::Result<Option<Head>> {
    match config.owner(PATIENCE).await? {
        Some(owner) => owner.ledger_head().await.map(Some),
        None => Ok(None),
    }
}

fn show_owned(owner: Option<&Owned>) {
    let (head, is_found) = match owner {
        None => return,
        Some(Owned::Silent { silent }) => {
            say!(
                "{} the end of the record is not held against what its host knows: {silent}",
                red("unknown")
            );
            return;
        }
        Some(Owned::Asked { head, is_found }) => (head, is_found),
    };
    let Head { segment, seq, .. } = head;
    let segment = printable(segment);
    match is_found {
        true => say!(
            "{} the host that runs wrote record {seq} of {segment}, and it is there",
            green("ok")
        ),
        false => say!(
            "{} the host that runs wrote record {seq} of {segment}, and it is not there: the end was cut \
             off, or the record was written anew",
            red("broken")
        ),
    }
}

pub(super) fn show_report(report: &LedgerReport) {
    let mut shown = table(&[
        "segment", "records", "admitted", "closed", "refused", "reloads", "state",
    ]);
    for segment in &report.segments {
        let state = match segment.state {
            SegmentEnd::Sealed => "sealed".to_owned(),
            _ if segment.dangling.is_empty() => "open".to_owned(),
            _ => format!("open, {} calls without an end", segment.dangling.len()),
        };
        shown.add_row([
            printable(&segment.name).into_owned(),
            segment.records.to_string(),
            segment.tally.admitted.to_string(),
            segment.tally.closed.to_string(),
            segment.tally.refused.to_string(),
            segment.tally.reloads.to_string(),
            state,
        ]);
    }
    numbers(&mut shown, &[1, 2, 3, 4, 5]);
    say!("{shown}");
    if let Some(head) = &report.head {
        say!(
            "head {head}: keep it elsewhere, `ledger verify --expect` holds the record against it"
        );
    }
    for problem in &report.problems {
        // A record's words, and a file's name.
        let problem = problem.to_string();
        say!("{} {}", red("broken"), printable(&problem));
    }
    for expected in &report.expected {
        match &expected.found {
            Some(place) => say!(
                "{} {} has the hash that was kept",
                green("ok"),
                printable(place)
            ),
            None => say!(
                "{} no record has the hash {}: the record was written anew, its end was cut off, or a \
                 segment is missing",
                red("broken"),
                printable(&expected.hash)
            ),
        }
    }
    if report.intact() {
        say!(
            "{} the record is whole: every number, hash and link holds",
            green("ok")
        );
    }
}

/// Calls as a table: who, what, how it ended, what it used.
pub(super) fn calls_table(calls: &[Call]) -> Table {
    let mut shown = table(&[
        "time", "caller", "function", "outcome", "fuel", "memory", "wall", "egress", "attempts",
    ]);
    for call in calls {
        let bill = call.bill.as_ref();
        shown.add_row([
            // Of several calls the first one's.
            printable(call.since.as_ref().unwrap_or(&call.time)).into_owned(),
            printable(&call.agent).into_owned(),
            printable(&call.function).into_owned(),
            outcome(call),
            bill.map_or_else(String::new, |bill| grouped(bill.fuel)),
            bill.map_or_else(String::new, |bill| size(bill.peak_memory)),
            bill.map_or_else(String::new, |bill| short(bill.wall)),
            bill.map_or_else(String::new, |bill| size(bill.egress_bytes)),
            call.tried().to_string(),
        ]);
    }
    numbers(&mut shown, &[4, 5, 6, 7, 8]);
    shown
}

fn outcome(call: &Call) -> String {
    let word = match call.end {
        End::Ok => {
            return match &call.after {
                Some(code) => format!("ok; after its answer: {}", printable(code)),
                None => "ok".to_owned(),
            };
        }
        End::Open => return "running or lost".to_owned(),
        End::ToolError => "tool error",
        End::Fault => "stopped",
        End::Refused => "refused",
    };
    let times = match call.calls {
        1 => String::new(),
        calls => format!(" ({} times within a moment)", grouped(calls)),
    };
    match &call.code {
        Some(code) => format!("{word}: {}{times}", printable(code)),
        None => format!("{word}{times}"),
    }
}

fn show_attempts(calls: &[Call]) {
    let has_any = |call: &&Call| call.tried().all > 0 || !call.usage.is_empty();
    for call in calls.iter().filter(has_any) {
        say!("{} {}", printable(&call.time), printable(&call.function));
        for attempt in &call.attempts {
            say!("  {}", printable(&attempt_line(attempt)));
        }
        if call.more_attempts > 0 {
            say!("  and {} more", grouped(call.more_attempts));
        }
        for usage in &call.usage {
            say!("  {}", printable(&usage_line(usage)));
        }
        for attempt in &call.former_attempts {
            say!("  {}", printable(attempt.get()));
        }
        if call.former_attempts_dropped > 0 {
            say!("  and {} more of other kinds", call.former_attempts_dropped);
        }
    }
}

/// `GET https://example.org/a  allowed by http.api, line 7: 200, 1.2 KiB in 12 ms`.
fn attempt_line(attempt: &Attempted) -> String {
    let what = match &attempt.to {
        Target::Http(to) => to.asked(),
        Target::Dir(to) => {
            let from = to.from.iter().map(|from| format!(" from {from}"));
            format!(
                "{} {}{}",
                to.operation.as_str(),
                to.path,
                from.collect::<String>()
            )
        }
        Target::Kv(to) => format!("bucket {}", to.bucket),
    };
    let by = match &attempt.verdict {
        Verdict::Refused { kind, why, .. } => return format!("{what}  refused, {kind}: {why}"),
        Verdict::Allowed(rule) => format!("{}.{}, line {}", attempt.of(), rule.grant, rule.line),
    };
    let came = match &attempt.answer {
        None => return format!("{what}  allowed by {by}"),
        Some(answer) => answer,
    };
    let end = match &came.end {
        AnswerEnd::Answered => came
            .status
            .map_or_else(String::new, |status| status.to_string()),
        AnswerEnd::Refused { why } => format!("refused: {why}"),
        AnswerEnd::Failed { error, why } => format!("failed, {error}: {why}"),
        AnswerEnd::Abandoned => "given up".to_owned(),
    };
    let (sent, received) = (size(came.sent), size(came.received));
    format!(
        "{what}  allowed by {by}: {end}; {sent} sent, {received} received in {} ms",
        came.ms
    )
}

fn usage_line(usage: &Usage) -> String {
    let grant = usage.grant.as_deref().unwrap_or("(no grant)");
    let Usage {
        of,
        reads,
        writes,
        refused,
        read,
        written,
        ..
    } = usage;
    let counts = [
        (*reads, "reads"),
        (*writes, "writes"),
        (*refused, "refused"),
        (*read, "bytes read"),
        (*written, "bytes written"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, of)| format!("{} {of}", grouped(*count)))
        .collect();
    format!("{of}.{grant}  in all: {}", counts.join(", "))
}
