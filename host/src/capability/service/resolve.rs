//! Names to addresses, and which of the answers may be dialled.
//!
//! It knows no requests and no HTTP. Names are asked as absolute names, so that no search domain of
//! this machine completes them.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::capability::http::{Class, Network, is_localhost, loopback, may_dial};

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
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::capability::http::testing::network;
    use crate::capability::service::testing::Answers;

    async fn judged(answer: &[&str], private: &[&str]) -> Result<Vec<IpAddr>, Class> {
        let private: Vec<Network> = private.iter().map(|range| network(range)).collect();
        match vetted(&*Answers::new(&[answer]), "api.test", &private).await {
            Ok(addresses) => Ok(addresses),
            Err(Unresolved::Denied(class)) => Err(class),
            Err(other) => panic!("{other}"),
        }
    }

    /// N23, N24, N30.
    #[tokio::test]
    async fn one_forbidden_address_spoils_the_answer() {
        for (answer, expected) in [
            (&["127.0.0.1"][..], Class::Loopback),
            (&["93.184.216.34", "10.0.0.1"], Class::Private),
            (&["10.0.0.1", "93.184.216.34"], Class::Private),
            (&["93.184.216.34", "fd00::1"], Class::Private),
            (&["93.184.216.34", "169.254.169.254"], Class::Metadata),
            (&["93.184.216.34", "::ffff:127.0.0.1"], Class::Loopback),
        ] {
            assert_eq!(judged(answer, &[]).await, Err(expected), "{answer:?}");
        }
        assert_eq!(judged(&["93.184.216.34"], &[]).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_private_range_admits_what_it_covers_and_nothing_else() {
        assert!(
            judged(&["10.0.0.1", "93.184.216.34"], &["10.0.0.0/8"])
                .await
                .is_ok()
        );
        let found = judged(&["10.0.0.1", "192.168.0.1"], &["10.0.0.0/8"]).await;
        assert_eq!(found, Err(Class::Private));
        let found = judged(&["169.254.169.254"], &["0.0.0.0/0"]).await;
        assert_eq!(found, Err(Class::Metadata));
    }

    /// What is vetted is what is dialled: a mapped address goes on as the IPv4 address it is.
    #[tokio::test]
    async fn a_mapped_address_is_dialled_as_what_it_is() {
        let found = judged(&["::ffff:93.184.216.34"], &[]).await.unwrap();
        assert_eq!(found, ["93.184.216.34".parse::<IpAddr>().unwrap()]);
    }

    /// N29.
    #[tokio::test]
    async fn names_are_asked_as_absolute_names() {
        let answers = Answers::new(&[&["93.184.216.34"]]);
        for name in ["api.test", "shop"] {
            vetted(&*answers, name, &[]).await.unwrap();
        }
        assert_eq!(*answers.asked.lock().unwrap(), ["api.test.", "shop."]);
    }

    #[tokio::test]
    async fn localhost_is_never_asked() {
        let answers = Answers::new(&[&["93.184.216.34"]]);
        for name in ["localhost", "shop.localhost"] {
            let found = vetted(&*answers, name, &[]).await;
            assert!(
                matches!(found, Err(Unresolved::Denied(Class::Loopback))),
                "{found:?}"
            );
            let found = vetted(&*answers, name, &[network("127.0.0.0/8")])
                .await
                .unwrap();
            assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        }
        assert!(answers.asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_long_answer_is_cut() {
        let many: Vec<String> = (1..=100).map(|n| format!("93.184.216.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(judged(&many, &[]).await.unwrap().len(), MAX_ADDRESSES);
    }

    #[tokio::test]
    async fn no_answer_is_no_address() {
        let found = vetted(&*Answers::new(&[&[]]), "api.test", &[]).await;
        assert!(matches!(found, Err(Unresolved::Unknown)), "{found:?}");
    }

    struct Silent;

    impl Resolve for Silent {
        fn resolve(&self, _: String) -> Answer {
            Box::pin(std::future::pending())
        }
    }

    /// N28.
    #[tokio::test]
    async fn a_silent_name_server_is_not_waited_for() {
        let found = vetted_within(Duration::from_millis(10), &Silent, "api.test", &[]).await;
        assert!(matches!(found, Err(Unresolved::Timeout)), "{found:?}");
    }

    #[tokio::test]
    async fn the_systems_resolver_knows_an_address_written_as_a_name() {
        let found = SystemResolver::default()
            .resolve("127.0.0.1".to_owned())
            .await
            .unwrap();
        assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    }
}
