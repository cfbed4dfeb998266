//! Grants for tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use url::{Host, Url};

use super::{Auth, HttpGrant, Network, Origin, PathSegment, Rule, Scheme, Way};

/// A grant `name` for `origin` that allows these rules.
#[must_use]
pub fn grant(name: &str, origin: &str, allow: &[&str]) -> HttpGrant {
    let url = Url::parse(origin).unwrap();
    HttpGrant {
        name: name.into(),
        line: 10,
        origin: Origin {
            scheme: if url.scheme() == "https" {
                Scheme::Https
            } else {
                Scheme::Http
            },
            host: match url.host().unwrap() {
                Host::Domain(name) => Host::Domain(name.to_owned()),
                Host::Ipv4(ip) => Host::Ipv4(ip),
                Host::Ipv6(ip) => Host::Ipv6(ip),
            },
            port: url.port_or_known_default().unwrap(),
        },
        allow: (11..)
            .zip(allow)
            .map(|(line, text)| rule(line, text))
            .collect(),
        private: Vec::new(),
        auth: None,
        redirects: 0,
        way: Way::default(),
    }
}

fn rule(line: u32, text: &str) -> Rule {
    let (method, path) = text.split_once(' ').unwrap();
    let segment = |text| match text {
        "*" => PathSegment::Any,
        "**" => PathSegment::Rest,
        text => PathSegment::Exactly(text.to_owned()),
    };
    Rule {
        line,
        text: text.into(),
        method: method.parse().unwrap(),
        path: path.split('/').skip(1).map(segment).collect(),
        content: None,
    }
}

/// A range in CIDR notation.
#[must_use]
pub fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network {
        address: address.parse().unwrap(),
        prefix: prefix.parse().unwrap(),
    }
}

/// A grant on loopback that reaches it.
#[must_use]
pub fn loopback_grant(port: u16, auth: Option<Auth>) -> Arc<HttpGrant> {
    let origin = format!("http://127.0.0.1:{port}");
    let mut grant = grant("shop", &origin, &["GET /**", "POST /**", "HEAD /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    grant.auth = auth;
    Arc::new(grant)
}
