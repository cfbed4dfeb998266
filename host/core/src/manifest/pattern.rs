//! Path patterns of `allow`: text to segments, and which pattern says what another one says.
//!
//! It does not know requests. Literals go through the same canonical form as a request's path,
//! and what that form refuses is refused here: such a pattern would decide nothing.

use crate::egress::{PathError, PathSegment, canonical};

/// Why a text is no pattern, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Reads a pattern: an absolute path whose segments are literals, `*` (one segment, not empty) or,
/// at the end, `**` (any number of segments). The path `/a/` has an empty last segment, `/` has
/// nothing but one.
pub(super) fn parse(text: &str) -> Result<Vec<PathSegment>, Flaw> {
    if text.is_empty() {
        return Err(refused(text, PathError::Relative));
    }
    // A bare `*` stays as it is in the canonical form, an escaped one stays escaped.
    let path = canonical(text).map_err(|error| refused(text, error))?;
    let mut segments = path.segments().peekable();
    let mut pattern = Vec::new();
    while let Some(text) = segments.next() {
        pattern.push(segment(text, segments.peek().is_none())?);
    }
    Ok(pattern)
}

fn segment(text: &str, last: bool) -> Result<PathSegment, Flaw> {
    let (message, hint) = match text {
        "*" => return Ok(PathSegment::Any),
        "**" if last => return Ok(PathSegment::Rest),
        "**" => (
            "`**` stands only at the end of a path",
            "write `*` for one segment",
        ),
        text if text.contains('*') => (
            "`*` is a whole segment, not a part of one",
            "write `*` alone for any segment, `%2A` for the character itself",
        ),
        text => return Ok(PathSegment::Exactly(text.to_owned())),
    };
    Err(Flaw {
        message: message.to_owned(),
        hint: hint.to_owned(),
    })
}

fn refused(text: &str, error: PathError) -> Flaw {
    let hint = match error {
        PathError::Relative => "write the path from its first `/`: \"GET /orders/*\"".to_owned(),
        PathError::Character => match text
            .chars()
            .find(|c| !c.is_ascii_graphic() || "?#".contains(*c))
        {
            Some('?') => {
                "leave out the query: a rule judges the path, and covers every query".to_owned()
            }
            Some('#') => "leave out the fragment: it is never sent".to_owned(),
            Some(c) if !c.is_control() => format!("write `{}`", escapes(c)),
            _ => "leave it out".to_owned(),
        },
        PathError::Escape => "write `%25` for the character itself".to_owned(),
        _ => "a request with such a path is always refused, so the rule could allow nothing"
            .to_owned(),
    };
    Flaw {
        message: format!("the path {error}"),
        hint,
    }
}

fn escapes(c: char) -> String {
    let mut utf8 = [0; 4];
    let bytes = c.encode_utf8(&mut utf8).bytes();
    bytes.map(|b| format!("%{b:02X}")).collect()
}

/// Whether every path that `narrow` fits, `wide` fits too.
pub(super) fn covers(wide: &[PathSegment], narrow: &[PathSegment]) -> bool {
    let mut narrow = narrow.iter();
    for segment in wide {
        let fits = match (segment, narrow.next()) {
            (PathSegment::Rest, _) => return true,
            (PathSegment::Any, Some(PathSegment::Exactly(text))) => !text.is_empty(),
            (wide, Some(narrow)) => wide == narrow,
            (_, None) => false,
        };
        if !fits {
            return false;
        }
    }
    narrow.next().is_none()
}

/// Whether some path fits both.
pub(super) fn overlap(one: &[PathSegment], other: &[PathSegment]) -> bool {
    let (mut one, mut other) = (one.iter(), other.iter());
    loop {
        let fits = match (one.next(), other.next()) {
            (Some(PathSegment::Rest), _) | (_, Some(PathSegment::Rest)) | (None, None) => {
                return true;
            }
            (Some(PathSegment::Exactly(a)), Some(PathSegment::Exactly(b))) => a == b,
            (Some(PathSegment::Any), Some(PathSegment::Exactly(text)))
            | (Some(PathSegment::Exactly(text)), Some(PathSegment::Any)) => !text.is_empty(),
            (Some(PathSegment::Any), Some(PathSegment::Any)) => true,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !fits {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pattern(text: &str) -> Vec<PathSegment> {
        parse(text).unwrap()
    }

    fn exactly(text: &str) -> PathSegment {
        PathSegment::Exactly(text.to_owned())
    }

    #[test]
    fn segments_are_read() {
        assert_eq!(pattern("/"), [exactly("")]);
        assert_eq!(pattern("/a/"), [exactly("a"), exactly("")]);
        assert_eq!(
            pattern("/a/*/**"),
            [exactly("a"), PathSegment::Any, PathSegment::Rest]
        );
        assert_eq!(
            pattern("/%7euser/%2a%c3%a9"),
            [exactly("~user"), exactly("%2A%C3%A9")]
        );
    }

    #[test]
    fn a_literal_is_what_a_request_is_judged_by() {
        for path in ["/", "/a", "/a/", "/%7Euser/{x}/é%20|", "/a%2ab"] {
            let path = path.replace('é', "%c3%a9");
            assert!(canonical(&path).unwrap().matches(&pattern(&path)), "{path}");
        }
    }

    #[test]
    fn what_no_request_has_is_refused() {
        let never = [
            "",
            "a",
            "*",
            "/a//b",
            "/./a",
            "/a/..",
            "/%2e%2e/a",
            "/a;b",
            "/a%3bb",
            "/a%2fb",
            "/a\\b",
            "/a%00",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%+1",
            "/%252e",
            "/a?b",
            "/a#b",
            "/a b",
            "/é",
            "/a*",
            "/***",
            "/**/a",
            "/**/",
        ];
        for text in never {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    /// Judged against the requests themselves: no two of these patterns are compared wrongly.
    #[test]
    fn comparing_agrees_with_matching() {
        let patterns = [
            "/", "/*", "/**", "/a", "/a/", "/a/*", "/a/**", "/*/b", "/*/", "/a/b", "/*/*",
            "/a/b/**",
        ];
        let paths = [
            "/", "/a", "/a/", "/b", "/a/b", "/a/b/", "/c/b", "/c/d", "/a/b/c", "/c/d/e", "/c/",
            "/a/c",
        ];
        let fits = |pattern: &[PathSegment], path: &str| canonical(path).unwrap().matches(pattern);
        for one in patterns.map(pattern) {
            for other in patterns.map(pattern) {
                let both = paths
                    .iter()
                    .any(|path| fits(&one, path) && fits(&other, path));
                let all = paths
                    .iter()
                    .all(|path| fits(&one, path) || !fits(&other, path));
                assert_eq!(overlap(&one, &other), both, "{one:?} {other:?}");
                assert_eq!(covers(&one, &other), all, "{one:?} {other:?}");
            }
        }
    }
}
