//! `TOOLHOST_LOG` and `TOOLHOST_LOG_FORMAT`: what the log takes and how it is written, as the operator
//! asks for it. What cannot be meant as it is written is left out and said: a log that is silent by
//! mistake is noticed when it is needed.
//!
//! It does not know what a line is.

use std::ffi::OsString;

use tracing_subscriber::filter::{LevelFilter, Targets};

/// The levels, by the names they have in a filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Whose lines there are that this project writes: the host's, whose crates begin with its name, and
/// those of its guests.
const OWN: [&str; 2] = ["toolhost", "guest"];

/// Libraries whose lines have requests in them, arguments and all: the lowest level of theirs that is
/// let through.
const HELD_BACK: [(&str, LevelFilter); 6] = [
    (toolhost_doors::UNLOGGED, LevelFilter::OFF),
    ("hyper", LevelFilter::WARN),
    ("hyper_util", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
];

/// What was asked for, and what of it is not done.
pub(super) struct Asked<T> {
    pub(super) is: T,
    pub(super) complaints: Vec<String>,
}

/// Which lines are written. What no directive names is at `default`.
pub(super) fn levels(asked: Option<OsString>, default: LevelFilter) -> Asked<Targets> {
    let mut complaints = Vec::new();
    let asked = text("TOOLHOST_LOG", asked, &mut complaints);
    let mut levels = Targets::new().with_default(default);
    let directives = asked.split(',').map(str::trim);
    for directive in directives.filter(|one| !one.is_empty()) {
        match read(directive) {
            Ok((None, level)) => levels = levels.with_default(level),
            Ok((Some(target), level)) => {
                if !is_known(target) {
                    complaints.push(format!(
                        "TOOLHOST_LOG: `{target}` is no part of the host's: `{directive}` changes what a library of that name says, if there is one"
                    ));
                }
                levels = levels.with_target(target, level);
            }
            Err(why) => complaints.push(format!(
                "TOOLHOST_LOG: `{directive}` {why}, and is left out"
            )),
        }
    }
    // Behind all others: what it says of these does not count.
    let is = levels.with_targets(HELD_BACK);
    Asked { is, complaints }
}

/// Whether lines are JSON.
pub(super) fn is_json(asked: Option<OsString>) -> Asked<bool> {
    let mut complaints = Vec::new();
    let asked = text("TOOLHOST_LOG_FORMAT", asked, &mut complaints);
    let is = match asked.trim() {
        "json" => true,
        "" | "text" => false,
        other => {
            complaints.push(format!(
                "TOOLHOST_LOG_FORMAT: `{other}` is no format, and lines are text: write `text` or `json`"
            ));
            false
        }
    };
    Asked { is, complaints }
}

/// A variable's text; nothing where it is not set.
fn text(name: &str, asked: Option<OsString>, complaints: &mut Vec<String>) -> String {
    let text = asked.map(OsString::into_string).transpose();
    text.map(Option::unwrap_or_default).unwrap_or_else(|_| {
        complaints.push(format!("{name} is no UTF-8, and is left out"));
        String::new()
    })
}

/// A directive: a level, a part, or a part and its level.
fn read(directive: &str) -> Result<(Option<&str>, LevelFilter), String> {
    let (target, word) = match directive.split_once('=') {
        Some((target, word)) => (Some(target.trim()), word.trim()),
        None => (None, directive),
    };
    if directive.contains(['[', ']', '{', '}']) {
        return Err("filters by spans, of which the host has none".to_owned());
    }
    let level = LEVELS
        .iter()
        .any(|level| word.eq_ignore_ascii_case(level))
        .then(|| word.parse::<LevelFilter>().ok())
        .flatten();
    match (target, level) {
        (Some(target), Some(level)) => match held_back(target) {
            Some(most) if level > most => {
                Err("names a library whose lines have requests in them: it is held back".to_owned())
            }
            _ => Ok((Some(target), level)),
        },
        (None, Some(level)) => Ok((None, level)),
        // A part by itself, with all that it says.
        (None, None) if is_known(word) => Ok((Some(word), LevelFilter::TRACE)),
        (_, None) => {
            let near = crate::manifest::nearest(word, LEVELS);
            let near = near.map(|near| format!(" (did you mean `{near}`?)"));
            Err(format!(
                "has no level{}: write error, warn, info, debug, trace or off, or one for a part as in `warn,guest=debug`",
                near.unwrap_or_default()
            ))
        }
    }
}

/// Whether this is a part of the host's, or the guests.
fn is_known(target: &str) -> bool {
    let first = target.split("::").next().unwrap_or_default();
    OWN.contains(&first) || first.starts_with("toolhost_")
}

fn held_back(target: &str) -> Option<LevelFilter> {
    // As the filter matches: by the begin of a name, wherever that ends.
    let held = HELD_BACK.iter().find(|(name, _)| target.starts_with(name));
    held.map(|(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn asked(text: &str) -> Asked<Targets> {
        levels(Some(text.into()), LevelFilter::INFO)
    }

    #[test]
    fn x64_what_is_mistyped_is_said_and_the_rest_holds() {
        for (text, said) in [
            ("inffo", "`info`"),
            ("debg", "`debug`"),
            ("warn,guest=debugg", "`guest=debugg`"),
            ("toolhost_doors=", "has no level"),
            ("verbose", "has no level"),
            ("3", "has no level"),
            ("toolhots=debug", "`toolhots`"),
            ("info,hyper=debug", "held back"),
            ("hyper::proto::h1=trace", "held back"),
            ("rmcp=error", "held back"),
            ("hyper:=trace", "held back"),
            ("hyper::=trace", "held back"),
            ("rmcp:=trace", "held back"),
            ("hyper_=trace", "held back"),
            ("rustls_x=trace", "held back"),
            ("[call]=debug", "spans"),
        ] {
            let asked = asked(text);
            assert_eq!(asked.complaints.len(), 1, "{text}: {:?}", asked.complaints);
            assert!(asked.complaints[0].contains(said), "{:?}", asked.complaints);
            // Nothing is silent by mistake.
            assert!(
                asked.is.would_enable("toolhost_engine::call", &Level::WARN),
                "{text}"
            );
            assert!(
                !asked.is.would_enable("hyper::proto", &Level::INFO),
                "{text}"
            );
            assert!(
                !asked.is.would_enable("rmcp::service", &Level::ERROR),
                "{text}"
            );
        }
        let format = is_json(Some("jsn".into()));
        assert!(!format.is && format.complaints.len() == 1);
    }

    #[test]
    fn x64_what_is_meant_is_done() {
        for text in [
            "",
            "info",
            "INFO",
            "debug,guest=off",
            "guest",
            " warn , guest = trace ",
        ] {
            let asked = asked(text);
            assert!(
                asked.complaints.is_empty(),
                "{text}: {:?}",
                asked.complaints
            );
        }
        let some = asked("error,toolhost_doors=debug,guest").is;
        assert!(some.would_enable("toolhost_doors::http", &Level::DEBUG));
        assert!(!some.would_enable("toolhost_engine::call", &Level::WARN));
        assert!(some.would_enable("guest", &Level::TRACE));
        let rest = asked("guest=debug").is;
        assert!(
            rest.would_enable("toolhost_engine::call", &Level::INFO),
            "the rest is as it was"
        );
        assert!(
            !asked("off")
                .is
                .would_enable("toolhost_engine::call", &Level::ERROR)
        );
        assert!(is_json(Some("json".into())).is);
        assert!(!is_json(None).is);
    }
}
