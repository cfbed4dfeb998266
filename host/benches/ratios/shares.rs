//! For each resource that callers share: an honest caller beside one that takes all it can get, and
//! beside one that asks for no more than its share. Both neighbours spend the same processor time of
//! their own, so what differs is what they make the host do. They take turns, five rounds each.
//!
//! The honest caller is known by its user on the Unix socket; the neighbour by a token over HTTP.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

use crate::drive::{Echo as _, Unix};
use crate::stage::{Served, Stage};
use crate::stats::{Pairs, percentile};

const TOKEN: &str = "the-neighbour-of-the-benchmark";
const ROUNDS: usize = 5;
/// Echoes of the honest caller beside each neighbour, in one round.
const ECHOES: usize = 1_000;
/// The part of its time that a neighbour's client computes.
const DUTY: f64 = 0.2;
/// How long a neighbour is at it before anybody measures.
const WARM: Duration = Duration::from_millis(500);

/// What a neighbour does again and again.
type Act = fn(&mut Neighbour);

/// Resource, what the hostile one does, what one within its share does.
const ROWS: [(&str, Act, Act); 6] = [
    ("record: refused calls", Neighbour::refused, Neighbour::echo),
    (
        "memory: 4 MiB messages",
        Neighbour::large_messages,
        Neighbour::echo,
    ),
    ("memory: unread answers", Neighbour::unread, Neighbour::echo),
    (
        "places: silent connections",
        Neighbour::silent,
        Neighbour::echo,
    ),
    ("places: sessions", Neighbour::sessions, Neighbour::echo),
    (
        "processor: 64 loops",
        Neighbour::many_loops,
        Neighbour::one_loop,
    ),
];

pub(crate) fn shares(stage: &Stage) {
    let token = hex::encode(Sha256::digest(TOKEN));
    let uid = rustix::process::getuid().as_raw();
    let callers = format!(
        "[caller.honest]\nuid = {uid}\nmay = [\"*\"]\n[caller.neighbour]\ntoken_sha256 = \"{token}\"\nmay = [\"*\"]\n"
    );
    stage.manifest("shares", &(stage.echo_and_rogue() + &callers));
    for (what, hostile, fair) in ROWS {
        let served = stage.serve("shares");
        let mut honest = Unix::connect(&served.unix);
        honest.echo(ECHOES);
        let (mut p50, mut p99) = (Pairs::default(), Pairs::default());
        for _ in 0..ROUNDS {
            let mut beside = |act: Act| {
                let _neighbour = Running::start(&served, act);
                std::thread::sleep(WARM);
                honest.echo(ECHOES)
            };
            let (mut loud, mut quiet) = (beside(hostile), beside(fair));
            p50.push(percentile(&mut loud, 0.5), percentile(&mut quiet, 0.5));
            p99.push(percentile(&mut loud, 0.99), percentile(&mut quiet, 0.99));
        }
        p50.print(&format!("{what}, honest p50"), "us", "");
        p99.print(&format!("{what}, honest p99"), "us", "<= 2");
    }
}

/// A neighbour at work, until this is dropped.
struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(served: &Served, act: Act) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut neighbour = Neighbour {
            address: served.http.clone(),
            open: Vec::new(),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::spawn(move || neighbour.work(act));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Neighbour {
    address: String,
    open: Vec<TcpStream>,
    stop: Arc<AtomicBool>,
}

impl Neighbour {
    /// Acts, and rests so long that it computes no more than its part of the time.
    fn work(&mut self, act: Act) {
        let start = Instant::now();
        let begun = processor();
        while !self.stop.load(Ordering::Relaxed) {
            act(self);
            let due = (processor() - begun).div_f64(DUTY);
            let rest = due.saturating_sub(start.elapsed());
            std::thread::sleep(rest.min(Duration::from_millis(20)));
        }
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(&self.address).ok()?;
        let patience = Some(Duration::from_millis(200));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Some(stream)
    }

    /// One of at most `most` connections, in turns; refused and broken ones are opened anew.
    fn stream(&mut self, most: usize) -> Option<TcpStream> {
        if self.open.len() < most {
            return self.connect();
        }
        Some(self.open.remove(0))
    }

    /// Sends a request, and waits for an answer if that is wanted. What fails is dropped.
    fn post(&mut self, request: &[u8], connections: usize, read: bool) {
        let Some(mut stream) = self.stream(connections) else {
            return;
        };
        if stream.write_all(request).is_err() {
            return;
        }
        if read && !matches!(stream.read(&mut [0; 64 << 10]), Ok(1..)) {
            return;
        }
        self.open.push(stream);
    }

    fn echo(&mut self) {
        let request = self.request("test_echo", "{\"text\":\"hello, world\"}");
        self.post(&request, 16, true);
    }

    fn refused(&mut self) {
        let request = self.request("nobody_knows", "{}");
        self.post(&request, 16, true);
    }

    fn large_messages(&mut self) {
        let mut nested = "[],".repeat((4 << 20) / 3 - 1_000);
        nested.push_str("[]");
        let request = self.request("test_echo", &format!("{{\"text\":[{nested}]}}"));
        self.post(&request, 32, false);
    }

    fn unread(&mut self) {
        let text = "x".repeat(512 << 10);
        let request = self.request("test_echo", &format!("{{\"text\":\"{text}\"}}"));
        self.post(&request, 64, false);
    }

    fn silent(&mut self) {
        if self.open.len() < 1_024 {
            let stream = self.connect();
            self.open.extend(stream);
        }
    }

    fn sessions(&mut self) {
        let body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"0\"}}}";
        let request = self.head(body.len(), "") + body;
        self.post(request.as_bytes(), 512, true);
    }

    fn many_loops(&mut self) {
        self.loops(64);
    }

    fn one_loop(&mut self) {
        self.loops(1);
    }

    fn loops(&mut self, most: usize) {
        if self.open.len() < most {
            let request = self.request("rogue_spin", "{}");
            self.post(&request, most, false);
        }
    }

    fn request(&self, tool: &str, arguments: &str) -> Vec<u8> {
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments},\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":{{\"name\":\"bench\",\"version\":\"0\"}},\"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}"
        );
        let era = format!(
            "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        );
        (self.head(body.len(), &era) + &body).into_bytes()
    }

    fn head(&self, length: usize, more: &str) -> String {
        let mut head = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\n", self.address);
        write!(head, "authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{more}content-length: {length}\r\n\r\n").unwrap();
        head
    }
}

/// Processor time of this thread.
fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
