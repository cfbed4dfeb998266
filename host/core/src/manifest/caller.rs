//! `[caller.*]`: the agents, how they are known, and what they may use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::diagnostics::{At, Finding, TextDiagnostics};
use super::key_reader::{Entry, KeyReader};
use super::name::{Kind, did_you_mean};
use super::problem::quoted;
use super::spec::{CallerSpec, Right};
use super::units;

/// The caller that needs no proof: whoever is on the same machine under the same user.
const LOCAL: &str = "local";

/// Rights of one caller.
const MOST_RIGHTS: usize = 4_096;

/// What makes two callers the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Token([u8; 32]),
    Uid(u32),
    Stdio,
}

/// Reads `[caller.*]`; `tools` are the names that rights may have, `most` is how many calls the
/// host runs at once.
pub(super) fn read(sections: Vec<Entry<'_>>, tools: &BTreeSet<&str>, most: u32) -> Vec<CallerSpec> {
    let mut marks = BTreeMap::new();
    let mut one = |section: Entry<'_>| {
        let name = Kind::Caller.read(section.page, &section.key);
        let table = section.table()?;
        Some(caller(name, table, (tools, most), &mut marks))
    };
    sections.into_iter().filter_map(&mut one).collect()
}

fn caller(
    name: Arc<str>,
    mut table: KeyReader<'_>,
    (tools, most): (&BTreeSet<&str>, u32),
    marks: &mut BTreeMap<Mark, Arc<str>>,
) -> CallerSpec {
    let page = table.page;
    let pasted = table.refuse("token", |entry| {
        Finding::at(
            &entry.key.span,
            "a token does not belong in the manifest, only its hash does",
        )
        .hint("write `token_sha256 = \"...\"`, as `printf %s \"$TOKEN\" | sha256sum` prints it")
        .masked()
    });
    let token = table.take("token_sha256");
    let uid = table.take("uid");
    let stdio = table.take("stdio");
    let known = pasted || token.is_some() || uid.is_some() || stdio.is_some();
    let mut claim = |entry: &Entry<'_>, mark| {
        if let Some(other) = marks.insert(mark, Arc::clone(&name)) {
            let message = format!(
                "{} is what the caller {} is known by",
                entry.label(),
                quoted(&other)
            );
            let finding = Finding::at(&entry.span, message);
            page.report(finding.hint("two callers cannot be told apart by the same"));
        }
    };
    let token = token
        .and_then(|entry| token_hash(&entry).inspect(|hash| claim(&entry, Mark::Token(*hash))));
    let uid = uid.and_then(|entry| user_id(&entry).inspect(|uid| claim(&entry, Mark::Uid(*uid))));
    let stdio = stdio.filter(|entry| on_stdio(entry, &name));
    stdio.iter().for_each(|entry| claim(entry, Mark::Stdio));
    let user = table.text("user").and_then(|text| user(page, &text));
    let concurrency = concurrency(&mut table, most);
    let may = may(&mut table, tools);
    let (span, line) = (table.span.clone(), table.line());
    let slips = table.finish();
    if !known && *name != *LOCAL && !slips.hide(&["token_sha256", "uid", "stdio"]) {
        let finding = Finding::at(&span, "nothing tells this caller from others")
            .hint("write `token_sha256`, `uid` or `stdio = true`");
        page.report(finding.remote());
    }
    CallerSpec {
        name,
        line,
        token_sha256: token,
        uid,
        stdio: stdio.is_some(),
        user,
        concurrency,
        may,
    }
}

fn concurrency(table: &mut KeyReader<'_>, most: u32) -> Option<u32> {
    let entry = table.take("concurrency")?;
    let value = units::small_count(&entry, 1..=1_000)?;
    if value > most {
        let message = format!("{value} calls of one caller can never run at once");
        let hint = format!("`concurrency` of `[host]` is {most}, over all callers");
        let finding = Finding::at(&entry.span, message).hint(hint);
        entry.page.report(finding);
        return None;
    }
    Some(value)
}

fn token_hash(entry: &Entry<'_>) -> Option<[u8; 32]> {
    /// SHA-256 of nothing, which hashing an unset variable gives.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = entry.text()?;
    let mut hash = [0; 32];
    let finding = if hex::decode_to_slice(text.value, &mut hash).is_err() {
        Finding::at(
            &entry.key.span,
            "`token_sha256` is not the SHA-256 of a token: 64 hexadecimal digits",
        )
        .hint("write what `printf %s \"$TOKEN\" | sha256sum` prints")
        .masked()
    } else if text.value.eq_ignore_ascii_case(EMPTY) {
        Finding::at(&text.span, "this is the hash of an empty token")
            .hint("hash the token itself: `printf %s \"$TOKEN\" | sha256sum`")
    } else {
        return Some(hash);
    };
    entry.page.report(finding);
    None
}

fn user_id(entry: &Entry<'_>) -> Option<u32> {
    // The highest number means "no user" to the system calls.
    units::id(entry, u32::MAX - 1)
}

fn on_stdio(entry: &Entry<'_>, name: &str) -> bool {
    let finding = match entry.flag() {
        None => return false,
        Some(true) if name == LOCAL => Finding::at(
            &entry.key.span,
            "`stdio` has no effect: `local` is on stdio when no other caller is",
        ),
        Some(true) => return true,
        Some(false) => Finding::at(&entry.key.span, "`stdio = false` has no effect"),
    };
    entry.page.report(finding.hint("delete it"));
    false
}

fn user(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<Arc<str>> {
    const LONGEST: usize = 128;
    let length = text.value.chars().count();
    if (1..=LONGEST).contains(&length) && !text.value.contains(char::is_control) {
        return Some(Arc::from(text.value));
    }
    let message =
        format!("a user's name has 1 to {LONGEST} characters, none of them control characters");
    page.report(Finding::at(&text.span, message));
    None
}

fn may(table: &mut KeyReader<'_>, tools: &BTreeSet<&str>) -> Vec<Right> {
    let Some(entry) = table.take("may") else {
        table.missing("may", "write for example `may = [\"notes.*\"]`");
        return Vec::new();
    };
    let Some(list) = entry.list() else {
        return Vec::new();
    };
    if list.is_empty() {
        let finding = Finding::at(&entry.span, "the caller may use nothing");
        entry
            .page
            .report(finding.hint("write for example `may = [\"notes.*\"]`, or delete the caller"));
    }
    if list.len() > MOST_RIGHTS {
        let many = list.len();
        let message = format!("`may` has {many} rights, at most {MOST_RIGHTS} are possible");
        let finding = Finding::at(&entry.span, message);
        let hint = "write \"<tool>.*\" for every function of a tool";
        entry.page.report(finding.hint(hint));
        return Vec::new();
    }
    let read = |entry: &Entry<'_>| {
        let text = entry.text()?;
        let value = right(entry.page, &text, tools)?;
        Some(At {
            value,
            span: text.span,
        })
    };
    let rights: Vec<At<Right>> = list.iter().filter_map(read).collect();
    report_idle(table.page, &rights);
    rights.into_iter().map(|right| right.value).collect()
}

fn right(page: &TextDiagnostics<'_>, text: &At<&str>, tools: &BTreeSet<&str>) -> Option<Right> {
    let line = page.line(&text.span);
    if text.value == "*" {
        return Some(Right {
            line,
            tool: None,
            function: None,
        });
    }
    let names = text.value.split_once('.');
    let well = |(tool, function): &(&str, &str)| {
        Kind::Tool.allows(tool) && (*function == "*" || Kind::Function.allows(function))
    };
    let Some((tool, function)) = names.filter(well) else {
        let message = format!("{} names no function", quoted(text.value));
        let hint = if tools.contains(text.value) {
            format!("write \"{0}.*\" for every function of `{0}`", text.value)
        } else {
            "write \"<tool>.<function>\", \"<tool>.*\" or \"*\"".to_owned()
        };
        page.report(Finding::at(&text.span, message).hint(hint));
        return None;
    };
    if !tools.contains(tool) {
        let message = format!("there is no tool {}", quoted(tool));
        let hint = did_you_mean(tool, tools.iter().copied())
            .unwrap_or_else(|| format!("add a section `[tool.{tool}]`"));
        page.report(Finding::at(&text.span, message).hint(hint).remote());
        return None;
    }
    Some(Right {
        line,
        tool: Some(Arc::from(tool)),
        function: (function != "*").then(|| Arc::from(function)),
    })
}

/// Reports each right that another one of the same caller includes: one that is wider, wherever it
/// stands, or the same one before it.
fn report_idle(page: &TextDiagnostics<'_>, rights: &[At<Right>]) {
    let mut first = HashMap::new();
    for (index, right) in rights.iter().enumerate() {
        first.entry(key(&right.value)).or_insert(index);
    }
    for (index, right) in rights.iter().enumerate() {
        let own = key(&right.value);
        let (tool, function) = own;
        let wider = [tool.map(|_| (None, None)), function.map(|_| (tool, None))];
        let wider = wider.into_iter().flatten();
        let wider = wider.filter_map(|wide| first.get(&wide));
        let same = first.get(&own).filter(|same| **same < index);
        let wide = wider.chain(same).min();
        if let Some(wide) = wide.and_then(|at| rights.get(*at)) {
            let message = format!("{} adds nothing", shown(&right.value));
            let hint = format!(
                "{} on line {} includes it",
                shown(&wide.value),
                wide.value.line
            );
            page.report(Finding::at(&right.span, message).hint(hint));
        }
    }
}

fn key(right: &Right) -> (Option<&str>, Option<&str>) {
    (right.tool.as_deref(), right.function.as_deref())
}

/// A right as it is written.
fn shown(right: &Right) -> String {
    match (&right.tool, &right.function) {
        (None, _) => "`*`".to_owned(),
        (Some(tool), None) => format!("`{tool}.*`"),
        (Some(tool), Some(function)) => format!("`{tool}.{function}`"),
    }
}
