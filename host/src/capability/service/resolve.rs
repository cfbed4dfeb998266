//! Names to addresses, and which of the answers may be dialled.
//!
//! It knows no requests and no HTTP. Names are asked as absolute names, so that no search domain of
//! this machine completes them.

mod server;

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::capability::http::{Class, Network, is_localhost, loopback, may_dial};

pub use server::ServerResolver;

/// The longest time for one lookup.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Lookups at once. A silent name server holds a thread for each, longer than anybody waits.
const LOOKUPS: usize = 32;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// An answer to come.
pub type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where answers come from. A seam: tests give their own.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, which ends in a dot.
    fn resolve(&self, name: String) -> Answer;
}

/// Why a name gives no address to dial.
#[derive(Debug, thiserror::Error)]
pub enum Unresolved {
    /// One of its addresses may not be dialled.
    #[error("an address of this name is {0}")]
    Denied(Class),
    /// No answer in time.
    #[error("the name was not resolved within {} seconds", LOOKUP_TIMEOUT.as_secs())]
    Timeout,
    /// There is no such name, or no address.
    #[error("the name does not resolve")]
    Unknown,
}

/// Resolves a name and vets the answer: one address that may not be dialled spoils them all, because
/// such a mixture is how a name is made to point inside (DNS rebinding).
///
/// # Errors
/// Why there is nothing to dial.
pub async fn vetted(
    resolver: &dyn Resolve,
    host: &str,
    private: &[Network],
) -> Result<Vec<IpAddr>, Unresolved> {
    vetted_within(LOOKUP_TIMEOUT, resolver, host, private).await
}

async fn vetted_within(
    patience: Duration,
    resolver: &dyn Resolve,
    host: &str,
    private: &[Network],
) -> Result<Vec<IpAddr>, Unresolved> {
    if is_localhost(host) {
        return loopback(private).map_err(Unresolved::Denied);
    }
    let answer = resolver.resolve(format!("{host}."));
    let mut addresses = match tokio::time::timeout(patience, answer).await {
        Err(_) => return Err(Unresolved::Timeout),
        Ok(Err(_)) => return Err(Unresolved::Unknown),
        Ok(Ok(addresses)) => addresses,
    };
    for address in &mut addresses {
        *address = address.to_canonical();
        may_dial(*address, private).map_err(Unresolved::Denied)?;
    }
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        Err(Unresolved::Unknown)
    } else {
        Ok(addresses)
    }
}

/// The system's resolver.
#[derive(Debug)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: String) -> Answer {
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                // The place is given back when the thread is, not when the caller stops waiting.
                drop(place);
                addresses.map(|found| found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests;
