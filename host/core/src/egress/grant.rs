//! What the manifest may grant of HTTP. Pure values; `manifest` fills them, `judge` reads them.

use core::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::address::{Class, may_dial};
use super::content::ContentRule;

/// One named grant: an origin, what may be asked of it, and what the host adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Its name in the manifest, as `explain` and the ledger cite it: `api` of `[tool.x.http.api]`.
    pub name: Arc<str>,
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// Scheme, host and port: the only place this grant reaches.
    pub origin: Origin,
    /// What may be asked; a request needs one rule that fits.
    pub allow: Vec<Rule>,
    /// Networks outside the public internet that the host's addresses may lie in.
    pub private: Vec<Network>,
    /// What the host adds to prove who asks.
    pub auth: Option<Auth>,
    /// How many redirects the host follows for one request, each judged like a request of its own;
    /// 0 gives them back.
    pub redirects: u32,
    /// How its requests leave the host.
    pub way: Way,
}

impl HttpGrant {
    /// Says whether a connection of this grant may go to an address: a public one, or one that
    /// `private` covers. Where a credential goes along in clear, `private` is all there is: its host
    /// was said not to be on the internet, whatever its name resolves to today.
    ///
    /// # Errors
    /// The class that forbids it.
    pub fn may_dial(&self, ip: IpAddr) -> Result<(), Class> {
        may_dial(ip, &self.private)?;
        let in_clear = self.auth.is_some() && self.origin.scheme == Scheme::Http;
        if in_clear && !self.private.iter().any(|network| network.contains(ip)) {
            return Err(Class::InClear);
        }
        Ok(())
    }
}

/// How the requests of a grant leave the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Through this proxy. Which addresses it dials is the proxy's to judge.
    pub proxy: Option<Origin>,
    /// What TLS needs beyond the system's certificates.
    pub tls: TlsFiles,
}

/// Files that TLS needs beyond the system's certificates, in PEM, as they are written in the
/// manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsFiles {
    /// Certificate authorities that are trusted too.
    pub ca: Option<PathBuf>,
    /// What the host shows to whoever asks for a certificate, the proxy too.
    pub client: Option<ClientFiles>,
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientFiles {
    /// The certificate, with those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Over TLS or not.
    pub scheme: Scheme,
    /// The host as the URL standard canonicalises it: lower case, punycode, no trailing dot.
    pub host: url::Host<String>,
    /// The port, the scheme's own where none is written.
    pub port: u16,
}

/// `http` or `https`; there is nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// One line of `allow`: a method and a path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Line of the rule in the manifest, from 1.
    pub line: u32,
    /// As it was written, for `explain` and the ledger.
    pub text: Arc<str>,
    /// The method, in capitals.
    pub method: http::Method,
    /// The path's segments.
    pub path: Vec<PathSegment>,
    /// What query and body may say; whatever they do where there is none.
    pub content: Option<Arc<ContentRule>>,
}

/// One segment of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// These characters, in canonical form.
    Exactly(String),
    /// `*`: any one segment that is not empty.
    Any,
    /// `**`: any number of segments, none too; only at the end of a pattern.
    Rest,
}

/// A range of addresses, from CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// First address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

/// How the host proves who asks. The value is looked up by the secret's name when a request is
/// sent; the guest never sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <secret>`.
    Bearer {
        /// Name of the secret.
        secret: Arc<str>,
    },
    /// `Authorization: Basic <user:secret>`.
    Basic {
        /// The user's name.
        user: String,
        /// Name of the secret.
        secret: Arc<str>,
    },
    /// A header of its own.
    Header {
        /// The header's name, in small letters.
        name: http::HeaderName,
        /// Name of the secret.
        secret: Arc<str>,
    },
    /// A query parameter.
    Query {
        /// The parameter's name.
        name: String,
        /// Name of the secret.
        secret: Arc<str>,
    },
}
