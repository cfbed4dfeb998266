//! One caller at one door, as the protocol library sees it: lists tools, calls them, tells of
//! changes. Made anew for each connection, session or stateless request.
//!
//! It does not know framing or sockets, and keeps nothing between two calls.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomRequest, CustomResult,
    ErrorCode, Implementation, ListToolsResult, NumberOrString, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ProtocolVersion, ServerCapabilities, ServerConfig,
    SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::encode;
use super::tools::Tools;
use crate::answer::answer;
use crate::call::{Credential, Host, Release, Request};
use crate::frame::{LONGEST_ID, brief};
use crate::terms::{Caller, Door, Fault, Progress};
use toolhost_engine::Lanes;

/// Both eras. The two oldest revisions are served but for what costs more than it is worth: batches,
/// whose answers have to be held until the last of them is there (2025-03-26, taken out again in
/// 2025-06-18; no official client sends one by itself), and the transport of two addresses, whose
/// sessions are in the address (2024-11-05).
pub(super) const VERSIONS: &[ProtocolVersion] = &[
    ProtocolVersion::V_2024_11_05,
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2026_07_28,
];

/// The methods whose parameters the library checks: should one arrive here as unknown, its
/// parameters were wrong, not its name.
const METHODS: &[&str] = &[
    "server/discover",
    "tools/list",
    "tools/call",
    "subscriptions/listen",
];

/// Progress reports that may wait for a slow reader before the guest has to wait as well.
const REPORTS: usize = 16;

static CONFIG: LazyLock<ServerConfig> = LazyLock::new(|| {
    let capabilities = ServerCapabilities::builder()
        .enable_tools()
        .enable_tool_list_changed()
        .build();
    ServerConfig::new(capabilities)
        .with_protocol_version(ProtocolVersion::V_2025_11_25)
        .with_server_info(
            Implementation::new("toolhost", env!("CARGO_PKG_VERSION")).with_title("toolhost"),
        )
        .with_instructions(
            "Tools run in a sandbox with the powers their operator granted. Arguments are checked \
             against the tool's schema before it runs. When a call fails, the result says what to \
             change or when to try again; its _meta \"toolhost/code\" is stable.",
        )
});

/// What all requests of one caller at one door share.
#[derive(Clone)]
pub(super) struct CallerSession {
    host: Arc<Host>,
    caller: Caller,
    door: Door,
    /// What its connection knows it by; none where each request comes with what it is known by.
    credential: Option<Credential<'static>>,
    /// The version that its session speaks, where it is the only one.
    version: Option<ProtocolVersion>,
    tools: Arc<Mutex<Option<Arc<Tools>>>>,
}

impl CallerSession {
    /// What one caller's requests share, whom each request shows anew.
    pub(super) fn new(host: Arc<Host>, caller: Caller, door: Door) -> Self {
        Self {
            host,
            caller,
            door,
            credential: None,
            version: None,
            tools: Arc::default(),
        }
    }

    /// What one caller's requests share, whom a whole connection is known to be by this.
    pub(super) fn known_by(mut self, credential: Credential<'static>) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The same for a session in this version.
    pub(super) fn speaking(mut self, version: ProtocolVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// The caller, if it is one still: a reload may have made it another's connection, or nobody's.
    fn caller(&self) -> Result<Caller, ErrorData> {
        let Some(credential) = self.credential else {
            return Ok(self.caller.clone());
        };
        let now = self.host.identify(credential);
        now.filter(|now| *now == self.caller).ok_or_else(|| {
            ErrorData::invalid_request(
                "This connection's caller is none of this host's any more. Ask its operator.",
                None,
            )
        })
    }

    /// Calls a function, without extras, and makes `line` of what it answers.
    pub(super) async fn answer(
        self: Arc<Self>,
        function: String,
        arguments: Map<String, Value>,
        line: impl FnOnce(Result<CallToolResult, ErrorData>) -> Vec<u8> + Send + 'static,
    ) -> Vec<u8> {
        let caller = match self.caller() {
            Ok(caller) => caller,
            Err(error) => return line(Err(error)),
        };
        let request = Request {
            caller,
            door: self.door,
            function: function.clone(),
            arguments,
            progress: None,
        };
        let end = self.host.call(request).await;
        let (version, bytes) = (self.version.clone(), size(&end));
        let encode = move || line(result(&function, end, version.as_ref()));
        let (lanes, caller) = (&self.host.lanes, &self.caller.agent);
        // Where there is no thread for it there is no host any more.
        let encoded = encoding(lanes, caller, bytes, encode).await;
        encoded.unwrap_or_default()
    }

    /// Whether arguments of this function are said in headers, too.
    pub(super) fn has_header_parameters(&self, name: &str) -> bool {
        let tools = self.tools().ok();
        tools.is_some_and(|tools| tools.with_header_parameters(name).is_some())
    }

    /// The caller's list, made ready again only when the host has another one.
    fn tools(&self) -> Result<Arc<Tools>, ErrorData> {
        let listing = self.host.listing(&self.caller()?);
        let mut ready = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*ready {
            Some(tools) if tools.is_of(&listing) => Arc::clone(tools),
            _ => Arc::clone(ready.insert(Arc::new(Tools::new(listing)))),
        })
    }
}

/// One connection, session or stateless request.
pub(super) struct Agent {
    caller_session: CallerSession,
    /// Fires when streams without an end of their own have to end.
    closing: CancellationToken,
    /// Ends the task that tells of changes, together with this.
    watch: OnceLock<DropGuard>,
}

impl Agent {
    /// An agent, until `closing`.
    pub(super) fn new(caller_session: CallerSession, closing: CancellationToken) -> Self {
        Self {
            caller_session,
            closing,
            watch: OnceLock::new(),
        }
    }

    async fn run(&self, request: Request) -> Result<Release, Fault> {
        self.caller_session.host.call(request).await
    }

    async fn call(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let function = params.name.into_owned();
        let mut request = Request {
            caller: self.caller_session.caller()?,
            door: self.caller_session.door,
            function: function.clone(),
            arguments: params.arguments.unwrap_or_default(),
            progress: None,
        };
        let token = bounded(context.meta.get_progress_token())?;
        let run = async {
            match token {
                None => self.run(request).await,
                Some(token) => {
                    let (sender, reports) = mpsc::channel(REPORTS);
                    request.progress = Some(sender);
                    telling(self.run(request), reports, &context.peer, token).await
                }
            }
        };
        tokio::select! {
            biased;
            // Whoever took the call back gets no answer; whoever is cut off by a stop gets this.
            () = context.ct.cancelled() => Err(ErrorData::internal_error(
                "The call was stopped before its end: it was taken back, or the host is stopping.",
                None,
            )),
            end = run => {
                let (version, bytes) = (context.protocol_version(), size(&end));
                let encode = move || result(&function, end, version.as_ref());
                let (lanes, caller) = (&self.caller_session.host.lanes, &self.caller_session.caller.agent);
                let encoded = encoding(lanes, caller, bytes, encode).await;
                let failed = |fault: Fault| ErrorData::internal_error(fault.say, None);
                encoded.map_err(failed)?.map(Into::into)
            }
        }
    }
}

impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        CONFIG.clone()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(VERSIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.caller_session
            .tools()?
            .page(request.and_then(|page| page.cursor).as_deref())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.caller_session
            .tools()
            .ok()?
            .with_header_parameters(name)
    }

    // In a box: the library moves what answers a request about, and this is large.
    fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<CallToolResponse, ErrorData>> + Send {
        Box::pin(self.call(params, context))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        if METHODS.contains(&method.as_str()) {
            return Err(ErrorData::invalid_params(
                format!(
                    "The params of {method} do not have the shape that the protocol gives them. Compare them with its schema."
                ),
                None,
            ));
        }
        Err(ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!(
                "There is no method {} here. This host offers tools only.",
                brief(format!("{method:?}"))
            ),
            None,
        ))
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut list = self.caller_session.host.watch(&self.caller_session.caller);
        let wanted = context.accepted().tools_list_changed == Some(true);
        loop {
            tokio::select! {
                biased;
                () = context.cancelled() => return Ok(()),
                () = self.closing.cancelled() => return Ok(()),
                changed = list.changed() => {
                    if !changed {
                        return Ok(());
                    }
                    if wanted && context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Clients of the older era are told of changes without asking.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let ended = CancellationToken::new();
        if self.watch.set(ended.clone().drop_guard()).is_err() {
            return;
        }
        let mut list = self.caller_session.host.watch(&self.caller_session.caller);
        tokio::spawn(async move {
            while ended.run_until_cancelled(list.changed()).await == Some(true) {
                if context.peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What a call came to, in the library's types.
fn result(
    function: &str,
    end: Result<Release, Fault>,
    version: Option<&ProtocolVersion>,
) -> Result<CallToolResult, ErrorData> {
    let answer = answer(function, end.map(Release::into_outcome));
    encode::result(answer, version)
}

/// How large an answer is, in bytes.
fn size(end: &Result<Release, Fault>) -> u64 {
    end.as_ref()
        .map_or(0, |release| release.fingerprint().bytes)
}

/// Encodes an answer of so many bytes: a large one aside, and not on a thread that other callers'
/// messages wait for.
async fn encoding<T: Send + 'static>(
    lanes: &Lanes,
    caller: &Arc<str>,
    bytes: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    match usize::try_from(bytes) {
        Ok(0..=encode::LARGE) => Ok(work()),
        _ => lanes.aside(caller, work).await,
    }
}

/// A token that each report repeats, where it is short enough for that.
fn bounded(token: Option<ProgressToken>) -> Result<Option<ProgressToken>, ErrorData> {
    let text = match token.as_ref().map(|token| &token.0) {
        Some(NumberOrString::String(text)) => text.len(),
        Some(NumberOrString::Number(_)) | None => 0,
    };
    if text <= LONGEST_ID {
        return Ok(token);
    }
    Err(ErrorData::invalid_params(
        format!(
            "The \"progressToken\" is longer than {LONGEST_ID} bytes, so nothing ran. Send a number or a shorter text."
        ),
        None,
    ))
}

/// Runs a call and passes its reports on while it runs; all of them before its end is told.
async fn telling(
    call: impl Future<Output = Result<Release, Fault>>,
    reports: mpsc::Receiver<Progress>,
    peer: &Peer<RoleServer>,
    token: ProgressToken,
) -> Result<Release, Fault> {
    let (ended, end) = oneshot::channel();
    let call = async {
        let outcome = call.await;
        // The receiver is gone only when the reader is; then there is nobody to tell.
        let _ = ended.send(());
        outcome
    };
    let (outcome, ()) = tokio::join!(call, forward(reports, end, peer, token));
    outcome
}

/// Passes reports on until the call has ended and the last one is told, even if the guest's side
/// forgot to close the channel.
async fn forward(
    mut reports: mpsc::Receiver<Progress>,
    mut end: oneshot::Receiver<()>,
    peer: &Peer<RoleServer>,
    token: ProgressToken,
) {
    loop {
        let report = tokio::select! {
            biased;
            report = reports.recv() => report,
            _ = &mut end, if !end.is_terminated() => {
                reports.close();
                continue;
            }
        };
        let Some(report) = report else { return };
        let mut params = ProgressNotificationParam::new(token.clone(), report.done);
        params.total = report.total;
        params.message = report.message;
        if peer.notify_progress(params).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn g66_a_large_answer_is_encoded_aside() {
        let (lanes, caller) = (Lanes::for_one().unwrap(), Arc::from("ada"));
        let here = std::thread::current().id();
        let most = u64::try_from(encode::LARGE).unwrap();
        for (bytes, is_here) in [(0, true), (most, true), (most + 1, false)] {
            let encoded = encoding(&lanes, &caller, bytes, || std::thread::current().id());
            assert_eq!(encoded.await.unwrap() == here, is_here, "{bytes}");
        }
    }
}
