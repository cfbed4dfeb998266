//! The one client that drives both: blocking sockets, bytes prepared beforehand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A connection that can be measured.
pub(crate) trait Echo {
    /// Echoes one after the other; the time of each.
    fn echo(&mut self, count: usize) -> Vec<Duration>;
}

/// A connection that speaks in lines.
pub(crate) struct Lines<R, W> {
    reader: BufReader<R>,
    writer: W,
    next: u64,
    child: Option<Child>,
}

pub(crate) type Unix = Lines<UnixStream, UnixStream>;
pub(crate) type Pipes = Lines<ChildStdout, ChildStdin>;

impl Unix {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        let mut lines = Self {
            reader: BufReader::new(stream.try_clone().unwrap()),
            writer: stream,
            next: 1,
            child: None,
        };
        lines.hello();
        lines
    }
}

impl Pipes {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let mut lines = Self {
            reader: BufReader::new(reader),
            writer,
            next: 1,
            child: Some(child),
        };
        lines.hello();
        lines
    }
}

impl Pipes {
    /// The server's process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }
}

impl<R: Read, W: Write> Lines<R, W> {
    fn hello(&mut self) {
        self.send("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"0\"}}}\n");
        self.receive();
        self.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    }

    pub(crate) fn send(&mut self, line: &str) {
        self.writer.write_all(line.as_bytes()).unwrap();
    }

    /// The next line that is an answer.
    pub(crate) fn receive(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.reader.read_line(&mut line).unwrap() > 0,
                "the connection ended"
            );
            if line.contains("\"id\":") {
                return line;
            }
        }
    }

    /// Sends a call and gives its number.
    pub(crate) fn call(&mut self, tool: &str, arguments: &str) -> u64 {
        let id = self.next;
        self.next += 1;
        self.send(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments}}}}}\n"
        ));
        id
    }

    /// Echoes with so many on their way at once; calls in a second.
    pub(crate) fn flood(&mut self, count: usize, at_once: usize) -> f64 {
        let start = Instant::now();
        let mut sent = 0;
        while sent < at_once {
            self.call("test_echo", ECHO);
            sent += 1;
        }
        for _ in 0..count {
            let answer = self.receive();
            assert!(answer.contains("hello, world"), "{answer}");
            if sent < count {
                self.call("test_echo", ECHO);
                sent += 1;
            }
        }
        #[allow(clippy::cast_precision_loss)]
        let rate = count as f64 / start.elapsed().as_secs_f64();
        rate
    }
}

impl<R: Read, W: Write> Echo for Lines<R, W> {
    fn echo(&mut self, count: usize) -> Vec<Duration> {
        (0..count)
            .map(|_| {
                let start = Instant::now();
                self.call("test_echo", ECHO);
                let answer = self.receive();
                let time = start.elapsed();
                assert!(answer.contains("hello, world"), "{answer}");
                time
            })
            .collect()
    }
}

impl<R, W> Drop for Lines<R, W> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The arguments of an echo.
pub(crate) const ECHO: &str = "{\"text\":\"hello, world\"}";

/// A connection that speaks HTTP, kept alive: stateless requests of 2026-07-28.
pub(crate) struct Http {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    request: Vec<u8>,
}

impl Http {
    pub(crate) fn connect(address: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"test_echo\",\"arguments\":{ECHO},\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":{{\"name\":\"bench\",\"version\":\"0\"}},\"io.modelcontextprotocol/clientCapabilities\":{{}}}}}}}}"
        );
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: test_echo\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self {
            reader,
            writer: stream,
            request: request.into_bytes(),
        }
    }

    fn read(&mut self) -> String {
        let (mut length, mut chunked) = (0, false);
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut body = Vec::new();
        while chunked {
            let mut size = String::new();
            self.reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
            chunked = size > 0;
        }
        if body.is_empty() {
            body.resize(length, 0);
            self.reader.read_exact(&mut body).unwrap();
        }
        String::from_utf8(body).unwrap()
    }
}

impl Echo for Http {
    fn echo(&mut self, count: usize) -> Vec<Duration> {
        (0..count)
            .map(|_| {
                let start = Instant::now();
                self.writer.write_all(&self.request).unwrap();
                let body = self.read();
                let time = start.elapsed();
                assert!(body.contains("hello, world"), "{body}");
                time
            })
            .collect()
    }
}
