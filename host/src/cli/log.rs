//! The operator's log, on standard error: what it takes, how a line is written, and how much of it
//! there may be. Guests, callers and upstreams decide how often a line is said, and a log that one of
//! them can fill hides all the others and then the disk: each kind of line (each place in the code)
//! has a rate of its own and half of the bytes at most, and what is left out is counted and said.
//!
//! It does not know what the lines mean. Where they go is a writer: one that waits for nobody can
//! stand in its place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::out;

/// Lines of one kind: so many a second, and so many at once after a rest.
const LINES: (u64, u64) = (100, 1_000);
/// Bytes of all kinds: so many a second, and so many at once after a rest. A kind may take half.
const BYTES: (u64, u64) = (256 << 10, 1 << 20);
/// The longest line, in bytes. The rest of it is left out.
const LONGEST: usize = 16 << 10;
/// How often what was left out is said, while there is some.
const TOLD: Duration = Duration::from_secs(1);

/// Begins to log. `TOOLHOST_LOG` chooses what (the syntax of `tracing`'s filters, by target and
/// level). Libraries that print requests, arguments and all, are held back whatever it says.
///
/// One filter, with a highest level that is known beforehand: events below it cost nothing. A filter
/// that decides event by event made every call three times as dear.
pub(super) fn to_stderr(default: &str) -> Log {
    let asked = std::env::var("TOOLHOST_LOG").unwrap_or_else(|_| default.to_owned());
    // A directive for a span would reach the events of held back libraries inside it.
    let plain = |directive: &&str| {
        !directive.contains('[') && !directive.trim().starts_with(crate::wire::UNLOGGED)
    };
    let mut directives: Vec<&str> = asked.split(',').filter(plain).collect();
    let unlogged = format!("{}=off", crate::wire::UNLOGGED);
    directives.extend([
        unlogged.as_str(),
        "hyper=warn",
        "hyper_util=warn",
        "h2=warn",
        "reqwest=warn",
        "rustls=warn",
        concat!(module_path!(), "=warn"),
    ]);
    let log = Log::default();
    // Only the first subscriber of a process counts: in tests there may be one already.
    let _ = subscriber(&log, &directives.join(","), io::stderr).try_init();
    log
}

/// What writes the lines of this filter to a place.
fn subscriber<W: io::Write>(
    log: &Log,
    filter: &str,
    place: impl Fn() -> W + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync + 'static {
    let fields = format::debug_fn(|writer: &mut Writer<'_>, field, value| {
        let mut text = out::Foreign(OneLine(writer));
        match field.name() {
            "message" => write!(text, "{value:?}"),
            // Of lines that came from the `log` crate: where they are from, which is said already.
            name if name.starts_with("log.") => Ok(()),
            name => write!(text, "{name}={value:?}"),
        }
    });
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(filter))
        .fmt_fields(fields.delimited(" "))
        .with_writer(Bounded {
            log: log.clone(),
            place,
        })
        .with_ansi(out::is_watched())
        .finish()
}

/// A text that goes on behind the line's end is set off: no field can look like another line.
struct OneLine<W>(W);

impl<W: fmt::Write> fmt::Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut lines = text.split('\n');
        self.0.write_str(lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(self.0, "\n  | {line}"))
    }
}

/// How much was logged of late.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    bytes: Bucket,
    /// As many as there are places in the code that log.
    kinds: HashMap<Identifier, Kind>,
    /// A thread is there that will say what was left out.
    is_told: bool,
}

struct Kind {
    /// The module and the line of its place in the code.
    of: (String, u32),
    lines: Bucket,
    bytes: Bucket,
    left_out: (u64, u64),
}

/// What may be taken at a rate. At the start it is full.
#[derive(Default)]
struct Bucket {
    used: u64,
    since: Option<Instant>,
}

impl Bucket {
    /// What is used of it by now; what came back since the last look is back.
    fn used(&mut self, (rate, most): (u64, u64), now: Instant) -> u64 {
        let since = *self.since.get_or_insert(now);
        let micros = now.saturating_duration_since(since).as_micros();
        let back = micros.saturating_mul(u128::from(rate)) / 1_000_000;
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        if back > 0 {
            self.used = self.used.saturating_sub(back).min(most);
            self.since = Some(now);
        }
        self.used
    }

    fn has(&mut self, amount: u64, bound: (u64, u64), now: Instant) -> bool {
        self.used(bound, now).saturating_add(amount) <= bound.1
    }
}

impl Log {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind of a line. What says that lines were left out is of none: it is bounded by the number
    /// of kinds.
    fn kind(&self, line: &Metadata<'_>) -> Option<Identifier> {
        if line.target() == module_path!() {
            return None;
        }
        // Nor is what the host says of itself below `info`: only who asks for it hears it, and all of it.
        if *line.level() > Level::INFO && line.target() != "guest" {
            return None;
        }
        let callsite = line.callsite();
        let new = || Kind {
            of: (line.target().to_owned(), line.line().unwrap_or_default()),
            lines: Bucket::default(),
            bytes: Bucket::default(),
            left_out: (0, 0),
        };
        let mut kept = self.kept();
        kept.kinds.entry(callsite.clone()).or_insert_with(new);
        Some(callsite)
    }

    /// Whether a line of so many bytes may be written now. One that may not is counted.
    fn admits(&self, kind: &Identifier, bytes: usize, now: Instant) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut kept = self.kept();
        let Kept {
            bytes: all, kinds, ..
        } = &mut *kept;
        let Some(kind) = kinds.get_mut(kind) else {
            return true;
        };
        let half = (BYTES.0 / 2, BYTES.1 / 2);
        let fits = kind.lines.has(1, LINES, now)
            && kind.bytes.has(bytes, half, now)
            && all.has(bytes, BYTES, now);
        if fits {
            kind.lines.used += 1;
            kind.bytes.used += bytes;
            all.used += bytes;
            return true;
        }
        kind.left_out.0 += 1;
        kind.left_out.1 += bytes;
        if !kept.is_told {
            let log = self.clone();
            let teller = std::thread::Builder::new().name("log".to_owned());
            kept.is_told = teller.spawn(move || log.tell()).is_ok();
        }
        false
    }

    /// Says every second what was left out, and ends when there was nothing any more.
    fn tell(&self) {
        loop {
            std::thread::sleep(TOLD);
            let mut kept = self.kept();
            let left_out = kept.take_left_out();
            kept.is_told = !left_out.is_empty();
            let ends = !kept.is_told;
            drop(kept);
            say(&left_out);
            if ends {
                return;
            }
        }
    }

    /// Says what was left out and nobody said yet: the process ends.
    pub(super) fn finish(&self) {
        let left_out = self.kept().take_left_out();
        say(&left_out);
    }
}

/// Where lines are from, how many of them were left out, and their bytes.
type LeftOut = Vec<((String, u32), (u64, u64))>;

impl Kept {
    fn take_left_out(&mut self) -> LeftOut {
        let kinds = self.kinds.values_mut().filter(|kind| kind.left_out.0 > 0);
        kinds
            .map(|kind| (kind.of.clone(), std::mem::take(&mut kind.left_out)))
            .collect()
    }
}

fn say(left_out: &LeftOut) {
    for ((target, line), (lines, bytes)) in left_out {
        tracing::warn!(
            "{lines} lines ({bytes} bytes) like those of {target}, line {line}, were left out: the log is bounded"
        );
    }
}

/// Writes the lines that may be written.
struct Bounded<P> {
    log: Log,
    place: P,
}

/// Where one line goes.
struct Line<'a, P> {
    bounded: &'a Bounded<P>,
    kind: Option<Identifier>,
}

impl<'a, P: MakeWriter<'a> + 'a> MakeWriter<'a> for Bounded<P> {
    type Writer = Line<'a, P>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            bounded: self,
            kind: None,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        Line {
            bounded: self,
            kind: self.log.kind(metadata),
        }
    }
}

impl<'a, P: MakeWriter<'a>> io::Write for Line<'a, P> {
    /// Takes a whole line, as it is given.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = cut(line);
        let Bounded { log, place } = self.bounded;
        let kind = self.kind.as_ref();
        if kind.is_none_or(|kind| log.admits(kind, shown.len(), Instant::now())) {
            place.make_writer().write_all(&shown)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line with no more than its bound, and how much of it is missing.
fn cut(line: &[u8]) -> Cow<'_, [u8]> {
    if line.len() <= LONGEST {
        return Cow::Borrowed(line);
    }
    let head = line.get(..LONGEST).unwrap_or(line);
    // Not within a character: it may have been the first bytes of one.
    let whole = head.utf8_chunks().map(|chunk| chunk.valid().len()).sum();
    let head = head.get(..whole).unwrap_or(head);
    let missing = format!("... ({} bytes more)\n", line.len() - head.len());
    Cow::Owned([head, missing.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is in the log after something was logged.
    fn logged(log: &Log, say: impl FnOnce()) -> String {
        let written = Written::default();
        let place = written.clone();
        with_default(subscriber(log, "trace", move || place.clone()), say);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// Two places that log.
    fn kinds(log: &Log) -> [Identifier; 2] {
        logged(log, || {
            tracing::warn!("one");
            tracing::warn!("other");
        });
        let kinds: Vec<_> = log.kept().kinds.keys().cloned().collect();
        // They are as they were at the start.
        for kind in log.kept().kinds.values_mut() {
            (kind.lines, kind.bytes) = (Bucket::default(), Bucket::default());
        }
        log.kept().bytes = Bucket::default();
        kinds.try_into().ok().unwrap()
    }

    #[test]
    fn no_field_acts_on_a_terminal_or_looks_like_a_line() {
        let evil = "a\u{1b}[2J\u{9b}\u{202e}\r\n2026-01-01T00:00:00Z ERROR forged";
        let shown = logged(&Log::default(), || {
            tracing::warn!(field = %evil, other = evil, "{evil}");
            tracing::warn!("the next");
        });
        let acting = |c: char| crate::terms::acts(c) && c != '\n';
        assert!(!shown.contains(acting), "{shown:?}");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines.iter().all(|line| !line.starts_with("2026-01-01")),
            "{shown}"
        );
        assert!(lines.last().unwrap().ends_with("the next"), "{shown}");
    }

    #[test]
    fn x47_a_kind_of_line_has_a_rate_and_what_is_left_out_is_counted() {
        let log = Log::default();
        let shown = logged(&log, || {
            for _ in 0..LINES.1 + 500 {
                tracing::warn!("flood");
            }
            // Another kind has lines of its own.
            tracing::warn!("beside it");
            log.finish();
        });
        let floods = shown.matches("flood").count();
        // More come back while it goes on: at most as many as its rate gives in a minute.
        assert!((1_000..7_500).contains(&floods), "{floods}");
        assert!(shown.contains("beside it"), "{shown}");
        assert!(
            floods == 1_500 || shown.contains("were left out"),
            "{shown}"
        );
    }

    #[test]
    fn x47_bytes_have_a_rate_of_which_a_kind_takes_half() {
        let log = Log::default();
        let now = Instant::now();
        let [one, other] = kinds(&log);
        let large = usize::try_from(BYTES.1 / 8).unwrap();
        let taken =
            |kind: &Identifier, now| (0..100).filter(|_| log.admits(kind, large, now)).count();
        assert_eq!(taken(&one, now), 4);
        assert_eq!(taken(&other, now), 4);
        // It comes back with time, and no more than it was.
        assert_eq!(taken(&one, now + Duration::from_secs(1)), 1);
        assert_eq!(taken(&one, now + Duration::from_secs(3_600)), 4);
        let left_out = log.kept().take_left_out();
        let counted: u64 = left_out.iter().map(|(_, (lines, _))| lines).sum();
        assert_eq!(counted, 400 - 13);
    }

    #[test]
    fn a_line_has_an_end() {
        let shown = logged(&Log::default(), || {
            tracing::warn!("{}", "ü".repeat(100_000))
        });
        assert!(shown.len() < LONGEST + 100, "{}", shown.len());
        assert!(shown.ends_with(" bytes more)\n"), "{shown}");
    }
}
