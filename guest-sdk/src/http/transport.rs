//! How a request leaves: through the host in a component, through a test's own upstream natively.
//! It does not know what is asked.

use super::{Error, Request, Response};

#[cfg(target_arch = "wasm32")]
pub(super) fn send(request: Request) -> Result<Response, Error> {
    use crate::wasm::bindings::toolhost::tool::http;
    let answer = http::send(&http::Request {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
        timeout_ms: request
            .timeout
            .map(|timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)),
    });
    match answer {
        Ok(http::Response {
            status,
            headers,
            body,
        }) => Ok(Response {
            status,
            headers,
            body,
        }),
        Err(error) => Err(Error::new(
            super::ErrorCode::parse(&error.code),
            error.message,
        )),
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::send;
#[cfg(not(target_arch = "wasm32"))]
pub use native::with_transport;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Error, Request, Response};
    use crate::http::ErrorCode;

    type Transport = Rc<dyn Fn(&Request) -> Result<Response, Error>>;

    thread_local! {
        static CURRENT: RefCell<Option<Transport>> = const { RefCell::new(None) };
    }

    /// Puts the transport before back, also when a test panics.
    struct Restore(Option<Transport>);

    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }

    /// Runs `f` with `transport` in place of the network, on this thread; for native tests.
    pub fn with_transport<R>(
        transport: impl Fn(&Request) -> Result<Response, Error> + 'static,
        f: impl FnOnce() -> R,
    ) -> R {
        let _restore = Restore(CURRENT.replace(Some(Rc::new(transport))));
        f()
    }

    pub(in crate::http) fn send(request: Request) -> Result<Response, Error> {
        let transport = CURRENT.with_borrow(Clone::clone);
        match transport {
            Some(transport) => transport(&request),
            None => Err(Error::new(
                ErrorCode::Unreachable,
                "there is no network outside a host; put the call into `http::with_transport`",
            )),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::http::get;

        #[test]
        fn a_transport_holds_only_inside() {
            let ask = || {
                get("http://a.example/")
                    .send()
                    .map(|response| response.status)
            };
            let inner = || with_transport(|_| Ok(Response::new(201)), ask);
            let both = with_transport(|_| Ok(Response::new(200)), || (inner(), ask()));
            assert_eq!(both, (Ok(201), Ok(200)));
            assert_eq!(
                ask().map_err(|error| error.code),
                Err(ErrorCode::Unreachable)
            );
        }
    }
}
