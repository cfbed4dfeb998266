//! Agents that speak to a door byte by byte: small, and free to be wrong.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, Lines,
};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};

/// The stateless revision.
const MODERN: &str = "2026-07-28";

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The messages in it, whether it is JSON or a stream of events.
    pub(crate) fn messages(&self) -> Vec<Value> {
        if self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
        {
            let data = self
                .body
                .lines()
                .filter_map(|line| line.strip_prefix("data:"));
            return data
                .filter_map(|data| serde_json::from_str(data.trim()).ok())
                .collect();
        }
        serde_json::from_str(&self.body).into_iter().collect()
    }

    /// The message that answers.
    pub(crate) fn answer(&self) -> Value {
        self.messages()
            .pop()
            .unwrap_or_else(|| panic!("no message: {self:?}"))
    }
}

/// Sends bytes and reads the answer to the end of the connection.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &[u8],
) -> Reply {
    // A door that has heard enough may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    read_reply(&bytes)
}

fn read_reply(bytes: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no HTTP: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut reply = Reply {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunked(&reply.body);
    }
    reply
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        whole.push_str(rest.get(..size).unwrap_or(rest));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}

/// What every request of the stateless revision carries.
pub(crate) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// An agent over HTTP, with a token.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    token: String,
}

impl Agent {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            token: token.to_owned(),
        }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    /// The bytes of a POST of any body, with more headers.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
        self.bytes("POST", headers, body.as_ref())
    }

    /// The bytes of any request.
    pub(crate) fn bytes(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            self.address,
            self.token,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends bytes on a connection of their own.
    pub(crate) async fn send(&self, request: &[u8]) -> Reply {
        exchange(self.connect().await, request).await
    }

    /// The bytes of a stateless request.
    pub(crate) fn modern(&self, method: &str, mut params: Value) -> Vec<u8> {
        let name = params
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let mut meta = modern_meta();
        if let Some(token) = params.get("progressToken").cloned() {
            meta["progressToken"] = token;
            params
                .as_object_mut()
                .map(|params| params.remove("progressToken"));
        }
        params["_meta"] = meta;
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let mut headers = vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)];
        if let Some(name) = &name {
            headers.push(("Mcp-Name", name));
        }
        self.post(&headers, body.to_string())
    }

    /// A stateless request and its answer.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.send(&self.modern(method, params)).await.answer()
    }

    /// A stateless call of a function and its answer.
    pub(crate) async fn call(&self, function: &str, arguments: Value) -> Value {
        self.ask(
            "tools/call",
            json!({ "name": function, "arguments": arguments }),
        )
        .await
    }

    /// Opens a session of the older era; gives its id.
    pub(crate) async fn session(&self) -> String {
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        });
        let reply = self.send(&self.post(&[], hello.to_string())).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let id = reply
            .header("mcp-session-id")
            .expect("a session")
            .to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let reply = self.in_session(&id, &ready).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        id
    }

    /// The bytes of a message in a session.
    pub(crate) fn session_bytes(&self, id: &str, message: &Value) -> Vec<u8> {
        let headers = [
            ("Mcp-Session-Id", id),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        self.post(&headers, message.to_string())
    }

    /// A message in a session, and what comes back.
    pub(crate) async fn in_session(&self, id: &str, message: &Value) -> Reply {
        self.send(&self.session_bytes(id, message)).await
    }
}

/// An agent that speaks lines, over a socket or a process's pipes.
pub(crate) struct Speaker<R, W> {
    lines: Lines<BufReader<R>>,
    writer: W,
}

/// Speaks lines on a Unix socket.
pub(crate) async fn speak(socket: &Path) -> Speaker<OwnedReadHalf, OwnedWriteHalf> {
    let stream = UnixStream::connect(socket).await.expect("a connection");
    let (reader, writer) = stream.into_split();
    Speaker::new(reader, writer)
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Speaker<R, W> {
    pub(crate) fn new(reader: R, writer: W) -> Self {
        Self {
            lines: BufReader::new(reader).lines(),
            writer,
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.expect("sent");
        self.writer.flush().await.expect("sent");
    }

    /// Sends bytes to whoever may be gone; whether they were taken.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.writer.write_all(bytes).await.is_ok()
    }

    /// The next line of whoever may be gone.
    pub(crate) async fn try_hear(&mut self) -> Option<String> {
        self.lines.next_line().await.ok().flatten()
    }

    /// Sends a message.
    pub(crate) async fn tell(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    /// The next message; every line has to be one.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        let line = match self.lines.next_line().await {
            Ok(line) => line?,
            // The other side closed with something unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("{error}"),
        };
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
    }

    /// The next message that answers `id`; others before it are passed over.
    pub(crate) async fn answer(&mut self, id: &Value) -> Value {
        loop {
            let message = self.hear().await.expect("an answer");
            if message.get("id") == Some(id) {
                return message;
            }
        }
    }

    /// Shakes hands as the older era does.
    pub(crate) async fn initialize(&mut self) -> Value {
        self.tell(&json!({
            "jsonrpc": "2.0", "id": "hello", "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            },
        }))
        .await;
        let answer = self.answer(&json!("hello")).await;
        self.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        answer
    }

    /// Calls a function as the older era does, without waiting.
    pub(crate) async fn begin(&mut self, id: &Value, function: &str, arguments: &Value) {
        self.tell(&json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": function, "arguments": arguments },
        }))
        .await;
    }

    /// Calls a function and waits for its answer.
    pub(crate) async fn call(&mut self, id: Value, function: &str, arguments: Value) -> Value {
        self.begin(&id, function, &arguments).await;
        self.answer(&id).await
    }

    /// The same, with nothing more to say.
    pub(crate) fn silent(self) -> Speaker<R, tokio::io::Sink> {
        Speaker {
            lines: self.lines,
            writer: tokio::io::sink(),
        }
    }

    /// Hears to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(message) = self.hear().await {
            all.push(message);
        }
        all
    }
}
