//! One call in the sandbox: a fresh store and instance, run until it answers, traps, is out of
//! something, or nobody waits for it any more.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::component::Resource;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use super::engine::{Prepared, Sandbox, TICK};
use super::entry::Entry;
use super::function::PreparedFunction;
use super::meter::Meter;
use super::state::StoreData;
use super::typed::Stop;
use crate::capability::{CallContext, GuestState, PreparedGrants, tools};
use crate::gate::Permit;
use crate::shares::{Account, Exceeded};
use crate::terms::{Bill, Code, Fault, GuestAnswer, Limits, Progress, Wasi};
use toolhost_outbound::AttemptLog;
use toolhost_outbound::secret::MOST_REDACTIONS;

/// A guest gives the thread back after this much fuel, some 30 to 100 microseconds of a core.
/// Yielding by the epoch instead made an honest call wait for half a second behind two loops.
const YIELD: u64 = 100_000;

/// What one call of a host function may carry between guest and host, in bytes. wasmtime's own
/// default is 128 MiB, which a guest could make the host allocate again and again. The largest
/// thing that crosses is a request's or an answer's body, so those limits raise it.
const HOSTCALL: u64 = 8 << 20;

/// How much of what a program that crashed said last its caller hears, in bytes.
const LAST_WORDS: usize = 1 << 10;

/// What the sandbox is sent to do beyond what the permit says.
pub struct RunInputs<'a> {
    /// The function, with its grants made ready.
    pub function: &'a PreparedFunction,
    /// Where progress goes.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Where attempts at the outside are recorded.
    pub attempts: AttemptLog,
    /// Says that nobody waits any more.
    pub cancel: &'a CancellationToken,
}

/// How a call ended, and what it used until then.
pub struct RunReport {
    /// The guest's own words, unchecked, or why there are none.
    pub answer: Result<GuestAnswer, Fault>,
    /// What it used.
    pub bill: Bill,
    /// What befell it after it had answered.
    pub after: Option<Code>,
}

impl RunReport {
    /// It did not come to run.
    fn not(fault: Fault) -> Self {
        Self {
            answer: Err(fault),
            bill: Bill::default(),
            after: None,
        }
    }
}

impl Sandbox {
    /// Runs the permitted call in a fresh instance of the component that the permit names, with the
    /// grants that it was judged by.
    ///
    /// What was admitted runs,
    ///
    /// ```no_run
    /// # use std::time::Instant;
    /// # use toolhost_core::gate::{Cleared, admit};
    /// # use toolhost_core::quota::Reservation;
    /// # use toolhost_runtime::sandbox::{RunInputs, Prepared, RunReport, Sandbox};
    /// # use toolhost_core::terms::Fault;
    /// # type Guest<'a> = (&'a Sandbox, &'a Prepared, RunInputs<'a>);
    /// async fn run(
    ///     (sandbox, component, inputs): Guest<'_>,
    ///     cleared: Cleared,
    ///     place: Reservation,
    /// ) -> Result<RunReport, Fault> {
    ///     let permit = admit(cleared, place, Instant::now())?;
    ///     Ok(sandbox.run(component, &permit, inputs).await)
    /// }
    /// ```
    ///
    /// and nothing that was not,
    ///
    /// ```compile_fail,E0308
    /// # use std::time::Instant;
    /// # use toolhost_core::gate::{Cleared, admit};
    /// # use toolhost_core::quota::Reservation;
    /// # use toolhost_runtime::sandbox::{RunInputs, Prepared, RunReport, Sandbox};
    /// # use toolhost_core::terms::Fault;
    /// # type Guest<'a> = (&'a Sandbox, &'a Prepared, RunInputs<'a>);
    /// async fn run(
    ///     (sandbox, component, inputs): Guest<'_>,
    ///     cleared: Cleared,
    ///     place: Reservation,
    /// ) -> Result<RunReport, Fault> {
    ///     let permit = cleared;
    ///     Ok(sandbox.run(component, &permit, inputs).await)
    /// }
    /// ```
    ///
    /// and nothing is admitted for which no place is held:
    ///
    /// ```compile_fail,E0308
    /// # use std::time::Instant;
    /// # use toolhost_core::gate::{Cleared, admit};
    /// # use toolhost_core::quota::Reservation;
    /// # use toolhost_runtime::sandbox::{RunInputs, Prepared, RunReport, Sandbox};
    /// # use toolhost_core::terms::Fault;
    /// # type Guest<'a> = (&'a Sandbox, &'a Prepared, RunInputs<'a>);
    /// async fn run(
    ///     (sandbox, component, inputs): Guest<'_>,
    ///     cleared: Cleared,
    ///     place: (),
    /// ) -> Result<RunReport, Fault> {
    ///     let permit = admit(cleared, place, Instant::now())?;
    ///     Ok(sandbox.run(component, &permit, inputs).await)
    /// }
    /// ```
    pub async fn run(
        &self,
        prepared: &Prepared,
        permit: &Permit,
        inputs: RunInputs<'_>,
    ) -> RunReport {
        let start = self.clock().now();
        let attempts = inputs.attempts;
        if permit.digest() != prepared.digest() {
            return RunReport::not(Fault::internal(
                "a permit for another component came to the sandbox",
            ));
        }
        if !permit.is_by(inputs.function.policy()) {
            return RunReport::not(Fault::internal(
                "a permit came to the sandbox with the grants of another function",
            ));
        }
        if attempts.recorder().is_on() && prepared.wasi() == Wasi::V03 {
            return RunReport::not(Fault::new(
                Code::BadComponent,
                "The call cannot be recorded: its component is of WASI 0.3, and only calls of WASI 0.2 are.",
            ));
        }
        let grants = inputs.function.grants();
        let (limits, deadline) = (&permit.spec().limits, permit.deadline());
        let mut room = pin!(prepared.room(&permit.caller().agent));
        let room = match room.as_mut().now_or_never() {
            Some(room) => room,
            None => tokio::select! {
                biased;
                room = room => room,
                () = inputs.cancel.cancelled() => Err(cancelled()),
                () = tokio::time::sleep_until(deadline.into()) => Err(late(limits)),
            },
        };
        let _room = match room {
            Ok(room) => room,
            Err(fault) => return RunReport::not(fault),
        };
        let context = CallContext {
            function: grants.function(),
            limits,
            arguments: permit.arguments(),
            deadline,
            clock: self.clock(),
            caller: Some(permit.caller()),
            progress: inputs.progress,
            attempts: &attempts,
            account: &Account::new(limits.host_memory),
            credentials: grants.credentials(),
        };
        let mut store = match store(prepared, grants, &context) {
            Ok(store) => store,
            Err(fault) => return RunReport::not(fault),
        };
        let ended = tokio::select! {
            biased;
            () = inputs.cancel.cancelled() => Exit::Cancelled,
            () = attempts.redactions().too_many() => Exit::Guessing,
            ended = AssertUnwindSafe(prepared.entry.call(&mut store, permit)).catch_unwind() => Exit::Returned(ended),
            () = tokio::time::sleep_until(deadline.into()) => Exit::Late,
        };
        let answer = ended.judge(&mut store, limits).flatten();
        let used = Used::of(&store, limits);
        let after = store.data().after;
        // What a guest leaves behind runs code when it goes, after the answer is known: a panic in
        // there changes nothing any more.
        let gone = std::panic::catch_unwind(AssertUnwindSafe(|| drop(store)));
        if let Err(panic) = gone {
            tracing::error!(panic = panic_words(&*panic), "dropping a guest panicked");
        }
        let answer = replayed(answer, &attempts);
        attempts.settled().await;
        RunReport {
            answer,
            bill: used.bill(self.clock().since(start), &attempts),
            after,
        }
    }

    /// Asks a component what it offers; one that is spoken to by its types need not run for that. It
    /// gets no capability at all: `nothing` is no grants, made
    /// ready.
    ///
    /// # Errors
    ///
    /// The same faults as a call's.
    pub async fn definitions(
        &self,
        prepared: &Prepared,
        nothing: &Arc<PreparedGrants>,
    ) -> Result<Vec<tools::Definition>, Fault> {
        let pre = match &prepared.entry {
            Entry::Contract(pre) => pre,
            Entry::Foreign(foreign) => return foreign.definitions(),
        };
        let limits = Limits::DEFAULT;
        let context = CallContext {
            function: nothing.function(),
            limits: &limits,
            arguments: &Arc::default(),
            deadline: self.clock().now() + limits.deadline,
            clock: self.clock(),
            caller: None,
            progress: None,
            attempts: &AttemptLog::nowhere(),
            account: &Account::new(limits.host_memory),
            credentials: nothing.credentials(),
        };
        let mut store = store(prepared, nothing, &context)?;
        let ask = async |store: &mut Store<StoreData>| {
            let tool = pre.instantiate_async(&mut *store).await?;
            tool.toolhost_tool_tools().call_definitions(store).await
        };
        let ended = tokio::select! {
            biased;
            ended = AssertUnwindSafe(ask(&mut store)).catch_unwind() => Exit::Returned(ended),
            () = tokio::time::sleep(limits.deadline) => Exit::Late,
        };
        ended.judge(&mut store, &limits)
    }
}

/// The answer of a guest that ran, live or from a recording: of one that left its recording there is none.
fn replayed<T>(answer: Result<T, Fault>, attempts: &AttemptLog) -> Result<T, Fault> {
    match attempts.ended() {
        Ok(()) => answer,
        // A limit that ended it earlier than it was recorded says more.
        Err(divergence) => answer.and_then(|_| Err(Fault::internal(divergence))),
    }
}

fn store(
    prepared: &Prepared,
    grants: &Arc<PreparedGrants>,
    context: &CallContext<'_>,
) -> Result<Store<StoreData>, Fault> {
    let (limits, guest) = (context.limits, GuestState::new(grants, context)?);
    let mut store = Store::new(
        prepared.entry.engine(),
        StoreData {
            meter: Meter::new(limits),
            guest,
            after: None,
        },
    );
    store.limiter(|running| &mut running.meter);
    store.set_fuel(limits.fuel).map_err(Fault::internal)?;
    store
        .fuel_async_yield_interval(Some(YIELD))
        .map_err(Fault::internal)?;
    // The epoch is the second wall: fuel that a defect forgets to count still ends here.
    let ticks = limits.deadline.as_millis() / TICK.as_millis() + 3;
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    store.epoch_deadline_trap();
    // Twice, so that an answer somewhat beyond its limit is measured and named, not just stopped.
    // What a function by its types gives back has a bound of its own: see `entry`.
    let hostcall = HOSTCALL
        .max(limits.output.saturating_mul(2))
        .max(limits.request_body);
    store.set_hostcall_fuel(usize::try_from(hostcall).unwrap_or(usize::MAX));
    store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
    Ok(store)
}

/// What can be read from a store before it is gone.
struct Used {
    fuel: u64,
    peak_memory: u64,
}

impl Used {
    fn of(store: &Store<StoreData>, limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
            peak_memory: store.data().meter.peak_memory(),
        }
    }

    fn bill(self, wall: Duration, attempts: &AttemptLog) -> Bill {
        let (egress_requests, egress_bytes) = attempts.egress();
        Bill {
            fuel: self.fuel,
            peak_memory: self.peak_memory,
            wall,
            egress_requests,
            egress_bytes,
        }
    }
}

/// How the guest's future ended.
enum Exit<T> {
    Returned(Result<wasmtime::Result<T>, Box<dyn std::any::Any + Send>>),
    Late,
    Cancelled,
    /// A credential was taken out of what came back too often.
    Guessing,
}

impl<T> Exit<T> {
    fn judge(self, store: &mut Store<StoreData>, limits: &Limits) -> Result<T, Fault> {
        match self {
            Self::Returned(Ok(Ok(value))) => Ok(value),
            Self::Returned(Ok(Err(error))) => {
                if let Some(own) = error.downcast_ref::<Fault>() {
                    return Err(own.clone());
                }
                let fault = fault(&error, store, limits);
                Err(told(fault, &error, &store.data().guest))
            }
            Self::Returned(Err(panic)) => Err(Fault::internal(format!(
                "a host function panicked: {}",
                panic_words(&*panic)
            ))),
            Self::Late => Err(late(limits)),
            Self::Cancelled => Err(cancelled()),
            Self::Guessing => Err(guessing()),
        }
    }
}

/// A fault with what the guest said last: the only place where an interpreter, or whoever gave up, says
/// what went wrong. A program's is for its caller, as with an exit code; a tool's is the operator's.
fn told(mut fault: Fault, error: &wasmtime::Error, guest: &GuestState) -> Fault {
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        tracing::debug!(backtrace = %trace, "a guest trapped");
    }
    let words = guest.last_words();
    let reasons = reasons(error);
    if words.is_empty() {
        return fault.detail(reasons);
    }
    if fault.code == Code::Trapped && guest.is_program() {
        let start = words.ceil_char_boundary(words.len().saturating_sub(LAST_WORDS));
        let last = words.get(start..).unwrap_or_default();
        fault.say = format!("{} It said last: {last}", fault.say).into();
    }
    fault.detail(format!("{reasons}; stderr: {words}"))
}

/// Why a guest's code ended, without the places in it, which have no names in most components.
pub(super) fn reasons(error: &wasmtime::Error) -> String {
    let trace = error.downcast_ref::<WasmBacktrace>();
    let trace = trace.map(ToString::to_string);
    let reasons = error.chain().map(ToString::to_string);
    let reasons: Vec<String> = reasons
        .filter(|reason| trace.as_ref() != Some(reason))
        .collect();
    reasons.join(": ")
}

/// The end of a call in which a credential showed too often.
pub fn guessing() -> Fault {
    Fault::new(
        Code::Trapped,
        format!(
            "The call was ended: {MOST_REDACTIONS} times a credential of the tool had to be taken out \
             of what it read or said. Ask for something that does not repeat credentials; the tool's \
             operator should look at what the other side sends back."
        ),
    )
}

/// The conversion of a call's values did not come to its end.
pub(super) fn stopped(why: Stop, limits: &Limits) -> Fault {
    match why {
        Stop::Fuel => out_of_fuel(limits),
        Stop::Late => late(limits),
        Stop::Memory => out_of_host_memory(limits),
        Stop::Long => Fault::internal("a conversion paused and was not taken up again"),
    }
}

fn out_of_fuel(limits: &Limits) -> Fault {
    Fault::new(
        Code::OutOfFuel,
        format!(
            "The tool used up its fuel of {}. Ask for less work in one call.",
            limits.fuel
        ),
    )
}

fn out_of_host_memory(limits: &Limits) -> Fault {
    Fault::new(
        Code::OutOfHostMemory,
        format!(
            "The tool would make the host hold more for it than its limit `host_memory` of {}: headers, bodies, names, values and requests under way. Ask for less in one call.",
            bytesize::ByteSize(limits.host_memory).display().iec()
        ),
    )
}

fn cancelled() -> Fault {
    Fault::new(Code::Cancelled, "The call was cancelled.")
}

fn late(limits: &Limits) -> Fault {
    let deadline = humantime::format_duration(limits.deadline);
    Fault::new(
        Code::DeadlineExceeded,
        format!(
            "The tool did not answer within its deadline of {deadline}. Ask for less, or try again later."
        ),
    )
}

/// What a panic said, for the operator.
pub(super) fn panic_words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Reads the reason of a trap from its type, never from its text.
pub(super) fn fault(
    error: &wasmtime::Error,
    store: &mut Store<StoreData>,
    limits: &Limits,
) -> Fault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => out_of_fuel(limits),
        Some(Trap::Interrupt) => late(limits),
        _ if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() => Fault::new(
            Code::Busy,
            "The host runs as many calls of this kind as it can. Try again in a moment.",
        ),
        Some(Trap::StackOverflow) => Fault::new(
            Code::StackOverflow,
            "The tool's stack overflowed: its recursion is too deep. Give it less deeply nested input.",
        ),
        _ if error.downcast_ref::<Exceeded>().is_some() => out_of_host_memory(limits),
        _ if store.data().meter.refused() => Fault::new(
            Code::OutOfMemory,
            format!(
                "The tool needs more than its memory of {}. Ask for less in one call.",
                bytesize::ByteSize(limits.memory).display().iec()
            ),
        ),
        Some(Trap::AsyncDeadlock) => Fault::new(
            Code::Trapped,
            "The tool waits for something that can never happen. The same arguments will end the same; its author should look.",
        ),
        Some(Trap::CannotBlockSyncTask) => Fault::new(
            Code::Trapped,
            "The tool waits in a function that may not wait: in WASI 0.3 such a function is an `async func`. Its author should look.",
        ),
        Some(_) => Fault::new(
            Code::Trapped,
            "The tool crashed. The same arguments will crash it again; its author should look.",
        ),
        None => broken_rule(error, store, limits),
    }
}

/// Not the guest's code trapped, but the host's side of a call.
fn broken_rule(error: &wasmtime::Error, store: &mut Store<StoreData>, limits: &Limits) -> Fault {
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return Fault::new(
            Code::Trapped,
            format!("The tool exited with code {code} instead of answering."),
        );
    }
    match error.downcast_ref::<ResourceTableError>() {
        Some(ResourceTableError::Full) => Fault::new(
            Code::TooManyResources,
            format!(
                "The tool held more than its limit `resources` of {} at once. Ask for less in one call.",
                limits.resources
            ),
        ),
        Some(ResourceTableError::HasChildren) => Fault::new(
            Code::Trapped,
            "The tool let go of something that others of its resources still need, as a body whose stream is open. Its author should look.",
        ),
        Some(ResourceTableError::NotPresent | ResourceTableError::WrongType) => Fault::new(
            Code::Trapped,
            "The tool used a resource that it had let go, or that is another. Its author should look.",
        ),
        None if handles_are_full(store) => Fault::new(
            Code::TooManyResources,
            format!(
                "The tool held more than its limit `handles` of {} at once. Ask for less in one call.",
                limits.handles
            ),
        ),
        None => Fault::new(
            Code::Trapped,
            "The tool broke a rule of the host: too much data in one piece, or text that is not Unicode. Ask for less in one call.",
        ),
    }
}

/// Whether the store has no handle left. The engine says so in words only, so it is asked for one.
fn handles_are_full(store: &mut Store<StoreData>) -> bool {
    let one = Resource::<()>::new_own(0);
    one.try_into_resource_any(store).is_err()
}
