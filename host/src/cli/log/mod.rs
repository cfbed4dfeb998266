//! The operator's log, on standard error: what it takes and how much of it there may be. Guests,
//! callers and upstreams decide how often a line is said, and a log that one of them can fill hides all
//! the others and then the disk: each kind of line (each place in the code) has a rate of its own and
//! half of the bytes at most, lines that say the same are joined, and what is left out is counted and
//! said.
//!
//! It does not know what the lines mean. Nobody waits for whoever reads them: see `stderr`.

mod filter;
mod line;
mod repeats;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use line::{Format, Line};
use repeats::{Counted, Repeats};

use super::{out, stderr};

/// Lines of one kind: so many a second, and so many at once after a rest.
const LINES: (u64, u64) = (100, 1_000);
/// Bytes of all kinds in each [`WINDOW`]: 256 KiB a second. A kind, and a caller with all of its calls,
/// may take at most as much as it leaves for others, as in `shares`.
const BYTES: u64 = 1 << 20;
const WINDOW: Duration = Duration::from_secs(4);
/// Kinds that are remembered. What calls say beyond them shares the rate of its place in the code.
const MOST: usize = 1_024;
/// How often what was left out is said, while there is some.
const TOLD: Duration = Duration::from_secs(1);

/// How long the last lines may take to be written when the process ends: whoever reads the log may
/// have stopped to.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The one of this process.
static BEGUN: OnceLock<Log> = OnceLock::new();

/// Begins to log to standard error. `TOOLHOST_LOG` chooses what, `TOOLHOST_LOG_FORMAT` how it is written;
/// `patience` is how long a command waits for its own words to be read.
///
/// One filter, with a highest level that is known beforehand: events below it cost nothing. A filter
/// that decides event by event made every call three times as dear.
///
/// # Errors
///
/// When the thread that writes cannot be started.
pub(super) fn begin(default: LevelFilter, patience: Option<Duration>) -> io::Result<()> {
    let levels = filter::levels(std::env::var_os("TOOLHOST_LOG"), default);
    let json = filter::is_json(std::env::var_os("TOOLHOST_LOG_FORMAT"));
    let format = match json.is {
        true => Format::Json,
        false => Format::Text {
            colours: out::shows_colours(),
        },
    };
    let notice = move |lost: stderr::Lost| {
        let words = format_args!(
            "{} lines ({} bytes) were lost here: nobody read them, or they could not be written",
            lost.texts, lost.bytes
        );
        own(words, format)
    };
    let stderr = stderr::open(patience, notice)?;
    let log = Log::new(format, |line| stderr.push(line));
    // Only the first subscriber of a process counts: in tests there may be one already.
    let _ = subscriber(&log, levels.is).try_init();
    for complaint in levels.complaints.into_iter().chain(json.complaints) {
        log.say(own(format_args!("{complaint}"), format));
    }
    let _ = BEGUN.set(log);
    Ok(())
}

/// Says what was left out and nobody said yet, and gives the last lines time to be written: the
/// process ends.
pub(super) fn finish() {
    if let Some(log) = BEGUN.get() {
        log.finish();
    }
    stderr::settle(LAST_LINES);
}

/// Whether lines are for programs.
pub(super) fn is_json() -> bool {
    BEGUN.get().is_some_and(|log| log.0.format == Format::Json)
}

/// What gives the lines of this filter to a log.
fn subscriber(log: &Log, levels: Targets) -> impl Subscriber + Send + Sync + 'static {
    Registry::default().with(levels).with(log.clone())
}

/// A line of the log's own.
fn own(words: std::fmt::Arguments<'_>, format: Format) -> String {
    Line::own(words, format).text(Level::WARN, module_path!(), SystemTime::now())
}

/// How much was logged of late, and where it goes.
#[derive(Clone)]
pub(super) struct Log(Arc<Inner>);

struct Inner {
    format: Format,
    /// Takes a line and waits for nothing.
    place: Box<dyn Fn(String) + Send + Sync>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: Bytes,
    kinds: HashMap<Kind, Count>,
    repeats: Repeats<Sample>,
    /// A thread is there that will say what was left out.
    is_told: bool,
}

/// Which lines have a rate of their own: those of one place in the code, and of one caller's calls of
/// one tool where they are of calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    caller: Option<String>,
    tool: Option<String>,
}

/// How much there was of a kind.
struct Count {
    /// The module and the line of its place in the code.
    of: (&'static str, u32),
    lines: Bucket,
    left_out: (u64, u64),
}

impl Count {
    /// Nothing was said of late, and nothing is to be told.
    fn is_over(&mut self, now: Instant) -> bool {
        self.left_out.0 == 0 && self.lines.used(LINES, now) == 0
    }
}

/// What was written in this window, and whose it was.
#[derive(Default)]
struct Bytes {
    since: Option<Instant>,
    all: u64,
    callers: HashMap<String, u64>,
    kinds: HashMap<Kind, u64>,
}

impl Bytes {
    /// Whether a kind may have so many more: with them it has at most as much as is left when its
    /// caller is left as much as it has already.
    fn has(&mut self, kind: &Kind, bytes: u64, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= WINDOW;
        if self.since.is_none_or(is_over) {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
        let of_caller = kind.caller.as_ref().and_then(|of| self.callers.get(of));
        let of_kind = self.kinds.get(kind).copied().unwrap_or_default();
        let left = BYTES
            .saturating_sub(self.all)
            .saturating_sub(of_caller.copied().unwrap_or_default());
        of_kind.saturating_add(bytes) <= left
    }

    fn take(&mut self, kind: &Kind, bytes: u64) {
        self.all += bytes;
        if let Some(caller) = &kind.caller {
            *self.callers.entry(caller.clone()).or_default() += bytes;
        }
        *self.kinds.entry(kind.clone()).or_default() += bytes;
    }
}

/// A line that stands for many.
struct Sample {
    level: Level,
    target: String,
    line: Line,
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

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let (level, target) = (*metadata.level(), metadata.target());
        // Before anything is locked: values may have much to say, and may log.
        let line = Line::of(event, self.0.format);
        let Some(kind) = self.kind(metadata, &line) else {
            return self.say(line.text(level, target, SystemTime::now()));
        };
        let sample = || Sample {
            level,
            target: target.to_owned(),
            line: line.sample(),
        };
        let now = Instant::now();
        if !self.is_news(line.likeness(&kind), now, sample) {
            return;
        }
        let text = line.text(level, target, SystemTime::now());
        if self.admits(&kind, text.len(), now) {
            self.say(text);
        }
    }
}

impl Log {
    fn new(format: Format, place: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            format,
            place: Box::new(place),
            kept: Mutex::default(),
        }))
    }

    fn say(&self, line: String) {
        (self.0.place)(line);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind of a line. What the host says of itself below `info` is of none: only who asks for it
    /// hears it, and all of it that is read in time.
    fn kind(&self, from: &'static Metadata<'static>, line: &Line) -> Option<Kind> {
        if *from.level() > Level::INFO && from.target() != "guest" {
            return None;
        }
        let (caller, tool) = line.source();
        let own = Kind {
            place: from.callsite(),
            caller: caller.map(str::to_owned),
            tool: tool.map(str::to_owned),
        };
        Some(self.kept().remember(own, from, Instant::now()))
    }

    /// Whether a line is written that may have been said before. One that is not is counted.
    fn is_news(&self, likeness: u64, now: Instant, sample: impl FnOnce() -> Sample) -> bool {
        let mut kept = self.kept();
        let is_news = kept.repeats.admits(likeness, now, sample);
        if !is_news {
            self.will_be_told(&mut kept);
        }
        is_news
    }

    /// Whether a line of so many bytes may be written now. One that may not is counted.
    fn admits(&self, kind: &Kind, bytes: usize, now: Instant) -> bool {
        let length = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut kept = self.kept();
        let Kept { bytes, kinds, .. } = &mut *kept;
        let Some(count) = kinds.get_mut(kind) else {
            return true;
        };
        if count.lines.has(1, LINES, now) && bytes.has(kind, length, now) {
            count.lines.used += 1;
            bytes.take(kind, length);
            return true;
        }
        count.left_out.0 += 1;
        count.left_out.1 += length;
        self.will_be_told(&mut kept);
        false
    }

    fn will_be_told(&self, kept: &mut Kept) {
        if !kept.is_told {
            let log = self.clone();
            let teller = std::thread::Builder::new().name("log".to_owned());
            kept.is_told = teller.spawn(move || log.tell()).is_ok();
        }
    }

    /// Says every second what was left out, and ends when there was nothing any more.
    fn tell(&self) {
        loop {
            std::thread::sleep(TOLD);
            let mut kept = self.kept();
            let left_out = kept.take_left_out();
            let repeated = kept.repeats.over(Instant::now());
            kept.is_told = !left_out.is_empty() || kept.repeats.is_untold();
            let ends = !kept.is_told;
            drop(kept);
            self.say_of(left_out, repeated);
            if ends {
                return;
            }
        }
    }

    /// Says what was left out and nobody said yet: the process ends.
    fn finish(&self) {
        let mut kept = self.kept();
        let left_out = kept.take_left_out();
        let repeated = kept.repeats.all(Instant::now());
        drop(kept);
        self.say_of(left_out, repeated);
    }

    fn say_of(&self, left_out: BTreeMap<Place, LeftOut>, repeated: Vec<Counted<Sample>>) {
        for ((target, line), LeftOut { sum, most }) in left_out {
            let (lines, bytes) = sum;
            let of = most.map(|(caller, lines)| format!(" ({lines} of calls of {caller})"));
            let of = of.unwrap_or_default();
            let words = format_args!(
                "{lines} lines ({bytes} bytes) like those of {target}, line {line}, were left out{of}: the log is bounded"
            );
            self.say(own(words, self.0.format));
        }
        for Counted {
            sample,
            more,
            within,
        } in repeated
        {
            let line = sample.line.standing_for(more, within.as_secs().max(1));
            self.say(line.text(sample.level, &sample.target, SystemTime::now()));
        }
    }
}

/// The module and the line of a place in the code.
type Place = (&'static str, u32);

/// What was left out of the lines of one place.
#[derive(Debug, Default)]
struct LeftOut {
    /// Lines and their bytes.
    sum: (u64, u64),
    /// The caller whose calls said most of them, and how many.
    most: Option<(String, u64)>,
}

impl Kept {
    /// Begins to count a kind. Where there are too many, a line of a call is one of its place's.
    fn remember(&mut self, mut kind: Kind, from: &'static Metadata<'static>, now: Instant) -> Kind {
        if self.kinds.len() >= MOST && !self.kinds.contains_key(&kind) {
            self.kinds.retain(|_, count| !count.is_over(now));
            if self.kinds.len() >= MOST {
                (kind.caller, kind.tool) = (None, None);
            }
        }
        let new = || Count {
            of: (from.target(), from.line().unwrap_or_default()),
            lines: Bucket::default(),
            left_out: (0, 0),
        };
        self.kinds.entry(kind.clone()).or_insert_with(new);
        kind
    }

    fn take_left_out(&mut self) -> BTreeMap<Place, LeftOut> {
        let mut all: BTreeMap<Place, LeftOut> = BTreeMap::new();
        for (kind, count) in &mut self.kinds {
            let (lines, bytes) = std::mem::take(&mut count.left_out);
            if lines == 0 {
                continue;
            }
            let LeftOut { sum, most } = all.entry(count.of).or_default();
            (sum.0, sum.1) = (sum.0 + lines, sum.1 + bytes);
            if let Some(caller) = &kind.caller
                && most.as_ref().is_none_or(|(_, most)| lines > *most)
            {
                *most = Some((caller.clone(), lines));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use tracing::subscriber::with_default;

    use super::*;
    use crate::capability::CurrentCall;
    use crate::terms::FunctionId;

    /// A log, and what is in it.
    fn kept(format: Format) -> (Log, Arc<Mutex<String>>) {
        let written = Arc::new(Mutex::new(String::new()));
        let place = Arc::clone(&written);
        let log = Log::new(format, move |line| place.lock().unwrap().push_str(&line));
        (log, written)
    }

    /// What is in a log after something was logged.
    fn logged_as(format: Format, say: impl FnOnce(&Log)) -> String {
        let (log, written) = kept(format);
        let all = Targets::new().with_default(LevelFilter::TRACE);
        with_default(subscriber(&log, all), || say(&log));
        written.lock().unwrap().clone()
    }

    fn logged(say: impl FnOnce(&Log)) -> String {
        logged_as(Format::Text { colours: false }, say)
    }

    /// Lines of JSON.
    fn logged_json(say: impl FnOnce(&Log)) -> Vec<Value> {
        let shown = logged_as(Format::Json, say);
        let lines = shown.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    /// Two places that log, and their lines as each of the callers says them.
    fn kinds<const N: usize>(log: &Log, callers: [Option<&str>; N]) -> [[Kind; 2]; N] {
        let all = Targets::new().with_default(LevelFilter::TRACE);
        with_default(subscriber(log, all), || {
            tracing::warn!("one");
            tracing::warn!("other");
        });
        let mut places: Vec<_> = log.kept().kinds.drain().collect();
        places.sort_by_key(|(_, count)| count.of);
        // They are as they were at the start.
        log.kept().bytes = Bytes::default();
        callers.map(|caller| {
            let of = |at: usize| {
                let kind = Kind {
                    caller: caller.map(str::to_owned),
                    ..places[at].0.clone()
                };
                let count = Count {
                    of: places[at].1.of,
                    lines: Bucket::default(),
                    left_out: (0, 0),
                };
                log.kept().kinds.insert(kind.clone(), count);
                kind
            };
            [of(0), of(1)]
        })
    }

    /// Says this within a call.
    fn in_a_call(say: impl FnOnce()) {
        let call = CurrentCall {
            function: FunctionId {
                tool: "files".into(),
                function: "read".into(),
            },
            caller: "alice".into(),
            id: 17,
        };
        call.around(say);
    }

    const EVIL: &str = "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}\r\n2026-01-01T00:00:00Z ERROR \"forged\\";

    #[test]
    fn no_field_acts_on_a_terminal_or_looks_like_a_line() {
        let shown = logged(|_| {
            tracing::warn!(field = %EVIL, other = EVIL, "{EVIL}");
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
    fn x64_a_line_of_json_says_the_same_and_is_one_line() {
        let say = |_: &Log| {
            tracing::warn!(field = %EVIL, text = EVIL, bytes = 7_u64, less = -1_i64, is = true, "{EVIL}");
        };
        let shown = logged_as(Format::Json, say);
        assert_eq!(shown.matches('\n').count(), 1, "{shown:?}");
        assert!(!shown.trim_end().contains(crate::terms::acts), "{shown:?}");
        let line: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], module_path!());
        for name in ["message", "field", "text"] {
            assert_eq!(line[name], EVIL, "{name}");
        }
        assert_eq!((&line["bytes"], &line["less"]), (&json!(7), &json!(-1)));
        assert_eq!(line["is"], true);
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn x63_every_line_of_a_call_names_function_caller_and_call() {
        let say = |_: &Log| {
            tracing::info!("before");
            in_a_call(|| tracing::warn!(code = "trapped", "{}", "ü".repeat(100_000)));
            in_a_call(|| tracing::warn!(target: "guest", function = "files.write", "said"));
        };
        let lines = logged_json(say);
        assert_eq!(lines[0].get("call"), None);
        assert_eq!(
            (
                &lines[1]["function"],
                &lines[1]["caller"],
                &lines[1]["call"]
            ),
            (&json!("files.read"), &json!("alice"), &json!(17)),
            "however long the line is"
        );
        assert!(lines[1]["bytes_left_out"].as_u64().unwrap() > 100_000);
        assert_eq!(lines[2]["function"], "files.write", "it says so itself");
        let shown = logged(say);
        assert!(
            shown.contains(" function=files.read caller=alice call=17"),
            "{shown}"
        );
        assert_eq!(shown.matches("function=").count(), 2);
    }

    #[test]
    fn x65_lines_that_say_the_same_are_joined_whichever_call_they_are_of() {
        let lines = logged_json(|log| {
            for id in 0..51_u64 {
                tracing::warn!(
                    call = id,
                    detail = "it \"crashed\"",
                    "call ended by a fault"
                );
            }
            tracing::warn!("beside it");
            log.finish();
        });
        assert_eq!(lines.len(), 12, "{lines:#?}");
        let joined = &lines[11];
        assert_eq!(
            joined["message"],
            "… and 41 more in 1 s: call ended by a fault"
        );
        assert_eq!(joined["detail"], "it \"crashed\"");
        assert_eq!(
            (&joined["repeated"], joined.get("call")),
            (&json!(41), None)
        );
    }

    #[test]
    fn x47_a_kind_of_line_has_a_rate_and_what_is_left_out_is_counted() {
        let shown = logged(|log| {
            for number in 0..LINES.1 + 500 {
                tracing::warn!("flood {number}");
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
        let (log, _) = kept(Format::Json);
        let now = Instant::now();
        let [[one, other]] = kinds(&log, [None]);
        let large = usize::try_from(BYTES / 8).unwrap();
        let taken = |kind: &Kind, now| (0..100).filter(|_| log.admits(kind, large, now)).count();
        assert_eq!(taken(&one, now), 4);
        assert_eq!(taken(&other, now), 2);
        // It comes back with the next window, and no more than it was.
        assert_eq!(taken(&one, now + WINDOW / 2), 0);
        assert_eq!(taken(&one, now + WINDOW), 4);
        assert_eq!(taken(&one, now + Duration::from_secs(3_600)), 4);
        let left_out = log.kept().take_left_out();
        let counted: u64 = left_out.values().map(|place| place.sum.0).sum();
        assert_eq!(counted, 500 - 14);
    }

    /// Whatever others say and from however many places and tools, a caller's lines are written.
    #[test]
    fn x76_one_callers_flood_leaves_anothers_lines_of_the_same_place() {
        let shown = logged(|log| {
            let say = |caller: &str, number| tracing::warn!(caller, "{caller} said {number}");
            (0..LINES.1 * 2).for_each(|number| say("mallory", number));
            (0..50).for_each(|number| say("bob", number));
            in_a_call(|| (0..50).for_each(|number| say("mallory", number)));
            log.finish();
        });
        assert_eq!(shown.matches("bob said").count(), 50, "{shown}");
        // Whose call it is, is not for the line to say.
        let of_call = shown.matches("function=files.read").count();
        assert_eq!(of_call, 50, "{shown}");

        let (log, _) = kept(Format::Json);
        let now = Instant::now();
        let [flood, honest, third] = kinds(&log, [Some("mallory"), Some("alice"), Some("bob")]);
        let line = 4 << 10;
        let mut written = 0;
        for tool in 0..100 {
            for kind in &flood {
                let kind = Kind {
                    tool: Some(format!("tool{tool}")),
                    ..kind.clone()
                };
                let mut kept = log.kept();
                let count = Count {
                    of: ("flood", 1),
                    lines: Bucket::default(),
                    left_out: (0, 0),
                };
                kept.kinds.insert(kind.clone(), count);
                drop(kept);
                written += (0..1_000).filter(|_| log.admits(&kind, line, now)).count();
            }
        }
        let all = usize::try_from(BYTES).unwrap() / line;
        assert!(written <= all / 2, "{written} of {all}");
        // What the flood took is no more than it left.
        for kinds in [honest, third] {
            let written = (0..20).filter(|_| log.admits(&kinds[0], line, now)).count();
            assert_eq!(written, 20);
        }
        let left_out = log.kept().take_left_out();
        let told = &left_out[&("flood", 1)];
        assert_eq!(told.most.as_ref().unwrap().0, "mallory");
    }

    #[test]
    fn x76_so_many_kinds_are_remembered_and_the_others_are_their_places() {
        let (log, written) = kept(Format::Json);
        let all = Targets::new().with_default(LevelFilter::TRACE);
        with_default(subscriber(&log, all), || {
            for number in 0..MOST + 500 {
                tracing::warn!(caller = format!("caller{number}"), "said");
            }
        });
        assert!(log.kept().kinds.len() <= MOST + 1);
        assert_eq!(written.lock().unwrap().lines().count(), MOST + 500);
    }

    #[test]
    fn a_line_has_an_end() {
        for format in [Format::Text { colours: true }, Format::Json] {
            let shown = logged_as(format, |_| {
                tracing::warn!(
                    more = "\u{1b}".repeat(9_000),
                    "{}",
                    "ü\u{7}".repeat(100_000)
                );
            });
            assert!(shown.len() < line::LONGEST + 300, "{}", shown.len());
        }
        let shown = logged(|_| tracing::warn!("{}", "ü".repeat(100_000)));
        assert!(shown.ends_with(" bytes more)\n"), "{shown}");
    }
}
