//! The one way to standard output and standard error. Whatever is printed passes through it, and
//! nothing gets out that a terminal would act on, wherever the text came from: a file, a guest, an
//! upstream, a path. Only the host's own words are coloured ([`Painted`]).
//!
//! It does not know what is said. `println!` and `eprintln!` would panic where nobody reads, and the
//! standard library's handles keep their lock while nobody does.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};
use std::process::Stdio;

use rustix::stdio;
use serde::Serialize;

use super::{log, stderr};
use crate::terms::{acts, printable_lines};

/// Prints a line of data.
macro_rules! say {
    ($($words:tt)*) => { $crate::out::line(format_args!($($words)*)) };
}

/// Prints a line for whoever watches: on standard error.
macro_rules! tell {
    ($($words:tt)*) => { $crate::out::note(format_args!($($words)*)) };
}

/// What this thread's printer is doing. A style is written by [`Painted`] alone: no text can ask for
/// one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PrintMode {
    /// It prints nothing, or to what shows no colours.
    Plain,
    /// It prints to a terminal.
    Colours,
    /// It writes a style of the host's own.
    Style,
}

thread_local! {
    static MODE: Cell<PrintMode> = const { Cell::new(PrintMode::Plain) };
}

/// Prints a line. Where nobody reads any more the program ends as if it had printed everything:
/// `toolhost list | head -1` is no failure. Where it cannot print for another reason it says so.
pub(super) fn line(words: fmt::Arguments<'_>) {
    let text = shown(words, stdio::stdout().is_terminal());
    let write = |bytes: &[u8]| Ok(rustix::io::write(stdio::stdout(), bytes)?);
    if let Err((_, error)) = stderr::write_all(write, text.as_bytes()) {
        let code = unprinted(&error);
        log::finish();
        std::process::exit(code);
    }
}

/// The end of a program that cannot print.
pub(super) fn unprinted(error: &io::Error) -> i32 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return 0;
    }
    note(format_args!("cannot print: {error}"));
    2
}

/// Prints a line on standard error. Where nobody reads it, it is nobody's.
pub(super) fn note(words: fmt::Arguments<'_>) {
    let text = shown(words, is_watched());
    if !stderr::print(&text) {
        // There is no thread for it yet.
        let write = |bytes: &[u8]| Ok(rustix::io::write(stdio::stderr(), bytes)?);
        let _ = stderr::write_all(write, text.as_bytes());
    }
}

/// Prints a value as JSON, for programs.
///
/// # Errors
///
/// The value cannot be written as JSON: a defect.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(format_args!("{}", json_text(value)?));
    Ok(())
}

/// The same in one line, where there are several values.
///
/// # Errors
///
/// The value cannot be written as JSON: a defect.
pub(super) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(format_args!("{}", inert(serde_json::to_string(value)?)));
    Ok(())
}

/// A value as JSON over several lines.
///
/// # Errors
///
/// The value cannot be written as JSON: a defect.
pub(super) fn json_text(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(inert(serde_json::to_string_pretty(value)?))
}

/// A value as JSON in one line, on standard error.
///
/// # Errors
///
/// The value cannot be written as JSON: a defect.
pub(super) fn json_note(value: &impl Serialize) -> anyhow::Result<()> {
    note(format_args!("{}", inert(serde_json::to_string(value)?)));
    Ok(())
}

/// JSON in which what a terminal would act on is escaped as JSON escapes it: it can only stand within
/// a string.
fn inert(text: String) -> String {
    let is_escaped = |c: char| acts(c) && c != '\n';
    if !text.contains(is_escaped) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped.push_str(&escape(c)),
            false => escaped.push(c),
        }
    }
    escaped
}

/// How JSON escapes a character.
pub(super) fn escape(c: char) -> Cow<'static, str> {
    match c {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\n' => "\\n".into(),
        c => {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    }
}

/// Whether somebody watches standard error.
pub(super) fn is_watched() -> bool {
    stdio::stderr().is_terminal()
}

/// Whether whoever watches standard error sees colours there.
pub(super) fn shows_colours() -> bool {
    is_watched() && wants_colours()
}

fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none()
}

/// Standard error as the output of a program that is started. What such a program prints is its own:
/// it runs with the rights of whoever started it.
pub(super) fn shown_with_ours() -> Stdio {
    let shown = stdio::stderr().try_clone_to_owned();
    shown.map_or_else(|_| Stdio::null(), Stdio::from)
}

/// A line, its end included.
fn shown(words: fmt::Arguments<'_>, terminal: bool) -> String {
    let colours = terminal && wants_colours();
    let mut text = String::new();
    MODE.set(if colours {
        PrintMode::Colours
    } else {
        PrintMode::Plain
    });
    // Its parts can only fail where a value's own way to text does: what there is of it is printed.
    let _ = Foreign(&mut text).write_fmt(words);
    MODE.set(PrintMode::Plain);
    text.push('\n');
    text
}

/// Takes text and lets nothing through that a terminal acts on.
pub(super) struct Foreign<W>(pub(super) W);

impl<W: fmt::Write> fmt::Write for Foreign<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match MODE.get() {
            PrintMode::Style => self.0.write_str(text),
            PrintMode::Plain | PrintMode::Colours => self.0.write_str(&printable_lines(text)),
        }
    }
}

/// A word that is coloured where a terminal shows it, and a plain one everywhere else.
#[derive(Clone, Copy)]
pub(super) struct Painted<'a> {
    word: &'a str,
    code: &'static str,
}

impl<'a> Painted<'a> {
    pub(super) fn new(word: &'a str, code: &'static str) -> Self {
        Self { word, code }
    }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        style(f, self.code)?;
        f.write_str(self.word)?;
        style(f, "0")
    }
}

fn style(f: &mut fmt::Formatter<'_>, code: &str) -> fmt::Result {
    if MODE.get() != PrintMode::Colours {
        return Ok(());
    }
    MODE.set(PrintMode::Style);
    let written = write!(f, "\u{1b}[{code}m");
    MODE.set(PrintMode::Colours);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\u{200b}\u{2028}\r\tb\nc";

    /// What a terminal would act on, of what stays otherwise.
    fn acting(text: &str) -> String {
        let acting = text.chars().filter(|c| acts(*c));
        acting.filter(|c| !matches!(c, '\n' | '\t')).collect()
    }

    #[test]
    fn no_foreign_text_acts_on_a_terminal_whatever_carries_it() {
        let error = anyhow::anyhow!("{EVIL}").context(EVIL);
        for terminal in [false, true] {
            for words in [
                shown(format_args!("{EVIL}"), terminal),
                shown(format_args!("{:>40} {error:#}", EVIL), terminal),
            ] {
                assert_eq!(acting(&words), "", "{words:?}");
                assert!(words.contains("b\nc"), "{words:?}");
            }
        }
    }

    #[test]
    fn only_the_hosts_own_words_are_coloured() {
        let word = Painted::new("ok", "32");
        let evil = Painted::new(EVIL, "1");
        assert_eq!(
            shown(format_args!("{word} \u{1b}[32mok"), true),
            "\u{1b}[32mok\u{1b}[0m \\u{1b}[32mok\n"
        );
        assert_eq!(shown(format_args!("{word}!"), false), "ok!\n");
        let painted = shown(format_args!("{evil}"), true);
        assert_eq!(acting(&painted), "\u{1b}\u{1b}", "{painted:?}");
        // Made a text elsewhere, it is as plain as any.
        assert_eq!(word.to_string(), "ok");
    }

    #[test]
    fn json_stays_json_and_acts_on_nothing() {
        let value = serde_json::json!({ EVIL: [EVIL, "\u{e0041}", "é"] });
        let text = json_text(&value).unwrap_or_default();
        assert_eq!(acting(&text), "", "{text}");
        assert!(text.contains('é'));
        assert_eq!(serde_json::from_str(&text).ok(), Some(value));
    }
}
