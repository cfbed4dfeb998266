//! How a line of the log is written: for people, or as JSON for programs. A line has a bound that holds
//! while it is made, is one line whatever is in it, and says of which call it is.
//!
//! It does not know which lines there may be, nor where they go.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::out;
use crate::terms::acts;
use toolhost_outbound::CurrentCall;

/// The most that a line says, in bytes, besides when, where from and of which call. The rest is left
/// out.
pub(super) const LONGEST: usize = 16 << 10;

/// What is said again of a line that stands for many: fields, and bytes of each.
const SAMPLES: usize = 8;
const SAMPLE: usize = 256;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people, perhaps on a terminal that shows colours.
    Text { colours: bool },
    /// An object a line.
    Json,
}

/// What is said in one line.
pub(super) struct Line {
    target: Option<String>,
    message: String,
    /// In their order, as they are written.
    fields: Vec<(&'static str, String)>,
    /// What a field has room for yet, and what had none.
    left: usize,
    missing: usize,
    format: Format,
    /// Whose call it is of, and of which tool, as far as it is of one.
    caller: Option<String>,
    tool: Option<String>,
}

impl Line {
    /// Takes what is said, and of which call.
    pub(super) fn of(event: &Event<'_>, format: Format) -> Self {
        let mut line = Self::empty(format);
        event.record(&mut line);
        CurrentCall::with(|call| {
            line.caller = Some(call.caller.to_string());
            line.tool = Some(call.function.tool.to_string());
            line.of_call("function", format_args!("{}", call.function));
            line.of_call("caller", format_args!("{}", call.caller));
            line.of_call("call", format_args!("{}", call.id));
        });
        line
    }

    fn empty(format: Format) -> Self {
        Self {
            target: None,
            message: String::new(),
            fields: Vec::new(),
            left: LONGEST,
            missing: 0,
            format,
            caller: None,
            tool: None,
        }
    }

    /// A line of the log's own.
    pub(super) fn own(message: fmt::Arguments<'_>, format: Format) -> Self {
        let mut line = Self::empty(format);
        line.message = line.written(|text| text.write_fmt(message));
        line
    }

    /// Whose call it is of, and of which tool.
    pub(super) fn source(&self) -> (Option<&str>, Option<&str>) {
        (self.caller.as_deref(), self.tool.as_deref())
    }

    /// What is alike in lines that say the same, of whichever calls.
    pub(super) fn likeness(&self, kind: &impl std::hash::Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        self.message.hash(&mut hasher);
        let fields = self.fields.iter().filter(|(name, _)| *name != "call");
        fields.for_each(|field| field.hash(&mut hasher));
        hasher.finish()
    }

    /// What one line says that stands for many like it: what is long is not said again.
    pub(super) fn sample(&self) -> Self {
        let fields = self
            .fields
            .iter()
            .filter(|(name, value)| *name != "call" && value.len() <= SAMPLE);
        let message = match self.message.len() {
            0..=SAMPLE => self.message.clone(),
            _ => "…".to_owned(),
        };
        Self {
            target: self.target.clone(),
            message,
            fields: fields.take(SAMPLES).cloned().collect(),
            left: 0,
            missing: 0,
            format: self.format,
            caller: None,
            tool: None,
        }
    }

    /// Says that there were so many more like this one, in so many seconds.
    pub(super) fn standing_for(mut self, more: u64, seconds: u64) -> Self {
        self.message = format!("… and {more} more in {seconds} s: {}", self.message);
        self.fields.push(("repeated", more.to_string()));
        self
    }

    /// The whole line, its end included.
    pub(super) fn text(&self, level: Level, target: &str, at: SystemTime) -> String {
        let target = self.target.as_deref().unwrap_or(target);
        let at = humantime::format_rfc3339_micros(at);
        match self.format {
            Format::Text { colours } => self.for_people(level, target, &at, colours),
            Format::Json => self.for_programs(level, target, &at),
        }
    }

    fn for_people(
        &self,
        level: Level,
        target: &str,
        at: &impl fmt::Display,
        colours: bool,
    ) -> String {
        let [dim, paint, plain] = match colours {
            true => ["\u{1b}[2m", colour(level), "\u{1b}[0m"],
            false => [""; 3],
        };
        let mut text = format!(
            "{dim}{at}{plain} {paint}{:>5}{plain} {dim}{target}:{plain} {}",
            level.as_str(),
            self.message
        );
        for (name, value) in &self.fields {
            let _ = write!(text, " {dim}{name}{plain}={value}");
        }
        if self.missing > 0 {
            let _ = write!(text, " ... ({} bytes more)", self.missing);
        }
        text.push('\n');
        text
    }

    fn for_programs(&self, level: Level, target: &str, at: &impl fmt::Display) -> String {
        let mut text = format!(
            r#"{{"timestamp":"{at}","level":"{}","target":"{target}","message":"{}""#,
            level.as_str(),
            self.message
        );
        for (name, value) in &self.fields {
            let _ = write!(text, r#","{name}":{value}"#);
        }
        if self.missing > 0 {
            let _ = write!(text, r#","bytes_left_out":{}"#, self.missing);
        }
        text.push_str("}\n");
        text
    }

    /// What `write` gives, as it may stand in a line, as far as there is room.
    fn written(&mut self, write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> String {
        let mut text = String::new();
        let mut room = Room {
            text: &mut text,
            left: &mut self.left,
            missing: &mut self.missing,
        };
        // A value whose own way to text fails: what there is of it is said.
        let _ = match self.format {
            Format::Text { .. } => write(&mut out::Foreign(OneLine(&mut room))),
            Format::Json => write(&mut Escaped(&mut room)),
        };
        text
    }

    /// Says of which call it is, where it does not say so itself. There is always room for that.
    fn of_call(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        if self.fields.iter().any(|(known, _)| *known == name) {
            return;
        }
        let (left, missing) = (self.left, self.missing);
        (self.left, self.missing) = (LONGEST, 0);
        let value = self.written(|text| text.write_fmt(value));
        (self.left, self.missing) = (left, missing);
        let value = match (self.format, name) {
            (Format::Json, "function" | "caller") => format!("\"{value}\""),
            _ => value,
        };
        self.fields.push((name, value));
    }

    fn keep(&mut self, field: &Field, is_text: bool, value: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.message = self.written(|text| text.write_fmt(value)),
            // Of lines that came from the `log` crate: where they are from.
            "log.target" => self.target = Some(self.written(|text| text.write_fmt(value))),
            name if name.starts_with("log.") => {}
            name => {
                if name == "caller" {
                    // Whole, however little room the line has left: it is the manifest's word.
                    self.caller = Some(value.to_string());
                }
                let mut text = self.written(|text| text.write_fmt(value));
                if is_text && self.format == Format::Json {
                    text = format!("\"{text}\"");
                }
                self.fields.push((name, text));
            }
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, true, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let quoted = matches!(self.format, Format::Text { .. })
            && !field.name().starts_with("log.")
            && field.name() != "message";
        match quoted {
            true => self.keep(field, true, format_args!("{value:?}")),
            false => self.keep(field, true, format_args!("{value}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, false, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, false, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, false, format_args!("{value}"));
    }
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

/// Takes text as far as there is room for it, and counts the rest.
struct Room<'a> {
    text: &'a mut String,
    left: &'a mut usize,
    missing: &'a mut usize,
}

impl Room<'_> {
    /// Takes all of it or nothing.
    fn whole(&mut self, text: &str) {
        if *self.missing == 0 && text.len() <= *self.left {
            *self.left -= text.len();
            self.text.push_str(text);
        } else {
            *self.missing += text.len();
        }
    }
}

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if *self.missing == 0 { *self.left } else { 0 };
        let (taken, rest) = text.split_at(text.floor_char_boundary(room));
        *self.left -= taken.len();
        self.text.push_str(taken);
        *self.missing += rest.len();
        Ok(())
    }
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

/// A text within a string of JSON. What a terminal would act on is escaped too: a log is looked at.
struct Escaped<'a, 'b>(&'a mut Room<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |c: char| matches!(c, '"' | '\\') || acts(c);
        let mut rest = text;
        while let Some(at) = rest.find(special) {
            let (plain, more) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut chars = more.chars();
            if let Some(c) = chars.next() {
                self.0.whole(&out::escape(c));
            }
            rest = chars.as_str();
        }
        self.0.write_str(rest)
    }
}
