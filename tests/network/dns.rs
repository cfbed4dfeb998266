//! A name server that answers as the table of names says: rightly, wrongly, slowly or not at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::names::{Names, Say};

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const AAAA: u16 = 28;

/// The most that an answer by UDP holds (RFC 1035, 4.2.1).
const DATAGRAM: usize = 512;

/// A server on one address, by UDP and TCP. It ends with this value.
pub(super) struct Server {
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(address: SocketAddr, names: Names) -> io::Result<Self> {
        let (udp, tcp) = (
            UdpSocket::bind(address).await?,
            TcpListener::bind(address).await?,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(datagrams(udp, names.clone()));
        tasks.spawn(connections(tcp, names));
        Ok(Self { _tasks: tasks })
    }
}

async fn datagrams(socket: UdpSocket, names: Names) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let Some(question) = Question::read(&buffer[..length]) else {
            continue;
        };
        let say = names.ask(&question.name, question.kind == AAAA);
        let answer = match say {
            Say::Silence => continue,
            Say::Slow | Say::Truncated(_) | Say::CutOff => question.truncated(),
            say => question.answer(&say),
        };
        let fits = answer.len() <= DATAGRAM;
        let answer = if fits { answer } else { question.truncated() };
        // Whoever asked may be gone.
        let _ = socket.send_to(&answer, from).await;
    }
}

async fn connections(listener: TcpListener, names: Names) {
    let names = Arc::new(names);
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        tasks.spawn(connection(stream, Arc::clone(&names)));
    }
}

async fn connection(mut stream: TcpStream, names: Arc<Names>) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        let Some(question) = Question::read(&message) else {
            return;
        };
        let say = names.ask(&question.name, question.kind == AAAA);
        let answer = match &say {
            Say::CutOff => return,
            Say::Silence => std::future::pending().await,
            Say::Slow => question.answer(&Say::Addresses(super::names::ips(&["93.184.216.34"]))),
            say => question.answer(say),
        };
        let length = u16::try_from(answer.len()).expect("a short answer");
        let whole = [&length.to_be_bytes()[..], &answer].concat();
        let pieces: Vec<&[u8]> = match say {
            Say::Slow => whole.chunks(1).collect(),
            _ => vec![&whole],
        };
        for piece in pieces {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            if piece.len() == 1 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// A question as it came.
struct Question {
    id: [u8; 2],
    /// In small letters, without the dot at its end.
    name: String,
    kind: u16,
    /// Name, type and class.
    bytes: Vec<u8>,
}

impl Question {
    fn read(message: &[u8]) -> Option<Self> {
        let id = message.get(..2)?.try_into().ok()?;
        let question = message.get(12..)?;
        let (mut labels, mut at) = (Vec::new(), 0);
        loop {
            let length = usize::from(*question.get(at)?);
            let label = question.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        }
        let kind = question.get(at..at + 2)?.try_into().ok()?;
        Some(Self {
            id,
            name: labels.join("."),
            kind: u16::from_be_bytes(kind),
            bytes: question.get(..at + 4)?.to_vec(),
        })
    }

    fn answer(&self, say: &Say) -> Vec<u8> {
        match say {
            Say::Addresses(found) | Say::Truncated(found) => {
                self.message(self.id, 0x8180, &self.addresses(&self.name, found))
            }
            Say::Chain(names, found) => self.message(self.id, 0x8180, &self.chain(names, found)),
            Say::WrongId(found) => {
                let other = [self.id[0] ^ 0xff, self.id[1]];
                self.message(other, 0x8180, &self.addresses(&self.name, found))
            }
            Say::Huge => {
                let line = [&[255][..], &[b'x'; 255]].concat();
                let text = record(&self.name, TXT, &line.repeat(4));
                self.message(self.id, 0x8180, &vec![text; 56])
            }
            Say::Garbage => vec![0xff; 40],
            Say::Failing => self.message(self.id, 0x8182, &[]),
            Say::Unknown | Say::Silence | Say::Slow | Say::CutOff => {
                self.message(self.id, 0x8183, &[])
            }
        }
    }

    fn truncated(&self) -> Vec<u8> {
        self.message(self.id, 0x8380, &[])
    }

    fn message(&self, id: [u8; 2], flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = id.to_vec();
        let count = u16::try_from(records.len()).expect("few records");
        for word in [flags, 1, count, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&self.bytes);
        message.extend(records.concat());
        message
    }

    /// The records of the kind that was asked for.
    fn addresses(&self, name: &str, found: &[IpAddr]) -> Vec<Vec<u8>> {
        let records = found.iter().filter_map(|ip| match (ip, self.kind) {
            (IpAddr::V4(ip), A) => Some(record(name, A, &ip.octets())),
            (IpAddr::V6(ip), AAAA) => Some(record(name, AAAA, &ip.octets())),
            _ => None,
        });
        records.collect()
    }

    fn chain(&self, names: &[String], found: &[IpAddr]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let mut from = &self.name;
        for to in names {
            records.push(record(from, CNAME, &encoded(to)));
            from = to;
        }
        records.extend(self.addresses(from, found));
        records
    }
}

/// A resource record that may not be kept.
fn record(name: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = encoded(name);
    record.extend(kind.to_be_bytes());
    record.extend(1_u16.to_be_bytes());
    record.extend(0_u32.to_be_bytes());
    let length = u16::try_from(data.len()).expect("short data");
    record.extend(length.to_be_bytes());
    record.extend(data);
    record
}

fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
