//! Answers in the library's types.
//!
//! It does not know what an answer means.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, MetaObject, Resource, ResourceContents};

use crate::terms::Link;
use crate::wire::answer::{Answer, Block, CallResult};

/// The answer as a response to `tools/call`.
pub(super) fn result(answer: Answer) -> Result<CallToolResult, ErrorData> {
    match answer {
        Answer::Result(result) => Ok(call_result(result)),
        Answer::Refused { say } => Err(ErrorData::invalid_params(say, None)),
    }
}

fn call_result(result: CallResult) -> CallToolResult {
    let blocks = result.blocks.into_iter().map(block).collect();
    let mut encoded = if result.is_error {
        CallToolResult::error(blocks)
    } else {
        CallToolResult::success(blocks)
    };
    encoded.structured_content = result.structured;
    if !result.meta.is_empty() {
        encoded.meta = Some(MetaObject::from(result.meta));
    }
    encoded
}

fn block(block: Block) -> ContentBlock {
    match block {
        Block::Text(text) => ContentBlock::text(text),
        Block::Image { mime_type, data } => ContentBlock::image(data, mime_type),
        Block::Audio { mime_type, data } => ContentBlock::audio(data, mime_type),
        Block::TextResource {
            uri,
            mime_type,
            text,
        } => ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(mime_type)),
        Block::BlobResource {
            uri,
            mime_type,
            data,
        } => ContentBlock::resource(ResourceContents::blob(data, uri).with_mime_type(mime_type)),
        Block::Link(link) => ContentBlock::resource_link(resource(link)),
    }
}

fn resource(link: Link) -> Resource {
    let mut resource = Resource::new(link.uri, link.name);
    resource.description = link.description;
    resource.mime_type = link.mime_type;
    resource
}
