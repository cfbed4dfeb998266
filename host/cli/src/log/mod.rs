//! The operator's log, on standard error: what it takes and how much of it there may be. Guests,
//! callers and upstreams decide how often a line is said, and a log that one of them can fill hides all
//! the others and then the disk: each kind of line (each place in the code) has a rate of its own and
//! half of the bytes at most, lines that say the same are joined, and what is left out is counted and
//! said.
//!
//! It does not know what the lines mean. Nobody waits for whoever reads them: see `stderr`.

mod filter;
mod line;
mod rates;
mod repeats;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use line::{Format, Line};
use rates::{Kind, LeftOut, Place, Rates};
use repeats::{Counted, Repeats};

use super::{out, stderr};

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
    rates: Rates,
    repeats: Repeats<Sample>,
    /// A thread is there that will say what was left out.
    is_told: bool,
}

/// A line that stands for many.
struct Sample {
    level: Level,
    target: String,
    line: Line,
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
            place: (from.target(), from.line().unwrap_or_default()),
            caller: caller.map(str::to_owned),
            tool: tool.map(str::to_owned),
        };
        Some(self.kept().rates.remember(own, Instant::now()))
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
        let is_admitted = kept.rates.admits(kind, length, now);
        if !is_admitted {
            self.will_be_told(&mut kept);
        }
        is_admitted
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
            let left_out = kept.rates.take_left_out();
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
        let left_out = kept.rates.take_left_out();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};
    use tracing::subscriber::with_default;

    use super::*;
    use crate::terms::FunctionId;
    use toolhost_outbound::CurrentCall;

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
    fn x47_what_is_left_out_is_said() {
        let shown = logged(|log| {
            // More than may come back while it goes on.
            for number in 0..20 * rates::LINES.1 {
                tracing::warn!("flood {number}");
            }
            tracing::warn!("beside it");
            log.finish();
        });
        let floods = shown.matches("flood").count();
        assert!(floods >= 1_000, "{floods}");
        assert!(shown.contains("beside it"), "{shown}");
        assert!(shown.contains("were left out"), "{shown}");
    }

    /// Whatever others say and from however many places and tools, a caller's lines are written.
    #[test]
    fn x76_one_callers_flood_leaves_anothers_lines_of_the_same_place() {
        let shown = logged(|log| {
            let say = |caller: &str, number| tracing::warn!(caller, "{caller} said {number}");
            (0..rates::LINES.1 * 2).for_each(|number| say("mallory", number));
            (0..50).for_each(|number| say("bob", number));
            in_a_call(|| (0..50).for_each(|number| say("mallory", number)));
            log.finish();
        });
        assert_eq!(shown.matches("bob said").count(), 50, "{shown}");
        // Whose call it is, is not for the line to say.
        let of_call = shown.matches("function=files.read").count();
        assert_eq!(of_call, 50, "{shown}");
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
