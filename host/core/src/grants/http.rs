//! What a grant of HTTP is in words, and how it is listed.
//!
//! It judges nothing.

use super::capability::{Capability, Grant, Granting};
use crate::egress::{HttpGrant, Rule, Way};
use crate::terms::Reach;

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "http",
    imports: &["toolhost:tool/http", "wasi:http"],
    provides: &[
        ("toolhost:tool/http", "0.1"),
        ("wasi:http/outgoing-handler", "0.2"),
        ("wasi:http/types", "0.2"),
    ],
    provides_v03: &[("wasi:http/client", "0.3"), ("wasi:http/types", "0.3")],
    grant: Some(Granting {
        needs: &[
            "toolhost:tool/http",
            "wasi:http/outgoing-handler",
            "wasi:http/client",
        ],
        finds: "what is granted, else nothing",
        purpose: "requests",
        example: "[tool.{}.http.api]\nurl = \"https://api.example.com\"\nallow = [\"GET /orders/*\"]\n",
    }),
};

impl Grant for HttpGrant {
    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn line(&self) -> u32 {
        self.line
    }

    fn reach(&self) -> Reach {
        match self.allow.iter().all(|rule| rule.method.is_safe()) {
            true => Reach::Reads,
            false => Reach::Writes,
        }
    }

    fn path(&self) -> String {
        format!("http.{}", self.name)
    }

    fn brief(&self) -> String {
        format!("http {} ({} rules)", self.origin, self.allow.len())
    }

    fn lines(&self) -> Vec<(u32, String)> {
        let auth = match self.auth {
            Some(_) => ", the host adds a credential",
            None => "",
        };
        let private = match &self.private[..] {
            [] => "",
            _ => ", also at private addresses",
        };
        let way = way(&self.way);
        let redirects = match self.redirects {
            0 => String::new(),
            most => format!(", follows {most} redirects"),
        };
        let (name, origin) = (&self.name, &self.origin);
        let said = format!("http {name} {origin}{auth}{private}{way}{redirects}");
        let rules = self.allow.iter().map(|rule| (rule.line, said_of(rule)));
        std::iter::once((self.line, said)).chain(rules).collect()
    }

    fn asks(&self) -> String {
        let rules: Vec<&str> = self.allow.iter().map(|rule| &*rule.text).collect();
        let mut what = format!("{}: {}", self.origin, rules.join(", "));
        if !self.private.is_empty() {
            let networks = self.private.iter();
            let networks = networks.map(|net| format!("{}/{}", net.address, net.prefix));
            let networks = networks.collect::<Vec<_>>().join(", ");
            what.push_str(&format!("\nreaches the private network {networks}"));
        }
        if let Some(auth) = &self.auth {
            what.push_str(&format!("\nwith the secret `{}`", auth.secret()));
        }
        what
    }
}

impl HttpGrant {
    /// What it adds to the one of the same name that is there already: nothing but rules.
    pub(super) fn beyond(&self, known: &Self) -> Option<Self> {
        let fresh = self.allow.iter().filter(|rule| !known.allow.contains(rule));
        let more = Self {
            allow: fresh.cloned().collect(),
            private: Vec::new(),
            auth: None,
            ..self.clone()
        };
        (!more.allow.is_empty()).then_some(more)
    }
}

/// How a grant's requests leave the host, where that is said.
fn way(way: &Way) -> String {
    let mut said = String::new();
    if let Some(proxy) = &way.proxy {
        said.push_str(&format!(", through {proxy}"));
    }
    if way.tls.ca.is_some() {
        said.push_str(", also trusting authorities of the operator's");
    }
    if way.tls.client.is_some() {
        said.push_str(", with a client certificate");
    }
    said
}

fn said_of(rule: &Rule) -> String {
    let closed = match rule.content {
        Some(_) => " (only with the query and body that it lists)",
        None => "",
    };
    format!("  {}{closed}", rule.text)
}
