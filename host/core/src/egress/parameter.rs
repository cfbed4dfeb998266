//! Names of query parameters, as any server could read them.
//!
//! Where the host sets a parameter, or knows one that changes the method, a guest may not send it: nor
//! a name that some server takes for it. PHP turns `.`, a space and an unmatched `[` into `_`, drops
//! spaces in front, ends a name at NUL and takes `name[...]` for `name`; others split at `;`, and some
//! decode twice. A closed rule needs none of this: what it does not list is refused whatever it is.
//! Pure; it knows no values.

use std::borrow::Cow;

use url::form_urlencoded;

use super::Auth;

/// Parameters that frameworks take for the method, whatever the request line says.
const METHOD_PARAMETERS: [&str; 2] = ["_method", "x-http-method-override"];

/// How often a name is decoded, at most. Who decodes more often has other troubles.
const DECODINGS: usize = 3;

/// Says whether a query parameter is the host's to set: its credential, or what changes the method.
#[must_use]
pub fn is_host_parameter(auth: Option<&Auth>, name: &str) -> bool {
    let injected = match auth {
        Some(Auth::Query { name, .. }) => Some(name.as_str()),
        _ => None,
    };
    let mut forbidden = injected.into_iter().chain(METHOD_PARAMETERS);
    forbidden.any(|known| is_read_as(name, known))
}

/// The first parameter of a query that is the host's to set, decoded once.
pub(super) fn host_parameter(auth: Option<&Auth>, query: &str) -> Option<String> {
    query.split(['&', ';']).find_map(|pair| {
        let (name, _) = form_urlencoded::parse(pair.as_bytes()).next()?;
        let mut reading: Cow<'_, str> = Cow::Borrowed(&name);
        for _ in 0..DECODINGS {
            if is_host_parameter(auth, &reading) {
                return Some(name.into_owned());
            }
            if !reading.contains('%') {
                break;
            }
            let again = percent_encoding::percent_decode_str(&reading).decode_utf8_lossy();
            reading = Cow::Owned(again.into_owned());
        }
        None
    })
}

/// Whether some server takes one name for the other.
fn is_read_as(name: &str, known: &str) -> bool {
    let (name, known) = (start(name), start(known));
    is_same(name, known) || is_same(without_index(name), without_index(known))
}

fn without_index(name: &str) -> &str {
    name.split('[').next().unwrap_or(name).trim_end()
}

/// Without spaces in front, and up to a NUL.
fn start(name: &str) -> &str {
    let name = name.trim_start();
    name.split('\0').next().unwrap_or(name).trim_end()
}

/// Whether two names are one, once what servers fold is folded.
fn is_same(one: &str, other: &str) -> bool {
    one.chars().map(folded).eq(other.chars().map(folded))
}

fn folded(c: char) -> char {
    match c {
        '.' | '[' | '_' | '\u{80}'..='\u{9f}' => '_',
        c if c.is_whitespace() => '_',
        c => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn n81_a_name_that_some_server_takes_for_the_hosts_is_the_hosts() {
        let auth = Auth::Query {
            name: "api_key".to_owned(),
            secret: "s".into(),
        };
        let found = |query: &str| host_parameter(Some(&auth), query).is_some();
        for query in [
            "api_key=1",
            "API_KEY=1",
            "api.key=1",
            "api%20key=1",
            "api+key=1",
            "api[key=1",
            "api%5bkey=1",
            "api_key[]=1",
            "api.key[a]=1",
            "api_key%00x=1",
            "+api_key=1",
            "%20%20api_key",
            "api%255fkey=1",
            "api%25255fkey=1",
            "a=1;api_key=1",
            "a=1&b&api%2Ekey=1",
            "_method=PUT",
            ".method=PUT",
            "[method=PUT",
            "_method[]=PUT",
            "X-HTTP-Method-Override=PUT",
        ] {
            assert!(found(query), "{query}");
        }
        for query in [
            "",
            "a=api_key",
            "apikey=1",
            "api_keys=1",
            "my_api_key=1",
            "q=%25",
        ] {
            assert!(!found(query), "{query}");
        }
        let bracket = Auth::Query {
            name: "key[a]".to_owned(),
            secret: "s".into(),
        };
        assert!(is_host_parameter(Some(&bracket), "key[a]"));
        assert!(is_host_parameter(Some(&bracket), "key[b]"));
    }
}
