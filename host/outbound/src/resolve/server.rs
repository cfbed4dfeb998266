//! One DNS server, asked directly: this machine's own configuration is not looked at, neither its
//! servers nor its hosts file nor its search domains.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};

use super::{Addresses, LookupPlace, Resolve};

/// How long one try waits. Three fit into the time of a lookup.
const TRY: Duration = Duration::from_millis(1_600);

/// Tries after the first one.
const AGAIN: usize = 2;

/// Asks one server, over UDP and, where an answer is cut short, over TCP.
pub struct ServerResolver {
    resolver: Arc<TokioResolver>,
    server: SocketAddr,
}

impl ServerResolver {
    /// A resolver that asks this server and no other.
    ///
    /// # Errors
    /// Only what the library says: nothing is sent yet.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let at_port = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let connections = vec![
            at_port(ConnectionConfig::udp()),
            at_port(ConnectionConfig::tcp()),
        ];
        let name_server = NameServerConfig::new(server.ip(), true, connections);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = TRY;
        options.attempts = AGAIN;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        // Both families: one forbidden address among them spoils the answer.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // Each connection is vetted by an answer of its own.
        options.cache_size = 0;
        // What an answer has to repeat makes it harder to forge.
        options.case_randomization = true;
        Ok(Self {
            resolver: Arc::new(builder.build().map_err(io::Error::other)?),
            server,
        })
    }
}

impl Resolve for ServerResolver {
    fn resolve(&self, name: String, place: LookupPlace) -> Addresses {
        let resolver = Arc::clone(&self.resolver);
        Box::pin(async move {
            let found = resolver.lookup_ip(name).await;
            // Nothing is done for it once this is dropped.
            drop(place);
            let found = found.map_err(io::Error::other)?;
            let addresses: Vec<IpAddr> = found.iter().collect();
            Ok(addresses)
        })
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.server)
    }
}

#[cfg(test)]
mod tests;
