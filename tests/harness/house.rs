//! A host in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toolhost_core::gate::{self, Callers, Decision, Operator, Permit, RawArguments};
use toolhost_core::quota::Quota;
use toolhost_core::terms::{Bill, Blame, Caller, Clock, Code, Door as Through, Progress};
use toolhost_doors::{self, Listener};
use toolhost_engine::call::{Host, Request, Snapshot};
use toolhost_ledger::state::{Role, StateLock};
use toolhost_ledger::{self, Attempted, Call, Filter, Header, Ledger, Mode};
use toolhost_outbound::Recorder;
use toolhost_runtime::sandbox::Lanes;

use super::site::manifest;
use super::{Agent, End, Site, sandbox};

/// A host in this process, and its folder.
pub(crate) struct House {
    pub(crate) host: Arc<Host>,
    pub(crate) site: Site,
    message: usize,
}

impl House {
    /// A host with the guests at hand.
    pub(crate) fn new(text: &str) -> Self {
        Self::at(Site::new(), text)
    }

    /// A host in a folder that was made ready.
    pub(crate) fn at(site: Site, text: &str) -> Self {
        let manifest = manifest(text);
        let catalog = match site.load(&manifest) {
            Ok(catalog) => catalog,
            Err(troubles) => panic!("{troubles:#?}"),
        };
        let header = Header {
            host_version: "test",
            mode: Mode::Dev,
            manifest: "test",
        };
        let state = StateLock::take(&site.path(""), Role::Call).expect("a state folder");
        let ledger = Ledger::open(state, &header, Clock::SYSTEM);
        let own = rustix::process::geteuid().as_raw();
        let callers = Callers::new(&manifest.callers, own, None);
        let host = Host::new(
            Snapshot::new(callers, catalog, Mode::Dev),
            Quota::new(&manifest),
            // Other tests run beside: a loop that gave way to all of them would be out of time.
            (sandbox(), Lanes::for_one().expect("lanes")),
            ledger.expect("a ledger"),
        );
        Self {
            host: Arc::new(host),
            site,
            message: manifest.host.message,
        }
    }

    /// A call by `local`.
    pub(crate) async fn call(&self, function: &str, arguments: Value) -> End {
        self.billed(function, arguments).await.0
    }

    /// A call by `local`, and what it used.
    pub(crate) async fn billed(&self, function: &str, arguments: Value) -> (End, Bill) {
        let request = self.request("local", function, arguments);
        let (released, bill) = self.host.call_with_bill(request).await;
        (released.map(|release| release.into_outcome()), bill)
    }

    /// A call by `local` whose answers from outside are recorded, or taken from a recording.
    pub(crate) async fn with_recorder(
        &self,
        function: &str,
        arguments: Value,
        recorder: &Recorder,
    ) -> (End, Bill) {
        let request = self.request("local", function, arguments);
        let (released, bill) = self.host.call_recorded(request, recorder.clone()).await;
        (released.map(|release| release.into_outcome()), bill)
    }

    /// A call by somebody.
    pub(crate) async fn call_as(&self, caller: &str, function: &str, arguments: Value) -> End {
        let request = self.request(caller, function, arguments);
        let released = self.host.call(request).await;
        released.map(|release| release.into_outcome())
    }

    /// A call by `local` that tells how far it is.
    pub(crate) async fn progress_of(&self, function: &str, arguments: Value) -> Vec<Progress> {
        let (sender, mut reports) = mpsc::channel(1_000);
        let mut request = self.request("local", function, arguments);
        request.progress = Some(sender);
        if let Err(fault) = self.host.call(request).await {
            panic!("{fault:?}");
        }
        let mut all = Vec::new();
        while let Some(report) = reports.recv().await {
            all.push(report);
        }
        all
    }

    /// What `caller` asks for.
    pub(crate) fn request(&self, caller: &str, function: &str, arguments: Value) -> Request {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object")
        };
        Request {
            caller: self.caller(caller),
            door: Through::Cli,
            function: function.to_owned(),
            arguments,
            progress: None,
        }
    }

    /// The caller of this name.
    pub(crate) fn caller(&self, name: &str) -> Caller {
        let state = self.host.ledger.state().expect("a state folder");
        let snapshot = self.host.snapshot();
        let caller = snapshot.callers.named(&Operator::of(state), name);
        caller.expect("a caller")
    }

    /// Permits a call by `local`, with all that is looked at before.
    pub(crate) async fn permit(&self, function: &str, arguments: Value) -> Permit {
        let request = self.request("local", function, arguments);
        let snapshot = self.host.snapshot();
        let found = snapshot.catalog.find(function).expect("a function");
        let policy = found.ready.policy();
        let allowed = snapshot.callers.allow(&request.caller, policy);
        let arguments = RawArguments::new(request.arguments, 0).canonical(None);
        let checked = allowed.expect("it may").check(arguments);
        let Decision::Proceed(cleared) = gate::decide(checked) else {
            panic!("it is refused");
        };
        let tool = &policy.id().tool;
        let place = self.host.quota.reserve(&request.caller.agent, tool).await;
        let permit = gate::admit(cleared, place.expect("a place"), Instant::now());
        permit.expect("admitted")
    }

    /// Where the ledger is.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.site.path("ledger")
    }

    /// The calls in the ledger, newest last.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let filter = Filter {
            limit: 10_000,
            ..Filter::default()
        };
        let shown = toolhost_ledger::show(&self.ledger(), &filter).expect("a ledger");
        assert_eq!(
            shown.unreadable, 0,
            "the ledger has lines that are no records"
        );
        shown.calls
    }

    /// The newest call in the ledger.
    pub(crate) fn last(&self) -> Call {
        self.calls().pop().expect("a call")
    }

    /// What the newest call tried on the outside.
    pub(crate) fn attempts(&self) -> Vec<Value> {
        self.last().attempts.iter().map(flat).collect()
    }

    /// Waits until no call of a tool with one place runs any more: its place is given back after
    /// its record is written.
    pub(crate) async fn quiet(&self, tool: &str) {
        let caller = self.host.snapshot().callers.all().next().expect("a caller");
        if let Err(fault) = self.host.quota.reserve(&caller.agent, &tool.into()).await {
            panic!("{fault:?}");
        }
    }

    /// Waits until a call is admitted and runs.
    pub(crate) async fn admitted(&self, function: &str) {
        let runs =
            |call: &Call| call.function == function && call.end == toolhost_ledger::End::Open;
        while !self.calls().iter().any(runs) {
            tokio::task::yield_now().await;
        }
    }

    /// Cancels a looping call of a tool with one place, and waits until it is over. The time is the
    /// loop's, not the test's: the guest runs from the first poll on.
    pub(crate) async fn cancel(&self, function: &str, arguments: Value, tool: &str) {
        let call = self.host.call(self.request("local", function, arguments));
        let running = tokio::time::timeout(Duration::from_millis(100), call).await;
        assert!(running.is_err(), "the call ended by itself");
        self.quiet(tool).await;
    }

    /// Opens doors: HTTP, and a Unix socket.
    pub(crate) async fn open(&self) -> Door {
        self.open_with_grace(Duration::from_secs(20)).await
    }

    /// Opens doors whose running calls get so much time after a stop.
    pub(crate) async fn open_with_grace(&self, grace: Duration) -> Door {
        let http = Listener::http(SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let http = http.expect("a port");
        let address = http.address().expect("an address");
        let socket = self.site.path("agents/agent.sock");
        let unix = Listener::unix(&socket).expect("a socket");
        let stop = CancellationToken::new();
        let listeners = vec![http, unix];
        let host = self.host.clone();
        let serving = toolhost_doors::serve(host, listeners, self.message, stop.clone(), grace);
        Door {
            address,
            socket,
            stop,
            served: tokio::spawn(async move { serving.await.expect("the doors open") }),
        }
    }

    /// Says that nothing is broken: an honest call goes well.
    pub(crate) async fn still_serves(&self, function: &str, arguments: Value) {
        let end = self.call(function, arguments).await;
        assert!(end.is_ok(), "an honest call after it: {end:?}");
    }

    /// Calls, and says how it ended: with this code, the tool to blame, recorded, with a bill of
    /// work; with no secret in what anybody reads of it; and an honest call of `everything` goes
    /// well after it. Gives the sentence for the agent.
    pub(crate) async fn ends_with(&self, function: &str, arguments: Value, code: Code) -> String {
        let (say, bill) = self.ends(function, arguments, code).await;
        assert!(bill.fuel > 0, "{bill:?}");
        say
    }

    /// The same of a call whose guest cannot even be instantiated. Gives its bill.
    pub(crate) async fn fails_to_start(
        &self,
        function: &str,
        arguments: Value,
        code: Code,
    ) -> Bill {
        self.ends(function, arguments, code).await.1
    }

    async fn ends(&self, function: &str, arguments: Value, code: Code) -> (String, Bill) {
        let (end, bill) = self.billed(function, arguments).await;
        let Err(fault) = end else {
            panic!("{function} ended well: {end:?}")
        };
        assert_eq!(fault.code, code, "{function}: {fault:?}");
        assert_eq!(fault.blame(), Blame::Tool);
        let record = self.last();
        assert_eq!(record.code.as_deref(), Some(code.as_str()));
        assert_eq!(record.end, toolhost_ledger::End::Fault);
        assert_eq!(record.bill.map(|bill| bill.fuel), Some(bill.fuel));
        self.keeps_secrets(&format!("{fault:?}"));
        self.still_serves("everything_echo", json!({ "text": "still here" }))
            .await;
        (fault.say.into_owned(), bill)
    }

    /// Says that no secret of the site is in a text, nor in the ledger as it stands on the disk.
    pub(crate) fn keeps_secrets(&self, said: &str) {
        for secret in self.site.secret_values() {
            assert!(!said.contains(secret), "a secret was said: {said}");
            for segment in std::fs::read_dir(self.ledger()).expect("a ledger") {
                let bytes = std::fs::read(segment.expect("a segment").path()).expect("its bytes");
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "the ledger holds a secret");
            }
        }
    }

    /// The code that the ledger has for the newest call.
    pub(crate) fn recorded(&self) -> Option<String> {
        self.last().code
    }

    /// Says that the ledger has this code for the newest call.
    pub(crate) fn assert_recorded(&self, code: Code) {
        assert_eq!(self.recorded().as_deref(), Some(code.as_str()));
    }
}

/// The open doors of a host.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
}

impl Door {
    /// An agent with a token.
    pub(crate) fn agent(&self, token: &str) -> Agent {
        Agent::new(self.address, token)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An attempt as one flat object: what was asked, what was decided, and what came of it.
fn flat(attempt: &Attempted) -> Value {
    let json = serde_json::to_value(attempt).expect("JSON");
    let mut all = json["to"][attempt.of()].clone();
    all["verdict"] = json["verdict"].clone();
    let is_made = attempt.answer.is_some();
    for (name, member) in json["answer"].as_object().into_iter().flatten() {
        all[name] = member.clone();
    }
    let end = all.as_object_mut().and_then(|all| all.remove("end"));
    for (name, member) in end.iter().flat_map(Value::as_object).flatten() {
        let is_answered = name == "is" && member == "answered";
        if !is_answered {
            all["verdict"][name] = member.clone();
        }
    }
    if !is_made {
        (all["left"], all["sent"]) = (false.into(), 0.into());
    }
    all
}
