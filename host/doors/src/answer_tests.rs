//! Outcomes and faults by value.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;
use crate::terms::ToolErrorCode;

fn result(end: Result<Outcome, Fault>) -> CallResult {
    match answer("t_f", end) {
        Answer::Result(result) => result,
        Answer::Refused { say } => panic!("refused: {say}"),
    }
}

fn output(structured: Option<Value>, contents: Vec<Content>) -> CallResult {
    result(Ok(Outcome::Output(Output {
        structured,
        contents,
        ..Output::default()
    })))
}

fn blob(mime_type: &str, data: &[u8], uri: Option<&str>) -> Content {
    Content::Blob(Blob {
        mime_type: mime_type.into(),
        data: data.to_vec(),
        uri: uri.map(Into::into),
    })
}

#[test]
fn only_an_unknown_function_is_a_protocol_error() {
    for code in Code::ALL {
        match answer("t_f", Err(Fault::new(code, "Said.").detail("secret"))) {
            Answer::Refused { say } => {
                assert_eq!((code, say.as_str()), (Code::UnknownFunction, "Said."));
            }
            Answer::Result(result) => {
                assert_ne!(code, Code::UnknownFunction);
                assert!(result.is_error);
                assert_eq!(result.blocks, [Block::Text("Said.".into())]);
                assert_eq!(result.meta["toolhost/code"], code.as_str());
                assert_eq!(result.meta["toolhost/blame"], json!(code.blame()));
                assert!(!format!("{result:?}").contains("secret"), "{result:?}");
            }
        }
    }
}

#[test]
fn a_tools_error_says_when_to_try_again() {
    let error = ToolError {
        code: ToolErrorCode::RateLimited,
        message: "Too many searches.".into(),
        retry_after: Some(30),
        data: Some(json!({"left": 0})),
        denied: vec![],
    };
    let result = result(Ok(Outcome::Error(error)));
    assert!(result.is_error);
    assert_eq!(
        result.blocks,
        [Block::Text(
            "Too many searches.\nTry again after 30 seconds.".into()
        )]
    );
    assert_eq!(result.meta["toolhost/code"], "rate-limited");
    assert_eq!(result.meta["toolhost/data"], json!({"left": 0}));
    assert_eq!(
        result.structured, None,
        "an error's data must not pass for a result"
    );
}

/// The tool's own words come first, the host's are told apart from them, and no tool has this key.
#[test]
fn n94_what_was_denied_is_said_beside_the_answer() {
    let denied = vec!["GET http://a.test/ is denied.".to_owned()];
    let note = Block::Text("[toolhost] GET http://a.test/ is denied.".into());
    let failed = result(Ok(Outcome::Error(ToolError {
        code: ToolErrorCode::Failed,
        message: "HttpRequestDenied".into(),
        retry_after: None,
        data: None,
        denied: denied.clone(),
    })));
    let done = result(Ok(Outcome::Output(Output {
        structured: Some(json!({"result": "none"})),
        denied: denied.clone(),
        ..Output::default()
    })));
    for (result, own) in [
        (failed, "HttpRequestDenied"),
        (done, r#"{"result":"none"}"#),
    ] {
        assert_eq!(result.blocks, [Block::Text(own.into()), note.clone()]);
        assert_eq!(result.meta["toolhost/denied"], json!(denied));
    }
    let quiet = output(Some(json!({})), vec![]);
    assert!(quiet.meta.is_empty());
}

#[test]
fn structured_results_are_also_text_unless_the_tool_wrote_some() {
    let alone = output(Some(json!({"sum": 5})), vec![]);
    assert_eq!(alone.blocks, [Block::Text(r#"{"sum":5}"#.into())]);
    assert_eq!(alone.structured, Some(json!({"sum": 5})));

    let told = output(
        Some(json!({"sum": 5})),
        vec![Content::Text("It is five.".into())],
    );
    assert_eq!(told.blocks, [Block::Text("It is five.".into())]);

    let pictured = output(Some(json!(1)), vec![blob("image/png", b"x", None)]);
    assert_eq!(pictured.blocks.len(), 2);
    assert_eq!(pictured.blocks[0], Block::Text("1".into()));
}

#[test]
fn blobs_become_the_block_their_type_asks_for() {
    let contents = vec![
        blob("image/png", &[1, 2, 3], None),
        blob("Audio/wav", b"\xff", Some("x:1")),
        blob("text/plain; charset=utf-8", "grüß".as_bytes(), None),
        blob("text/plain", b"\xff", Some("x:2")),
        blob("application/json", b"{}", Some("x:3")),
        blob("application/pdf", b"%PDF", None),
    ];
    assert_eq!(
        output(None, contents).blocks,
        [
            Block::Image {
                mime_type: "image/png".into(),
                data: "AQID".into()
            },
            Block::Audio {
                mime_type: "Audio/wav".into(),
                data: "/w==".into()
            },
            Block::TextResource {
                uri: "toolhost:///t_f/2".into(),
                mime_type: "text/plain; charset=utf-8".into(),
                text: "grüß".into(),
            },
            Block::BlobResource {
                uri: "x:2".into(),
                mime_type: "text/plain".into(),
                data: "/w==".into(),
            },
            Block::TextResource {
                uri: "x:3".into(),
                mime_type: "application/json".into(),
                text: "{}".into(),
            },
            Block::BlobResource {
                uri: "toolhost:///t_f/5".into(),
                mime_type: "application/pdf".into(),
                data: "JVBERg==".into(),
            },
        ]
    );
}
