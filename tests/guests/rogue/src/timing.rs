//! Times that make no sense: for requests through `wasi:http`, and for timers.

use toolhost_sdk::{ToolError, tool};

/// Sends a request through `wasi:http` with this for each of its three timeouts.
#[tool(read_only)]
pub(crate) fn request_options(
    /// Host and port.
    authority: String,
    /// The timeout, in nanoseconds.
    nanoseconds: u64,
) -> Result<String, ToolError> {
    wasi::request_options(&authority, nanoseconds)
}

/// Makes timers for the shortest and the longest times there are, and waits for those that run out.
#[tool(read_only)]
pub(crate) fn odd_timers() -> Result<String, ToolError> {
    wasi::odd_timers()
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    use toolhost_sdk::ToolError;
    use wasip2::clocks::monotonic_clock::{now, subscribe_duration, subscribe_instant};
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{Fields, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};

    pub(super) fn request_options(authority: &str, time: u64) -> Result<String, ToolError> {
        let odd = |()| ToolError::failed("the host takes no such time");
        let options = RequestOptions::new();
        options.set_connect_timeout(Some(time)).map_err(odd)?;
        options.set_first_byte_timeout(Some(time)).map_err(odd)?;
        options.set_between_bytes_timeout(Some(time)).map_err(odd)?;
        let request = OutgoingRequest::new(Fields::new());
        request.set_scheme(Some(&Scheme::Http)).map_err(odd)?;
        request.set_authority(Some(authority)).map_err(odd)?;
        request.set_path_with_query(Some("/")).map_err(odd)?;
        let body = request.body().map_err(odd)?;
        let failed = |error: &dyn std::fmt::Debug| ToolError::failed(format_args!("{error:?}"));
        let waiting = handle(request, Some(options)).map_err(|error| failed(&error))?;
        OutgoingBody::finish(body, None).map_err(|error| failed(&error))?;
        waiting.subscribe().block();
        match waiting.get() {
            Some(Ok(Ok(response))) => Ok(format!("status {}", response.status())),
            other => Err(failed(&other.map(|got| got.map(|got| got.map(drop))))),
        }
    }

    pub(super) fn odd_timers() -> Result<String, ToolError> {
        for time in [0, 1, 999] {
            subscribe_duration(time).block();
            subscribe_instant(time).block();
        }
        let ready = [u64::MAX, u64::MAX - 1, 1 << 63]
            .map(|time| subscribe_duration(time).ready() || subscribe_instant(time).ready());
        subscribe_instant(now()).block();
        Ok(format!("{ready:?}"))
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod wasi {
    use toolhost_sdk::ToolError;

    pub(super) fn request_options(_: &str, _: u64) -> Result<String, ToolError> {
        Err(ToolError::failed(
            "there is no wasi:http outside a component",
        ))
    }

    pub(super) fn odd_timers() -> Result<String, ToolError> {
        Err(ToolError::failed("there are no timers outside a component"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn outside_a_component_there_is_nothing_to_time() {
        assert!(super::odd_timers().is_err());
        assert!(super::request_options("localhost".to_owned(), 0).is_err());
    }
}
