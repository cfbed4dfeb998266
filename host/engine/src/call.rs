//! One call, in order: found, allowed, checked, decided on, given a place, admitted, recorded, run, released,
//! recorded. The rooms do the work; nothing is decided here. It does not know formats or policy.

mod facade;
mod judging;
mod snapshot;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use crate::gate::{Credential, Release};
pub use snapshot::{ListWatch, Snapshot};

use self::judging::Time;
use crate::catalog::Function;
use crate::gate::{
    self, Allowed, CanonicalArguments, Cleared, Decision, Permit, RawArguments, Results,
};
use crate::ledger::{Admitted, Closing, Ending, Ledger, LedgerError, OpenCall, Refused};
use crate::quota::{Quota, Reservation};
use crate::sandbox::{Lanes, RunInputs, RunReport, Sandbox, ends_by, step_aside};
use crate::terms::{Bill, Caller, Code, Door, Fault, Fingerprint, Outcome, Progress};
use toolhost_outbound::{AttemptLog, CurrentCall, Recorder};

/// When a call that found no place within its deadline may come again, in seconds: others have
/// waited as long.
const LATER: u32 = 10;

/// The longest text, in bytes, that is written, digested and searched where the call is: some
/// hundred microseconds.
const SHORT_TEXT: usize = 64 << 10;

/// The longest name of a function, in bytes, that is logged of a call that was refused.
const NAMED: usize = 128;

/// A running host: what the doors talk to.
pub struct Host {
    /// Who may ask for what, as of now. A call takes its function from it once.
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// Is there room.
    pub quota: Quota,
    /// Where guests run.
    pub sandbox: Arc<Sandbox>,
    /// On which threads.
    pub lanes: Lanes,
    /// Is there room for what it answers.
    results: Results,
    /// What happened.
    pub ledger: Ledger,
    /// Since when the snapshot is not what the operator wrote last, if it is not.
    stale: Mutex<Option<SystemTime>>,
}

/// What an agent asks for.
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// Through which door.
    pub door: Door,
    /// The function, by the name agents use.
    pub function: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// Where progress goes, where it was asked for.
    pub progress: Option<mpsc::Sender<Progress>>,
}

impl Host {
    /// Runs one call. Dropping the future stops the guest and closes the call's record as cancelled.
    ///
    /// # Errors
    ///
    /// Every fault of [`Code`]; a tool's own error is not one of them.
    pub async fn call(self: &Arc<Self>, request: Request) -> Result<Release, Fault> {
        self.call_with_bill(request).await.0
    }

    /// Runs one call and says what it used. Nothing is used by a call that does not run.
    pub async fn call_with_bill(
        self: &Arc<Self>,
        request: Request,
    ) -> (Result<Release, Fault>, Bill) {
        self.call_recorded(request, Recorder::off()).await
    }

    /// Runs one call whose answers from outside are recorded, or taken from a recording. What the
    /// recorder has is whole when this is done.
    pub async fn call_recorded(
        self: &Arc<Self>,
        request: Request,
        recorder: Recorder,
    ) -> (Result<Release, Fault>, Bill) {
        let host = self.clone();
        let caller = request.caller.agent.clone();
        let driven = self.lanes.drive(&caller, |cancel| async move {
            host.run(request, recorder, &cancel).await
        });
        driven.await.unwrap_or_else(|fault| {
            let (code, detail) = (fault.code.as_str(), &fault.detail);
            tracing::error!(%caller, code, detail, "a call was given up");
            (Err(fault), Bill::default())
        })
    }

    async fn run(
        &self,
        mut request: Request,
        recorder: Recorder,
        cancel: &CancellationToken,
    ) -> (Result<Release, Fault>, Bill) {
        let asked = self.sandbox.clock().now();
        let found = self.find(&request);
        let raw = RawArguments::new(std::mem::take(&mut request.arguments), SHORT_TEXT);
        if raw.are_long() {
            step_aside(Duration::ZERO).await;
        }
        let schema = found.as_ref().ok();
        let schema = schema.map(|(_, allowed)| allowed.function().input_schema());
        let arguments = raw.canonical(schema);
        let fingerprint = arguments.fingerprint();

        let (found, permit) = match self.admit(&request, found, arguments, asked, cancel).await {
            Ok(admitted) => admitted,
            Err(fault) => {
                return (
                    Err(self.refuse(&request, fingerprint, fault)),
                    Bill::default(),
                );
            }
        };

        ends_by(permit.deadline());
        match self.record(&request, &found, &permit).await {
            Ok(record) => {
                // Every line that is logged from here on says of which call it is.
                let current = CurrentCall {
                    function: permit.function().clone(),
                    caller: permit.caller().agent.clone(),
                    id: record.id().0,
                };
                // Pinned here: what is as large as this is better not moved.
                let attempts = AttemptLog::recorded(
                    record.attempts().clone(),
                    Some(found.function.ready.grants().credentials().clone()),
                    recorder,
                );
                let running = self.run_admitted(request, found, permit, (record, attempts), cancel);
                let running = pin!(running);
                current.scope(running).await
            }
            Err(fault) => (Err(fault), Bill::default()),
        }
    }

    /// Runs a call whose record is begun, ends its record, and settles its place.
    async fn run_admitted(
        &self,
        mut request: Request,
        found: Found,
        permit: Permit,
        (mut record, attempts): (OpenCall, AttemptLog),
        cancel: &CancellationToken,
    ) -> (Result<Release, Fault>, Bill) {
        let function = found.function;
        let notes = attempts.clone();
        let inputs = RunInputs {
            function: &function.ready,
            progress: request.progress.take(),
            attempts,
            cancel,
        };
        // What runs has the permit until it is over.
        let (released, bill, after) = {
            let running = pin!(async {
                let RunReport {
                    answer,
                    bill,
                    after,
                } = self
                    .sandbox
                    .run(&function.tool.prepared, &permit, inputs)
                    .await;
                permit.used(bill);
                let released = match answer {
                    Ok(answer) => {
                        let caller = &request.caller.agent;
                        let deadline = permit.deadline();
                        let time = Time { deadline, cancel };
                        self.release(caller, &function, answer, &notes, time).await
                    }
                    Err(fault) => {
                        let patterns = function.ready.grants().patterns();
                        Err(gate::explain(fault, &notes.untold(), &patterns))
                    }
                };
                (released, bill, after)
            });
            record.drive(running).await
        };
        let closed = closed(&released, bill, after);
        let recorded = record.close(&closed).map_err(unrecorded);
        permit.settle(bill);
        (recorded.and(released), bill)
    }

    /// The function as it is now, if its caller may use it.
    fn find(&self, request: &Request) -> Result<(Found, Allowed), Fault> {
        let snapshot = self.snapshot.borrow();
        let (function, allowed) = snapshot.find(&request.caller, &request.function)?;
        let found = Found {
            function: function.clone(),
            load: snapshot.load(),
        };
        Ok((found, allowed))
    }

    /// Judges a call, takes a place for it, and admits it. What a reload changed while it waited counts:
    /// what was withdrawn meanwhile does not run. From here on the call does not look at what a reload
    /// changes. All that comes before the admission may take as long as the call itself.
    async fn admit(
        &self,
        request: &Request,
        found: Result<(Found, Allowed), Fault>,
        arguments: CanonicalArguments,
        asked: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Found, Permit), Fault> {
        let (mut found, allowed) = found?;
        let deadline = asked + allowed.function().spec().limits.deadline;
        let time = Time { deadline, cancel };
        let mut cleared = self.clear(&found, allowed, arguments, time).await?;
        let reservation = self.reserve(&cleared, time).await?;
        // Every turn of it needs another reload.
        while self.load() != found.load {
            let (now, allowed) = self.find(request)?;
            // Another tool's function by this name has other places.
            if now.function.listed.id != found.function.listed.id {
                return Err(gate::unknown(&request.function));
            }
            found = now;
            let arguments = cleared.into_arguments()?;
            cleared = self.clear(&found, allowed, arguments, time).await?;
        }
        let permit = gate::admit(cleared, reservation, self.sandbox.clock().now())?;
        Ok((found, permit))
    }

    /// Has the arguments checked and the call decided on.
    async fn clear(
        &self,
        found: &Found,
        allowed: Allowed,
        arguments: CanonicalArguments,
        time: Time<'_>,
    ) -> Result<Cleared, Fault> {
        let checked = self.check(&found.function, allowed, arguments, time).await;
        match gate::decide(checked) {
            Decision::Proceed(cleared) => Ok(cleared),
            // Nobody is asked yet. Who asks gives back first what a call that is judged anew holds.
            Decision::Ask(request) => match request {},
            Decision::Refuse(fault) => Err(fault),
        }
    }

    async fn reserve(&self, cleared: &Cleared, time: Time<'_>) -> Result<Reservation, Fault> {
        let (caller, tool) = (&cleared.caller().agent, &cleared.function().tool);
        tokio::select! {
            biased;
            reserved = self.quota.reserve(caller, tool) => reserved,
            () = time.cancel.cancelled() => Err(Fault::new(Code::Cancelled, "The call was cancelled.")),
            () = tokio::time::sleep_until(time.deadline.into()) => Err(Fault::new(
                Code::Busy,
                "The tool was busy for longer than the call's deadline. Try again later.",
            )
            .retry_after(LATER)),
        }
    }

    async fn record(
        &self,
        request: &Request,
        found: &Found,
        permit: &Permit,
    ) -> Result<OpenCall, Fault> {
        let function = &found.function;
        let mut admitted = Admitted::new(
            permit.caller(),
            request.door,
            permit.function(),
            &function.tool.digest,
            permit.fingerprint(),
        );
        admitted.load = found.load;
        let recorded = self.ledger.admit(admitted, function.reach).await;
        recorded.map_err(unrecorded)
    }

    /// A call that does not run is recorded too, and the caller hears why.
    fn refuse(&self, request: &Request, arguments: Fingerprint, fault: Fault) -> Fault {
        let recorded = self.ledger.refuse(Refused::new(
            &request.caller,
            request.door,
            &request.function,
            arguments,
            fault.code,
        ));
        if let Some(detail) = &fault.detail {
            let (code, caller) = (fault.code.as_str(), &*request.caller.agent);
            let call = recorded.as_ref().ok().copied().flatten().map(|id| id.0);
            // What was asked for is the caller's own text.
            let name = &request.function;
            let function = &name[..name.floor_char_boundary(NAMED)];
            tracing::warn!(
                code,
                detail,
                %function,
                %caller,
                call,
                "call ended by a fault"
            );
        }
        match recorded {
            Ok(_) => fault,
            Err(error) => unrecorded(error),
        }
    }
}

/// A function, and under which load of the host it was found.
struct Found {
    function: Arc<Function>,
    load: u64,
}

/// What is not recorded does not happen.
fn unrecorded(error: LedgerError) -> Fault {
    // The ledger says it once, aloud: callers could fill the log with this.
    tracing::debug!(%error, "the ledger cannot be written");
    Fault::new(
        Code::LedgerFailed,
        "The host cannot record calls now and so runs none. Its operator should look.",
    )
    .detail(error)
}

/// What only the operator hears.
fn warn(fault: &Fault) {
    if let Some(detail) = &fault.detail {
        tracing::warn!(code = fault.code.as_str(), detail, "call ended by a fault");
    }
}

/// How the call ended, for its record.
fn closed(released: &Result<Release, Fault>, bill: Bill, after: Option<Code>) -> Closing {
    let (ending, result) = match released {
        Ok(release) => (
            match release.outcome() {
                Outcome::Output(_) => Ending::Ok,
                Outcome::Error(error) => Ending::ToolError(error.code),
            },
            Some(release.fingerprint()),
        ),
        Err(fault) => {
            warn(fault);
            (Ending::Fault(fault.code), None)
        }
    };
    Closing {
        ending,
        result,
        bill,
        after,
    }
}
