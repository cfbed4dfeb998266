//! The outside world on loopback: every request is written down and answered as the test says.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A server on loopback.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Mutex<mpsc::UnboundedReceiver<Seen>>,
    serving: JoinHandle<()>,
}

impl Upstream {
    /// Answers each request as `script` says; `None` is no answer, ever.
    pub(crate) async fn start(
        script: impl Fn(&Seen) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, seen) = mpsc::unbounded_channel();
        let script = Arc::new(script);
        let answer = move |request: Request<Body>| {
            let (script, sender) = (Arc::clone(&script), sender.clone());
            async move {
                let (head, body) = request.into_parts();
                let seen = Seen {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body: to_bytes(body, usize::MAX).await.expect("a body"),
                };
                let response = script(&seen);
                // Nobody listens any more when the test is over.
                let _ = sender.send(seen);
                match response {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        };
        let router = Router::new().fallback(answer);
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self {
            address,
            seen: Mutex::new(seen),
            serving,
        }
    }

    /// Answers everything with what it got, as text.
    pub(crate) async fn echo() -> Self {
        Self::start(|seen| {
            let said = format!(
                "{} {}\n{:?}\n{}",
                seen.method,
                seen.uri,
                seen.headers,
                String::from_utf8_lossy(&seen.body)
            );
            Some(text_response(200, said))
        })
        .await
    }

    /// A URL there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request that comes, or came.
    pub(crate) async fn next(&self) -> Seen {
        self.seen.lock().await.recv().await.expect("a request")
    }

    /// All requests that came and were not asked for yet.
    pub(crate) async fn rest(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().await;
        std::iter::from_fn(|| seen.try_recv().ok()).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A text with its status.
pub(crate) fn text_response(status: u16, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
