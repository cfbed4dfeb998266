//! Answers that are too much: bodies without end, bombs, and heads the size of bodies.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress};
use serde_json::json;

use crate::harness::House;
use crate::network::peer::{Peer, Step};
use crate::network::space::{alone, case};
use crate::network::world::{Came, get, granted, wasi};

/// What a response may hold in these cases.
const CAP: u64 = 1 << 20;

/// The most that this process has had in memory so far, in KiB; nothing where others run in it.
fn peak() -> u64 {
    if !alone() {
        return 0;
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

/// Says that a body was stopped at its cap, soon and without being held in memory.
async fn stopped(house: &House, peer: &Peer, target: &str) {
    for wasi_http in [false, true] {
        let (began, before) = (Instant::now(), peak());
        let url = peer.url(target);
        let came = if wasi_http {
            wasi(house, &url, json!({})).await
        } else {
            get(house, &url).await
        };
        let right = match came.code() {
            "too-large" => true,
            "wasi" => {
                wasi_http
                    && matches!(&came, Came::Refused(_, say) if say.contains("size exceeds limit") || say.contains("BodySize"))
            }
            _ => false,
        };
        assert!(right, "{target}: {came:?}");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{target} took {:?}",
            began.elapsed()
        );
        let grown = peak().saturating_sub(before);
        assert!(grown < 64 << 10, "{target} took {grown} KiB");
        let received = house.attempts()[0]["received"].as_u64().expect("a number");
        assert!(received < 2 * CAP, "{target}: {received} bytes");
    }
}

#[test]
fn n46_a_body_without_end_is_stopped_at_its_cap() {
    case(async |world| {
        let peer = world
            .peer(|request| match request.target() {
                "/until-end" => vec![
                    Step::say("HTTP/1.1 200 OK\r\n\r\n"),
                    Step::Endless(vec![b'x'; 1 << 16]),
                ],
                "/long" => vec![
                    Step::say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"),
                    Step::Endless(vec![b'x'; 1 << 16]),
                ],
                "/chunks" => {
                    let chunk = [b"10000\r\n", vec![b'x'; 1 << 16].as_slice(), b"\r\n"].concat();
                    vec![chunked(), Step::Endless(chunk)]
                }
                _ => vec![chunked(), Step::Endless(b"1\r\nx\r\n".repeat(1 << 12))],
            })
            .await;
        let limits =
            format!("response_body = \"{CAP}B\", deadline = \"60s\", fuel = 100_000_000_000");
        let house = granted(&world, &peer, &limits, "");
        for target in ["/until-end", "/long", "/chunks"] {
            stopped(&house, &peer, target).await;
        }
        // Each byte is a piece of its own here: as much work as many bytes elsewhere.
        let limits = "response_body = \"32KiB\", deadline = \"60s\", fuel = 100_000_000_000";
        let house = granted(&world, &peer, limits, "");
        stopped(&house, &peer, "/small-chunks").await;
        // Nobody goes on sending to a host that has stopped to listen.
        peer.left().await;
    });
}

fn chunked() -> Step {
    Step::say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// A block of a deflate stream that stands for a megabyte of zeros and can be repeated for ever.
fn endless_zeros() -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let zeros = vec![0; 1 << 20];
    let mut block = Vec::with_capacity(1 << 16);
    let done = compress.compress_vec(&zeros, &mut block, FlushCompress::Full);
    done.expect("a block");
    block
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a stream");
    encoder.finish().expect("a stream")
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 5, 22);
    encoder.write_all(bytes).expect("a stream");
    encoder.into_inner()
}

/// A head of a zstd frame with a window of 2 MiB, and a block of 128 KiB of zeros (RFC 8878, 3.1.1).
const ZSTD_HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
const ZSTD_BLOCK: [u8; 4] = [0x02, 0, 0x10, 0];

/// The head of an encoded answer that ends with its connection.
fn encoded(encoding: &str) -> Step {
    Step::say(format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n"
    ))
}

#[test]
fn n45_a_bomb_is_stopped_at_the_decoded_cap() {
    case(async |world| {
        let block = endless_zeros();
        assert!(block.len() < 2_000, "no bomb: {} bytes", block.len());
        let shallow = brotli(&vec![0; 64 << 20]);
        assert!(shallow.len() < 2_000, "no bomb: {} bytes", shallow.len());
        let nested = gzip(&gzip(&vec![0; 64 << 20]));
        let peer = world
            .peer(move |request| match request.target() {
                "/gzip" => {
                    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
                    vec![encoded("gzip"), Step::Send(head.to_vec()), Step::Endless(block.clone())]
                }
                "/deflate" => {
                    vec![encoded("deflate"), Step::Send(vec![0x78, 0xda]), Step::Endless(block.clone())]
                }
                "/members" => vec![encoded("gzip"), Step::Endless(gzip(&vec![0; 1 << 20]))],
                "/zstd" => {
                    let block = ZSTD_BLOCK.repeat(1 << 10);
                    vec![encoded("zstd"), Step::Send(ZSTD_HEAD.to_vec()), Step::Endless(block)]
                }
                "/br" => vec![encoded("br"), Step::Send(shallow.clone()), Step::Close],
                "/nested" => vec![encoded("gzip, gzip"), Step::Send(nested.clone()), Step::Close],
                "/nested-lines" => vec![
                    Step::say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n"),
                    Step::Send(nested.clone()),
                    Step::Close,
                ],
                "/broken" => vec![encoded("gzip"), Step::say("this is no gzip at all"), Step::Close],
                _ => vec![encoded("gzip"), Step::Send(gzip(b"honest")), Step::Close],
            })
            .await;
        let limits =
            format!("response_body = \"{CAP}B\", deadline = \"60s\", fuel = 100_000_000_000");
        let house = granted(&world, &peer, &limits, "");
        for target in ["/gzip", "/deflate", "/members", "/zstd", "/br"] {
            stopped(&house, &peer, target).await;
        }
        for target in ["/nested", "/nested-lines"] {
            let before = peak();
            let came = get(&house, &peer.url(target)).await;
            // One layer is undone or none: what is left is small, or the answer is an error.
            assert!(
                came.code() != "answer" || came.body().len() < 1 << 20,
                "{target}"
            );
            assert!(peak().saturating_sub(before) < 64 << 10, "{target}");
        }
        assert_eq!(get(&house, &peer.url("/broken")).await.code(), "protocol");
        assert_eq!(get(&house, &peer.url("/honest")).await.body(), "honest");
        peer.left().await;
    });
}

#[test]
fn n49_a_head_without_end_is_an_error() {
    case(async |world| {
        let peer = world
            .peer(|request| {
                let ok = Step::say("HTTP/1.1 200 OK\r\n");
                match request.target() {
                    "/lines" => vec![ok, Step::Endless(b"x-a: 1\r\n".repeat(1 << 10))],
                    "/value" => vec![ok, Step::say("x-a: "), Step::Endless(vec![b'a'; 1 << 16])],
                    "/name" => vec![ok, Step::Endless(vec![b'a'; 1 << 16])],
                    "/status" => vec![
                        Step::say("HTTP/1.1 200 "),
                        Step::Endless(vec![b'a'; 1 << 16]),
                    ],
                    "/empty" => vec![Step::Endless(b"\r\n".repeat(1 << 10))],
                    "/continue" => vec![Step::Endless(
                        b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1 << 10),
                    )],
                    "/hints" => vec![Step::Endless(
                        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1 << 10),
                    )],
                    "/many" => vec![Step::response(
                        "200 OK",
                        &"x-a: 1\r\n".repeat(10_000),
                        "arrived",
                    )],
                    "/megabyte" => vec![Step::response(
                        "200 OK",
                        &format!("x-a: {}\r\n", "a".repeat(1 << 20)),
                        "arrived",
                    )],
                    "/over" => vec![Step::response(
                        "200 OK",
                        &"x-a: 1\r\n".repeat(120),
                        "arrived",
                    )],
                    "/over-bytes" => vec![Step::response(
                        "200 OK",
                        &format!("x-a: {}\r\n", "a".repeat(66 << 10)),
                        "arrived",
                    )],
                    _ => vec![Step::response(
                        "200 OK",
                        &"x-a: 1\r\n".repeat(90),
                        "arrived",
                    )],
                }
            })
            .await;
        let house = granted(&world, &peer, "deadline = \"5s\"", "");
        for target in [
            "/lines",
            "/value",
            "/name",
            "/status",
            "/empty",
            "/continue",
            "/hints",
            "/many",
            "/megabyte",
            "/over",
            "/over-bytes",
        ] {
            let (began, before) = (Instant::now(), peak());
            let came = get(&house, &peer.url(target)).await;
            // What announces a response again and again ends with its time. On a busy machine the
            // guest does not get to say so before the call's own is over.
            let announces = matches!(target, "/continue" | "/hints");
            assert!(
                matches!(came.code(), "protocol" | "too-large" | "timeout")
                    || announces && came.code() == "deadline-exceeded",
                "{target}: {came:?}"
            );
            assert!(
                began.elapsed() < Duration::from_secs(8),
                "{target} took {:?}",
                began.elapsed()
            );
            // The kernel's count is not exact: it may even fall a little.
            let took = peak().saturating_sub(before);
            assert!(took < 64 << 10, "{target} took {took} KiB");
        }
        peer.left().await;
        assert_eq!(get(&house, &peer.url("/honest")).await.body(), "arrived");
    });
}
