//! A response as the client gives it, before anybody judged it, and the one way to get one.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::connect::{HttpInfo, capture_connection};

use super::client::Client;
use super::meter::{Flight, Meter};
use super::sending::{Sending, Watched};

/// A response whose body is still under way.
pub(super) type Reply = Response<Arriving>;

/// A body under way.
#[derive(Debug)]
pub(super) enum Arriving {
    /// It came over no network.
    Whole(Option<Bytes>),
    /// It comes over this connection.
    Wire(Wire),
}

/// A body on a connection.
#[derive(Debug)]
pub(super) struct Wire {
    incoming: Incoming,
    flight: Option<Flight>,
}

/// Sends a request and waits for the head of its response. From the moment a connection takes it up,
/// `sending` says so; giving this future up closes that connection.
pub(super) async fn ask(
    client: &Client,
    mut request: http::Request<Full<Bytes>>,
    sending: &Sending,
) -> Result<Reply, hyper_util::client::legacy::Error> {
    let seen = capture_connection(&mut request);
    let request = request.map(|bytes| Watched {
        bytes,
        sending: sending.clone(),
        chosen: seen.clone(),
    });
    let mut asked = pin!(client.request(request));
    let mut flight: Option<Flight> = None;
    let response = poll_fn(|context| {
        let polled = asked.as_mut().poll(context);
        // A connection that ended before it took the request up is exchanged for another one.
        if let (Some(former), Some(meter)) = (&mut flight, Meter::of(&seen))
            && !former.is_on(&meter)
        {
            former.whole();
            flight = None;
        }
        if flight.is_none() {
            flight = Flight::begin(&seen);
        }
        polled
    })
    .await
    .inspect_err(|_| sending.failed())?;
    Ok(response.map(|incoming| Arriving::Wire(Wire { incoming, flight })))
}

/// Who answered.
pub(super) fn peer(reply: &Reply) -> Option<SocketAddr> {
    let info = reply.extensions().get::<HttpInfo>();
    info.map(HttpInfo::remote_addr)
}

impl Arriving {
    /// How long the whole body is, where that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => {
                let bytes = bytes.as_ref().map_or(0, Bytes::len);
                u64::try_from(bytes).ok()
            }
            Self::Wire(wire) => wire.incoming.size_hint().exact(),
        }
    }

    /// The next piece, never an empty one, or `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        match self {
            Self::Whole(bytes) => Ok(bytes.take().filter(|bytes| !bytes.is_empty())),
            Self::Wire(wire) => wire.chunk().await,
        }
    }
}

impl Wire {
    async fn chunk(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        // Frames without data end this too: the connection's meter counts them.
        while let Some(frame) = self.incoming.frame().await {
            let Ok(piece) = frame?.into_data() else {
                continue;
            };
            if let Some(flight) = &mut self.flight {
                flight.read(piece.len());
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        self.whole();
        Ok(None)
    }

    fn whole(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.whole();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // All that there is was read, though nobody has asked for the end of it.
        if self.incoming.is_end_stream() {
            self.whole();
        }
    }
}
