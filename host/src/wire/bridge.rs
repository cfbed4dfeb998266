//! Standard input and output: a host of their own, or a bridge to the host that runs already.
//!
//! It does not know what passes over the bridge. Standard output carries the protocol and nothing
//! else.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::deadline::Deadlined;
use super::mcp::{self, Known, Signals, speak};
use super::unix::{self, Audience};
use crate::call::{Credential, Host};
use crate::terms::Door;

/// Serves one agent on standard input and output until it closes the input or `stop` fires. Then
/// what runs may end within `grace`.
///
/// Where standard input is not a pipe, a thread of the runtime may stay in a read that nothing
/// ends: shut the runtime down with `shutdown_background`.
///
/// # Errors
///
/// When no caller stands for standard input.
pub async fn serve_stdio(
    host: Arc<Host>,
    stop: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let caller = host.identify(Credential::Stdio).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::PermissionDenied,
            "no caller stands for standard input. Give one [caller.<name>] stdio = true.",
        )
    })?;
    let known = Known {
        allowance: Arc::new(Budget::new()).of(&caller),
        caller,
        by: Credential::Stdio,
        door: Door::Stdio,
        seat: None,
    };
    let signals = Signals {
        stop: stop.clone(),
        cut: CancellationToken::new(),
    };
    let cut = signals.cut.clone();
    let cut_off = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
        cut.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = speak(host, known, mcp::stdio(), signals) => {}
        () = cut_off => {}
    }
    Ok(())
}

/// Connects standard input and output to the host that answers on `socket`, until either side
/// ends. False, and nothing read, when no host answers. What answers has to be a host of this user or
/// of root, where a host could have bound the socket: the agent's words are for nobody else.
///
/// # Errors
///
/// When the socket is there but may not be used, or the connection breaks.
pub async fn bridge(socket: &Path, audience: Audience) -> io::Result<bool> {
    if !unix::may_be_a_hosts(socket, audience)? {
        return Ok(false);
    }
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(error.kind()) => return Ok(false),
        Err(error) => {
            let say = format!("cannot use the socket {}: {error}", socket.display());
            return Err(io::Error::new(error.kind(), say));
        }
    };
    let peer = stream.peer_cred()?.uid();
    if !unix::is_trusted(peer) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "user {peer} answers on the socket {}, who is neither this one nor root. Stop that process and remove the socket, or choose another path.",
                socket.display()
            ),
        ));
    }
    let (mut from_host, mut to_host) = stream.into_split();
    let (mut input, output) = mcp::stdio();
    let mut output = Deadlined::new(output);
    let ask = async {
        tokio::io::copy(&mut input, &mut to_host).await?;
        // The host sees the end of the input, answers what it was asked, and closes.
        to_host.shutdown().await?;
        std::future::pending::<io::Result<()>>().await
    };
    let answer = async {
        tokio::io::copy(&mut from_host, &mut output).await?;
        output.flush().await
    };
    tokio::select! {
        end = answer => end?,
        end = ask => end?,
    }
    Ok(true)
}

fn is_nobody(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
