//! The operators' door: HTTP/1 with JSON on a Unix socket that only the host's own user can reach, and
//! whose peers the kernel names. No agent is served here, and no agents' door serves any of it.
//!
//! ```text
//! GET  /health        as at the agents' doors
//! GET  /ledger/head   the last record of the ledger, as the host that wrote it knows it
//! POST /call          a call, as a caller that the operator names
//! POST /reload        the manifest is loaded anew: what changed, or all that is wrong with it
//! ```
//!
//! The commands that find a running host speak to it here. Whoever wants to read the ledger reads its
//! files, which are the operator's own: a reading costs the host nothing and needs no host. Only what
//! the files cannot show by themselves, their end, is asked for.

mod client;
mod service;
mod words;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::service::Admin;
use super::door::Listener;
use super::drain::Drain;
use crate::call::Host;

pub use client::{Client, Unanswered};
pub use service::ReloadRequest;
pub use words::{AdminError, AnswerPiece, CallAnswer, CallRequest, Reloaded, perform};

/// Serves operators at a listener until `stop`, as the agents' doors are served. A body has at most
/// `message` bytes. Reloads are asked of whoever has the other end of `reloads`.
///
/// # Errors
///
/// When the system gives no thread, or no descriptors, to take connections in with.
pub async fn serve_admin(
    host: Arc<Host>,
    listener: Listener,
    message: usize,
    reloads: mpsc::Sender<ReloadRequest>,
    (stop, grace): (CancellationToken, Duration),
) -> io::Result<()> {
    let drain = Drain::new(stop);
    let admin = Arc::new(Admin::new(host, message, reloads, drain.ends()));
    drain
        .serve("admin-door", vec![listener], admin, grace)
        .await
}
