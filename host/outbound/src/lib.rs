//! How the host reaches the network, and nothing else does: secrets, names, connections, and one exchange
//! from a request that a policy allows to the response that its guest may read.
//!
//! It does not know who calls, nor which way a guest says what it asks for.

mod attempts;
mod current_call;
pub mod descriptors;
pub mod dial;
pub mod http;
mod recorder;
pub mod resolve;
pub mod secret;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use toolhost_core::{egress, shares, terms};

pub use attempts::{AttemptLog, OpenAttempt};
#[cfg(any(test, feature = "testing"))]
pub use attempts::{Noted, Unrecordable};
pub use current_call::{Carried, CurrentCall};
pub use recorder::{AnswerSource, NoRecording, Recorder};
