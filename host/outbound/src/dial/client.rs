//! The HTTP client of one grant: how it finds addresses, what it trusts, which way it goes out.
//!
//! It follows nothing by itself: no redirects, no proxies from the environment, no cookies, no
//! retries. What a kept connection that ends hands back untouched goes over another one.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use url::Host;

use super::connect::{Connector, Vetting};
use super::sending::Watched;
use super::{AT_ONCE, POOL_IDLE, POOL_SIZE};
use crate::egress::{HttpGrant, MAX_HEADER_BYTES, MAX_HEADERS, Network};

/// What the host says it is, where a guest says nothing.
pub(super) const AGENT: &str = concat!("toolhost/", env!("CARGO_PKG_VERSION"));

/// What HTTP/1.1 reads of a response before anybody asks, in bytes: a head of the longest has room.
const READ_AHEAD: usize = 2 * MAX_HEADER_BYTES;

/// What HTTP/2 reads of one response before anybody asks, in bytes.
pub(super) const WINDOW_OF_STREAM: u32 = 256 << 10;

/// The same of all responses of a connection: as many as there may be, so that those that nobody
/// reads hold up no other.
const WINDOW: u32 = WINDOW_OF_STREAM * AT_ONCE as u32;

/// Sends requests of one grant.
pub(super) type Client = legacy::Client<Connector, Watched>;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoClient {
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the proxy: {0}")]
    Proxy(#[from] http::Error),
}

/// What TLS uses beyond the system's certificates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
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
        let certificates = |pem| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let roots = match ca {
            None => Vec::new(),
            Some(pem) => certificates(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or(TlsError::Certificate)?,
        };
        let identity = match client {
            None => None,
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(|_| TlsError::Identity)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Identity)?;
                Some(Arc::new((chain, key)))
            }
        };
        let tls = Self { roots, identity };
        // Whether they can be used, and a key belongs to its certificate, only shows when they are.
        let without = Self {
            roots: tls.roots.clone(),
            identity: None,
        };
        without.config(false).map_err(|_| TlsError::Certificate)?;
        tls.config(false).map_err(|_| TlsError::Identity)?;
        Ok(tls)
    }

    /// What a connection goes by, with the system's certificates or without.
    fn config(&self, of_system: bool) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if of_system {
            let roots = self.roots.iter().cloned();
            let verifier = Verifier::new_with_extra_roots(roots, provider)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        } else {
            let mut roots = RootCertStore::empty();
            for root in &self.roots {
                roots.add(root.clone())?;
            }
            builder.with_root_certificates(roots)
        };
        let mut config = match self.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
        };
        // A session that is resumed shows no certificate: a new connection would go on with one that
        // has ended, or whose authority is trusted no more, since it was looked at.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

/// What opens the connections of a grant.
///
/// # Errors
/// There is nothing that TLS could trust.
pub(super) fn connector(vetting: Vetting, tls: &Tls) -> Result<Connector, NoClient> {
    let config = match vetting.speaks_tls() {
        true => tls.config(true)?,
        // Without it a machine without CA certificates could not speak plain HTTP either.
        false => Tls::default().config(false)?,
    };
    Ok(Connector::new(vetting, config)?)
}

/// A client with connections of its own.
pub(super) fn client(connector: Connector) -> Client {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(READ_AHEAD)
        .http2_max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .http2_initial_stream_window_size(WINDOW_OF_STREAM)
        .http2_initial_connection_window_size(WINDOW)
        .build(connector)
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
