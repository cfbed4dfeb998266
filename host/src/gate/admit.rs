//! The way in. A [`Permit`] is the only thing the sandbox accepts, and only [`admit`] makes one.

use std::sync::Arc;
use std::time::Instant;

use crate::manifest::FunctionSpec;
use crate::quota::Reservation;
use crate::terms::{Caller, Code, Fault, FunctionId};

/// Proof that a call was judged: who may run which function of which component, with which
/// arguments, grants and limits, on a place that is held for it.
pub struct Permit {
    caller: Caller,
    function: FunctionId,
    digest: [u8; 32],
    spec: Arc<FunctionSpec>,
    arguments: Arc<str>,
    deadline: Instant,
    _reservation: Reservation,
}

impl Permit {
    /// Who asked.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What was asked for.
    #[must_use]
    pub const fn function(&self) -> &FunctionId {
        &self.function
    }

    /// SHA-256 of the component that may run.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Grants and limits.
    #[must_use]
    pub fn spec(&self) -> &FunctionSpec {
        &self.spec
    }

    /// The checked arguments, as JSON text.
    #[must_use]
    pub const fn arguments(&self) -> &Arc<str> {
        &self.arguments
    }

    /// When the call has to be over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// What a caller hears of a function that does not exist, and of one that it may not use: the same.
#[must_use]
pub fn unknown(name: &str) -> Fault {
    // The name is the agent's own text: bounded and without control characters before it goes back.
    let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
    Fault::new(
        Code::UnknownFunction,
        format!("Unknown tool: `{name}`. Use a name from tools/list."),
    )
}

/// What a caller hears of a function that it may use, but whose tool could not be loaded.
#[must_use]
pub fn missing(id: &FunctionId) -> Fault {
    Fault::new(
        Code::MissingResource,
        format!(
            "The tool `{}` could not be loaded when the host started. Its operator has to look; other tools go on.",
            id.tool
        ),
    )
}

/// Admits a call whose right and arguments were checked: the last step before it runs.
///
/// `asked` is when the call came in; its deadline counts from there, so that waiting for a place is
/// part of it.
#[must_use]
pub fn admit(
    caller: Caller,
    function: FunctionId,
    digest: [u8; 32],
    spec: Arc<FunctionSpec>,
    arguments: Arc<str>,
    asked: Instant,
    reservation: Reservation,
) -> Permit {
    let deadline = asked + spec.limits.deadline;
    Permit {
        caller,
        function,
        digest,
        spec,
        arguments,
        deadline,
        _reservation: reservation,
    }
}
