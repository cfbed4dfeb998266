//! Names to addresses, and which of the answers may be dialled.
//!
//! It knows no requests and no HTTP. Names are asked as absolute names, so that no search domain of
//! this machine completes them.

mod server;

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::egress::{Class, Network, is_localhost, loopback, may_dial};
use crate::shares::Shares;

pub use server::ServerResolver;

/// The longest time for one lookup.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Lookups of all callers at once: of these one caller gets half, and whoever comes next finds some. A
/// silent name server holds a thread for each, longer than anybody waits.
const LOOKUPS: u64 = 32;

/// Lookups of one grant at once, which are all of one name; one caller gets half of them.
const LOOKUPS_OF_GRANT: u64 = 4;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// An answer to come.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where answers come from. A seam: tests give their own.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, which ends in a dot. `place` is kept for as long as anything is done
    /// for it, even when nobody waits for the answer any more.
    fn resolve(&self, name: String, place: LookupPlace) -> Addresses;

    /// The one server that is asked, where somebody chose it: nobody who asked another one goes on with
    /// the connections that it led to.
    fn server(&self) -> Option<SocketAddr> {
        None
    }
}

/// A place among the lookups, given back when it is dropped.
pub type LookupPlace = Box<dyn Send>;

/// The lookups of one grant: its own, and its part of those of all.
#[derive(Debug, Clone)]
pub struct Lookups {
    of_grant: Shares<Arc<str>>,
    of_all: Shares<Arc<str>>,
}

impl Lookups {
    /// The lookups of all grants.
    #[must_use]
    pub fn of_all() -> Shares<Arc<str>> {
        Shares::new(LOOKUPS)
    }

    /// Those of one grant, out of those of all.
    #[must_use]
    pub fn new(of_all: Shares<Arc<str>>) -> Self {
        Self {
            of_grant: Shares::new(LOOKUPS_OF_GRANT),
            of_all,
        }
    }

    /// Waits for a place of the call, then of the grant, then of all.
    ///
    /// # Errors
    /// There will never be one.
    pub async fn place(
        &self,
        caller: &Arc<str>,
        of_call: &Arc<Semaphore>,
    ) -> io::Result<LookupPlace> {
        let of_call = Arc::clone(of_call).acquire_owned().await;
        let of_call = of_call.map_err(io::Error::other)?;
        let of_grant = self.of_grant.wait(caller, 1).await;
        let of_grant = of_grant.map_err(io::Error::other)?;
        let of_all = self.of_all.wait(caller, 1).await;
        let of_all = of_all.map_err(io::Error::other)?;
        Ok(Box::new((of_call, of_grant, of_all)))
    }
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
/// such a mixture is how a name is made to point inside (DNS rebinding). `place` is waited for within
/// the same time.
///
/// # Errors
/// Why there is nothing to dial.
pub async fn vetted(
    resolver: &dyn Resolve,
    host: &str,
    private: &[Network],
    place: impl Future<Output = io::Result<LookupPlace>>,
) -> Result<Vec<IpAddr>, Unresolved> {
    vetted_within(LOOKUP_TIMEOUT, resolver, host, private, place).await
}

async fn vetted_within(
    patience: Duration,
    resolver: &dyn Resolve,
    host: &str,
    private: &[Network],
    place: impl Future<Output = io::Result<LookupPlace>>,
) -> Result<Vec<IpAddr>, Unresolved> {
    if is_localhost(host) {
        return loopback(private).map_err(Unresolved::Denied);
    }
    let answer = async { resolver.resolve(format!("{host}."), place.await?).await };
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
#[derive(Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: String, place: LookupPlace) -> Addresses {
        Box::pin(async move {
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
