//! Abuse of pollables and streams: what a host must count, and must not allocate because a guest
//! says so.

use std::io::Write;

use toolhost_sdk::{ToolError, tool};

/// Waits for the same timer many times over, in one list.
#[tool(read_only)]
pub(crate) fn poll_many(
    /// How often it stands in the list.
    n: usize,
) -> Result<String, ToolError> {
    wasi::poll_many(n)
}

/// Asks without end whether a timer that has run out has run out.
#[tool(read_only)]
pub(crate) fn poll_busy() -> Result<String, ToolError> {
    wasi::poll_busy()
}

/// Tells the host to write so many zeroes to stdout.
#[tool(read_only)]
pub(crate) fn zeroes(
    /// How many bytes.
    bytes: u64,
) -> Result<String, ToolError> {
    wasi::zeroes(bytes)
}

/// Prints to stderr what no terminal should see, and one line that does not end.
#[tool(read_only)]
pub(crate) fn shriek(
    /// How long the line is, in MiB.
    mib: usize,
) -> Result<(), ToolError> {
    let mut err = std::io::stderr().lock();
    err.write_all(b"\x1b]52;c;cm0gLXJm\x07\x1b[2Jred\0\xff\xfe\n")?;
    err.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n")?;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..mib {
        err.write_all(&piece)?;
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    use toolhost_sdk::ToolError;
    use wasip2::cli::stdout::get_stdout;
    use wasip2::clocks::monotonic_clock::subscribe_duration;
    use wasip2::io::poll::poll;

    pub(super) fn poll_many(n: usize) -> Result<String, ToolError> {
        let timer = subscribe_duration(0);
        let list = vec![&timer; n];
        Ok(format!("{} are ready", poll(&list).len()))
    }

    pub(super) fn poll_busy() -> Result<String, ToolError> {
        let timer = subscribe_duration(0);
        loop {
            timer.block();
            timer.ready();
        }
    }

    pub(super) fn zeroes(bytes: u64) -> Result<String, ToolError> {
        get_stdout()
            .write_zeroes(bytes)
            .map_err(|error| ToolError::failed(format_args!("{error:?}")))?;
        Ok(format!("wrote {bytes} zeroes"))
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod wasi {
    use toolhost_sdk::ToolError;

    fn nothing() -> ToolError {
        ToolError::failed("there are no pollables outside a component")
    }

    pub(super) fn poll_many(_: usize) -> Result<String, ToolError> {
        Err(nothing())
    }

    pub(super) fn poll_busy() -> Result<String, ToolError> {
        Err(nothing())
    }

    pub(super) fn zeroes(_: u64) -> Result<String, ToolError> {
        Err(nothing())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_shriek_of_no_length_is_two_lines() {
        assert!(super::shriek(0).is_ok());
        assert!(super::poll_many(1).is_err(), "there is nothing to poll");
    }
}
