//! `[limits]`, of all tools, one tool or one function. What is not written is inherited.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostics::{At, Finding};
use super::key_reader::KeyReader;
use super::units;
use crate::terms::Limits;

// The most that can be written. Each is what one call can cost the host at worst, so each is
// chosen such that a handful of calls at their limits do not take an ordinary machine down.

/// From one page, without which no memory exists, to the most the threat model allows: it is also
/// how much one bulk instruction can touch without being interrupted.
const MEMORY: RangeInclusive<u64> = 64 << 10..=1 << 30;
/// From what a call without any grant may need, to as much as its own memory may be.
const HOST_MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 30;
/// Ten trillion: about an hour of a fast core, as long as the longest deadline.
const FUEL: RangeInclusive<u64> = 1..=10_000_000_000_000;
/// Longer work is a job, not a call: no agent waits for it.
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// The engine's pool of instances is as large.
const CONCURRENCY: RangeInclusive<u32> = 1..=1_000;
/// An answer is held in memory as a whole, more than once.
const OUTPUT: RangeInclusive<u64> = 1..=64 << 20;
/// The engine's pool has 64 tables of 20,000 elements for one component.
const TABLES: RangeInclusive<u64> = 1..=64 * 20_000;
/// Language runtimes have about 14. The engine's pool has so many for one component.
const INSTANCES: RangeInclusive<u32> = 1..=64;
/// The engine's own default.
const HANDLES: RangeInclusive<u32> = 1..=100_000;
/// Each may hold a buffer or a file of the host.
const RESOURCES: RangeInclusive<u32> = 1..=100_000;
/// None is a bound too: a tool that may look but not ask.
const REQUESTS: RangeInclusive<u32> = 0..=10_000;
/// Collected in memory before it is sent.
const REQUEST_BODY: RangeInclusive<u64> = 1..=64 << 20;
/// Streamed, but each byte passes the scrubbing.
const RESPONSE_BODY: RangeInclusive<u64> = 1..=256 << 20;
/// Kept in memory until the call ends.
const LOG: RangeInclusive<u64> = 1..=16 << 20;

/// Whose limits a table sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Every tool, or one.
    Tool,
    /// One function of a tool.
    Function,
}

/// The limits a table sets, over those it inherits.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) limits: Limits,
    /// The concurrency, where this table sets it.
    pub(super) concurrency: Option<At<u32>>,
}

/// Reads a table of limits; none is one that sets nothing.
pub(super) fn read(table: Option<KeyReader<'_>>, inherited: Limits, scope: Scope) -> Set {
    let mut set = Set {
        limits: inherited,
        concurrency: None,
    };
    let Some(mut table) = table else {
        return set;
    };
    let limits = &mut set.limits;
    let mut bytes = |key, value: &mut u64, range| {
        let entry = table.take(key);
        *value = entry
            .and_then(|e| units::bytes(&e, range))
            .unwrap_or(*value);
    };
    bytes("memory", &mut limits.memory, MEMORY);
    bytes("host_memory", &mut limits.host_memory, HOST_MEMORY);
    bytes("output", &mut limits.output, OUTPUT);
    bytes("request_body", &mut limits.request_body, REQUEST_BODY);
    bytes("response_body", &mut limits.response_body, RESPONSE_BODY);
    bytes("log", &mut limits.log, LOG);
    let mut counts = |key, value: &mut u64, range| {
        let entry = table.take(key);
        *value = entry
            .and_then(|e| units::count(&e, range))
            .unwrap_or(*value);
    };
    counts("fuel", &mut limits.fuel, FUEL);
    counts("tables", &mut limits.table_elements, TABLES);
    let mut small = |key, value: &mut u32, range| {
        let entry = table.take(key);
        *value = entry
            .and_then(|e| units::small_count(&e, range))
            .unwrap_or(*value);
    };
    small("instances", &mut limits.instances, INSTANCES);
    small("handles", &mut limits.handles, HANDLES);
    small("resources", &mut limits.resources, RESOURCES);
    small("requests", &mut limits.requests, REQUESTS);
    if let Some(entry) = table.take("deadline") {
        limits.deadline = units::duration(&entry, DEADLINE).unwrap_or(limits.deadline);
    }
    set.concurrency = concurrency(&mut table, scope);
    if let Some(written) = &set.concurrency {
        set.limits.concurrency = written.value;
    }
    fits(&mut table, &set.limits);
    table.finish();
    set
}

/// What the host holds for a call beside its tables and one request's body, in bytes: what is read
/// ahead of its responses, their heads, and paths under way.
const BESIDES: u64 = 2 << 20;

/// Refuses limits of which one could never be reached, because the host may not hold as much.
fn fits(table: &mut KeyReader<'_>, limits: &Limits) {
    let least = limits
        .tables()
        .saturating_add(limits.request_body)
        .saturating_add(BESIDES);
    if limits.host_memory >= least {
        return;
    }
    let keys = ["host_memory", "request_body", "resources", "handles"];
    // What a table does not set was looked at where it was.
    let Some(entry) = keys.into_iter().find_map(|key| table.take(key)) else {
        return;
    };
    let has = bytesize::ByteSize(limits.host_memory).display().iec();
    let message = format!("`host_memory` of {has} is too little for these limits");
    let hint = format!(
        "one request's body and the tables of `resources` and `handles` need `host_memory = \"{}MiB\"`",
        least.div_ceil(1 << 20)
    );
    table
        .page
        .report(Finding::at(&entry.span, message).hint(hint));
}

fn concurrency(table: &mut KeyReader<'_>, scope: Scope) -> Option<At<u32>> {
    if scope == Scope::Function {
        table.refuse("concurrency", |entry| {
            Finding::at(
                &entry.key.span,
                "`concurrency` is a limit of the whole tool",
            )
            .hint("set it in the tool's own `limits`")
        });
        return None;
    }
    let entry = table.take("concurrency")?;
    let value = units::small_count(&entry, CONCURRENCY)?;
    Some(At {
        value,
        span: entry.span,
    })
}
