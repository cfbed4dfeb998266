//! What a capability is lent for one call: its arguments and bounds, who asked, its account, its log of
//! attempts, and the credentials that must not leave it.
//!
//! It names no capability, so none of them meets another through it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::shares::Account;
use crate::terms::{Caller, Clock, Limits, Progress};
use toolhost_outbound::AttemptLog;
use toolhost_outbound::secret::SecretPatterns;

/// One call as its capabilities know it.
pub struct CallContext<'a> {
    /// `tool.function`.
    pub function: &'a Arc<str>,
    /// Its bounds.
    pub limits: &'a Limits,
    /// What the call was given, a JSON object: rules may compare with it.
    pub arguments: &'a Arc<str>,
    /// When everything has to be over.
    pub deadline: Instant,
    /// What time it is.
    pub clock: Clock,
    /// Who asked; nobody, where a component is asked what it is.
    pub caller: Option<&'a Caller>,
    /// Where progress goes, when the agent asked for it.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Where attempts at the outside are recorded, and what every answer to the guest is kept by, or taken
    /// from.
    pub attempts: &'a AttemptLog,
    /// What the host holds for the call outside of the guest's own memory.
    pub account: &'a Account,
    /// The credentials that are taken out of whatever leaves the call.
    pub credentials: &'a Arc<SecretPatterns>,
}
