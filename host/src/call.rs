//! One call, in order: found, allowed, checked, given a place, admitted, recorded, run, released,
//! recorded. The rooms do the work; nothing is decided here.

mod setup;

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt as _;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use crate::gate::{Credential, Release};
pub use setup::{ListWatch, Setup};

use crate::capability::{AttemptLog, CurrentCall, tools};
use crate::catalog::Function;
use crate::gate::{self, Permit, Results, Terms};
use crate::ledger::{
    Admitted, Closing, Ending, Fingerprint, Ledger, LedgerError, OpenCall, Refused, Reload,
};
use crate::manifest::Manifest;
use crate::quota::{Quota, Reservation};
use crate::sandbox::{Errand, Lanes, Ran, Sandbox, ends_by, guessing, step_aside};
use crate::terms::{Bill, Caller, Code, Door, Fault, Listed, Outcome, Progress};

/// When a call that found no place within its deadline may come again, in seconds: others have
/// waited as long.
const LATER: u32 = 10;

/// How much work a check against a schema may be, in visits of a keyword, that is done where the call
/// is: some milliseconds.
const SHORT: u64 = 1_000_000;

/// The longest text, in bytes, that is written, digested and searched where the call is: some
/// hundred microseconds.
const SHORT_TEXT: usize = 64 << 10;

/// How long calls that were given up have to close their books when the host stops.
const BOOKS: Duration = Duration::from_secs(1);

/// The longest name of a function, in bytes, that is logged of a call that was refused.
const NAMED: usize = 128;

/// A running host: what the doors talk to.
pub struct Host {
    /// Who may ask for what, as of now. A call takes its function from it once.
    setup: watch::Sender<Arc<Setup>>,
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
    /// Since when the setup is not what the operator wrote last, if it is not.
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
    /// Puts the rooms together.
    #[must_use]
    pub fn new(
        setup: Setup,
        quota: Quota,
        (sandbox, lanes): (Arc<Sandbox>, Lanes),
        ledger: Ledger,
    ) -> Self {
        Self {
            setup: watch::Sender::new(Arc::new(setup)),
            quota,
            sandbox,
            lanes,
            results: Results::default(),
            ledger,
            stale: Mutex::default(),
        }
    }

    /// Who may ask for what, as of now.
    #[must_use]
    pub fn setup(&self) -> Arc<Setup> {
        self.setup.borrow().clone()
    }

    /// Who this is, if anybody.
    #[must_use]
    pub fn identify(&self, credential: Credential<'_>) -> Option<Caller> {
        self.setup.borrow().callers.identify(credential)
    }

    /// Waits until this credential stands for another caller than this one, or for none.
    pub async fn dismissed(&self, credential: Credential<'_>, caller: &Caller) {
        let is_another =
            |setup: &Arc<Setup>| setup.callers.identify(credential).as_ref() != Some(caller);
        // The sender is this host's own.
        let _ = self.setup.subscribe().wait_for(is_another).await;
    }

    /// How often the host was loaded anew: who was identified under another load is asked again.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.setup.borrow().load()
    }

    /// The functions a caller may use, in the order of the names agents see.
    #[must_use]
    pub fn listing(&self, caller: &Caller) -> Arc<Vec<Listed>> {
        self.setup
            .borrow()
            .listing(caller)
            .cloned()
            .unwrap_or_default()
    }

    /// Tells when a caller's list is another one.
    #[must_use]
    pub fn watch(&self, caller: &Caller) -> ListWatch {
        ListWatch::new(self.setup.subscribe(), caller)
    }

    /// Puts a new setup in the place of the old one, with the places that `manifest` grants. Calls that
    /// run finish on what they started with; those that wait for a place are judged anew.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written: then nothing changes.
    pub async fn reload(
        &self,
        setup: Setup,
        manifest: &Manifest,
        mut reload: Reload<'_>,
    ) -> Result<(), LedgerError> {
        let setup = setup.following(&self.setup());
        let load = setup.load();
        reload.load = load;
        self.ledger.reload(reload).await?;
        // Before the setup: whoever finds a function there finds places for it.
        self.quota.change(manifest);
        let setup = Arc::new(setup);
        // What only the old one held goes here, outside of the lock.
        drop(self.setup.send_replace(setup));
        *self.stale() = None;
        Ok(())
    }

    /// Says that what the operator wrote last could not be loaded. The first of several counts.
    pub fn not_reloaded(&self, now: SystemTime) {
        self.stale().get_or_insert(now);
    }

    /// Since when the setup is not what the operator wrote last, if it is not.
    #[must_use]
    pub fn stale_since(&self) -> Option<SystemTime> {
        *self.stale()
    }

    fn stale(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let host = self.clone();
        let caller = request.caller.agent.clone();
        let driven = self.lanes.drive(
            &caller,
            |cancel| async move { host.run(request, &cancel).await },
        );
        driven.await.unwrap_or_else(|fault| {
            let (code, detail) = (fault.code.as_str(), &fault.detail);
            tracing::error!(%caller, code, detail, "a call was given up");
            (Err(fault), Bill::default())
        })
    }

    /// Lets no call in any more and ends the record. Calls that run are not waited for: the doors do.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub async fn stop(&self) -> Result<(), LedgerError> {
        self.stop_within(BOOKS).await
    }

    /// The same, where calls have so much time to close their books: one whose agent has gone is
    /// waited for by nobody else, and its record has to have an end.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub async fn stop_within(&self, time: Duration) -> Result<(), LedgerError> {
        self.quota.close();
        if !self.lanes.are_empty(time).await {
            tracing::warn!(
                "calls did not come to their end in time: the ledger has none of theirs"
            );
        }
        self.ledger.seal().await
    }

    async fn run(
        &self,
        mut request: Request,
        cancel: &CancellationToken,
    ) -> (Result<Release, Fault>, Bill) {
        let asked = Instant::now();
        let mut arguments = Value::Object(std::mem::take(&mut request.arguments));
        let found = self.find(&request);
        let schema = found.as_ref().ok();
        let schema = schema.map(|found| found.function.listed.definition.input_schema.as_map());
        let text = written(&mut arguments, schema).await;
        let fingerprint = Fingerprint::of(text.as_bytes());

        let (found, permit) = match self
            .admit(&request, found, (arguments, text), asked, cancel)
            .await
        {
            Ok(admitted) => admitted,
            Err(fault) => {
                return (
                    Err(self.refuse(&request, fingerprint, fault)),
                    Bill::default(),
                );
            }
        };

        ends_by(permit.deadline());
        match self.record(&request, &found, &permit, fingerprint).await {
            Ok(record) => {
                // Every line that is logged from here on says of which call it is.
                let current = CurrentCall {
                    function: permit.function().clone(),
                    caller: permit.caller().agent.clone(),
                    id: record.id().0,
                };
                // Pinned here: what is as large as this is better not moved.
                let running = pin!(self.run_admitted(request, found, &permit, record, cancel));
                current.scope(running).await
            }
            Err(fault) => (Err(fault), Bill::default()),
        }
    }

    /// Runs a call whose record is begun, and ends its record.
    async fn run_admitted(
        &self,
        mut request: Request,
        found: Found,
        permit: &Permit,
        mut record: OpenCall,
        cancel: &CancellationToken,
    ) -> (Result<Release, Fault>, Bill) {
        let function = found.function;
        let attempts = AttemptLog::new(record.attempts().clone(), Some(function.equipment.clone()));
        let notes = attempts.clone();
        let errand = Errand {
            equipment: &function.equipment,
            progress: request.progress.take(),
            attempts,
            cancel,
        };
        let running = pin!(async {
            let Ran {
                answer,
                bill,
                after,
            } = self
                .sandbox
                .run(&function.tool.prepared, permit, errand)
                .await;
            let released = match answer {
                Ok(answer) => {
                    let caller = &request.caller.agent;
                    let deadline = permit.deadline();
                    let time = Time { deadline, cancel };
                    self.release(caller, &function, answer, &notes, time).await
                }
                Err(fault) => {
                    let patterns = function.equipment.patterns();
                    Err(gate::explain(fault, &notes.untold(), &patterns))
                }
            };
            (released, bill, after)
        });
        let (released, bill, after) = record.drive(running).await;
        let closed = closed(&released, bill, after);
        let recorded = record.close(&closed).map_err(unrecorded);
        (recorded.and(released), bill)
    }

    /// The function as it is now.
    fn find(&self, request: &Request) -> Result<Found, Fault> {
        let setup = self.setup.borrow();
        let found = setup.find(&request.caller, &request.function);
        let function = found.cloned()?;
        Ok(Found {
            function,
            load: setup.load(),
        })
    }

    /// Checks a call and takes a place for it. What a reload changed while it waited counts: what was
    /// withdrawn meanwhile does not run. From here on the call does not look at what a reload changes.
    async fn admit(
        &self,
        request: &Request,
        found: Result<Found, Fault>,
        (arguments, text): (Value, Arc<str>),
        asked: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Found, Permit), Fault> {
        let caller = &request.caller.agent;
        let mut found = found?;
        let deadline = asked + found.function.spec.limits.deadline;
        let time = Time { deadline, cancel };
        self.check(caller, &found.function, arguments, text.clone(), time)
            .await?;
        let reservation = self
            .reserve(request, &found.function, asked, cancel)
            .await?;
        // Every turn of it needs another reload.
        while self.load() != found.load {
            let now = self.find(request)?;
            // Another tool's function by this name has other places.
            if now.function.listed.id != found.function.listed.id {
                return Err(gate::unknown(&request.function));
            }
            found = now;
            let arguments = serde_json::from_str(&text).map_err(Fault::internal)?;
            self.check(caller, &found.function, arguments, text.clone(), time)
                .await?;
        }
        let function = &found.function;
        let permit = gate::admit(
            request.caller.clone(),
            function.listed.id.clone(),
            *function.tool.prepared.digest(),
            function.spec.clone(),
            text,
            asked,
            reservation,
        );
        Ok((found, permit))
    }

    async fn reserve(
        &self,
        request: &Request,
        function: &Function,
        asked: Instant,
        cancel: &CancellationToken,
    ) -> Result<Reservation, Fault> {
        let limits = &function.spec.limits;
        tokio::select! {
            biased;
            reserved = self.quota.reserve(&request.caller.agent, &function.listed.id.tool) => reserved,
            () = cancel.cancelled() => Err(Fault::new(Code::Cancelled, "The call was cancelled.")),
            () = tokio::time::sleep_until((asked + limits.deadline).into()) => Err(Fault::new(
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
        arguments: Fingerprint,
    ) -> Result<OpenCall, Fault> {
        let function = &found.function;
        let mut admitted = Admitted::new(
            permit.caller(),
            request.door,
            permit.function(),
            &function.tool.digest,
            arguments,
        );
        admitted.load = found.load;
        let recorded = self.ledger.admit(admitted, function.reach).await;
        recorded.map_err(unrecorded)
    }

    async fn check(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        arguments: Value,
        text: Arc<str>,
        time: Time<'_>,
    ) -> Result<(), Fault> {
        let work = function.checks.arguments()?.work(&text);
        let check = move |function: &Function| {
            let schema = function.checks.arguments()?;
            schema.check_arguments(&arguments, &text)
        };
        self.judge(caller, function, work, time, check).await
    }

    async fn release(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        answer: Result<tools::Output, tools::ToolError>,
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
        let work = match (function.checks.output()?, structured) {
            (Some(schema), Some(text)) => schema.work(text),
            _ => 0,
        };
        let redactions = notes.redactions();
        let (counted, denied) = (redactions.clone(), notes.untold());
        let release = move |function: &Function| {
            let terms = Terms {
                schema: function.checks.output()?,
                most: function.spec.limits.output,
                patterns: &function.equipment.patterns().counting(&counted),
                denied: &denied,
            };
            gate::release(answer, &terms, room)
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

/// How long a call is worked on.
#[derive(Clone, Copy)]
struct Time<'a> {
    /// When it has to be over.
    deadline: Instant,
    /// Says that nobody waits any more.
    cancel: &'a CancellationToken,
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

/// Arguments in their one form, as text. Where that is long, nobody else waits for it.
async fn written(arguments: &mut Value, schema: Option<&Map<String, Value>>) -> Arc<str> {
    let mut text = Text(Vec::with_capacity(128));
    let is_short = serde_json::to_writer(&mut text, arguments).is_ok();
    if !is_short {
        step_aside(Duration::ZERO).await;
    }
    if !gate::canonical(arguments, schema)
        && is_short
        && let Ok(text) = String::from_utf8(text.0)
    {
        return text.into();
    }
    arguments.to_string().into()
}

/// A text that is not long.
struct Text(Vec<u8>);

impl io::Write for Text {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.0.len() + more.len() > SHORT_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
