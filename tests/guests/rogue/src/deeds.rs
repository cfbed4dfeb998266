//! Reaching for files without a standard library between: every act is one host function, and what
//! it is given is the agent's. Each answers with `ok`, with what it found, or with the error's name.

#[cfg(target_arch = "wasm32")]
mod wasi;

use toolhost_sdk::{ToolError, tool};

/// Does one act after the other. Descriptors are numbered as they come, the granted directories
/// first; one that could not be opened keeps its number.
#[tool(destructive)]
pub(crate) fn acts(
    /// Each a verb and its arguments.
    acts: Vec<Vec<String>>,
) -> Result<Vec<String>, ToolError> {
    #[cfg(target_arch = "wasm32")]
    return wasi::Desk::new().all(&acts);
    #[cfg(not(target_arch = "wasm32"))]
    Err(ToolError::failed(format!(
        "{} acts, and no host to try them on",
        acts.len()
    )))
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_a_host_nothing_is_tried() {
        assert!(super::acts(Vec::new()).is_err());
    }
}
