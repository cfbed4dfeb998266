//! Making the host hold things: by every import that takes something over, as large and as often as
//! it is let, and nothing is let go before the call ends.

use toolhost_sdk::{JsonSchema, ToolError, tool};

#[cfg(target_arch = "wasm32")]
mod ways;

/// What is hoarded, how large each is, and how often.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
pub(crate) struct Wanted {
    /// Which way.
    way: String,
    /// How large each is, in bytes.
    size: usize,
    /// How many times.
    times: usize,
    /// A directory, where the way needs one.
    #[serde(default)]
    path: String,
    /// Host and port, where the way needs them.
    #[serde(default)]
    authority: String,
}

/// Hoards, and says how many it got.
#[tool]
pub(crate) fn hoard(args: Wanted) -> Result<String, ToolError> {
    #[cfg(target_arch = "wasm32")]
    return ways::hoard(&args);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = args;
        Err(ToolError::failed("there is no host outside a component"))
    }
}
