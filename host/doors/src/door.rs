//! Places to listen at, and the connections that come in there.
//!
//! It does not know what is spoken on a connection.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::unix::{Audience, UnixDoor};

/// One bound address of the agents' door.
#[derive(Debug)]
pub struct Listener {
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Unix(UnixDoor),
    Http(TcpListener, SocketAddr),
}

impl Listener {
    /// Binds a Unix socket, 0600 in a folder of 0700 that is made where it is missing. The socket
    /// goes away with the listener.
    ///
    /// # Errors
    ///
    /// Where the folder or the socket is a link, belongs to somebody else or is open to others,
    /// where another host answers, and where the system refuses; the text says what to do.
    pub fn unix(path: &Path) -> io::Result<Self> {
        Self::unix_for(path, Audience::Own)
    }

    /// As [`Self::unix`], for callers under other users too: 0666 in a folder of 0711.
    ///
    /// # Errors
    ///
    /// The same; the folder may be open to others as far as they cannot change it.
    pub fn unix_for(path: &Path, audience: Audience) -> io::Result<Self> {
        Ok(Self {
            kind: Kind::Unix(UnixDoor::bind(path, audience)?),
        })
    }

    /// Binds HTTP on loopback; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Where the address is not loopback or the system refuses; the text says what to do.
    pub async fn http(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{address} is not a loopback address: the agents' door opens to this machine only. Use 127.0.0.1 or [::1]."
                ),
            ));
        }
        let listener = bind(address).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => {
                    " Another process listens there: stop it or choose another port."
                }
                _ => "",
            };
            io::Error::new(
                error.kind(),
                format!("cannot listen on http://{address}: {error}.{hint}"),
            )
        })?;
        let bound = listener.local_addr()?;
        Ok(Self {
            kind: Kind::Http(listener, bound),
        })
    }

    /// The address of an HTTP door.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Unix(_) => None,
            Kind::Http(_, address) => Some(*address),
        }
    }

    /// Where agents find it: the socket's path as `unix:...`, or the endpoint's URL.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::Unix(door) => format!("unix:{}", door.path().display()),
            Kind::Http(_, address) => format!("http://{address}/mcp"),
        }
    }
}

/// Connections that the system keeps for a moment until they are taken in.
const BACKLOG: i32 = 1_024;

/// What connections are taken from, in whatever runtime.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
