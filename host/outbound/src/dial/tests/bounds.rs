//! What holds over all grants: this host's own doors, its sockets, and peers that do not listen.

use super::*;

fn silent() -> Reply {
    Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    }
}

#[tokio::test]
async fn n55_no_grant_reaches_a_door_of_this_host() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let dialer = Dialer::with_resolver(Answers::new(&[&["127.0.0.1"]]));
    let by_name = named(upstream.port, &["127.0.0.0/8"]);
    let by_address = loopback_grant(upstream.port, None);
    assert_eq!(dial(&dialer, &by_address).await, Ok(StatusCode::OK));

    let dialer = Dialer::with_resolver(Answers::new(&[&["127.0.0.1"]]));
    dialer.keep_off(SocketAddr::from(([127, 0, 0, 1], upstream.port)));
    let before = upstream.requests().len();
    for grant in [by_name, by_address] {
        let found = dial(&dialer, &grant).await;
        assert_eq!(
            found,
            Err(DialErrorKind::Denied(Class::OwnDoor)),
            "{grant:?}"
        );
    }
    assert_eq!(upstream.requests().len(), before);
}

/// Whatever many grants ask for at once, the doors find files.
#[tokio::test]
async fn n54_all_grants_together_have_a_bound_on_their_connections() {
    let mut upstream = Upstream::start(|_| silent()).await;
    let dialer = Arc::new(Dialer {
        // One caller gets half.
        places: Shares::new(6),
        ..Dialer::new()
    });
    let grants = [(); 3].map(|()| loopback_grant(upstream.port, None));
    let senders: Vec<_> = grants
        .iter()
        .cycle()
        .take(12)
        .cloned()
        .map(|grant| {
            let dialer = Arc::clone(&dialer);
            tokio::spawn(async move { dial(&dialer, &grant).await })
        })
        .collect();
    upstream.got(3).await;
    assert_eq!(dialer.places.free(), 3);
    assert_eq!(upstream.requests().len(), 3);
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    for sender in senders {
        assert!(sender.await.unwrap_err().is_cancelled());
    }
    assert_eq!(dialer.places.free(), 6);
}

/// A reload makes another dialer while requests of the old one are under way.
#[tokio::test]
async fn a_dialer_in_the_place_of_another_shares_its_bound_and_keeps_off_all_doors() {
    let mut upstream = Upstream::start(|_| silent()).await;
    let former = Dialer {
        places: Shares::new(1),
        ..Dialer::new()
    };
    let door = |port| SocketAddr::from(([127, 0, 0, 1], port));
    former.keep_off(door(1));
    let later = Dialer::new();
    later.keep_off(door(2));
    let (later, former) = (later.after(&former), Arc::new(former));
    for port in [1, 2] {
        let class = later.doors.class(door(port).ip(), port);
        assert_eq!(class, Some(Class::OwnDoor), "{port}");
    }
    let grant = loopback_grant(upstream.port, None);
    let asking = tokio::spawn(async move { dial(&former, &grant).await });
    upstream.got(1).await;
    assert_eq!(later.places.free(), 0);
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(later.places.free(), 1);
}

#[test]
fn n54_the_bound_leaves_files_to_the_host() {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    assert!(of_all() <= OF_ALL && of_all() >= OF_GRANT);
    assert!(files.is_none_or(|files| of_all() <= (files / 2).max(OF_GRANT)));
}

/// N48: the peer takes what fits into the buffers between, and no more.
#[tokio::test]
async fn n48_a_peer_that_reads_no_body_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (done, held) = tokio::sync::oneshot::channel::<()>();
    let peer = tokio::spawn(async move {
        let accepted = listener.accept().await;
        let _ = held.await;
        drop(accepted);
    });
    let verdict = verdict(&loopback_grant(port, None), "POST", "/");
    let outgoing = Outgoing {
        body: vec![b'x'; 32 << 20].into(),
        ..Outgoing::default()
    };
    let caps = Caps {
        timeout: Duration::from_millis(100),
        ..CAPS
    };
    let sent = Dialer::new()
        .send_alone(&verdict, outgoing, None, caps)
        .await;
    assert_eq!(sent.unwrap_err().kind, DialErrorKind::Timeout);
    done.send(()).unwrap();
    peer.await.unwrap();
}
