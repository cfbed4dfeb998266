//! A command's side of the operators' door. What answers has to be the host's own user, on a socket that
//! nobody else can have put there, and is waited for as long as it shows that it is alive.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::words::{AdminError, CallAnswer, CallRequest, Reloaded};
use crate::unix::{self, Audience};
use toolhost_ledger::Head;

/// How long a host may take to say how it is. Longer than it takes to see whether its workers are stuck.
const ALIVE: Duration = Duration::from_secs(5);

/// How often it is asked that while it is waited for.
const ASK: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: more than any outcome of a call takes.
const LONGEST: usize = 256 << 20;

/// The operators' socket of a host that runs.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It was refused, and why.
    #[error(transparent)]
    Refused(AdminError),
    /// Nobody said anything in time.
    #[error("nothing answers on the operators' socket {socket} within {} s", ALIVE.as_secs())]
    Silent {
        /// Where.
        socket: PathBuf,
    },
    /// The connection failed.
    #[error("the operators' socket {socket}: {source}")]
    Failed {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Client {
    /// The host that answers on a socket; none where nobody listens there.
    ///
    /// # Errors
    ///
    /// What is there is no socket of this user's, or cannot be connected to.
    pub async fn find(socket: &Path) -> Result<Option<Self>, Unanswered> {
        let client = Self {
            socket: socket.to_owned(),
        };
        let there = unix::may_be_a_hosts(socket, Audience::Own);
        if !there.map_err(|source| client.failed(source))? {
            return Ok(None);
        }
        match client.connect().await {
            Ok(_) => Ok(Some(client)),
            Err(Unanswered::Failed { source, .. }) if unix::is_nobody(source.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How the host is, and whether calls can run.
    ///
    /// # Errors
    ///
    /// It does not say so within five seconds.
    pub async fn health(&self) -> Result<(bool, Value), Unanswered> {
        let asked = self.ask::<()>(Method::GET, "/health", None);
        let (status, state) = self.soon(asked).await?;
        Ok((
            status == StatusCode::OK,
            read(&state).map_err(|error| self.failed(error))?,
        ))
    }

    /// The last record of its ledger.
    ///
    /// # Errors
    ///
    /// There is none, or no answer within five seconds.
    pub async fn ledger_head(&self) -> Result<Head, Unanswered> {
        let asked = self.ask::<()>(Method::GET, "/ledger/head", None);
        self.answer(self.soon(asked).await?)
    }

    /// Has a call made, which takes as long as it takes.
    ///
    /// # Errors
    ///
    /// The host refuses it, or shows no life any more.
    pub async fn call(&self, call: &CallRequest) -> Result<CallAnswer, Unanswered> {
        let asked = self.ask(Method::POST, "/call", Some(call));
        self.answer(self.while_alive(asked).await?)
    }

    /// Has the manifest loaded anew, which takes as long as it takes.
    ///
    /// # Errors
    ///
    /// What is wrong with it; or the host shows no life any more.
    pub async fn reload(&self) -> Result<Reloaded, Unanswered> {
        let asked = self.ask(Method::POST, "/reload", Some(&()));
        self.answer(self.while_alive(asked).await?)
    }

    async fn connect(&self) -> Result<UnixStream, Unanswered> {
        let connecting = timeout(ALIVE, UnixStream::connect(&self.socket));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            // Its queue is full, and it takes nobody in.
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(self.silent());
            }
            Ok(Err(error)) => return Err(self.failed(error)),
            Err(_) => return Err(self.silent()),
        };
        let peer = stream.peer_cred().map_err(|error| self.failed(error))?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            let say = format!("user {} answers there, who is another one", peer.uid());
            return Err(self.failed(io::Error::new(io::ErrorKind::PermissionDenied, say)));
        }
        Ok(stream)
    }

    async fn ask<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        let failed = |error| self.failed(error);
        let other = |error: hyper::Error| self.failed(io::Error::other(error));
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(other)?;
        let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
        let body = body.map(serde_json::to_vec).transpose();
        let body = body
            .map_err(|error| failed(error.into()))?
            .unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| failed(io::Error::other(error)))?;
        let response = sender.send_request(request).await.map_err(other)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| failed(io::Error::other(error)))?;
        Ok((status, body.to_bytes()))
    }

    async fn soon<T>(
        &self,
        asked: impl Future<Output = Result<T, Unanswered>>,
    ) -> Result<T, Unanswered> {
        let silent = |_| self.silent();
        timeout(ALIVE, asked).await.map_err(silent)?
    }

    /// Waits for an answer as long as the host says beside it that it is alive.
    async fn while_alive<T>(
        &self,
        asked: impl Future<Output = Result<T, Unanswered>>,
    ) -> Result<T, Unanswered> {
        let life = async {
            loop {
                tokio::time::sleep(ASK).await;
                if let Err(gone) = self.health().await {
                    return gone;
                }
            }
        };
        tokio::select! {
            biased;
            answer = asked => answer,
            gone = life => Err(gone),
        }
    }

    fn answer<T: DeserializeOwned>(
        &self,
        (status, body): (StatusCode, Bytes),
    ) -> Result<T, Unanswered> {
        if status == StatusCode::OK {
            return read(&body).map_err(|error| self.failed(error));
        }
        let problems: AdminError = read(&body).map_err(|error| self.failed(error))?;
        Err(Unanswered::Refused(problems))
    }

    fn silent(&self) -> Unanswered {
        Unanswered::Silent {
            socket: self.socket.clone(),
        }
    }

    fn failed(&self, source: io::Error) -> Unanswered {
        Unanswered::Failed {
            socket: self.socket.clone(),
            source,
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| io::Error::other(format!("this is no answer of a host: {error}")))
}
