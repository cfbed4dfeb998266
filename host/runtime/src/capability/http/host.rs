//! What the guest sees of `toolhost:tool/http`: a whole request in, a whole response out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::held::{self, EXCHANGE, FIELDS, Kept, Pieces};
use super::seam::{self, Whole};
use super::wasi::Hooks;
use crate::capability::bindings::toolhost::tool::http as guest;
use crate::capability::context::CallContext;
use crate::capability::seam::Seam;
use crate::egress::Arguments;
use crate::shares::{Account, Exceeded};
use toolhost_outbound::http::{
    HttpContext, HttpError, Outbound, OutboundRequest, RequestTarget, exchange,
};

/// HTTP of one call, whichever interface the guest uses.
pub(crate) struct State {
    context: Arc<HttpContext>,
    hooks: Hooks,
    wasi: WasiHttpCtx,
    account: Account,
    kept: Kept,
}

impl State {
    pub(in crate::capability) fn new(outbound: &Arc<Outbound>, call: &CallContext<'_>) -> Self {
        let (attempts, account) = (call.attempts, call.account);
        let caller = call.caller.map(|caller| caller.agent.clone());
        let context = HttpContext::new(
            outbound.clone(),
            *call.limits,
            call.deadline.into(),
            Arguments::new(call.arguments.clone()),
            caller.unwrap_or_default(),
            attempts.clone(),
        );
        let context = Arc::new(context.counting(attempts.redactions()));
        let mut wasi = WasiHttpCtx::new();
        wasi.set_field_size_limit(FIELDS);
        let hooks = Hooks::new(
            context.clone(),
            call.limits.request_body,
            attempts.clone(),
            account,
        );
        Self {
            context,
            hooks,
            wasi,
            account: account.clone(),
            kept: Kept::new(account),
        }
    }

    /// Holds room for `more` bytes that are about to be added to a resource in the table.
    pub(in crate::capability) fn keep(
        &mut self,
        table: &mut ResourceTable,
        more: u64,
    ) -> Result<(), Exceeded> {
        self.kept.add(table, more)
    }

    pub(in crate::capability) fn view<'a>(
        &'a mut self,
        table: &'a mut ResourceTable,
    ) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table,
            ctx: &mut self.wasi,
        }
    }
}

/// A store's data that has the HTTP of a call, and the table that its resources are in.
pub(in crate::capability) trait HasHttp:
    WasiHttpView + Send + 'static
{
    /// The seam, too.
    fn parts(&mut self) -> (&Seam, &mut State, &mut ResourceTable);

    fn state(&mut self) -> (&mut State, &mut ResourceTable) {
        let (_, state, table) = self.parts();
        (state, table)
    }
}

struct Buffered;

impl HasData for Buffered {
    type Data<'a> = Whole<'a>;
}

pub(in crate::capability) fn link<T: HasHttp>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    held::link(linker)?;
    seam::link(linker)?;
    guest::add_to_linker::<T, Buffered>(linker, |data| {
        let (seam, live, _) = data.parts();
        Whole { seam, live }
    })
}

/// Links `wasi:http` 0.3: the same hooks, so the same policy, dialer, caps and records.
pub(in crate::capability) fn link_p3<T: HasHttp>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    held::link_p3(linker)
}

impl State {
    /// Sends a whole request and reads the whole response.
    pub(super) async fn send(
        &mut self,
        request: guest::Request,
    ) -> wasmtime::Result<Result<guest::Response, guest::Error>> {
        // All of it until the answer is there: it is copied on its way out.
        let body = request.body.as_ref().map_or(0, Vec::len);
        let texts = held::length(request.url.len() + request.method.len() + body);
        let headers = request.headers.iter();
        let headers = held::list(headers.map(|(name, value)| (name.len(), value.len())));
        let mut held = self
            .account
            .hold(EXCHANGE.saturating_add(texts).saturating_add(headers))?;
        let headers = request
            .headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()));
        let request = OutboundRequest {
            method: request.method,
            target: RequestTarget::Url(request.url),
            headers: headers.collect(),
            body: request.body.map(Bytes::from).unwrap_or_default(),
            timeout: request
                .timeout_ms
                .map(|ms| Duration::from_millis(ms.into())),
            silence: None,
        };
        let response = match exchange(&self.context, request).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(error.into())),
        };
        held.grow(held::fields(&response.headers))?;
        let headers = response
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let headers = headers.collect();
        let mut incoming = response.body.counted(&self.account);
        let mut body = Pieces::default();
        loop {
            match incoming.next().await {
                Ok(Some(piece)) => body.push(piece, &mut held)?,
                Ok(None) => break,
                Err(error) => return Ok(Err(error.into())),
            }
        }
        Ok(Ok(guest::Response {
            status: response.status.as_u16(),
            headers,
            body: body.whole(),
        }))
    }
}

impl From<HttpError> for guest::Error {
    fn from(error: HttpError) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            message: error.say,
        }
    }
}
