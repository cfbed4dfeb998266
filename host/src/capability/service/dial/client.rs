//! The HTTP client of one grant: how it finds addresses, what it trusts, which way it goes out.
//!
//! It follows nothing by itself: no redirects, no proxies from the environment, no cookies, no
//! retries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::tls::Version;
use url::Host;
use zeroize::Zeroizing;

use super::{CONNECT_TIMEOUT, Doors, IDLE_TIMEOUT, POOL_IDLE, POOL_SIZE};
use crate::capability::http::{Class, HttpGrant, MAX_HEADER_BYTES, MAX_HEADERS, Network, Scheme};
use crate::capability::service::resolve::{Resolve, Unresolved, vetted};

/// What TLS uses beyond the system's certificates.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
}

/// Why a file cannot be used for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or no certificate in it.
    #[error("holds no certificate in PEM form")]
    Certificate,
    /// The certificate and the key do not read, or do not belong together.
    #[error("hold no certificate with its private key in PEM form")]
    Identity,
}

/// Every address that a grant could open: how the operator's own proxy may be reached, wherever it
/// is. Metadata services and what nobody can be are not among them.
pub(super) const ANYWHERE: [Network; 2] = [
    Network {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        prefix: 0,
    },
    Network {
        address: std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        prefix: 0,
    },
];

impl Tls {
    /// From the texts of PEM files: authorities that are trusted too, and a certificate of the
    /// host's own with its key.
    ///
    /// # Errors
    /// Which of them cannot be used.
    pub fn new(ca: Option<&[u8]>, client: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        install_provider();
        let roots = match ca {
            None => Vec::new(),
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or(TlsError::Certificate)?,
        };
        let identity = match client {
            None => None,
            Some((certificate, key)) => {
                let pem = Zeroizing::new([certificate, b"\n", key].concat());
                let identity = reqwest::Identity::from_pem(&pem);
                Some(identity.map_err(|_| TlsError::Identity)?)
            }
        };
        // Whether they can be used, and a key belongs to its certificate, only shows when they are.
        let builder = || reqwest::Client::builder().tls_certs_only(roots.clone());
        builder().build().map_err(|_| TlsError::Certificate)?;
        if let Some(identity) = &identity {
            let tried = builder().identity(identity.clone()).build();
            tried.map_err(|_| TlsError::Identity)?;
        }
        Ok(Self { roots, identity })
    }

    fn apply(self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        let builder = builder.tls_certs_merge(self.roots);
        match self.identity {
            Some(identity) => builder.identity(identity),
            None => builder,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// Says by which library TLS is done; the HTTP client panics where nobody did.
pub(super) fn install_provider() {
    // An error says that the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether requests of this grant go over TLS, to the proxy or to the other side.
fn speaks_tls(grant: &HttpGrant) -> bool {
    let proxy = grant.way.proxy.as_ref();
    grant.origin.scheme == Scheme::Https || proxy.is_some_and(|at| at.scheme == Scheme::Https)
}

pub(super) fn client(vetting: Vetting, tls: Tls) -> reqwest::Result<reqwest::Client> {
    let grant = Arc::clone(&vetting.grant);
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(concat!("toolhost/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(vetting)
        .connect_timeout(CONNECT_TIMEOUT)
        // What is not taken in this time (a server that reads no body) breaks the connection.
        .tcp_user_timeout(IDLE_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .tcp_nodelay(true)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .tls_version_min(Version::TLS_1_2);
    let builder = match &grant.way.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.to_string())?),
        None => builder,
    };
    let builder = builder.https_only(grant.origin.scheme == Scheme::Https);
    if speaks_tls(&grant) {
        tls.apply(builder).build()
    } else {
        // Without it a machine without CA certificates could not speak plain HTTP either.
        builder.tls_certs_only([]).build()
    }
}

/// Answers `reqwest` with vetted addresses only.
#[derive(Clone)]
pub(super) struct Vetting {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) grant: Arc<HttpGrant>,
    pub(super) doors: Doors,
}

impl Vetting {
    /// Why this grant's requests may not go to an address that lies in the networks they may go to.
    fn kept_off(&self, ip: IpAddr) -> Option<Class> {
        let (port, _) = self.next_hop();
        let own_door = self.doors.class(ip, port);
        let in_clear = || match self.grant.way.proxy {
            Some(_) => None,
            None => self.grant.may_dial(ip).err(),
        };
        own_door.or_else(in_clear)
    }

    /// Where connections go, and which networks they may go to.
    fn next_hop(&self) -> (u16, &[Network]) {
        match &self.grant.way.proxy {
            Some(proxy) => (proxy.port, &ANYWHERE),
            None => (self.grant.origin.port, &self.grant.private),
        }
    }
}

impl reqwest::dns::Resolve for Vetting {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let vetting = self.clone();
        Box::pin(async move {
            let (_, private) = vetting.next_hop();
            let addresses = vetted(&*vetting.resolver, name.as_str(), private).await?;
            if let Some(class) = addresses.iter().find_map(|ip| vetting.kept_off(*ip)) {
                return Err(Unresolved::Denied(class).into());
            }
            // Port 0 stands for the URL's own.
            let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(sockets) as reqwest::dns::Addrs)
        })
    }
}

/// The address that a connection of this grant goes to, where it is written as one.
pub(super) fn literal(grant: &HttpGrant) -> Option<SocketAddr> {
    let next = grant.way.proxy.as_ref().unwrap_or(&grant.origin);
    match &next.host {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(SocketAddr::new((*ip).into(), next.port)),
        Host::Ipv6(ip) => Some(SocketAddr::new((*ip).into(), next.port)),
    }
}
