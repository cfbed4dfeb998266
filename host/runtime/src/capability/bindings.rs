//! The host's side of `toolhost:tool`, generated from `wit/`. WASI's own interfaces come from
//! wasmtime-wasi and are not generated here.

#![allow(missing_docs, reason = "the contract's own documentation is in `wit/`")]

wasmtime::component::bindgen!({
    inline: "
        package toolhost:host;
        world bound {
            import wasi:logging/logging@0.1.0-draft;
            import toolhost:tool/http@0.1.0;
            import toolhost:tool/progress@0.1.0;
            export toolhost:tool/tools@0.1.0;
        }
    ",
    path: "../../wit",
    imports: {
        "toolhost:tool/http.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

use self::exports::toolhost::tool::tools;
use crate::terms::{Blob, Content, GuestAnswer, RawError, RawOutput, ResourceLink};

/// A guest's answer in the host's own words. Nothing is copied, nothing is checked.
pub fn answer_in_terms(answer: Result<tools::Output, tools::ToolError>) -> GuestAnswer {
    let content = |content| match content {
        tools::Content::Text(text) => Content::Text(text),
        tools::Content::Blob(blob) => Content::Blob(Blob {
            mime_type: blob.mime_type,
            data: blob.data,
            uri: blob.uri,
        }),
        tools::Content::Link(link) => Content::Link(ResourceLink {
            uri: link.uri,
            name: link.name,
            description: link.description,
            mime_type: link.mime_type,
        }),
    };
    match answer {
        Ok(output) => Ok(RawOutput {
            structured: output.structured,
            contents: output.contents.into_iter().map(content).collect(),
        }),
        Err(error) => Err(RawError {
            code: error.code,
            message: error.message,
            retry_after: error.retry_after,
            data: error.data,
        }),
    }
}
