//! Answers in the library's types, in what the client's version of the protocol knows.
//!
//! It does not know what an answer means.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ContentBlock, MetaObject, ProtocolVersion, Resource, ResourceContents,
};

use crate::answer::{Answer, Block, CallResult};
use crate::terms::ResourceLink;

/// Answers up to here are encoded where they are given, in bytes: some hundred microseconds.
pub(super) const LARGE: usize = 256 << 10;

/// The answer as a response to `tools/call`. Without a version it is as the newest has it.
pub(super) fn result(
    answer: Answer,
    version: Option<&ProtocolVersion>,
) -> Result<CallToolResult, ErrorData> {
    match answer {
        Answer::Result(result) => Ok(call_result(result, version)),
        Answer::Refused { say } => Err(ErrorData::invalid_params(say, None)),
    }
}

fn call_result(result: CallResult, version: Option<&ProtocolVersion>) -> CallToolResult {
    let blocks = result.blocks.into_iter();
    let blocks = blocks.map(|known| block(in_terms_of(version, known)));
    let blocks = blocks.collect();
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

/// The same in blocks that a version has. Clients of the older ones take an answer with a block that
/// they do not know for no answer at all.
fn in_terms_of(version: Option<&ProtocolVersion>, block: Block) -> Block {
    let is_before = |first| version.is_some_and(|version| *version < first);
    match block {
        Block::Audio { mime_type, data } if is_before(ProtocolVersion::V_2025_03_26) => {
            Block::BlobResource {
                uri: "toolhost:///audio".to_owned(),
                mime_type,
                data,
            }
        }
        Block::Link(link) if is_before(ProtocolVersion::V_2025_06_18) => {
            Block::Text(in_words(&link))
        }
        known => known,
    }
}

fn in_words(link: &ResourceLink) -> String {
    let description = link.description.as_deref();
    let description = description.map(|said| format!("\n{said}"));
    format!(
        "{}: {}{}",
        link.name,
        link.uri,
        description.unwrap_or_default()
    )
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

fn resource(link: ResourceLink) -> Resource {
    let mut resource = Resource::new(link.uri, link.name);
    resource.description = link.description;
    resource.mime_type = link.mime_type;
    resource
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::*;

    fn blocks(version: ProtocolVersion) -> Vec<Value> {
        let link = ResourceLink {
            uri: "https://example.org/a".into(),
            name: "a".into(),
            description: Some("What a is.".into()),
            mime_type: None,
        };
        let sound = Block::Audio {
            mime_type: "audio/wav".into(),
            data: "AAAA".into(),
        };
        let answer = Answer::Result(CallResult {
            blocks: vec![Block::Text("t".into()), sound, Block::Link(link)],
            ..CallResult::default()
        });
        let encoded = result(answer, Some(&version)).unwrap();
        let value = serde_json::to_value(&encoded).unwrap();
        value["content"].as_array().unwrap().clone()
    }

    #[test]
    fn x72_an_older_client_gets_only_blocks_that_it_knows() {
        let kinds = |version| -> Vec<String> {
            let blocks = blocks(version);
            let kind = |block: &Value| block["type"].as_str().unwrap().to_owned();
            blocks.iter().map(kind).collect()
        };
        let newest = ["text", "audio", "resource_link"];
        assert_eq!(kinds(ProtocolVersion::V_2025_11_25), newest);
        assert_eq!(kinds(ProtocolVersion::V_2025_06_18), newest);
        assert_eq!(
            kinds(ProtocolVersion::V_2025_03_26),
            ["text", "audio", "text"]
        );
        assert_eq!(
            kinds(ProtocolVersion::V_2024_11_05),
            ["text", "resource", "text"]
        );
        let oldest = blocks(ProtocolVersion::V_2024_11_05);
        assert_eq!(oldest[1]["resource"]["blob"], json!("AAAA"));
        assert_eq!(oldest[2]["text"], "a: https://example.org/a\nWhat a is.");
    }
}
