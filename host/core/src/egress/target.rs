//! One parse of what a guest asks for, from either way to HTTP, into typed parts.
//!
//! The text is cut only where every URL parser cuts it, and refused where they would differ; the
//! host is then read by `url`, so that every notation of an address becomes that address. What is
//! sent later is rebuilt from these parts: the guest's own text goes nowhere. Pure; knows no grants.

use http::Method;
use url::{Host, Url};

use super::path::{CanonicalPath, PathError, canonical, canonical_of_server};
use super::{Origin, Scheme};

/// The longest URL in bytes, all parts together. Longer ones have crashed parsers (GHSA-w36r).
pub const MAX_URL: usize = 8 << 10;

/// The longest method. The longest registered one, UPDATEREDIRECTREF, has 17.
pub const MAX_METHOD: usize = 32;

/// What a guest asks for, as it says it.
#[derive(Debug, Clone, Copy)]
pub struct RawRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// Where to.
    pub target: RawTarget<'a>,
}

/// Where a request should go, as a guest says it.
#[derive(Debug, Clone, Copy)]
pub enum RawTarget<'a> {
    /// `toolhost:tool/http`: one text.
    Url(&'a str),
    /// The same, of a server's redirect to itself.
    Own(&'a str),
    /// `wasi:http`: three.
    Parts {
        /// `http`, `https`, or something else.
        scheme: &'a str,
        /// Host and port.
        authority: &'a str,
        /// Empty, or beginning with `/` or `?`.
        path_with_query: &'a str,
    },
}

/// A request in typed parts, before anybody judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRequest {
    /// The method.
    pub method: Method,
    /// Scheme, host and port.
    pub origin: Origin,
    /// The path.
    pub path: CanonicalPath,
    /// The query without its `?`, as it is judged and sent.
    pub query: Option<String>,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than [`MAX_URL`].
    #[error("the URL is longer than {MAX_URL} bytes")]
    TooLong,
    /// The method is empty, too long or not in capitals.
    #[error("the method has to be a word in capitals, like GET")]
    Method,
    /// `CONNECT` asks for a tunnel, not for a resource.
    #[error("CONNECT is not offered: the host opens no tunnels")]
    Connect,
    /// There is no `scheme://`.
    #[error("the URL has to begin with http:// or https://")]
    NotAbsolute,
    /// The scheme is another one.
    #[error("only http and https are offered")]
    Scheme,
    /// A control character, a space or a backslash anywhere.
    #[error("the URL holds a control character, a space or a backslash")]
    Character,
    /// There is a fragment.
    #[error("the URL holds a fragment (#)")]
    Fragment,
    /// There is a user name or a password.
    #[error("the URL holds user information (@)")]
    UserInfo,
    /// The host is missing, or no host.
    #[error("the URL's host is not a valid host name or address")]
    Host,
    /// The port is empty, zero or no number.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// The path has two readings, or none.
    #[error("the URL's path {0}")]
    Path(#[from] PathError),
    /// The query holds something other than visible ASCII.
    #[error("the URL's query holds a character that has to be percent-encoded")]
    Query,
    /// The query holds an escaped NUL: some servers end a name or a value there.
    #[error("the URL's query holds an escaped NUL (%00)")]
    Nul,
}

impl ParsedRequest {
    /// Reads what a guest asks for.
    ///
    /// # Errors
    /// The first reason why it cannot be read in exactly one way. Its text quotes nothing of the
    /// request, which may hold what should not be repeated.
    pub fn parse(ask: &RawRequest<'_>) -> Result<Self, TargetError> {
        let method = parse_method(ask.method)?;
        let (scheme, authority, rest) = cut(&ask.target)?;
        let scheme = parse_scheme(scheme)?;
        let origin = parse_origin(scheme, authority)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Ok(Self {
            method,
            origin,
            path: match ask.target {
                RawTarget::Own(_) => canonical_of_server(path)?,
                RawTarget::Url(_) | RawTarget::Parts { .. } => canonical(path)?,
            },
            query: query.map(canonical_query).transpose()?,
        })
    }
}

/// The query as it is sent: the few characters that the URL standard escapes in one are escaped, and
/// all the rest stays as it is. Brought into this form again it does not change. What it says is not
/// read here; a rule that says anything of it reads it strictly.
fn canonical_query(query: &str) -> Result<String, TargetError> {
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TargetError::Query);
    }
    if query.contains("%00") {
        return Err(TargetError::Nul);
    }
    if !query.contains(['"', '\'', '<', '>']) {
        return Ok(query.to_owned());
    }
    let mut text = String::with_capacity(query.len());
    for piece in query.chars() {
        match piece {
            '"' => text.push_str("%22"),
            '\'' => text.push_str("%27"),
            '<' => text.push_str("%3C"),
            '>' => text.push_str("%3E"),
            plain => text.push(plain),
        }
    }
    Ok(text)
}

impl Origin {
    /// The host without brackets around an IPv6 address: what records and messages show.
    #[must_use]
    pub fn host_text(&self) -> String {
        match &self.host {
            Host::Ipv6(ip) => ip.to_string(),
            other => other.to_string(),
        }
    }
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

fn parse_method(text: &str) -> Result<Method, TargetError> {
    let word = !text.is_empty()
        && text.len() <= MAX_METHOD
        && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !word {
        return Err(TargetError::Method);
    }
    if text == "CONNECT" {
        return Err(TargetError::Connect);
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| TargetError::Method)
}

/// Scheme, authority, and path with query.
fn cut<'a>(target: &RawTarget<'a>) -> Result<(&'a str, &'a str, &'a str), TargetError> {
    let (scheme, authority, rest) = match *target {
        RawTarget::Url(url) | RawTarget::Own(url) => cut_url(url)?,
        RawTarget::Parts {
            scheme,
            authority,
            path_with_query,
        } => {
            if scheme.len() + authority.len() + path_with_query.len() > MAX_URL {
                return Err(TargetError::TooLong);
            }
            check_characters(authority)?;
            check_characters(path_with_query)?;
            (scheme, authority, path_with_query)
        }
    };
    // GHSA-5qpp: `http://other/` as a path becomes a request line that names another host.
    if !(rest.is_empty() || rest.starts_with(['/', '?'])) {
        return Err(PathError::Relative.into());
    }
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    if authority.contains(['/', '?']) {
        return Err(TargetError::Host);
    }
    Ok((scheme, authority, rest))
}

fn cut_url(url: &str) -> Result<(&str, &str, &str), TargetError> {
    if url.len() > MAX_URL {
        return Err(TargetError::TooLong);
    }
    check_characters(url)?;
    let (scheme, rest) = url.split_once("://").ok_or(TargetError::NotAbsolute)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end).ok_or(TargetError::NotAbsolute)?;
    Ok((scheme, authority, rest))
}

/// Parsers drop, trim or turn these in different ways.
fn check_characters(text: &str) -> Result<(), TargetError> {
    let is_odd = match text.is_ascii() {
        true => text.bytes().any(|b| matches!(b, 0..=b' ' | 0x7f | b'\\')),
        false => text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\'),
    };
    if is_odd {
        return Err(TargetError::Character);
    }
    if text.contains('#') {
        return Err(TargetError::Fragment);
    }
    Ok(())
}

fn parse_scheme(text: &str) -> Result<Scheme, TargetError> {
    if text.eq_ignore_ascii_case("https") {
        Ok(Scheme::Https)
    } else if text.eq_ignore_ascii_case("http") {
        Ok(Scheme::Http)
    } else {
        Err(TargetError::Scheme)
    }
}

fn parse_origin(scheme: Scheme, authority: &str) -> Result<Origin, TargetError> {
    check_port(authority)?;
    let text = [scheme.as_str(), "://", authority, "/"].concat();
    let url = Url::parse(&text).map_err(|e| match e {
        url::ParseError::InvalidPort => TargetError::Port,
        _ => TargetError::Host,
    })?;
    // The authority was cut out with care: if `url` sees anything more in it, the two disagree.
    let only_host = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    let port = url.port_or_known_default().filter(|&port| port != 0);
    match (url.host(), port) {
        _ if !only_host => Err(TargetError::Host),
        (_, None) => Err(TargetError::Port),
        (None, _) => Err(TargetError::Host),
        (Some(host), Some(port)) => Ok(Origin {
            scheme,
            host: parse_host(host)?,
            port,
        }),
    }
}

/// `url` takes `host:` for the scheme's own port; somebody else may not.
fn check_port(authority: &str) -> Result<(), TargetError> {
    let behind_host = match authority.rsplit_once(']') {
        Some((_, tail)) => tail,
        None if authority.starts_with('[') => return Err(TargetError::Host),
        None => authority,
    };
    match behind_host.split_once(':') {
        Some((_, port)) if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(TargetError::Port)
        }
        _ => Ok(()),
    }
}

fn parse_host(host: Host<&str>) -> Result<Host<String>, TargetError> {
    let name = match host {
        Host::Ipv4(ip) => return Ok(Host::Ipv4(ip)),
        Host::Ipv6(ip) => return Ok(Host::Ipv6(ip)),
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name),
    };
    let good_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(good_label) {
        return Err(TargetError::Host);
    }
    Ok(Host::Domain(name.to_owned()))
}

#[cfg(test)]
mod tests;
