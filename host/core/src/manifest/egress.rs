//! How requests leave the host: `[host.egress]`, for every grant, and the same keys on one grant.
//!
//! A grant with `private` reaches what is this side of any proxy, so its requests go out directly.
//! No file is opened here.

use core::net::{IpAddr, SocketAddr};
use std::cell::Cell;
use std::path::PathBuf;

use url::Host;

use super::diagnostics::{At, Finding, Span, TextDiagnostics};
use super::key_reader::{Entry, KeyReader};
use super::problem::quoted;
use super::{credential, origin, path};
use crate::egress::{
    ClientFiles, Origin, Scheme, TlsFiles, Way, classify, is_localhost, is_metadata_name,
};

/// Where a DNS server listens.
const DNS_PORT: u16 = 53;

/// A default of all grants, and whether any of them came to use it.
#[derive(Debug)]
struct OfAll<T> {
    key: Span,
    value: T,
    used: Cell<bool>,
}

/// `[host.egress]` as far as it could be read.
#[derive(Debug, Default)]
pub(super) struct Egress {
    proxy: Option<OfAll<Origin>>,
    ca: Option<OfAll<PathBuf>>,
    client: Option<OfAll<ClientFiles>>,
    dns: Option<OfAll<SocketAddr>>,
}

/// The keys of one grant, as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct Own {
    proxy: Option<At<Origin>>,
    ca: Option<At<PathBuf>>,
    client: Option<At<ClientFiles>>,
}

/// The keys that a grant and `[host.egress]` share.
pub(super) const KEYS: [&str; 4] = ["proxy", "ca", "client_cert", "client_key"];

/// Reads `[host.egress]`; none is one that says nothing.
pub(super) fn read(table: Option<KeyReader<'_>>) -> Egress {
    let Some(mut table) = table else {
        return Egress::default();
    };
    let own = own(&mut table);
    let dns = table.take("dns");
    let dns = dns.and_then(|entry| Some((entry.key.span.clone(), server(&entry)?)));
    if table.is_empty() {
        let finding = Finding::at(&table.span, "`[host.egress]` says nothing");
        table.page.report(finding.hint("delete it"));
    }
    table.finish();
    Egress {
        proxy: own.proxy.map(of_all),
        ca: own.ca.map(of_all),
        client: own.client.map(of_all),
        dns: dns.map(|(span, value)| of_all(At { value, span })),
    }
}

fn of_all<T>(at: At<T>) -> OfAll<T> {
    OfAll {
        key: at.span,
        value: at.value,
        used: Cell::new(false),
    }
}

/// Reads the keys that a grant and `[host.egress]` share. Each stands where its key does.
pub(super) fn own(table: &mut KeyReader<'_>) -> Own {
    let [proxy, ca, certificate, key] = KEYS.map(|key| table.take(key));
    Own {
        proxy: proxy.and_then(|entry| at_key(&entry, via(&entry)?)),
        ca: ca.and_then(|entry| at_key(&entry, file(&entry)?)),
        client: client(table, certificate, key),
    }
}

fn at_key<T>(entry: &Entry<'_>, value: T) -> Option<At<T>> {
    Some(At {
        value,
        span: entry.key.span.clone(),
    })
}

fn client(
    table: &KeyReader<'_>,
    certificate: Option<Entry<'_>>,
    key: Option<Entry<'_>>,
) -> Option<At<ClientFiles>> {
    match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let (path, key) = (file(&certificate), file(&key));
            let files = ClientFiles {
                certificate: path?,
                key: key?,
            };
            at_key(&certificate, files)
        }
        (Some(alone), None) => lonely(table.page, &alone, "client_key"),
        (None, Some(alone)) => lonely(table.page, &alone, "client_cert"),
    }
}

fn lonely<T>(page: &TextDiagnostics<'_>, alone: &Entry<'_>, other: &str) -> Option<T> {
    let message = format!("{} has no effect without `{other}`", alone.label());
    let hint = "a certificate is shown with its key: write both, as paths of PEM files";
    page.report(Finding::at(&alone.key.span, message).hint(hint));
    None
}

fn file(entry: &Entry<'_>) -> Option<PathBuf> {
    let text = entry.text()?;
    if text.value.contains("-----BEGIN") || credential::is_like(text.value) {
        let message = format!(
            "{} takes the path of a PEM file, not its content",
            entry.label()
        );
        entry
            .page
            .report(Finding::at(&entry.key.span, message).masked());
        return None;
    }
    path::host(entry.page, &text)
}

/// The proxy's origin. Its own address may be private: whoever writes this knows where it is.
fn via(entry: &Entry<'_>) -> Option<Origin> {
    if entry
        .value()
        .as_str()
        .is_some_and(|text| text.contains('@'))
    {
        let message = "a proxy takes no name and no password here";
        let finding = Finding::at(&entry.key.span, message);
        entry.page.report(
            finding
                .hint("where it wants to know the host, give it a client certificate")
                .masked(),
        );
        return None;
    }
    let origin = origin::read(entry)?;
    let class = match &origin.host {
        Host::Domain(name) if is_metadata_name(name) => Some("metadata"),
        Host::Domain(_) => None,
        Host::Ipv4(ip) => special(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => special(IpAddr::V6(*ip)),
    };
    let Some(class) = class else {
        return Some(origin);
    };
    let message = format!("no proxy has such an address: it is `{class}`");
    entry.page.report(Finding::at(&entry.span, message));
    None
}

/// The class of an address that nothing opens.
fn special(ip: IpAddr) -> Option<&'static str> {
    let class = classify(ip).filter(|class| !class.can_be_granted())?;
    Some(class.as_str())
}

/// A DNS server: an address, with a port where it is not 53.
fn server(entry: &Entry<'_>) -> Option<SocketAddr> {
    let text = entry.text()?;
    let address = text.value.parse::<IpAddr>();
    let server = address.map_or_else(
        |_| text.value.parse::<SocketAddr>().ok(),
        |ip| Some(SocketAddr::new(ip, DNS_PORT)),
    );
    let server = server.filter(|at| at.port() != 0 && special(at.ip()).is_none());
    if server.is_none() {
        let message = format!("{} is no address of a DNS server", quoted(text.value));
        let hint = "write for example \"10.0.0.53\", or \"10.0.0.53:5353\" for another port";
        entry
            .page
            .report(Finding::at(&text.span, message).hint(hint));
    }
    server
}

impl Egress {
    /// The way of a grant: its own keys, and the defaults for what it does not say.
    pub(super) fn way(&self, own: Own, (url, origin): (&Entry<'_>, &Origin), private: bool) -> Way {
        let page = url.page;
        if let (Some(proxy), true) = (&own.proxy, private) {
            let message = "`proxy` has no effect: a grant with `private` is reached directly";
            let finding = Finding::at(&proxy.span, message);
            page.report(finding.hint("delete `proxy`, or `private`"));
        }
        let proxy = match own.proxy {
            _ if private => None,
            Some(proxy) => Some(proxy.value),
            None => taken(self.proxy.as_ref()),
        };
        if let (Some(_), Scheme::Https, Host::Ipv6(_)) = (&proxy, origin.scheme, &origin.host) {
            // The client cannot name such an address to TLS behind a tunnel.
            let message = "the grant can never connect: a proxy is not asked for an IPv6 address";
            let finding = Finding::at(&url.span, message);
            page.report(finding.hint("write the host's name in `url`"));
        }
        self.note_lookup(proxy.as_ref().unwrap_or(origin));
        let tls = [Some(origin), proxy.as_ref()]
            .into_iter()
            .flatten()
            .any(|origin| origin.scheme == Scheme::Https);
        if !tls {
            let spans = [
                own.ca.map(|ca| ca.span),
                own.client.map(|client| client.span),
            ];
            for span in spans.into_iter().flatten() {
                let message = "the key has no effect: this grant does not speak TLS";
                page.report(Finding::at(&span, message).hint("delete it, or write `https://`"));
            }
            return Way {
                proxy,
                tls: TlsFiles::default(),
            };
        }
        let ca = own.ca.map(|ca| ca.value);
        let client = own.client.map(|client| client.value);
        Way {
            proxy,
            tls: TlsFiles {
                ca: ca.or_else(|| taken(self.ca.as_ref())),
                client: client.or_else(|| taken(self.client.as_ref())),
            },
        }
    }

    /// Notes that the name of what is connected to is looked up.
    fn note_lookup(&self, next: &Origin) {
        let asked = matches!(&next.host, Host::Domain(name) if !is_localhost(name));
        if let (Some(dns), true) = (&self.dns, asked) {
            dns.used.set(true);
        }
    }

    /// Reports the defaults that no grant uses.
    pub(super) fn report_idle(&self, page: &TextDiagnostics<'_>) {
        let idle = |used: &Cell<bool>, key: &Span, what: &str| {
            if !used.get() {
                let message = format!("no grant uses it: {what}");
                let finding = Finding::at(key, message).hint("delete the key");
                page.report(finding.remote());
            }
        };
        if let Some(proxy) = &self.proxy {
            idle(
                &proxy.used,
                &proxy.key,
                "each has `private` or a proxy of its own, or there is none",
            );
        }
        if let Some(ca) = &self.ca {
            idle(
                &ca.used,
                &ca.key,
                "none speaks TLS without a `ca` of its own",
            );
        }
        if let Some(client) = &self.client {
            idle(
                &client.used,
                &client.key,
                "none speaks TLS without a `client_cert` of its own",
            );
        }
        if let Some(dns) = &self.dns {
            idle(&dns.used, &dns.key, "none connects to a name");
        }
    }

    /// The DNS server, where one is named.
    pub(super) fn dns(&self) -> Option<SocketAddr> {
        self.dns.as_ref().map(|dns| dns.value)
    }
}

fn taken<T: Clone>(default: Option<&OfAll<T>>) -> Option<T> {
    let default = default?;
    default.used.set(true);
    Some(default.value.clone())
}
