//! Which answers are dialled, and which spoil the rest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::egress::testing::network;
use crate::testing::Answers;

/// As if nobody else asked.
async fn vetted(
    resolver: &dyn Resolve,
    host: &str,
    private: &[Network],
) -> Result<Vec<IpAddr>, Unresolved> {
    super::vetted(resolver, host, private, free()).await
}

async fn free() -> io::Result<LookupPlace> {
    Ok(Box::new(()))
}

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
async fn n23_n24_n30_one_forbidden_address_spoils_the_answer() {
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
async fn n29_names_are_asked_as_absolute_names() {
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
    fn resolve(&self, _: String, _: LookupPlace) -> Addresses {
        Box::pin(std::future::pending())
    }
}

/// N28.
#[tokio::test]
async fn n28_a_silent_name_server_is_not_waited_for() {
    let found = vetted_within(Duration::from_millis(10), &Silent, "api.test", &[], free());
    let found = found.await;
    assert!(matches!(found, Err(Unresolved::Timeout)), "{found:?}");
}

#[tokio::test]
async fn the_systems_resolver_knows_an_address_written_as_a_name() {
    let found = SystemResolver
        .resolve("127.0.0.1".to_owned(), free().await.unwrap())
        .await
        .unwrap();
    assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
}
