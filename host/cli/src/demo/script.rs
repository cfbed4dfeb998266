//! What the agents do, and how it should end. The tables are printed as it goes.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::agent::{Agent, Answer};
use crate::ledger::calls_table;
use crate::out;
use crate::table::{bold, table};
use toolhost_ledger::{self, Filter};

/// One call and how it should end: with a result that holds a text, or with a code.
struct Step {
    why: &'static str,
    tool: &'static str,
    arguments: Value,
    /// The code it should end with; none for a result.
    code: Option<&'static str>,
    /// What its answer holds.
    holds: &'static str,
}

/// Plays everything; gives the number of calls that did not end as they should.
pub(super) async fn play(
    support: &Agent,
    intern: &Agent,
    upstream: SocketAddr,
    folder: &Path,
    json: bool,
) -> anyhow::Result<usize> {
    let mut unexpected = 0;
    let works = works(upstream);
    say(
        json,
        "What works: every tool, called by the agent `support`",
    );
    unexpected += run(support, &works, json).await?;
    let bills = toolhost_ledger::show(
        folder,
        &Filter {
            limit: works.len(),
            ..Filter::default()
        },
    )?;
    if json {
        out::json_line(&bills)?;
    } else {
        say!(
            "\n{}\n{}\n",
            bold("The bills (toolhost ledger show)"),
            calls_table(&bills.calls)
        );
    }

    say(
        json,
        "What is refused: the tool `rogue`, which means harm, and what no grant covers",
    );
    unexpected += run(support, &refused(upstream), json).await?;

    say(
        json,
        "The agent `intern` may use fetch.* and orders.look_up, and sees nothing else",
    );
    let seen = intern.tools().await?;
    say(json, &format!("tools/list: {}", seen.join(", ")));
    unexpected += usize::from(seen != ["fetch_get", "orders_look_up"]);
    unexpected += run(intern, &forbidden(), json).await?;
    Ok(unexpected)
}

fn say(json: bool, text: &str) {
    if !json {
        say!("{}", bold(text));
    }
}

async fn run(agent: &Agent, steps: &[Step], json: bool) -> anyhow::Result<usize> {
    let mut shown = table(&["", "call", "what it is", "answer"]);
    let mut unexpected = 0;
    for step in steps {
        let answer = agent.call(step.tool, &step.arguments).await?;
        let expected = as_expected(step, &answer);
        unexpected += usize::from(!expected);
        let mark = if expected { "ok" } else { "UNEXPECTED" };
        if json {
            out::json_line(
                &json!({ "call": step.tool, "why": step.why, "as_expected": expected, "code": answer.code, "text": answer.text }),
            )?;
        }
        shown.add_row([
            mark.to_owned(),
            step.tool.to_owned(),
            step.why.to_owned(),
            summary(&answer, !expected),
        ]);
    }
    if !json {
        say!("{shown}\n");
    }
    Ok(unexpected)
}

fn as_expected(step: &Step, answer: &Answer) -> bool {
    let code = if answer.ok {
        None
    } else {
        answer.code.as_deref()
    };
    code == step.code && answer.ok == step.code.is_none() && answer.text.contains(step.holds)
}

/// One line of an answer.
fn summary(answer: &Answer, whole: bool) -> String {
    let text = answer.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = match &answer.code {
        Some(code) => format!("{code}: {text}"),
        None => text,
    };
    let most = if whole { 2_000 } else { 110 };
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn step(
    why: &'static str,
    tool: &'static str,
    arguments: Value,
    code: Option<&'static str>,
    holds: &'static str,
) -> Step {
    Step {
        why,
        tool,
        arguments,
        code,
        holds,
    }
}

fn works(upstream: SocketAddr) -> Vec<Step> {
    let ok = |why, tool, arguments, holds| step(why, tool, arguments, None, holds);
    vec![
        ok(
            "a page as Markdown",
            "fetch_get",
            json!({ "url": format!("http://{upstream}/docs/rate-limits.html") }),
            "60 requests",
        ),
        ok(
            "a granted folder",
            "files_list",
            json!({ "path": "/notes" }),
            "standup.md",
        ),
        ok(
            "a file in it",
            "files_read",
            json!({ "path": "/notes/standup.md" }),
            "lamp order",
        ),
        ok(
            "revenue by product",
            "table_query",
            json!({
                "path": "/data/sales.csv",
                "group_by": ["product"],
                "aggregates": [{ "op": "sum", "column": "revenue", "as": "revenue" }],
                "sort": [{ "column": "revenue", "descending": true }],
            }),
            "LAMP-7",
        ),
        ok(
            "a jq filter",
            "jq_run",
            json!({ "filter": ".items | map(.price) | add", "input": { "items": [{ "price": 2 }, { "price": 3 }] } }),
            "5",
        ),
        ok(
            "the host adds the token",
            "github_search_issues",
            json!({ "query": "repo:acme/app login" }),
            "Login fails",
        ),
        ok(
            "a function that may write",
            "github_create_comment",
            json!({ "repo": "acme/app", "number": 42, "body": "Fixed in 2.4.1." }),
            "",
        ),
        ok(
            "numbers as text, mended",
            "orders_look_up",
            json!({ "order_id": "A-1001" }),
            "LAMP-7",
        ),
        ok(
            "stock",
            "orders_check_stock",
            json!({ "sku": "LAMP-7" }),
            "17",
        ),
        ok(
            "a refund",
            "orders_refund",
            json!({ "order_id": "A-1001", "reason": "arrived broken" }),
            "R-77",
        ),
        ok(
            "an upstream that echoes the token",
            "rogue_get",
            json!({ "url": format!("http://{upstream}/echo") }),
            "[redacted]",
        ),
    ]
}

fn refused(upstream: SocketAddr) -> Vec<Step> {
    let no = |why, tool, arguments, code, holds| step(why, tool, arguments, Some(code), holds);
    vec![
        no(
            "a host that is not granted",
            "fetch_get",
            json!({ "url": "https://example.org/" }),
            "denied",
            "",
        ),
        no(
            "a path that is not granted",
            "fetch_get",
            json!({ "url": format!("http://{upstream}/orders/A-1001") }),
            "denied",
            "",
        ),
        no(
            "the cloud's metadata",
            "rogue_get",
            json!({ "url": "http://169.254.169.254/latest/meta-data/" }),
            "denied",
            "",
        ),
        no(
            "another function's grant",
            "rogue_post",
            json!({ "url": format!("http://{upstream}/echo"), "body": "x" }),
            "denied",
            "",
        ),
        no(
            "a file outside the folder",
            "rogue_read",
            json!({ "path": "/notes/../github-token" }),
            "denied",
            "",
        ),
        no(
            "a write into a read grant",
            "rogue_write",
            json!({ "path": "/notes/standup.md", "text": "gone" }),
            "denied",
            "",
        ),
        no(
            "a raw socket",
            "rogue_connect",
            json!({ "addr": upstream.to_string() }),
            "denied",
            "",
        ),
        no(
            "a loop: out of fuel",
            "rogue_spin",
            json!({}),
            "out-of-fuel",
            "",
        ),
        no(
            "a memory hog",
            "rogue_hog",
            json!({ "mib": 512 }),
            "out-of-memory",
            "",
        ),
        no(
            "a sleeper past its deadline",
            "rogue_nap",
            json!({ "ms": 60_000 }),
            "deadline-exceeded",
            "",
        ),
        no(
            "endless recursion",
            "rogue_recurse",
            json!({}),
            "trapped",
            "",
        ),
        no("a crash", "rogue_crash", json!({}), "trapped", ""),
        no(
            "arguments that do not fit",
            "orders_look_up",
            json!({ "order": 1 }),
            "invalid-arguments",
            "order_id",
        ),
        no(
            "an order that is not there",
            "orders_look_up",
            json!({ "order_id": "A-9999" }),
            "not-found",
            "",
        ),
        no(
            "an upstream that is broken",
            "orders_look_up",
            json!({ "order_id": "A-1003" }),
            "failed",
            "",
        ),
    ]
}

fn forbidden() -> Vec<Step> {
    vec![
        step(
            "granted to it",
            "orders_look_up",
            json!({ "order_id": "A-1002" }),
            None,
            "",
        ),
        step(
            "a function it may not use",
            "orders_refund",
            json!({ "order_id": "A-1001", "reason": "please" }),
            Some("unknown-function"),
            "Unknown tool",
        ),
        step(
            "a function that does not exist",
            "orders_delete",
            json!({}),
            Some("unknown-function"),
            "Unknown tool",
        ),
    ]
}
