//! Upstreams that take their time, or take none of what they are sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use toolhost_core::terms::Code;

use crate::harness::code;
use crate::network::peer::Step;
use crate::network::space::{alone, case};
use crate::network::world::{came, get, granted, open, rogue, send};

/// Slower than any guest waits for here.
const SLOW: Duration = Duration::from_secs(10);

fn slow(target: &str) -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    match target {
        "/silent" => vec![Step::Hold],
        "/head" => vec![Step::Drip(head.into(), SLOW)],
        "/continue" => vec![
            Step::Drip(
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(99),
                Duration::from_millis(1),
            ),
            Step::Hold,
        ],
        "/body" => vec![Step::say(head), Step::Drip(b"hello".to_vec(), SLOW)],
        "/chunks" => vec![
            Step::say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Step::Drip(b"1\r\na\r\n".repeat(99), Duration::from_millis(20)),
        ],
        "/never" => vec![Step::say(head), Step::say("hell"), Step::Hold],
        _ => vec![Step::ok("honest")],
    }
}

const SLOW_TARGETS: [&str; 6] = [
    "/silent",
    "/head",
    "/continue",
    "/body",
    "/chunks",
    "/never",
];

#[test]
fn n47_a_guest_that_sets_a_time_gets_its_error_in_it() {
    case(async |world| {
        let peer = world.peer(|request| slow(request.target())).await;
        let house = granted(&world, &peer, "deadline = \"20s\"", "");
        for target in SLOW_TARGETS {
            let began = Instant::now();
            let came = send(
                &house,
                "GET",
                &peer.url(target),
                json!({ "timeout_ms": 300 }),
            )
            .await;
            assert_eq!(came.code(), "timeout", "{target}: {came:?}");
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{target} took {:?}",
                began.elapsed()
            );
            assert_eq!(
                house.attempts()[0]["verdict"]["error"],
                "timeout",
                "{target}"
            );
        }
        // The host hangs up; it does not leave the upstream with a connection that nobody reads.
        peer.left().await;
        assert_eq!(get(&house, &peer.url("/honest")).await.body(), "honest");
    });
}

#[test]
fn n47_a_guest_that_sets_none_ends_at_its_calls_deadline() {
    case(async |world| {
        let peer = world.peer(|request| slow(request.target())).await;
        let house = granted(&world, &peer, "deadline = \"500ms\"", "");
        for target in SLOW_TARGETS {
            for (function, arguments) in [
                ("rogue_get", json!({ "url": peer.url(target) })),
                (
                    "rogue_wasi_http",
                    json!({ "scheme": "http", "authority": peer.address.to_string(), "path": target }),
                ),
            ] {
                let began = Instant::now();
                let end = house.call(function, arguments).await;
                // Either the host's own error for the guest was first, or the end of the call.
                let timely = match &end {
                    Err(fault) => fault.code == Code::DeadlineExceeded,
                    Ok(_) => matches!(came(&end).code(), "timeout" | "wasi"),
                };
                assert!(timely, "{target}: {end:?}");
                assert!(
                    began.elapsed() < Duration::from_secs(5),
                    "{target} took {:?}",
                    began.elapsed()
                );
            }
        }
        peer.left().await;
        assert_eq!(get(&house, &peer.url("/honest")).await.body(), "honest");
    });
}

#[test]
fn n48_an_upstream_that_does_not_read_is_not_waited_for() {
    case(async |world| {
        // It accepts, and reads nothing: a body beyond all buffers cannot be sent.
        let listener = world.listener().await;
        let address = listener.local_addr().expect("an address");
        let (sender, mut accepted) = tokio::sync::mpsc::unbounded_channel();
        let keep = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sender.send(stream).expect("a test");
            }
        });
        let limits = "deadline = \"2s\", request_body = \"32MiB\", host_memory = \"64MiB\", memory = \"256MiB\", fuel = 100_000_000_000";
        let url = format!("http://{address}");
        let house = world.house(&rogue(limits, &[("up", &url, &open(&world, ""))]));
        let began = Instant::now();
        let parts = json!({ "scheme": "http", "authority": address.to_string(), "path": "/", "method": "POST", "fill": 24 << 20 });
        let end = house.call("rogue_wasi_http", parts).await;
        let timely = match &end {
            Err(fault) => fault.code == Code::DeadlineExceeded,
            Ok(_) => matches!(came(&end).code(), "timeout" | "wasi"),
        };
        assert!(timely, "{end:?}");
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "it took {:?}",
            began.elapsed()
        );
        let stream = accepted.recv().await.expect("a connection");
        // What is left of it ends: the host has hung up.
        let mut rest = [0; 1 << 16];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut rest) {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
        keep.abort();
    });
}

#[test]
fn n48_a_guest_that_writes_slowly_ends_at_its_deadline_and_nothing_is_sent() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let house = granted(&world, &peer, "deadline = \"500ms\"", "");
        let slow = json!({
            "scheme": "http", "authority": peer.address.to_string(), "path": "/", "method": "POST", "fill": 8192, "pause_ms": 60_000,
        });
        let end = house.call("rogue_wasi_http", slow).await;
        assert_eq!(code(&end), Code::DeadlineExceeded);
        assert_eq!(peer.connections().await, 0, "half a request went out");
        assert_eq!(get(&house, &peer.url("/")).await.body(), "arrived");
    });
}

/// A place that takes no more connections: its queue is full, and what else comes is not answered.
async fn hole(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket.expect("a socket");
    socket.bind(address).expect("a port");
    let listener = socket.listen(0).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut queue = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        queue.push(stream.expect("a connection"));
        assert!(queue.len() < 100, "the queue has no end");
    }
    (listener, queue)
}

#[test]
fn n53_a_place_that_does_not_answer_is_an_error_in_the_time_for_a_connection() {
    case(async |world| {
        let (hole, _queue) = hole(SocketAddr::new(world.address(), 0)).await;
        let hole = hole.local_addr().expect("an address");
        let closed = world.listener().await.local_addr().expect("an address");
        let open = open(&world, "");
        let urls = [format!("http://{hole}"), format!("http://{closed}")];
        let grants = [
            ("hole", urls[0].as_str(), open.as_str()),
            ("closed", &urls[1], &open),
        ];
        let house = world.house(&rogue("deadline = \"40s\"", &grants));
        let began = Instant::now();
        let refused = get(&house, &format!("http://{closed}/")).await;
        assert_eq!(refused.code(), "unreachable", "{refused:?}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "it took {:?}",
            began.elapsed()
        );

        let began = Instant::now();
        let impatient = send(
            &house,
            "GET",
            &format!("http://{hole}/"),
            json!({ "timeout_ms": 300 }),
        )
        .await;
        assert_eq!(impatient.code(), "timeout", "{impatient:?}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "it took {:?}",
            began.elapsed()
        );

        let began = Instant::now();
        let patient = get(&house, &format!("http://{hole}/")).await;
        assert!(
            matches!(patient.code(), "timeout" | "unreachable"),
            "{patient:?}"
        );
        let took = began.elapsed();
        assert!(
            took > Duration::from_secs(5) && took < Duration::from_secs(15),
            "it took {took:?}"
        );
    });
}

/// Open descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .count()
}

/// The guest opens them all, waits for them in their order, and reads none before it has the last.
#[test]
fn n54_thousands_of_requests_at_once_are_few_connections() {
    case(async |world| {
        let count = 10_000;
        let most = Arc::new(AtomicUsize::new(0));
        let highest = most.clone();
        let peer = world
            .peer(move |_| {
                highest.fetch_max(descriptors(), Ordering::Relaxed);
                vec![Step::ok("arrived")]
            })
            .await;
        let limits = format!(
            "requests = {count}, handles = 100_000, resources = 100_000, host_memory = \"1GiB\", deadline = \"90s\", fuel = 1_000_000_000_000, memory = \"256MiB\""
        );
        let house = granted(&world, &peer, &limits, "");
        let before = descriptors();
        let arguments = json!({ "count": count + 1, "authority": peer.address.to_string() });
        let (end, bill) = house.billed("rogue_crowd", arguments).await;
        let crowd = came(&end);
        assert_eq!(crowd.answer()["answered"], count, "{crowd:?}");
        // One more than a call may try.
        let refused = crowd.answer()["refused"].as_object().expect("reasons");
        assert_eq!(refused.values().filter_map(Value::as_u64).sum::<u64>(), 1);
        assert_eq!(bill.egress_requests, count);
        // 32 of one grant are under way at once; the upstream may not have seen all of the last
        // ones go when the next ones come.
        assert!(peer.most() <= 100, "{} connections at once", peer.most());
        let most = most.load(Ordering::Relaxed);
        assert!(
            !alone() || most < before + 250,
            "{before} descriptors became {most}"
        );
        assert_eq!(get(&house, &peer.url("/")).await.body(), "arrived");
    });
}
