//! One call, in order: found, allowed, checked, given a place, admitted, recorded, run, released,
//! recorded. The rooms do the work; nothing is decided here.

mod setup;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use crate::gate::{Credential, Release};
pub use setup::{ListWatch, Setup};

use crate::capability::service::secret::Redactions;
use crate::capability::{Pen, tools};
use crate::catalog::Function;
use crate::gate::{self, Permit, Terms};
use crate::ledger::{
    Admitted, Closed, Ending, Fingerprint, Ledger, LedgerError, OpenCall, Refused, Reloaded,
};
use crate::manifest::Manifest;
use crate::quota::{Quota, Reservation};
use crate::sandbox::{Errand, Lanes, Ran, Sandbox, guessing, step_aside};
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
        reloaded: &Reloaded<'_>,
    ) -> Result<(), LedgerError> {
        let setup = setup.following(&self.setup());
        let load = setup.load();
        self.ledger.reload(reloaded, load).await?;
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
            warn(&fault);
            (Err(fault), Bill::default())
        })
    }

    /// Lets no call in any more and ends the record. Calls that run are not waited for: the doors do.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub async fn stop(&self) -> Result<(), LedgerError> {
        self.quota.close();
        self.ledger.seal().await
    }

    async fn run(
        &self,
        mut request: Request,
        cancel: &CancellationToken,
    ) -> (Result<Release, Fault>, Bill) {
        let asked = Instant::now();
        let arguments = Value::Object(std::mem::take(&mut request.arguments));
        let text = written(&arguments).await;
        let fingerprint = Fingerprint::of(text.as_bytes());

        let (found, permit) = match self.admit(&request, arguments, text, asked, cancel).await {
            Ok(admitted) => admitted,
            Err(fault) => {
                return (
                    Err(self.refuse(&request, fingerprint, fault)),
                    Bill::default(),
                );
            }
        };

        let mut record = match self.record(&request, &found, &permit, fingerprint).await {
            Ok(record) => record,
            Err(fault) => return (Err(fault), Bill::default()),
        };
        let function = found.function;
        let attempts = record.attempts().clone();
        let equipment = function.equipment.clone();
        let pen = Pen::new(move |mut attempt| {
            // What a guest asked for stands in it: it is scrubbed like all that leaves a call.
            let text = attempt.to_string();
            equipment.patterns().scrub_json(&mut attempt, &text);
            attempts.keep(&attempt);
        });
        let redactions = pen.redactions().clone();
        let errand = Errand {
            equipment: &function.equipment,
            progress: request.progress.take(),
            pen,
            cancel,
        };
        let running = async {
            let running = self.sandbox.run(&function.tool.prepared, &permit, errand);
            let Ran {
                answer,
                bill,
                after,
            } = running.await;
            let released = match answer {
                Ok(answer) => {
                    let caller = &request.caller.agent;
                    self.release(caller, &function, answer, &redactions, cancel)
                        .await
                }
                Err(fault) => Err(fault),
            };
            (released, bill, after)
        };
        let (released, bill, after) = record.drive(running).await;
        let closed = closed(&released, bill, after);
        let recorded = record.close(&closed).map_err(unrecorded);
        (recorded.and(released), bill)
    }

    /// The function as it is now.
    fn find(&self, request: &Request) -> Result<Found, Fault> {
        let setup = self.setup.borrow();
        let found = setup.find(&request.caller, &request.function).cloned();
        let function = found.ok_or_else(|| gate::unknown(&request.function))?;
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
        arguments: Value,
        text: Arc<str>,
        asked: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Found, Permit), Fault> {
        let caller = &request.caller.agent;
        let mut found = self.find(request)?;
        self.check(caller, &found.function, arguments, text.clone(), cancel)
            .await?;
        let reservation = self
            .reserve(request, &found.function, asked, cancel)
            .await?;
        // Every turn of it needs another reload.
        loop {
            let now = self.find(request)?;
            if now.load == found.load {
                break;
            }
            // Another tool's function by this name has other places.
            if now.function.listed.id != found.function.listed.id {
                return Err(gate::unknown(&request.function));
            }
            found = now;
            let arguments = serde_json::from_str(&text).map_err(Fault::internal)?;
            self.check(caller, &found.function, arguments, text.clone(), cancel)
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
        let admitted = Admitted {
            caller: permit.caller(),
            door: request.door,
            function: permit.function(),
            component: &function.tool.digest,
            arguments,
            load: found.load,
            reach: function.reach,
        };
        self.ledger.admit(&admitted).await.map_err(unrecorded)
    }

    async fn check(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        arguments: Value,
        text: Arc<str>,
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let work = function.checks.arguments()?.work(&text);
        let check = move |function: &Function| {
            let schema = function.checks.arguments()?;
            schema.check_arguments(&arguments, &text)
        };
        self.judge(caller, function, work, cancel, check).await
    }

    async fn release(
        &self,
        caller: &Arc<str>,
        function: &Arc<Function>,
        answer: Result<tools::Output, tools::ToolError>,
        redactions: &Redactions,
        cancel: &CancellationToken,
    ) -> Result<Release, Fault> {
        if gate::size(&answer) > SHORT_TEXT {
            step_aside(Duration::ZERO).await;
        }
        let structured = answer
            .as_ref()
            .ok()
            .and_then(|output| output.structured.as_deref());
        let work = match (function.checks.output()?, structured) {
            (Some(schema), Some(text)) => schema.work(text),
            _ => 0,
        };
        let counted = redactions.clone();
        let release = move |function: &Function| {
            let terms = Terms {
                schema: function.checks.output()?,
                most: function.spec.limits.output,
                patterns: &function.equipment.patterns().counting(&counted),
            };
            gate::release(answer, &terms)
        };
        let released = self.judge(caller, function, work, cancel, release).await;
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
        cancel: &CancellationToken,
        judge: impl FnOnce(&Function) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if work <= SHORT {
            return judge(function);
        }
        let (own, judges) = (function.clone(), function.judges.clone());
        let judged = async move {
            let place = judges.acquire_owned().await;
            let judge = move || {
                let _place = place;
                judge(&own)
            };
            self.lanes.aside(caller, judge).await?
        };
        tokio::select! {
            biased;
            judged = judged => judged,
            () = cancel.cancelled() => Err(Fault::new(Code::Cancelled, "The call was cancelled.")),
            () = tokio::time::sleep(function.spec.limits.deadline) => Err(Fault::new(
                Code::DeadlineExceeded,
                "The call was too much to check against the tool's schema in its time. Ask with less, or for less.",
            )),
        }
    }

    /// A call that does not run is recorded too, and the caller hears why.
    fn refuse(&self, request: &Request, arguments: Fingerprint, fault: Fault) -> Fault {
        warn(&fault);
        let refused = Refused {
            caller: &request.caller,
            door: request.door,
            function: &request.function,
            arguments,
            code: fault.code,
        };
        match self.ledger.refuse(&refused) {
            Ok(()) => fault,
            Err(error) => unrecorded(error),
        }
    }
}

/// Arguments as text. Where that is long, nobody else waits for it.
async fn written(arguments: &Value) -> Arc<str> {
    let mut text = Text(Vec::with_capacity(128));
    if serde_json::to_writer(&mut text, arguments).is_ok()
        && let Ok(text) = String::from_utf8(text.0)
    {
        return text.into();
    }
    step_aside(Duration::ZERO).await;
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
fn closed(released: &Result<Release, Fault>, bill: Bill, after: Option<Code>) -> Closed {
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
    Closed {
        ending,
        result,
        bill,
        after,
    }
}
