//! One exchange over HTTP, whichever way the guest asked for it: judged by the policy, sent by the dialer.

mod ahead;
mod attempt;
mod error;
mod exchange;
mod leak;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use ahead::{ROOM, ahead, room};
pub use error::{ErrorCode, HttpError};
pub use exchange::{
    Body, HttpContext, Outbound, OutboundRequest, OutboundResponse, RequestTarget, exchange,
};
