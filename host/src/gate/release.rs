//! The way out. A [`Release`] is the only thing a door sends, and only [`release`] makes one.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Schema;
use crate::capability::service::secret::Patterns;
use crate::capability::tools;
use crate::ledger::Fingerprint;
use crate::terms::{
    Blob, Code, Content, Fault, Link, Outcome, Output, ToolError, ToolErrorCode, json, seen,
};

/// Proof that an outcome was judged: of bounded size, fitting its schema, free of secrets.
pub struct Release {
    outcome: Outcome,
    fingerprint: Fingerprint,
}

impl Release {
    /// The outcome, to be sent.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        self.outcome
    }

    /// The outcome, to be looked at.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What the ledger keeps of it.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// The most pieces one result may have.
const CONTENTS: usize = 1_000;
/// The longest message of a tool's error, in bytes.
const MESSAGE: usize = 8 << 10;

/// What a release is judged by.
pub struct Terms<'a> {
    /// The output schema, where the function has one.
    pub schema: Option<&'a Schema>,
    /// The whole answer, in bytes.
    pub most: u64,
    /// The secrets to take out.
    pub patterns: &'a Patterns,
}

/// Judges what a guest answered.
///
/// # Errors
///
/// `output-too-large` or `invalid-output`.
pub fn release(
    answer: Result<tools::Output, tools::ToolError>,
    terms: &Terms<'_>,
) -> Result<Release, Fault> {
    let mut trace = Trace::default();
    let outcome = match answer {
        Ok(output) => Outcome::Output(judge_output(output, terms, &mut trace)?),
        Err(error) => Outcome::Error(judge_error(error, terms, &mut trace)?),
    };
    Ok(Release {
        outcome,
        fingerprint: trace.fingerprint(),
    })
}

/// The digest of an answer: every part after the other, each behind its length.
#[derive(Default)]
struct Trace {
    hash: Sha256,
    bytes: u64,
}

impl Trace {
    fn part(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.hash.update(length.to_be_bytes());
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(length);
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint {
            sha256: self.hash.finalize().into(),
            bytes: self.bytes,
        }
    }
}

fn judge_output(
    output: tools::Output,
    terms: &Terms<'_>,
    trace: &mut Trace,
) -> Result<Output, Fault> {
    let size = size_of_output(&output);
    if size > terms.most || output.contents.len() > CONTENTS {
        return Err(
            too_large(terms).detail(format!("{size} bytes in {} pieces", output.contents.len()))
        );
    }
    let structured = output
        .structured
        .map(|text| parse(&text, terms, trace))
        .transpose()?;
    match (terms.schema, &structured) {
        (Some(schema), Some(value)) => schema.check_output(value)?,
        (Some(_), None) => {
            return Err(Fault::new(
                Code::InvalidOutput,
                "The tool promises a structured result and gave none. Its author should look.",
            ));
        }
        (None, _) => {}
    }
    let contents = output
        .contents
        .into_iter()
        .map(|content| judge_content(content, terms, trace))
        .collect();
    Ok(Output {
        structured,
        contents,
    })
}

fn too_large(terms: &Terms<'_>) -> Fault {
    let most = bytesize::ByteSize(terms.most).display().iec();
    Fault::new(
        Code::OutputTooLarge,
        format!(
            "The tool's answer is larger than {most} or has more than {CONTENTS} pieces. Ask for less in one call."
        ),
    )
}

fn size_of_output(output: &tools::Output) -> u64 {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let contents = output.contents.iter().map(|content| match content {
        tools::Content::Text(text) => text.len(),
        tools::Content::Blob(blob) => blob.data.len() + blob.mime_type.len() + length(&blob.uri),
        tools::Content::Link(link) => {
            let optional = length(&link.description) + length(&link.mime_type);
            link.uri.len() + link.name.len() + optional
        }
    });
    let size = contents.sum::<usize>() + length(&output.structured);
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// Reads a guest's JSON, which has to have one reading. Secrets are taken out of the value, not of
/// its text, which might be no JSON afterwards.
fn parse(text: &str, terms: &Terms<'_>, trace: &mut Trace) -> Result<Value, Fault> {
    let mut value = json::parse(text.as_bytes()).map_err(|error| {
        Fault::new(
            Code::InvalidOutput,
            "The tool's structured result is not JSON. Its author should look.",
        )
        .detail(error)
    })?;
    if terms.patterns.scrub_json(&mut value, text) {
        trace.part(value.to_string().as_bytes());
    } else {
        trace.part(text.as_bytes());
    }
    Ok(value)
}

fn judge_content(content: tools::Content, terms: &Terms<'_>, trace: &mut Trace) -> Content {
    let scrub = |text| terms.patterns.scrub(text);
    // Cleaned before it is scrubbed: what is taken out must not bring a secret's halves together.
    let field = |text: String| scrub(plain(text));
    match content {
        tools::Content::Text(text) => {
            let text = scrub(text);
            trace.part(text.as_bytes());
            Content::Text(text)
        }
        tools::Content::Blob(blob) => {
            let data = match terms.patterns.scrub_bytes(&blob.data) {
                Cow::Borrowed(_) => blob.data,
                Cow::Owned(clean) => clean,
            };
            trace.part(&data);
            Content::Blob(Blob {
                mime_type: field(blob.mime_type),
                data,
                uri: blob.uri.map(field),
            })
        }
        tools::Content::Link(link) => {
            let uri = field(link.uri);
            trace.part(uri.as_bytes());
            Content::Link(Link {
                uri,
                name: field(link.name),
                description: link.description.map(scrub),
                mime_type: link.mime_type.map(field),
            })
        }
    }
}

fn judge_error(
    error: tools::ToolError,
    terms: &Terms<'_>,
    trace: &mut Trace,
) -> Result<ToolError, Fault> {
    let mut message = terms.patterns.scrub(seen(&error.message));
    message.truncate(message.floor_char_boundary(MESSAGE));
    trace.part(message.as_bytes());
    let too_long = |data: &String| u64::try_from(data.len()).unwrap_or(u64::MAX) > terms.most;
    if error.data.as_ref().is_some_and(too_long) {
        return Err(too_large(terms));
    }
    let data = error
        .data
        .map(|text| parse(&text, terms, trace))
        .transpose()?;
    Ok(ToolError {
        code: ToolErrorCode::parse(&error.code),
        message,
        retry_after: error.retry_after,
        data,
    })
}

/// One line without control characters, for what becomes a field of the protocol.
fn plain(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
