//! Standard input and output of a host of their own. Standard output carries the protocol and nothing
//! else.
//!
//! It does not know what is said.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::mcp::{self, Known, Signals, speak};
use crate::call::{Credential, Host};
use crate::terms::Door;

/// Serves one agent on standard input and output until it closes the input or `stop` fires. Then
/// what runs may end within `grace`. A line has at most `message` bytes.
///
/// Where standard input is not a pipe, a thread of the runtime may stay in a read that nothing
/// ends: shut the runtime down with `shutdown_background`.
///
/// # Errors
///
/// When no caller stands for standard input.
pub async fn serve_stdio(
    host: Arc<Host>,
    message: usize,
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
        allowance: Arc::new(Budget::new(message)).of(&caller),
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
