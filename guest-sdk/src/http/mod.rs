//! Outgoing HTTP: one whole request, one whole response, typed JSON in one line.
//!
//! What the manifest does not grant is refused as `denied`. A credential that it grants is added by
//! the host; the tool never has it. Redirects are followed only where the
//! grant says so.
//!
//! ```
//! # use toolhost_sdk::{ToolError, http, http::Response};
//! #[derive(serde::Deserialize)]
//! struct Order { state: String }
//!
//! fn state(id: &str) -> Result<String, ToolError> {
//!     let order: Order = http::get(format_args!("https://shop.example/orders/{}", http::segment(id)))
//!         .query("fields", "state")
//!         .json()?;
//!     Ok(order.state)
//! }
//!
//! // Natively a test brings the upstream:
//! let answer = http::with_transport(
//!     |request| {
//!         assert_eq!(request.url, "https://shop.example/orders/a%2Fb?fields=state");
//!         Ok(Response::new(200).with_body(r#"{"state":"sent"}"#))
//!     },
//!     || state("a/b"),
//! );
//! assert_eq!(answer, Ok("sent".to_owned()));
//! ```

mod error;
mod request;
mod response;
mod transport;

pub use error::{Error, ErrorCode};
pub use request::{Request, delete, get, patch, post, put, request, segment};
pub use response::Response;
#[cfg(not(target_arch = "wasm32"))]
pub use transport::with_transport;
