//! An upstream on loopback that says exactly what a test wants, and a resolver that does too.

#![allow(missing_docs, reason = "for tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::resolve::{Addresses, LookupPlace, Resolve};

/// What an upstream does with one request: it writes these bytes and then keeps the connection, as
/// HTTP does, or closes it, or falls silent.
pub struct Reply {
    pub bytes: Vec<u8>,
    pub then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Keep,
    Close,
    Silence,
}

/// `HTTP/1.1 200 OK` with these header lines and this body, its length said.
pub fn ok(headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let bytes = [std::mem::take(&mut bytes).as_bytes(), body].concat();
    Reply {
        bytes,
        then: Then::Keep,
    }
}

/// A response in chunks.
pub fn chunked(headers: &str, pieces: &[&[u8]]) -> Reply {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for piece in pieces {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    Reply {
        bytes,
        then: Then::Keep,
    }
}

/// Bytes as they are, and then the end.
pub fn raw(text: &str) -> Reply {
    Reply {
        bytes: text.as_bytes().to_vec(),
        then: Then::Close,
    }
}

/// A server on a free port of loopback, which ends with the test.
pub struct Upstream {
    pub port: u16,
    requests: watch::Receiver<Vec<String>>,
    /// Where the connections come from that were accepted, and how many of them are open.
    connections: watch::Receiver<(Vec<SocketAddr>, usize)>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers every request by what `reply` makes of its text.
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, requests) = watch::channel(Vec::new());
        let (came, connections) = watch::channel((Vec::new(), 0));
        let (seen, reply) = (Arc::new(seen), Arc::new(reply));
        let task = tokio::spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                came.send_modify(|(all, open)| {
                    all.push(from);
                    *open += 1;
                });
                let (came, seen, reply) = (came.clone(), Arc::clone(&seen), Arc::clone(&reply));
                tokio::spawn(async move {
                    serve(stream, seen, reply).await;
                    came.send_modify(|(_, open)| *open -= 1);
                });
            }
        });
        Self {
            port,
            requests,
            connections,
            task,
        }
    }

    /// Every request so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits until every connection so far is closed, and says how many requests came.
    pub async fn gone(&self) -> usize {
        #[allow(clippy::disallowed_methods, reason = "the test's own connection")]
        let last = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let own = last.local_addr().unwrap();
        drop(last);
        // They are accepted in their order: who came before this one is in the list with it.
        let mut connections = self.connections.clone();
        let all = connections.wait_for(|(all, open)| *open == 0 && all.contains(&own));
        drop(all.await.unwrap());
        self.requests().len()
    }

    /// Waits until so many connections are open, and says how many came in all.
    pub async fn open(&self, count: usize) -> usize {
        let mut connections = self.connections.clone();
        let open = connections.wait_for(|(_, open)| *open == count).await;
        open.unwrap().0.len()
    }

    /// Waits until so many requests have come.
    pub async fn got(&mut self, count: usize) {
        self.requests
            .wait_for(|seen| seen.len() >= count)
            .await
            .unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<watch::Sender<Vec<String>>>,
    reply: Arc<impl Fn(&str) -> Reply>,
) {
    while let Some(request) = read_request(&mut stream).await {
        let Reply { bytes, then } = reply(&request);
        seen.send_modify(|seen| seen.push(request));
        // A client that has read enough closes the connection, and that is all right.
        let _ = stream.write_all(&bytes).await;
        match then {
            Then::Keep => {}
            Then::Close => return,
            Then::Silence => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = whole_request(&bytes) {
            return Some(request);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn whole_request(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    (body.len() >= length.unwrap_or(0)).then(|| text.clone().into_owned())
}

/// A resolver that gives its answers in turn, the last one for ever, and notes what it was asked.
pub struct Answers {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Answers {
    pub fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(parse).collect()),
            asked: Mutex::default(),
        })
    }
}

impl Resolve for Answers {
    fn resolve(&self, name: String, _: LookupPlace) -> Addresses {
        self.asked.lock().unwrap().push(name);
        let mut answers = self.answers.lock().unwrap();
        let next = answers.pop_front().unwrap_or_default();
        if answers.is_empty() {
            answers.push_back(next.clone());
        }
        Box::pin(async move {
            if next.is_empty() {
                Err(io::Error::other("no such name"))
            } else {
                Ok(next)
            }
        })
    }
}
