//! Saying a text on every way out of a call.

use std::io::Write as _;

use toolhost_sdk::log::Level;
use toolhost_sdk::serde_json::json;
use toolhost_sdk::{Link, Output, Resource, ToolError, log, progress, tool};

/// Says a text on one way out.
#[tool(read_only)]
pub(crate) fn tell(
    /// `text`, `structured`, `key`, `number`, `blob`, `resource`, `link`, `error`, `error_data`,
    /// `log`, `log_context`, `stdout`, `stderr`, `progress` or `crash`.
    way: String,
    /// The text.
    text: String,
) -> Result<Output, ToolError> {
    let output = Output::new();
    let structured = |value: String| Output {
        structured: Some(value),
        contents: Vec::new(),
    };
    Ok(match way.as_str() {
        "text" => output.text(text),
        "structured" => structured(json!({ "a": ["b", { "c": text }] }).to_string()),
        "key" => structured(json!({ text: 1 }).to_string()),
        "number" => structured(format!("{{\"a\":{text}}}")),
        "blob" => output.blob("text/plain", text),
        "resource" => output.resource(Resource {
            mime_type: text.clone(),
            data: Vec::new(),
            uri: Some(text),
        }),
        "link" => output.link(Link {
            uri: text.clone(),
            name: text.clone(),
            description: Some(text.clone()),
            mime_type: Some(text),
        }),
        "error" => return Err(ToolError::failed(text)),
        "error_data" => return Err(ToolError::failed("see the data").data(json!([text]))),
        other => {
            aside(other, &text)?;
            output.text("said")
        }
    })
}

/// The ways that are not the answer's.
#[allow(clippy::panic)]
fn aside(way: &str, text: &str) -> Result<(), ToolError> {
    match way {
        "log" => log::write(Level::Error, "rogue", text),
        "log_context" => log::write(Level::Error, text, "see the context"),
        // Byte by byte, so that no write holds all of it.
        "stdout" => text.bytes().try_for_each(|byte| {
            std::io::stdout()
                .write_all(&[byte])
                .and_then(|()| std::io::stdout().flush())
        })?,
        "stderr" => text
            .bytes()
            .try_for_each(|byte| std::io::stderr().write_all(&[byte]))?,
        "progress" => progress::report(1.0, Some(1.0), Some(text)),
        "crash" => panic!("{text}"),
        other => {
            return Err(ToolError::invalid_arguments(format_args!(
                "no way {other:?}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_as_asked() {
        let told = |way: &str| tell(way.to_owned(), "7".to_owned());
        assert_eq!(told("text"), Ok(Output::new().text("7")));
        let number = told("number").ok().and_then(|output| output.structured);
        assert_eq!(number.as_deref(), Some(r#"{"a":7}"#));
        assert_eq!(
            told("error").map_err(|error| error.message),
            Err("7".to_owned())
        );
        assert!(told("thought").is_err());
    }
}
