//! The resolver against a name server on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;
use crate::egress::Class;
use crate::resolve::{Unresolved, vetted};

/// A name server that knows two addresses, and the questions it was asked: name and type.
struct Server {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u8)>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(v4: [u8; 4], v6: Option<[u8; 16]>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<(String, u8)>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((size, peer)) = socket.recv_from(&mut bytes).await {
                let (question, name) = question(&bytes[12..size]);
                let kind = question[question.len() - 3];
                seen.lock().unwrap().push((name, kind));
                let data: Option<Vec<u8>> = match kind {
                    1 => Some(v4.to_vec()),
                    28 => v6.map(|ip| ip.to_vec()),
                    _ => None,
                };
                let answer = answer(&bytes[..2], question, kind, data.as_deref());
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        Self { at, asked, task }
    }

    /// What was asked, each question once, names in small letters.
    fn asked(&self) -> Vec<(String, u8)> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort_unstable();
        asked.dedup();
        asked
    }
}

/// RFC 1035, 4.1.2: the question at the start of these bytes, and the name in it.
fn question(bytes: &[u8]) -> (&[u8], String) {
    let (mut at, mut name) = (0, String::new());
    while bytes[at] != 0 {
        let end = at + 1 + usize::from(bytes[at]);
        name.push_str(&String::from_utf8_lossy(&bytes[at + 1..end]).to_ascii_lowercase());
        name.push('.');
        at = end;
    }
    (&bytes[..at + 5], name)
}

/// One record for the question, or none.
fn answer(id: &[u8], question: &[u8], kind: u8, data: Option<&[u8]>) -> Vec<u8> {
    let count = u8::from(data.is_some());
    let head = [0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
    let mut bytes = [id, &head, question].concat();
    if let Some(data) = data {
        let length = u8::try_from(data.len()).unwrap();
        bytes.extend([0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 0, 0, length]);
        bytes.extend(data);
    }
    bytes
}

#[tokio::test]
async fn n29_the_named_server_is_asked_for_the_name_as_it_is_and_no_other() {
    let server = Server::start([93, 184, 216, 34], None).await;
    let resolver = ServerResolver::new(server.at).unwrap();
    for name in ["shop", "shop.test"] {
        let found = vetted(&resolver, name, &[], free()).await.unwrap();
        assert_eq!(found, ["93.184.216.34".parse::<IpAddr>().unwrap()]);
    }
    let asked = ["shop.", "shop.test."].map(|name| [(name.to_owned(), 1), (name.to_owned(), 28)]);
    assert_eq!(server.asked(), asked.concat());
}

/// N30: both families are asked for, and one of them spoils the answer.
#[tokio::test]
async fn n30_a_private_address_of_the_other_family_spoils_the_answer() {
    let mut ula = [0; 16];
    ula[0] = 0xfd;
    let server = Server::start([93, 184, 216, 34], Some(ula)).await;
    let resolver = ServerResolver::new(server.at).unwrap();
    let found = vetted(&resolver, "shop.test", &[], free()).await;
    assert!(
        matches!(found, Err(Unresolved::Denied(Class::Private))),
        "{found:?}"
    );
}

/// N25: an answer holds for one connection.
#[tokio::test]
async fn n25_answers_are_not_kept() {
    let server = Server::start([93, 184, 216, 34], None).await;
    let resolver = ServerResolver::new(server.at).unwrap();
    for _ in 0..2 {
        vetted(&resolver, "shop.test", &[], free()).await.unwrap();
    }
    assert!(server.asked.lock().unwrap().len() >= 4);
}

/// As if nobody else asked.
async fn free() -> io::Result<LookupPlace> {
    Ok(Box::new(()))
}
