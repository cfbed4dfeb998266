//! May this request go out: the grants of one function against one request.
//!
//! Pure. It knows no names' addresses (the dialer judges those), no credentials' values, no callers.
//! `judge` and `explain` walk the same comparisons.

mod explain;
#[cfg(test)]
mod tests;

use core::net::IpAddr;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use url::{Host, Url};

use super::address::{Class, is_localhost, is_metadata_name, loopback};
use super::content::{Arguments, ContentMiss, ContentPart, RequestContent};
use super::parameter::host_parameter;
use super::path::CanonicalPath;
use super::target::{ParsedRequest, RawRequest, TargetError};
use super::{Auth, HttpGrant, Origin, Rule, Scheme};

pub use explain::{Explanation, RuleStep, Step, explain};

/// A request that a grant allows. Only [`judge`] and [`explain`] make one, so whoever holds it
/// holds a proof; its URL is built from the judged parts.
#[derive(Debug, Clone)]
pub struct AllowedRequest {
    grant: Arc<HttpGrant>,
    rule: RuleName,
    method: Method,
    path: CanonicalPath,
    url: Url,
    followed: bool,
}

/// A rule as `explain` and the ledger cite it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleName {
    /// Line of the rule in the manifest, from 1.
    pub line: u32,
    /// As it was written.
    pub text: Arc<str>,
}

/// A request that does not go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{say}")]
pub struct Refusal {
    /// Denied by the grants, or no proper request.
    pub kind: RefusalKind,
    /// What was asked and, where it was denied, what the nearest grant allows. Safe for an agent:
    /// it holds neither the query nor a word of how to widen a grant.
    pub say: String,
    /// The grant that came nearest, for the record.
    pub nearest: Option<Arc<str>>,
}

/// Why a request does not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// No grant allows it.
    Denied,
    /// It is malformed, or says what only the host may say.
    Invalid,
    /// Its URL is larger than its limit.
    #[serde(rename = "too-large")]
    LongUrl,
    /// Its headers are.
    #[serde(rename = "too-large")]
    LargeHeaders,
    /// Its body is.
    #[serde(rename = "too-large")]
    LargeBody,
}

impl RefusalKind {
    /// The kind as the record has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::LongUrl | Self::LargeHeaders | Self::LargeBody => "too-large",
        }
    }
}

/// Why a request does not go to a grant's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginMiss {
    /// The host and the scheme fit, the port does not.
    Port,
    /// The host fits, the scheme does not.
    Scheme,
    /// Another host.
    Host,
}

/// Why a rule does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMiss {
    /// Another method.
    Method,
    /// Another path.
    Path,
    /// Method and path fit, the query says more or less than the rule lists.
    Query,
    /// Method and path fit, the body says more or less than the rule lists.
    Body,
}

impl AllowedRequest {
    /// The grant that allows it.
    #[must_use]
    pub fn grant(&self) -> &Arc<HttpGrant> {
        &self.grant
    }

    /// The rule of that grant.
    #[must_use]
    pub fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The whole URL as it is sent, credentials aside.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How the host proves who asks. Where a redirect was followed it does not: somebody else chose
    /// where the request goes.
    #[must_use]
    pub fn auth(&self) -> Option<&Auth> {
        self.grant.auth.as_ref().filter(|_| !self.followed)
    }
}

/// Decides on one request without headers and body.
///
/// # Errors
/// Why it does not go out.
pub fn judge(grants: &[Arc<HttpGrant>], ask: &RawRequest<'_>) -> Result<AllowedRequest, Refusal> {
    let asked = ParsedRequest::parse(ask).map_err(unreadable)?;
    decide(
        grants,
        &asked,
        &RequestContent::nothing(&Arguments::default()),
    )
}

/// Decides on one request that was read before.
///
/// # Errors
/// Why it does not go out.
pub fn decide(
    grants: &[Arc<HttpGrant>],
    asked: &ParsedRequest,
    sent: &RequestContent<'_>,
) -> Result<AllowedRequest, Refusal> {
    let (grant, rule) = fitting(grants, asked, sent)?;
    check_address(grant, asked)?;
    check_query(grant, asked)?;
    Ok(AllowedRequest {
        grant: Arc::clone(grant),
        rule: RuleName::of(rule),
        method: asked.method.clone(),
        path: asked.path.clone(),
        url: rebuild(asked)?,
        followed: false,
    })
}

/// Decides on a request that a redirect asks for: it goes out without a credential. A grant whose
/// connections show the host's own certificate has no way to go without.
///
/// # Errors
/// Why it does not go out.
pub fn follow(
    grants: &[Arc<HttpGrant>],
    asked: &ParsedRequest,
    sent: &RequestContent<'_>,
) -> Result<AllowedRequest, Refusal> {
    let verdict = decide(grants, asked, sent)?;
    let grant = verdict.grant();
    if grant.origin.scheme == Scheme::Https && grant.way.tls.client.is_some() {
        return Err(Refusal {
            kind: RefusalKind::Denied,
            say: format!(
                "The redirect was not followed: {} is shown the host's certificate, and somebody \
                 else chose to go there. Ask for the place itself.",
                grant.origin
            ),
            nearest: Some(Arc::clone(&grant.name)),
        });
    }
    Ok(AllowedRequest {
        followed: true,
        ..verdict
    })
}

/// The first rule that fits, the content too. Of those that only the content keeps from fitting, the
/// first says why.
fn fitting<'g>(
    grants: &'g [Arc<HttpGrant>],
    asked: &ParsedRequest,
    sent: &RequestContent<'_>,
) -> Result<(&'g Arc<HttpGrant>, &'g Rule), Refusal> {
    let mut missed = None;
    let reached = grants
        .iter()
        .filter(|grant| origin_miss(grant, asked).is_none());
    let rules = reached.flat_map(|grant| grant.allow.iter().map(move |rule| (grant, rule)));
    for (grant, rule) in rules.filter(|(_, rule)| rule_miss(rule, asked).is_none()) {
        match content_miss(rule, asked, sent) {
            None => return Ok((grant, rule)),
            Some(miss) => missed = missed.or(Some((grant, rule, miss))),
        }
    }
    Err(match missed {
        Some((grant, rule, miss)) => content_denied(asked, grant, rule, &miss),
        None => denied(grants, asked),
    })
}

fn content_miss(
    rule: &Rule,
    asked: &ParsedRequest,
    sent: &RequestContent<'_>,
) -> Option<ContentMiss> {
    let content = rule.content.as_ref()?;
    content.admits(asked.query.as_deref(), sent).err()
}

fn content_denied(
    asked: &ParsedRequest,
    grant: &HttpGrant,
    rule: &Rule,
    miss: &ContentMiss,
) -> Refusal {
    let part = match miss.part {
        ContentPart::Query => "query",
        ContentPart::Body => "body",
    };
    Refusal {
        kind: RefusalKind::Denied,
        say: format!(
            "{} is denied by the rule {:?} because of its {part}: {}.",
            Shown(asked),
            rule.text,
            miss.why
        ),
        nearest: Some(Arc::clone(&grant.name)),
    }
}

fn origin_miss(grant: &HttpGrant, asked: &ParsedRequest) -> Option<OriginMiss> {
    let (has, wants) = (&grant.origin, &asked.origin);
    if has.host != wants.host {
        Some(OriginMiss::Host)
    } else if has.scheme != wants.scheme {
        Some(OriginMiss::Scheme)
    } else if has.port != wants.port {
        Some(OriginMiss::Port)
    } else {
        None
    }
}

fn rule_miss(rule: &Rule, asked: &ParsedRequest) -> Option<RuleMiss> {
    if rule.method != asked.method {
        Some(RuleMiss::Method)
    } else if !asked.path.matches(&rule.path) {
        Some(RuleMiss::Path)
    } else {
        None
    }
}

/// An address written as such is judged here: no resolver will ever see it.
fn check_address(grant: &HttpGrant, asked: &ParsedRequest) -> Result<(), Refusal> {
    let judged = match &asked.origin.host {
        Host::Ipv4(ip) => grant.may_dial(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => grant.may_dial(IpAddr::V6(*ip)),
        Host::Domain(name) if is_metadata_name(name) => Err(Class::Metadata),
        Host::Domain(name) if is_localhost(name) => loopback(&grant.private).map(drop),
        Host::Domain(_) => Ok(()),
    };
    judged.map_err(|class| Refusal {
        kind: RefusalKind::Denied,
        say: address_denied(&asked.origin, class),
        nearest: Some(Arc::clone(&grant.name)),
    })
}

/// The sentence for an address that no grant opens, here and in the dialer.
pub fn address_denied(origin: &Origin, class: Class) -> String {
    if class == Class::InClear {
        return format!(
            "{origin} was not asked: its address is on the public internet, which the host's \
             credential does not cross in clear. Its operator should look."
        );
    }
    format!(
        "{origin} was not asked: its address is not on the public internet ({class}), and the \
         grant does not cover it. Another request to this host will be denied too."
    )
}

fn check_query(grant: &HttpGrant, asked: &ParsedRequest) -> Result<(), Refusal> {
    let query = asked.query.as_deref();
    match query.and_then(|query| host_parameter(grant.auth.as_ref(), query)) {
        None => Ok(()),
        Some(name) => Err(Refusal {
            kind: RefusalKind::Invalid,
            say: format!(
                "The query parameter {name:?} is the host's to set. Send the request without it."
            ),
            nearest: Some(Arc::clone(&grant.name)),
        }),
    }
}

/// Room for the origin of most URLs, in bytes.
const USUAL_ORIGIN: usize = 64;

fn rebuild(asked: &ParsedRequest) -> Result<Url, Refusal> {
    let (path, query) = (asked.path.as_str(), asked.query.as_deref());
    let length = path.len() + query.map_or(0, str::len);
    let mut text = String::with_capacity(length + USUAL_ORIGIN);
    // A text takes whatever is written into it.
    let _ = write!(text, "{}", asked.origin);
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    let url = Url::parse(&text).map_err(|_| unreadable(TargetError::Host))?;
    // What is sent is what was judged, to the letter: a part that `url` would write in another way has
    // two readings.
    if url.path() != path || url.query() != query {
        return Err(unreadable(TargetError::Query));
    }
    Ok(url)
}

/// The refusal of a request that cannot be read.
pub fn unreadable(error: TargetError) -> Refusal {
    let kind = match error {
        TargetError::TooLong => RefusalKind::LongUrl,
        _ => RefusalKind::Invalid,
    };
    Refusal {
        kind,
        say: format!("The request was not sent: {error}."),
        nearest: None,
    }
}

fn denied(grants: &[Arc<HttpGrant>], asked: &ParsedRequest) -> Refusal {
    let what = Shown(asked);
    // The first of the nearest: `min_by_key` keeps the earliest of equals, `None` is nearest of all.
    let Some(nearest) = grants.iter().min_by_key(|grant| origin_miss(grant, asked)) else {
        return Refusal {
            kind: RefusalKind::Denied,
            say: format!("{what} is denied: this function has no HTTP grant."),
            nearest: None,
        };
    };
    let reach = match origin_miss(nearest, asked) {
        None => format!("allows there: {}", Listing(&nearest.allow)),
        Some(_) => format!(
            "reaches only {}: {}",
            nearest.origin,
            Listing(&nearest.allow)
        ),
    };
    Refusal {
        kind: RefusalKind::Denied,
        say: format!(
            "{what} is denied. The nearest grant, {:?}, {reach}.",
            nearest.name
        ),
        nearest: Some(Arc::clone(&nearest.name)),
    }
}

impl RuleName {
    fn of(rule: &Rule) -> Self {
        Self {
            line: rule.line,
            text: Arc::clone(&rule.text),
        }
    }
}

/// A request in a message: without its query, and not longer than one wants to read.
struct Shown<'a>(&'a ParsedRequest);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        let ParsedRequest {
            method,
            origin,
            path,
            ..
        } = self.0;
        let path = path.as_str();
        match path.get(..MOST) {
            Some(start) if path.len() > MOST => write!(f, "{method} {origin}{start}..."),
            _ => write!(f, "{method} {origin}{path}"),
        }
    }
}

/// Rules in a message: the first few.
struct Listing<'a>(&'a [Rule]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        for (index, rule) in self.0.iter().take(MOST).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", rule.text)?;
        }
        match self.0.len().checked_sub(MOST) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

impl Auth {
    /// Name of the secret, by which its value is looked up.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Bearer { secret }
            | Self::Basic { secret, .. }
            | Self::Header { secret, .. }
            | Self::Query { secret, .. } => secret,
        }
    }
}
