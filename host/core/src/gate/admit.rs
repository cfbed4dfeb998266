//! The way in, as proofs: each step makes a value that the next one takes, so that a step left out does
//! not compile.
//!
//! ```text
//! Callers::allow -> Allowed ── check ──> CheckedArguments ── decide ──> Decision ── Proceed(Cleared) ──┐
//!                                                     Quota::reserve -> Reservation ── admit ──────────┴─> Permit
//! ```
//!
//! Each has private fields and one maker. It does not know when a call waits, nor what it waits for.

use std::sync::Arc;
use std::time::Instant;

use super::{Callers, CanonicalArguments, FunctionPolicy};
use crate::manifest::FunctionSpec;
use crate::quota::Reservation;
use crate::terms::{Bill, Caller, Code, Fault, Fingerprint, FunctionId};

/// Proof that this caller may use this function. Only [`Callers::allow`] makes one.
///
/// Arguments are checked by whoever may use the function,
///
/// ```no_run
/// # use std::sync::Arc;
/// # use toolhost_core::gate::{Callers, CanonicalArguments, CheckedArguments, FunctionPolicy};
/// # use toolhost_core::terms::{Caller, Fault};
/// fn check(
///     callers: &Callers,
///     caller: &Caller,
///     function: &Arc<FunctionPolicy>,
///     arguments: CanonicalArguments,
/// ) -> Option<Result<CheckedArguments, Fault>> {
///     let allowed = callers.allow(caller, function)?;
///     Some(allowed.check(arguments))
/// }
/// ```
///
/// and by nobody else:
///
/// ```compile_fail,E0599
/// # use std::sync::Arc;
/// # use toolhost_core::gate::{Callers, CanonicalArguments, CheckedArguments, FunctionPolicy};
/// # use toolhost_core::terms::{Caller, Fault};
/// fn check(
///     callers: &Callers,
///     caller: &Caller,
///     function: &Arc<FunctionPolicy>,
///     arguments: CanonicalArguments,
/// ) -> Option<Result<CheckedArguments, Fault>> {
///     let allowed = function;
///     Some(allowed.check(arguments))
/// }
/// ```
#[must_use]
pub struct Allowed {
    caller: Caller,
    function: Arc<FunctionPolicy>,
}

impl Callers {
    /// Whether a caller may use a function, with the proof that it may.
    pub fn allow(&self, caller: &Caller, function: &Arc<FunctionPolicy>) -> Option<Allowed> {
        self.may(caller, function.id()).then(|| Allowed {
            caller: caller.clone(),
            function: function.clone(),
        })
    }
}

impl Allowed {
    /// Who may use it.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The function that may be used.
    #[must_use]
    pub fn function(&self) -> &FunctionPolicy {
        &self.function
    }

    /// How much work it may be to check these arguments, in visits of a keyword. A check cannot be
    /// stopped.
    ///
    /// # Errors
    ///
    /// `internal` for a lock that was written by hand.
    pub fn work(&self, arguments: &CanonicalArguments) -> Result<u64, Fault> {
        Ok(self.function.arguments()?.work(arguments.text()))
    }

    /// Checks arguments against the schema of the function.
    ///
    /// # Errors
    ///
    /// `invalid-arguments`, saying what to change.
    pub fn check(self, arguments: CanonicalArguments) -> Result<CheckedArguments, Fault> {
        let schema = self.function.arguments()?;
        schema.check_arguments(arguments.value(), arguments.text())?;
        let (text, fingerprint) = arguments.into_text();
        Ok(CheckedArguments {
            allowed: self,
            text,
            fingerprint,
        })
    }
}

/// Proof that arguments fit the function that its caller may use: their text in its one form, and its
/// digest. Only [`Allowed::check`] makes one.
///
/// What was checked can be decided on,
///
/// ```no_run
/// # use toolhost_core::gate::{Allowed, CanonicalArguments, Decision, decide};
/// # use toolhost_core::terms::Fault;
/// fn judge(allowed: Allowed, arguments: CanonicalArguments) -> Decision {
///     let checked = allowed.check(arguments);
///     decide(checked)
/// }
/// ```
///
/// and nothing else:
///
/// ```compile_fail,E0308
/// # use toolhost_core::gate::{Allowed, CanonicalArguments, Decision, decide};
/// # use toolhost_core::terms::Fault;
/// fn judge(allowed: Allowed, arguments: CanonicalArguments) -> Decision {
///     let checked = Ok::<_, Fault>(allowed);
///     decide(checked)
/// }
/// ```
#[must_use]
pub struct CheckedArguments {
    allowed: Allowed,
    text: Arc<str>,
    fingerprint: Fingerprint,
}

/// What the gate says of a call. Only [`decide`] makes one.
#[must_use]
pub enum Decision {
    /// It may have a place, and run.
    Proceed(Cleared),
    /// A person is asked first.
    Ask(ApprovalRequest),
    /// It does not run, and why.
    Refuse(Fault),
}

/// What a person is asked. Nobody is asked anything yet, so there is none.
///
/// It lives long, so it must hold nothing that others wait for: no place, no guest, no connection.
/// None of these can be cloned, and a question has to be, so that it cannot have one within.
#[derive(Clone)]
pub enum ApprovalRequest {}

const _: () = {
    const fn holds_nothing<T: Clone + Send + Sync + 'static>() {}
    holds_nothing::<ApprovalRequest>();
};

/// Proof that the gate lets a call proceed. It holds no place yet. Only [`decide`] makes one.
///
/// A call that was decided on can be admitted,
///
/// ```no_run
/// # use std::time::Instant;
/// # use toolhost_core::gate::{CheckedArguments, Decision, Permit, admit, decide};
/// # use toolhost_core::{quota::Reservation, terms::Fault};
/// fn enter(checked: CheckedArguments, place: Reservation, now: Instant) -> Result<Permit, Fault> {
///     let cleared = match decide(Ok(checked)) {
///         Decision::Proceed(cleared) => cleared,
///         Decision::Ask(request) => match request {},
///         Decision::Refuse(fault) => return Err(fault),
///     };
///     admit(cleared, place, now)
/// }
/// ```
///
/// and no other:
///
/// ```compile_fail,E0308
/// # use std::time::Instant;
/// # use toolhost_core::gate::{CheckedArguments, Decision, Permit, admit, decide};
/// # use toolhost_core::{quota::Reservation, terms::Fault};
/// fn enter(checked: CheckedArguments, place: Reservation, now: Instant) -> Result<Permit, Fault> {
///     let cleared = checked;
///     admit(cleared, place, now)
/// }
/// ```
#[must_use]
pub struct Cleared {
    checked: CheckedArguments,
}

/// Decides on a call whose arguments were checked, or did not fit.
pub fn decide(checked: Result<CheckedArguments, Fault>) -> Decision {
    match checked {
        Ok(checked) => Decision::Proceed(Cleared { checked }),
        Err(fault) => Decision::Refuse(fault),
    }
}

impl Cleared {
    /// Who asked.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.checked.allowed.caller
    }

    /// What was asked for.
    #[must_use]
    pub fn function(&self) -> &FunctionId {
        self.checked.allowed.function.id()
    }

    /// Its arguments, to be judged anew: what it was judged by is not what holds now.
    ///
    /// # Errors
    ///
    /// `internal` if they cannot be read any more.
    pub fn into_arguments(self) -> Result<CanonicalArguments, Fault> {
        CanonicalArguments::again(self.checked.text, self.checked.fingerprint)
    }
}

/// Proof that a call was judged: who may run which function of which component, with which
/// arguments, grants and limits, on a place that is held for it. It is the only thing the sandbox
/// accepts, and only [`admit`] makes one.
pub struct Permit {
    checked: CheckedArguments,
    deadline: Instant,
    reservation: Reservation,
}

/// Admits a call: the last step before it runs. Its deadline begins `now`.
///
/// # Errors
///
/// `internal` for a place that is held for another caller or another tool.
pub fn admit(cleared: Cleared, reservation: Reservation, now: Instant) -> Result<Permit, Fault> {
    let own = (&cleared.caller().agent, &cleared.function().tool);
    if (reservation.caller(), reservation.tool()) != own {
        return Err(Fault::internal("a place of another call came to the gate"));
    }
    Ok(Permit {
        deadline: now + cleared.checked.allowed.function.spec().limits.deadline,
        checked: cleared.checked,
        reservation,
    })
}

impl Permit {
    fn policy(&self) -> &FunctionPolicy {
        &self.checked.allowed.function
    }

    /// Whether this very policy is what the call was judged by: not another function's, nor what the
    /// same function had before or after a reload.
    #[must_use]
    pub fn is_by(&self, policy: &Arc<FunctionPolicy>) -> bool {
        Arc::ptr_eq(&self.checked.allowed.function, policy)
    }

    /// Who asked.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.checked.allowed.caller
    }

    /// What was asked for.
    #[must_use]
    pub fn function(&self) -> &FunctionId {
        self.policy().id()
    }

    /// SHA-256 of the component that may run.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        self.policy().component()
    }

    /// Grants and limits.
    #[must_use]
    pub fn spec(&self) -> &FunctionSpec {
        self.policy().spec()
    }

    /// The checked arguments, as JSON text.
    #[must_use]
    pub const fn arguments(&self) -> &Arc<str> {
        &self.checked.text
    }

    /// What the ledger keeps of the arguments.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.checked.fingerprint
    }

    /// When the call has to be over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Notes what the call has used by now: what counts if it does not come to its end.
    pub fn used(&self, bill: Bill) {
        self.reservation.used(bill);
    }

    /// The call is over: its place is given back, with its bill.
    pub fn settle(self, bill: Bill) {
        self.reservation.settle(bill);
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

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
