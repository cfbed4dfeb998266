//! What HTTP answers a guest, through the seam: the whole response of `toolhost:tool/http`, and of
//! `wasi:http` what does not follow from what the guest said itself. Fields, requests and options are the
//! guest's own, so wasmtime-wasi-http answers those both times; the pieces of bodies come as streams.
//!
//! It lies behind the injection of credentials and their redaction: what passes here, the guest sees.

use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Empty};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, Host as _, HostOutgoingBody as _, Trailers,
};
use wasmtime_wasi_http::p2::body::{
    HostFutureTrailers, HostIncomingBody, HostOutgoingBody, HyperIncomingBody,
};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest,
};
use wasmtime_wasi_http::p2::{HttpError, HttpResult};
use wasmtime_wasi_http::{FieldMap, RequestOptions, WasiHttpCtxView};

use super::codes::{code, plain};
use super::host::{HasHttp, State};
use crate::capability::bindings::toolhost::tool::http as guest;
use crate::capability::seam::{
    AnswerSource, Behind, Bulk, Fails, Seam, Told, given, pass, settle, stopped, told_as, unfit,
};
use crate::terms::{HttpAnswer, Pair, Stopped};

const HANDLE: &str = "wasi:http/outgoing-handler.handle";
const RESPONSE: &str = "wasi:http/types.future-incoming-response.get";
const TRAILERS: &str = "wasi:http/types.future-trailers.get";
const FINISH: &str = "wasi:http/types.outgoing-body.finish";
const CODE: &str = "wasi:http/types.http-error-code";

/// The HTTP of a call, behind the seam.
pub(in crate::capability) type Whole<'a> = Behind<'a, &'a mut State>;

impl guest::Host for Whole<'_> {
    async fn send(
        &mut self,
        request: guest::Request,
    ) -> wasmtime::Result<Result<guest::Response, guest::Error>> {
        pass!(
            self.seam,
            // Its answers are nothing to hold.
            &mut ResourceTable::new(),
            "toolhost:tool/http.send",
            (
                &request.method,
                &request.url,
                &request.headers,
                request.body.as_deref().map(Bulk),
                request.timeout_ms,
            ),
            HttpAnswer,
            self.live.send(request).await
        )
    }
}

fn seam<'a, T: HasHttp>(store: &'a mut StoreContextMut<'_, T>) -> &'a Seam {
    store.data_mut().parts().0
}

fn table<'a, T: HasHttp>(store: &'a mut StoreContextMut<'_, T>) -> &'a mut ResourceTable {
    store.data_mut().parts().2
}

/// Puts functions that pass the seam in the place of wasi-http's own.
pub(super) fn link<T: HasHttp>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut handler = linker.instance("wasi:http/outgoing-handler@0.2.12")?;
    handler.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, T>,
         (request, options): (
            Resource<HostOutgoingRequest>,
            Option<Resource<RequestOptions>>,
        )| {
            let handled = handle(&mut store, request, options);
            Ok((match handled {
                Ok(future) => Ok(future),
                Err(error) => Err(store.data_mut().http().convert_error_code(error)?),
            },))
        },
    )?;
    let mut types = linker.instance("wasi:http/types@0.2.12")?;
    types.func_wrap(
        "[method]future-incoming-response.get",
        |mut store: StoreContextMut<'_, T>, (of,): (Resource<HostFutureIncomingResponse>,)| {
            Ok((response(&mut store, of)?,))
        },
    )?;
    types.func_wrap(
        "[method]future-trailers.get",
        |mut store: StoreContextMut<'_, T>, (of,): (Resource<HostFutureTrailers>,)| {
            Ok((trailers(&mut store, of)?,))
        },
    )?;
    types.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: StoreContextMut<'_, T>,
         (of, trailers): (Resource<HostOutgoingBody>, Option<Resource<FieldMap>>)| {
            // Trailers are not sent, and would be kept with the body until it is.
            if let Some(trailers) = trailers {
                table(&mut store).delete(trailers)?;
            }
            Ok((match finish(&mut store, of) {
                Ok(()) => Ok(()),
                Err(error) => Err(store.data_mut().http().convert_error_code(error)?),
            },))
        },
    )?;
    types.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, T>, (error,): (Resource<wasmtime::Error>,)| {
            let code: wasmtime::Result<Option<ErrorCode>> = pass!(
                seam(&mut store),
                table(&mut store),
                CODE,
                error.rep(),
                HttpAnswer,
                store.data_mut().http().http_error_code(error)
            );
            Ok((code?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What a request says before its body.
struct Head<'a>(Option<&'a HostOutgoingRequest>, Option<&'a RequestOptions>);

impl Debug for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let request = self.0.map(|request| {
            (
                &request.method,
                &request.scheme,
                &request.authority,
                &request.path_with_query,
                &*request.headers,
                request.body.is_some(),
            )
        });
        (request, self.1).fmt(f)
    }
}

fn handle<T: HasHttp>(
    store: &mut StoreContextMut<'_, T>,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> HttpResult<Resource<HostFutureIncomingResponse>> {
    let (seam_of, _, held) = store.data_mut().parts();
    let asked = Head(
        held.get(&request).ok(),
        options.as_ref().and_then(|options| held.get(options).ok()),
    );
    let step = seam_of.ask(HANDLE, &asked);
    if let AnswerSource::Given(_) = &step {
        // It is not sent.
        held.delete(Resource::<HostOutgoingRequest>::new_own(request.rep()))?;
    }
    settle!(
        step,
        seam(store),
        table(store),
        HttpAnswer,
        store.data_mut().http().handle(request, options)
    )
}

fn finish<T: HasHttp>(
    store: &mut StoreContextMut<'_, T>,
    of: Resource<HostOutgoingBody>,
) -> HttpResult<()> {
    let step = seam(store).ask(FINISH, &of.rep());
    if let AnswerSource::Given(_) = &step {
        // Nothing of it was sent, whatever it says to that.
        let _ = store
            .data_mut()
            .http()
            .finish(Resource::new_own(of.rep()), None);
    }
    settle!(
        step,
        seam(store),
        table(store),
        HttpAnswer,
        store.data_mut().http().finish(of, None)
    )
}

fn response<T: HasHttp>(
    store: &mut StoreContextMut<'_, T>,
    of: Resource<HostFutureIncomingResponse>,
) -> wasmtime::Result<Later<Resource<HostIncomingResponse>>> {
    later(
        store,
        (RESPONSE, of.rep()),
        |mut view| types::HostFutureIncomingResponse::get(&mut view, of),
        |response, table| {
            let response = table.get(response)?;
            Ok(HttpAnswer::Head {
                status: response.status,
                headers: pairs(&response.headers),
            })
        },
        |answer, view| {
            let HttpAnswer::Head { status, headers } = answer else {
                return Err(unfit());
            };
            let response = HostIncomingResponse {
                status,
                headers: FieldMap::new_immutable(view.hooks, map(headers)?),
                body: Some(HostIncomingBody::new(hollow())),
            };
            Ok(view.table.push(response)?)
        },
    )
}

fn trailers<T: HasHttp>(
    store: &mut StoreContextMut<'_, T>,
    of: Resource<HostFutureTrailers>,
) -> wasmtime::Result<Later<Option<Resource<Trailers>>>> {
    later(
        store,
        (TRAILERS, of.rep()),
        |mut view| types::HostFutureTrailers::get(&mut view, of),
        |fields, table| {
            let fields = fields
                .as_ref()
                .map(|fields| table.get(fields))
                .transpose()?;
            Ok(HttpAnswer::Trailers(fields.map(|fields| pairs(fields))))
        },
        |answer, view| match answer {
            HttpAnswer::Trailers(None) => Ok(None),
            HttpAnswer::Trailers(Some(fields)) => {
                let fields = FieldMap::new_immutable(view.hooks, map(fields)?);
                Ok(Some(view.table.push(fields)?))
            }
            _ => Err(unfit()),
        },
    )
}

/// What a future of WASI's HTTP gives: nothing yet; then a value or why there is none; then that it was
/// taken.
type Later<V> = Option<Result<Result<V, ErrorCode>, ()>>;

/// The answer of such a future, through the seam: what it is live, how a value is kept, and how a kept one
/// becomes a value again.
fn later<T: HasHttp, V>(
    store: &mut StoreContextMut<'_, T>,
    (function, of): (&'static str, u32),
    live: impl FnOnce(WasiHttpCtxView<'_>) -> wasmtime::Result<Later<V>>,
    tell: impl FnOnce(&V, &ResourceTable) -> Result<HttpAnswer, ResourceTableError>,
    told: impl FnOnce(HttpAnswer, WasiHttpCtxView<'_>) -> wasmtime::Result<V>,
) -> wasmtime::Result<Later<V>> {
    let step = seam(store).ask(function, &of);
    if let AnswerSource::Given(answer) = step {
        return Ok(match given(answer)? {
            HttpAnswer::NotYet => None,
            HttpAnswer::Taken => Some(Err(())),
            HttpAnswer::Failed(error) => Some(Ok(Err(code(error).ok_or_else(unfit)?))),
            value => Some(Ok(Ok(told(value, store.data_mut().http())?))),
        });
    }
    let live = live(store.data_mut().http());
    if let AnswerSource::Kept(asked) = step {
        let answer = match &live {
            Err(error) => stopped(error),
            Ok(None) => HttpAnswer::NotYet.into(),
            Ok(Some(Err(()))) => HttpAnswer::Taken.into(),
            Ok(Some(Ok(Err(error)))) => HttpAnswer::Failed(plain(error)).into(),
            Ok(Some(Ok(Ok(value)))) => tell(value, table(store))?.into(),
        };
        seam(store).keep(asked, answer);
    }
    live
}

/// The body of a response that comes from a recording: its pieces are recorded where they are read.
fn hollow() -> HyperIncomingBody {
    let none = Empty::<Bytes>::new();
    none.map_err(|never| match never {}).boxed_unsync()
}

fn pairs(fields: &HeaderMap) -> Vec<Pair> {
    let each = fields.iter();
    each.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn map(pairs: Vec<Pair>) -> wasmtime::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        map.append(name, HeaderValue::from_bytes(&value).map_err(|_| unfit())?);
    }
    Ok(map)
}

impl Fails<HttpAnswer> for HttpError {
    fn tell(self) -> (Result<HttpAnswer, Stopped>, Self) {
        match self.downcast() {
            Ok(code) => (Ok(HttpAnswer::Failed(plain(&code))), code.into()),
            Err(trap) => {
                let (answer, trap) = trap.tell();
                (answer, Self::trap(trap))
            }
        }
    }

    fn told(answer: HttpAnswer) -> Result<Self, HttpAnswer> {
        match answer {
            HttpAnswer::Failed(error) => match code(error.clone()) {
                Some(code) => Ok(code.into()),
                None => Err(HttpAnswer::Failed(error)),
            },
            other => Err(other),
        }
    }

    fn stop(error: wasmtime::Error) -> Self {
        Self::trap(error)
    }
}

impl Told<HttpAnswer> for Resource<HostFutureIncomingResponse> {
    fn tell(&self) -> HttpAnswer {
        HttpAnswer::Held
    }

    fn told(answer: HttpAnswer, table: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            HttpAnswer::Held => Ok(table.push(HostFutureIncomingResponse::Consumed)?),
            _ => Err(unfit()),
        }
    }
}

told_as! {
    HttpAnswer: nothing = Done
}

impl Told<HttpAnswer> for Option<ErrorCode> {
    fn tell(&self) -> HttpAnswer {
        HttpAnswer::Code(self.as_ref().map(plain))
    }

    fn told(answer: HttpAnswer, _: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            HttpAnswer::Code(None) => Ok(None),
            HttpAnswer::Code(Some(said)) => Ok(Some(code(said).ok_or_else(unfit)?)),
            _ => Err(unfit()),
        }
    }
}

impl Told<HttpAnswer> for Result<guest::Response, guest::Error> {
    fn tell(&self) -> HttpAnswer {
        match self {
            Ok(response) => HttpAnswer::Whole {
                status: response.status,
                headers: response.headers.clone(),
                body: response.body.clone(),
            },
            Err(error) => HttpAnswer::Refused(error.code.clone(), error.message.clone()),
        }
    }

    fn told(answer: HttpAnswer, _: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            HttpAnswer::Whole {
                status,
                headers,
                body,
            } => Ok(Ok(guest::Response {
                status,
                headers,
                body,
            })),
            HttpAnswer::Refused(code, message) => Ok(Err(guest::Error { code, message })),
            _ => Err(unfit()),
        }
    }
}
