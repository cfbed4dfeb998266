//! What one call and one caller may take of what all share: connections and look-ups.

use tokio::task::JoinSet;

use super::*;
use crate::dial::sender::CONNECTIONS_OF_CALL;
use crate::resolve::{Addresses, LookupPlace};

fn silent() -> Reply {
    Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    }
}

/// Sends `count` requests of one call.
fn crowd(
    tasks: &mut JoinSet<Result<StatusCode, DialErrorKind>>,
    dialer: &Arc<Dialer>,
    grant: &Arc<HttpGrant>,
    (from, path): (&Sender, &'static str),
    count: usize,
) {
    for _ in 0..count {
        let (dialer, grant, from) = (Arc::clone(dialer), Arc::clone(grant), from.clone());
        tasks.spawn(async move { ask(&dialer, &grant, from, path).await });
    }
}

async fn ask(
    dialer: &Dialer,
    grant: &Arc<HttpGrant>,
    from: Sender,
    path: &str,
) -> Result<StatusCode, DialErrorKind> {
    let outgoing = Outgoing {
        from,
        ..Outgoing::default()
    };
    let verdict = verdict(grant, "GET", path);
    match dialer.send_alone(&verdict, outgoing, None, CAPS).await {
        Ok(incoming) => Ok(incoming.status),
        Err(error) => Err(error.kind),
    }
}

#[tokio::test]
async fn n79_one_call_does_not_hold_the_places_of_a_grant() {
    let mut upstream = Upstream::start(|request| match request.starts_with("GET /fast") {
        true => ok("", b""),
        false => silent(),
    })
    .await;
    let dialer = Arc::new(Dialer::new());
    let grant = loopback_grant(upstream.port, None);
    let mut tasks = JoinSet::new();
    let (one, two, three) = (
        Sender::new("a".into()),
        Sender::new("a".into()),
        Sender::new("a".into()),
    );
    crowd(&mut tasks, &dialer, &grant, (&one, "/"), 60);
    upstream.got(CONNECTIONS_OF_CALL).await;
    // Another call of the same caller, and another caller.
    assert_eq!(
        ask(&dialer, &grant, two.clone(), "/fast").await,
        Ok(StatusCode::OK)
    );
    assert_eq!(
        ask(&dialer, &grant, Sender::new("b".into()), "/fast").await,
        Ok(StatusCode::OK)
    );
    let held = |caller: &str| dialer.pool_of(&grant).upstream.places.held(&caller.into());
    assert_eq!(held("a"), CONNECTIONS_OF_CALL as u64);

    // Three calls of one caller: whoever is alone gets 32, and others still find theirs.
    crowd(&mut tasks, &dialer, &grant, (&two, "/"), 60);
    crowd(&mut tasks, &dialer, &grant, (&three, "/"), 60);
    upstream.got(usize::try_from(AT_ONCE).unwrap() + 2).await;
    assert_eq!(held("a"), AT_ONCE);
    let other = Sender::new("b".into());
    assert_eq!(
        ask(&dialer, &grant, other.clone(), "/fast").await,
        Ok(StatusCode::OK)
    );
    crowd(&mut tasks, &dialer, &grant, (&other, "/"), 60);
    upstream
        .got(usize::try_from(AT_ONCE).unwrap() + 3 + CONNECTIONS_OF_CALL)
        .await;
    assert_eq!(held("b"), CONNECTIONS_OF_CALL as u64);
    assert_eq!(
        ask(&dialer, &grant, Sender::new("c".into()), "/fast").await,
        Ok(StatusCode::OK)
    );
    tasks.shutdown().await;
    assert_eq!(dialer.pool_of(&grant).upstream.places.free(), OF_GRANT);
    assert_eq!(dialer.places.free(), of_all());
}

/// Grants have connections of their own, and callers may have many grants.
#[tokio::test]
async fn g83_connections_that_rest_are_bounded_over_all_grants() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let dialer = Dialer {
        idle: Idle::new(3),
        ..Dialer::new()
    };
    let grants: Vec<_> = (0..10)
        .map(|_| loopback_grant(upstream.port, None))
        .collect();
    let few = ask(&dialer, &grants[0], Sender::new("few".into()), "/");
    assert_eq!(few.await, Ok(StatusCode::OK));
    for grant in &grants {
        let many = ask(&dialer, grant, Sender::new("many".into()), "/");
        assert_eq!(many.await, Ok(StatusCode::OK));
    }
    assert_eq!(upstream.open(3).await, 11);
    // The other caller's is there still, and so are the newest; the oldest are opened anew.
    for (caller, grant, came) in [("few", 0, 11), ("many", 9, 11), ("many", 0, 12)] {
        let again = ask(&dialer, &grants[grant], Sender::new(caller.into()), "/");
        assert_eq!(again.await, Ok(StatusCode::OK));
        assert_eq!(upstream.open(3).await, came, "{caller} {grant}");
    }
}

/// A resolver that never answers for one name, and notes how many ask at once.
#[derive(Default)]
struct Quiet {
    asked: Mutex<Vec<LookupPlace>>,
}

impl Resolve for Quiet {
    fn resolve(&self, name: String, place: LookupPlace) -> Addresses {
        if name == "good.test." {
            return Box::pin(std::future::ready(Ok(vec!["127.0.0.1".parse().unwrap()])));
        }
        // As a thread that is held by a silent name server: longer than anybody waits.
        self.asked.lock().unwrap().push(place);
        Box::pin(std::future::pending())
    }
}

fn at(origin: &str) -> Arc<HttpGrant> {
    let mut grant = grant("shop", origin, &["GET /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    Arc::new(grant)
}

#[tokio::test]
async fn n78_silent_name_servers_hold_a_part_of_the_look_ups() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let quiet = Arc::new(Quiet::default());
    let dialer = Arc::new(Dialer::with_resolver(Arc::clone(&quiet) as Arc<dyn Resolve>));
    let good = at(&format!("http://good.test:{}", upstream.port));
    let asked = || quiet.asked.lock().unwrap().len();
    let mut tasks = JoinSet::new();
    // One call, one grant, one silent name.
    let from = Sender::new("a".into());
    crowd(
        &mut tasks,
        &dialer,
        &at("http://evil.test"),
        (&from, "/"),
        60,
    );
    let settle = async |most: usize| {
        while asked() < most {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked(), most);
    };
    settle(2).await;
    // It waits for itself; the same caller's next call does not.
    let next = Sender::new("a".into());
    assert_eq!(ask(&dialer, &good, next, "/").await, Ok(StatusCode::OK));
    // Another call, many grants: four more.
    let second = Sender::new("a".into());
    for n in 0..20 {
        crowd(
            &mut tasks,
            &dialer,
            &at(&format!("http://evil{n}.test")),
            (&second, "/"),
            2,
        );
    }
    settle(6).await;
    // Many calls of one caller: half, and others find some at once.
    for n in 0..20 {
        let from = Sender::new("a".into());
        crowd(
            &mut tasks,
            &dialer,
            &at(&format!("http://evil{n}.test")),
            (&from, "/"),
            4,
        );
    }
    settle(16).await;
    let others = Sender::new("b".into());
    let fresh = at(&format!("http://good.test:{}", upstream.port));
    assert_eq!(ask(&dialer, &fresh, others, "/").await, Ok(StatusCode::OK));
    // Nobody waits any more, and the places are still held: until the look-ups are over.
    tasks.shutdown().await;
    assert_eq!(dialer.lookups.free(), 16);
    quiet.asked.lock().unwrap().clear();
    assert_eq!(dialer.lookups.free(), 32);
}
