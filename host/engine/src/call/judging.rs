//! Checks of one call that may be long: of its arguments, and of what its guest answered. What is long
//! is done in nobody's way, and is not waited for longer than the call has.
//!
//! It does not know what comes before and behind a check.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::{Host, SHORT_TEXT};
use crate::catalog::Function;
use crate::gate::{self, Allowed, CanonicalArguments, CheckedArguments, Release, ReleasePolicy};
use crate::sandbox::{guessing, step_aside};
use crate::terms::{Code, Fault, GuestAnswer};
use toolhost_outbound::AttemptLog;

/// How much work a check against a schema may be, in visits of a keyword, that is done where the call
/// is: some milliseconds.
const SHORT: u64 = 1_000_000;

impl Host {
    /// Checks arguments against the schema of the function that was found.
    pub(super) async fn check(
        &self,
        function: &Arc<Function>,
        allowed: Allowed,
        arguments: CanonicalArguments,
        time: Time<'_>,
    ) -> Result<CheckedArguments, Fault> {
        let caller = allowed.caller().agent.clone();
        let work = allowed.work(&arguments)?;
        let check = move |_: &Function| allowed.check(arguments);
        self.judge(&caller, function, work, time, check).await
    }

    /// Judges what a guest answered.
    pub(super) async fn release(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        answer: GuestAnswer,
        notes: &AttemptLog,
        time: Time<'_>,
    ) -> Result<Release, Fault> {
        if gate::size(&answer) > SHORT_TEXT {
            step_aside(Duration::ZERO).await;
        }
        let room = time.within(self.results.room(caller, &answer)).await?;
        let structured = answer
            .as_ref()
            .ok()
            .and_then(|output| output.structured.as_deref());
        let work = match (function.ready.policy().output()?, structured) {
            (Some(schema), Some(text)) => schema.work(text),
            _ => 0,
        };
        let redactions = notes.redactions();
        let (counted, denied) = (redactions.clone(), notes.untold());
        let release = move |function: &Function| {
            let policy = ReleasePolicy {
                schema: function.ready.policy().output()?,
                most: function.ready.policy().spec().limits.output,
                secrets: &function.ready.grants().patterns().counting(&counted),
                denied: &denied,
            };
            gate::release(answer, &policy, room)
        };
        let released = self.judge(caller, function, work, time, release).await;
        // What the guest said last counts, too.
        match redactions.are_too_many() {
            true => Err(guessing()),
            false => released,
        }
    }

    /// Judges at once where that is short work. Long work is done in nobody's way and is waited for no
    /// longer than the call may last: a schema is the tool's own, and a check cannot be stopped.
    async fn judge<T: Send + 'static>(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        work: u64,
        time: Time<'_>,
        judge: impl FnOnce(&Function) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if work <= SHORT {
            return judge(function);
        }
        let (own, judges) = (function.clone(), function.judges.clone());
        let judged = async move {
            let place = judges.wait(caller, 1).await.map_err(Fault::internal)?;
            let judge = move || {
                let _place = place;
                judge(&own)
            };
            self.lanes.aside(caller, judge).await?
        };
        time.within(judged).await
    }
}

/// How long a call is worked on.
#[derive(Clone, Copy)]
pub(super) struct Time<'a> {
    /// When it has to be over.
    pub(super) deadline: Instant,
    /// Says that nobody waits any more.
    pub(super) cancel: &'a CancellationToken,
}

impl Time<'_> {
    /// What comes of host work that may have to wait, if it is there in time.
    async fn within<T>(self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut work = pin!(work);
        // Most often it need not: then nothing is made that would end it.
        if let Some(done) = work.as_mut().now_or_never() {
            return done;
        }
        tokio::select! {
            biased;
            done = work => done,
            () = self.cancel.cancelled() => Err(Fault::new(Code::Cancelled, "The call was cancelled.")),
            () = tokio::time::sleep_until(self.deadline.into()) => Err(Fault::new(
                Code::DeadlineExceeded,
                "The arguments or the result of the call could not be checked in its time. Ask with less, or for less.",
            )),
        }
    }
}
