//! What a guest can learn of where it runs, and what it can leave there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use toolhost_sdk::log::Level;
use toolhost_sdk::{JsonSchema, ToolError, tool};

/// What a guest is told at its start.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Environment {
    /// Variables.
    variables: BTreeMap<String, String>,
    /// Arguments.
    arguments: Vec<String>,
}

/// Shows variables and arguments.
#[tool(read_only)]
pub(crate) fn env() -> Environment {
    Environment {
        variables: std::env::vars().collect(),
        arguments: std::env::args().collect(),
    }
}

/// How fine the clocks are.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Clocks {
    /// Wall clock at the start, in milliseconds since 1970.
    wall_ms: u128,
    /// Smallest step of the wall clock that was seen, in nanoseconds; 0 where it stood still.
    wall_step_ns: u128,
    /// Smallest step of the monotonic clock that was seen, in nanoseconds; 0 where it stood still.
    monotonic_step_ns: u128,
    /// How long it took by the monotonic clock, in nanoseconds.
    took_ns: u128,
}

/// Reads both clocks in a loop.
#[tool(read_only)]
pub(crate) fn now(
    /// How often; 1000 where it is missing.
    #[serde(default)]
    readings: Option<u32>,
) -> Clocks {
    let readings = readings.unwrap_or(1000);
    let start = Instant::now();
    let wall = SystemTime::now();
    let wall_step = smallest_step(readings, || since_1970(SystemTime::now()));
    let monotonic_step = smallest_step(readings, || start.elapsed());
    Clocks {
        wall_ms: since_1970(wall).as_millis(),
        wall_step_ns: wall_step.as_nanos(),
        monotonic_step_ns: monotonic_step.as_nanos(),
        took_ns: start.elapsed().as_nanos(),
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn smallest_step(readings: u32, read: impl Fn() -> Duration) -> Duration {
    let mut last = read();
    let mut smallest: Option<Duration> = None;
    for _ in 0..readings {
        let next = read();
        let step = next.saturating_sub(last);
        if !step.is_zero() {
            smallest = Some(smallest.map_or(step, |smallest| smallest.min(step)));
        }
        last = next;
    }
    smallest.unwrap_or_default()
}

/// Asks for random bytes.
#[tool(read_only)]
pub(crate) fn random(
    /// How many.
    n: u64,
) -> Result<String, ToolError> {
    #[cfg(target_arch = "wasm32")]
    {
        let bytes = wasip2::random::random::get_random_bytes(n);
        let shown: String = bytes
            .iter()
            .take(32)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(format!("{} bytes: {shown}", bytes.len()))
    }
    #[cfg(not(target_arch = "wasm32"))]
    Err(ToolError::failed(format_args!(
        "no {n} random bytes outside a component"
    )))
}

static STASH: Mutex<Option<String>> = Mutex::new(None);

/// What was left there before.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Stashed {
    /// The value of the call before, if the instance is the same.
    previous: Option<String>,
}

/// Leaves a value in memory for the next call to find.
#[tool]
pub(crate) fn stash(
    /// The value.
    value: String,
    /// Whether to end inside a host function then; not where it is missing.
    #[serde(default)]
    crash: bool,
) -> Stashed {
    let mut stash = STASH
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let previous = stash.replace(value);
    if crash {
        // More than any host gives: the trap is the host function's, not the guest's.
        let _ = random(u64::MAX);
    }
    Stashed { previous }
}

/// Writes to the log.
#[tool(read_only)]
pub(crate) fn log(
    /// The message.
    text: String,
    /// `trace`, `debug`, `info`, `warn`, `error` or `critical`; `info` where it is missing.
    #[serde(default)]
    level: Option<String>,
    /// How often; once where it is missing.
    #[serde(default)]
    times: Option<u32>,
) -> Result<(), ToolError> {
    let level = match level.as_deref().unwrap_or("info") {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        "error" => Level::Error,
        "critical" => Level::Critical,
        other => {
            return Err(ToolError::invalid_arguments(format_args!(
                "no level {other:?}"
            )));
        }
    };
    for _ in 0..times.unwrap_or(1) {
        toolhost_sdk::log::write(level, "rogue", &text);
    }
    Ok(())
}

/// Listens, and sends a datagram.
#[tool]
pub(crate) fn udp(
    /// Where to.
    addr: String,
    /// Whether to listen for connections instead of sending.
    #[serde(default)]
    listen: bool,
) -> Result<String, ToolError> {
    if listen {
        let listener = std::net::TcpListener::bind(&addr)?;
        return Ok(format!("listens on {:?}", listener.local_addr()));
    }
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    let sent = socket.send_to(b"hello", &addr)?;
    Ok(format!("sent {sent} bytes"))
}

/// Reports progress as fast as it can.
#[tool(read_only)]
pub(crate) fn progress(
    /// How often.
    n: u32,
    /// What to say each time.
    #[serde(default)]
    message: Option<String>,
) -> String {
    for done in 1..=n {
        toolhost_sdk::progress::report(f64::from(done), Some(f64::from(n)), message.as_deref());
    }
    format!("reported {n} times")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stash_gives_back_what_was_before() {
        assert_eq!(stash("a".to_owned(), false).previous, None);
        assert_eq!(stash("b".to_owned(), true).previous, Some("a".to_owned()));
    }

    #[test]
    fn the_smallest_step_skips_readings_that_stood_still() {
        let readings = Mutex::new([0, 0, 5, 5, 7].into_iter().map(Duration::from_nanos));
        let read = || {
            readings
                .lock()
                .ok()
                .and_then(|mut left| left.next())
                .unwrap_or_default()
        };
        assert_eq!(smallest_step(4, read), Duration::from_nanos(2));
    }

    #[test]
    fn an_unknown_level_is_refused() {
        assert!(log("a".to_owned(), Some("loud".to_owned()), None).is_err());
        assert!(log("a".to_owned(), Some("warn".to_owned()), Some(2)).is_ok());
        assert_eq!(toolhost_sdk::log::recorded().len(), 2);
    }

    #[test]
    fn progress_is_reported_each_time() {
        assert_eq!(progress(3, None), "reported 3 times");
        assert_eq!(toolhost_sdk::progress::recorded().len(), 3);
    }
}
