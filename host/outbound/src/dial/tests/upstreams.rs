//! What is kept of a grant over functions and reloads, and what is not.

use super::ways::{Authority, ca, dialer as dialer_trusting, shop, trusting};
use super::*;
use crate::egress::Way;
use crate::resolve::ServerResolver;

/// A request of the caller `a`, whose connection is kept when this is over.
async fn ask(dialer: &Dialer, pool: &Arc<Pool>, grant: &Arc<HttpGrant>) {
    let verdict = verdict(grant, "GET", "/");
    let secret = grant.auth.as_ref().map(|_| secret("a-secret-of-the-shop"));
    let outgoing = Outgoing {
        from: Sender::new("a".into()),
        ..Outgoing::default()
    };
    let pools = [Arc::clone(pool)];
    let sent = dialer.send(&pools, &verdict, outgoing, secret.as_ref(), CAPS);
    sent.await.unwrap().body.collect().await.unwrap();
}

fn secret(value: &str) -> Secret {
    Secret::new(value.as_bytes().to_vec()).unwrap()
}

/// The dialer that a reload makes.
fn reloaded(former: &Dialer) -> Dialer {
    Dialer::new().after(former)
}

fn bearer() -> Option<Auth> {
    let secret = "key".into();
    Some(Auth::Bearer { secret })
}

#[tokio::test]
async fn a_reload_keeps_the_connections_of_a_grant_that_goes_the_same_way() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let key = secret("a-secret-of-the-shop");
    let grant = loopback_grant(upstream.port, bearer());
    let dialer = Dialer::new();
    let before = dialer.pool("shop", &grant, Some(key.mark()));
    ask(&dialer, &before, &grant).await;
    let later = reloaded(&dialer);
    // Another line, other rules, other redirects: nothing of that is the connection's.
    let mut other = HttpGrant::clone(&grant);
    (other.line, other.redirects) = (99, 3);
    other.allow.truncate(1);
    let other = Arc::new(other);
    let pool = later.pool("shop", &other, Some(key.clone().mark()));
    drop((before, dialer));
    ask(&later, &pool, &other).await;
    assert_eq!(upstream.open(1).await, 1);
}

#[tokio::test]
async fn a_reload_drops_the_connections_of_a_grant_that_goes_another_way_and_keeps_its_places() {
    let key = secret("a-secret-of-the-shop");
    type Change = fn(&mut HttpGrant);
    let changes: [Change; 5] = [
        |grant| grant.private = vec![network("127.0.0.0/16")],
        |grant| grant.private.push(network("10.0.0.0/8")),
        |grant| {
            let proxy = grant.origin.clone();
            grant.way = Way {
                proxy: Some(proxy),
                ..Way::default()
            };
        },
        |grant| {
            grant.auth = Some(Auth::Basic {
                user: "me".to_owned(),
                secret: "key".into(),
            });
        },
        |grant| grant.auth = None,
    ];
    for change in changes {
        let upstream = Upstream::start(|_| ok("", b"")).await;
        let grant = loopback_grant(upstream.port, bearer());
        let dialer = Dialer::new();
        let before = dialer.pool("shop", &grant, Some(key.mark()));
        ask(&dialer, &before, &grant).await;
        assert_eq!(upstream.open(1).await, 1);
        let mut other = HttpGrant::clone(&grant);
        change(&mut other);
        let other = Arc::new(other);
        let later = reloaded(&dialer);
        let after = later.pool("shop", &other, Some(key.mark()));
        assert!(Arc::ptr_eq(&before.upstream, &after.upstream), "{other:?}");
        ask(&later, &after, &other).await;
        assert_eq!(upstream.open(2).await, 2, "{other:?}");
        // The former setup goes, and nothing of it rests.
        drop((before, dialer));
        assert_eq!(upstream.open(1).await, 2, "{other:?}");
    }
}

/// What the files hold is the way, and not what they are called.
#[test]
fn other_certificates_are_another_way() {
    let grant = shop(443, ca());
    let (one, other) = (Authority::new(), Authority::new());
    let first = dialer_trusting(&ca(), trusting(&one)).0;
    let before = first.pool("shop", &grant, None);
    for (authority, is_the_same) in [(&one, true), (&other, false)] {
        let later = dialer_trusting(&ca(), trusting(authority)).0.after(&first);
        let pool = later.pool("shop", &grant, None);
        assert_eq!(Arc::ptr_eq(&before, &pool), is_the_same);
    }
    let none = Dialer::new().after(&first).pool("shop", &grant, None);
    assert!(!Arc::ptr_eq(&before, &none));
}

#[tokio::test]
async fn another_name_server_is_another_way() {
    let grant = loopback_grant(80, None);
    let asking = |last: u8| {
        let server = ([127, 0, 0, last], 53).into();
        Dialer::with_resolver(Arc::new(ServerResolver::new(server).unwrap()))
    };
    let first = asking(1);
    let before = first.pool("shop", &grant, None);
    let same = asking(1).after(&first).pool("shop", &grant, None);
    assert!(Arc::ptr_eq(&before, &same));
    for later in [asking(2), Dialer::new()] {
        let pool = later.after(&first).pool("shop", &grant, None);
        assert!(!Arc::ptr_eq(&before, &pool));
    }
}

#[tokio::test]
async fn a_secret_with_another_value_has_other_connections() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let grant = loopback_grant(upstream.port, bearer());
    let dialer = Dialer::new();
    let (old, new) = (secret("the-old-credential"), secret("the-new-credential"));
    let pool = |secret: Option<&Secret>| dialer.pool("shop", &grant, secret.map(Secret::mark));
    let before = pool(Some(&old));
    assert!(Arc::ptr_eq(&before, &pool(Some(&old))));
    assert!(!Arc::ptr_eq(&before, &pool(Some(&new))));
    assert!(!Arc::ptr_eq(&before, &pool(None)));
    // No mark keeps a value.
    let mark = old.mark();
    drop(old);
    assert_ne!(mark, secret("the-old-credential").mark());
}

#[tokio::test]
async fn two_functions_with_a_grant_of_one_name_share_places_and_never_a_connection() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let other_upstream = Upstream::start(|_| ok("", b"")).await;
    let grant = loopback_grant(upstream.port, None);
    let mut narrow = HttpGrant::clone(&grant);
    narrow.private = vec![network("127.0.0.1/32")];
    let (narrow, elsewhere) = (Arc::new(narrow), loopback_grant(other_upstream.port, None));
    let dialer = Dialer::new();
    let grants = [&grant, &narrow, &elsewhere];
    let pools = grants.map(|grant| dialer.pool("shop", grant, None));
    for (grant, pool) in grants.iter().zip(&pools) {
        assert!(Arc::ptr_eq(&pools[0].upstream, &pool.upstream));
        ask(&dialer, pool, grant).await;
        ask(&dialer, pool, grant).await;
    }
    assert_eq!(upstream.open(2).await, 2);
    assert_eq!(other_upstream.open(1).await, 1);
    // What was judged by one of them does not go over connections of another.
    let asked = verdict(&narrow, "GET", "/");
    for wrong in [&pools[0], &pools[2]] {
        let pools = [Arc::clone(wrong)];
        let sent = dialer.send(&pools, &asked, Outgoing::default(), None, CAPS);
        assert_eq!(sent.await.unwrap_err().kind, DialErrorKind::Unreachable);
    }
    // Another tool has nothing to do with any of it.
    let till = dialer.pool("till", &grant, None);
    assert!(!Arc::ptr_eq(&till.upstream, &pools[0].upstream));
    ask(&dialer, &till, &grant).await;
    assert_eq!(upstream.open(3).await, 3);
}

#[tokio::test]
async fn places_of_a_grant_that_are_taken_count_after_a_reload() {
    let mut upstream = Upstream::start(|_| Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    })
    .await;
    let dialer = Arc::new(Dialer::new());
    let grant = loopback_grant(upstream.port, None);
    let before = dialer.pool("shop", &grant, None);
    let (pools, verdict) = ([before], verdict(&grant, "GET", "/"));
    let sending = {
        let dialer = Arc::clone(&dialer);
        tokio::spawn(async move {
            let sent = dialer.send(&pools, &verdict, Outgoing::default(), None, CAPS);
            sent.await.map(drop)
        })
    };
    upstream.got(1).await;
    let mut other = HttpGrant::clone(&grant);
    other.private = vec![network("127.0.0.0/16")];
    let later = reloaded(&dialer).pool("shop", &Arc::new(other), None);
    assert_eq!(later.upstream.places.free(), OF_GRANT - 1);
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    assert_eq!(later.upstream.places.free(), OF_GRANT);
}

/// Callers go, and the connections of a grant stay.
#[tokio::test]
async fn of_a_caller_who_sent_nothing_for_long_nothing_is_kept() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let grant = loopback_grant(upstream.port, None);
    let dialer = Dialer::new();
    let pool = dialer.pool("shop", &grant, None);
    ask(&dialer, &pool, &grant).await;
    let connector = pool.connector.get().unwrap();
    let now = Instant::now();
    pool.client(&"b".into(), connector, now);
    assert_eq!(pool.callers(), 2);
    pool.client(&"c".into(), connector, now + POOL_IDLE);
    assert_eq!(pool.callers(), 1);
}
