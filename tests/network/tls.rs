//! A certificate authority of the test's own, and servers with certificates of every quality.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// An authority.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate with its key.
pub(super) struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        Self {
            issuer: issuer.expect("an authority"),
        }
    }

    /// What has to be trusted.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A good certificate for these names.
    pub(super) fn leaf(&self, names: &[&str]) -> Leaf {
        self.signed(params(names))
    }

    /// One whose time is over.
    pub(super) fn expired(&self, name: &str) -> Leaf {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.signed(params)
    }

    /// One whose time has not come.
    pub(super) fn premature(&self, name: &str) -> Leaf {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(2201, 1, 1);
        params.not_after = date_time_ymd(2202, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Leaf {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }
}

impl Leaf {
    /// One that nobody but its owner vouches for.
    pub(super) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(&[name]).self_signed(&key).expect("a certificate");
        Self {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        }
    }

    /// A server with it that offers these protocols.
    pub(super) fn acceptor(self, protocols: &[&str]) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.expect("versions").with_no_client_auth();
        let mut config = builder
            .with_single_cert(vec![self.certificate], self.key)
            .expect("a configuration");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    let san = |name: &&str| match name.parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName((*name).try_into().expect("a name")),
    };
    params.subject_alt_names = names.iter().map(san).collect();
    params
}
