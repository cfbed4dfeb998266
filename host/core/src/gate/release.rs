//! The way out. A [`Release`] is the only thing a door sends, and only [`release`] makes one.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Schema;
use crate::shares::{Lease, Shares};
use crate::terms::{
    Blob, Code, Content, Fault, Fingerprint, GuestAnswer, Outcome, Output, RawError, RawOutput,
    ResourceLink, Scrub, ToolError, ToolErrorCode, json, seen,
};

/// Proof that an outcome was judged: of bounded size, fitting its schema, free of secrets.
pub struct Release {
    outcome: Outcome,
    fingerprint: Fingerprint,
    _room: Option<Lease<Arc<str>>>,
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

/// The most that a structured result may become when it is read, in bytes: some hundred thousand values.
const MOST_READ: u64 = 32 << 20;
/// The same of all results that are on their way.
const ALL_READ: u64 = 256 << 20;
/// Results that become no more than this need no room, in bytes.
const SMALL: u64 = 128 << 10;
/// The most pieces one result may have.
const CONTENTS: usize = 1_000;
/// The longest message of a tool's error, in bytes.
const MESSAGE: usize = 8 << 10;

/// What a release is judged by.
pub struct ReleasePolicy<'a> {
    /// The output schema, where the function has one.
    pub schema: Option<&'a Schema>,
    /// The whole answer, in bytes.
    pub most: u64,
    /// What takes secrets out.
    pub secrets: &'a dyn Scrub,
    /// What the host denied meanwhile and the guest was told by a code alone.
    pub denied: &'a [String],
}

/// Room for structured results on their way to who asked, as what they become when they are read.
pub struct Results(Shares<Arc<str>>);

impl Default for Results {
    fn default() -> Self {
        Self(Shares::new(ALL_READ))
    }
}

impl Results {
    /// Takes what this answer needs for its caller, waiting for it: others of the same caller's may
    /// have to go first. A small one needs none.
    ///
    /// # Errors
    ///
    /// `output-too-large` where it is more than one result may be.
    pub async fn room(
        &self,
        caller: &Arc<str>,
        answer: &GuestAnswer,
    ) -> Result<Option<Lease<Arc<str>>>, Fault> {
        let text = match answer {
            Ok(output) => output.structured.as_deref(),
            Err(error) => error.data.as_deref(),
        };
        let read = text.map_or(0, |text| json::weight(text.as_bytes()));
        if read > MOST_READ {
            return Err(too_many_values(read));
        }
        // What is not read is carried all the same.
        let weight = read.saturating_add(u64::try_from(size(answer)).unwrap_or(u64::MAX));
        if weight <= SMALL {
            return Ok(None);
        }
        let weight = weight.min(ALL_READ / 2);
        let room = self.0.wait(caller, weight).await;
        room.map(Some).map_err(Fault::internal)
    }
}

fn too_many_values(weight: u64) -> Fault {
    let [weight, most] = [weight, MOST_READ].map(|bytes| bytesize::ByteSize(bytes).display().iec());
    Fault::new(
        Code::OutputTooLarge,
        format!(
            "The tool's structured result has so many values that it takes {weight} when it is read; one may take {most}. Ask for less in one call."
        ),
    )
}

/// Judges what a guest answered. `room` is for what its structured part becomes: see [`Results`].
///
/// # Errors
///
/// `output-too-large` or `invalid-output`.
pub fn release(
    answer: GuestAnswer,
    policy: &ReleasePolicy<'_>,
    room: Option<Lease<Arc<str>>>,
) -> Result<Release, Fault> {
    let mut digest = AnswerDigest::default();
    let mut outcome = match answer {
        Ok(output) => Outcome::Output(judge_output(output, policy, &mut digest)?),
        Err(error) => Outcome::Error(judge_error(error, policy, &mut digest)?),
    };
    let denied: Vec<String> = policy
        .denied
        .iter()
        .map(|say| clean(say, policy.secrets))
        .collect();
    for say in &denied {
        digest.part(AnswerPart::Denied, say);
    }
    match &mut outcome {
        Outcome::Output(output) => output.denied = denied,
        Outcome::Error(error) => error.denied = denied,
    }
    Ok(Release {
        outcome,
        fingerprint: digest.fingerprint(),
        _room: room,
    })
}

/// The end of a call by the guest's own fault, with what the host denied it before: most programs end
/// when a request fails, or a write, and say only that it did.
#[must_use]
pub fn explain(mut fault: Fault, denied: &[String], secrets: &dyn Scrub) -> Fault {
    if fault.code == Code::Trapped {
        for say in denied {
            let say = denial(&clean(say, secrets));
            fault.say.to_mut().push_str(&format!("\n{say}"));
        }
    }
    fault
}

/// How the host's words about what it denied are marked as its own.
#[must_use]
pub fn denial(say: &str) -> String {
    format!("[toolhost] {say}")
}

/// A path or a host is what the guest asked for.
fn clean(say: &str, secrets: &dyn Scrub) -> String {
    secrets.text(seen(say))
}

/// What a part of an answer is. The numbers are in digests: they stay what they are.
#[derive(Debug, Clone, Copy)]
enum AnswerPart {
    Structured = 1,
    Text = 2,
    Data = 3,
    Link = 4,
    MimeType = 5,
    Uri = 6,
    Name = 7,
    Description = 8,
    Code = 9,
    Message = 10,
    RetryAfter = 11,
    Denied = 12,
}

/// The digest of an answer as its caller gets it: every part after the other, each behind what it is
/// and its length.
#[derive(Default)]
struct AnswerDigest {
    hash: Sha256,
    bytes: u64,
}

impl AnswerDigest {
    fn part(&mut self, part: AnswerPart, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.hash.update([part as u8]);
        self.hash.update(length.to_be_bytes());
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(length);
    }

    fn field(&mut self, part: AnswerPart, field: Option<&String>) {
        if let Some(field) = field {
            self.part(part, field);
        }
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint {
            sha256: self.hash.finalize().into(),
            bytes: self.bytes,
        }
    }
}

fn judge_output(
    output: RawOutput,
    policy: &ReleasePolicy<'_>,
    digest: &mut AnswerDigest,
) -> Result<Output, Fault> {
    let size = u64::try_from(size_of_output(&output)).unwrap_or(u64::MAX);
    if size > policy.most || output.contents.len() > CONTENTS {
        return Err(
            too_large(policy).detail(format!("{size} bytes in {} pieces", output.contents.len()))
        );
    }
    let text = output.structured;
    let structured = text
        .as_deref()
        .map(|text| parse(text, policy, digest))
        .transpose()?;
    match (policy.schema, text.as_deref().zip(structured.as_ref())) {
        (Some(schema), Some((text, value))) => schema.check_output(value, text)?,
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
        .map(|content| judge_content(content, policy, digest))
        .collect();
    Ok(Output {
        structured,
        contents,
        denied: Vec::new(),
    })
}

fn too_large(policy: &ReleasePolicy<'_>) -> Fault {
    let most = bytesize::ByteSize(policy.most).display().iec();
    Fault::new(
        Code::OutputTooLarge,
        format!(
            "The tool's answer is larger than {most} or has more than {CONTENTS} pieces. Ask for less in one call."
        ),
    )
}

/// How long the parts of an answer are together, in bytes.
#[must_use]
pub fn size(answer: &GuestAnswer) -> usize {
    match answer {
        Ok(output) => size_of_output(output),
        Err(error) => error.message.len() + error.data.as_ref().map_or(0, String::len),
    }
}

fn size_of_output(output: &RawOutput) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let contents = output.contents.iter().map(|content| match content {
        Content::Text(text) => text.len(),
        Content::Blob(blob) => blob.data.len() + blob.mime_type.len() + length(&blob.uri),
        Content::Link(link) => {
            let optional = length(&link.description) + length(&link.mime_type);
            link.uri.len() + link.name.len() + optional
        }
    });
    contents.sum::<usize>() + length(&output.structured)
}

/// Reads a guest's JSON, which has to have one reading. Secrets are taken out of the value, not of
/// its text, which might be no JSON afterwards.
fn parse(
    text: &str,
    policy: &ReleasePolicy<'_>,
    digest: &mut AnswerDigest,
) -> Result<Value, Fault> {
    let mut value = json::parse(text.as_bytes()).map_err(|error| {
        Fault::new(
            Code::InvalidOutput,
            "The tool's structured result is not JSON. Its author should look.",
        )
        .detail(error)
    })?;
    policy.secrets.json(&mut value, text);
    digest.part(AnswerPart::Structured, value.to_string());
    Ok(value)
}

fn judge_content(
    content: Content,
    policy: &ReleasePolicy<'_>,
    digest: &mut AnswerDigest,
) -> Content {
    let scrub = |text| policy.secrets.text(text);
    // Cleaned before it is scrubbed: what is taken out must not bring a secret's halves together.
    let field = |text: String| scrub(plain(text));
    match content {
        Content::Text(text) => {
            let text = scrub(text);
            digest.part(AnswerPart::Text, &text);
            Content::Text(text)
        }
        Content::Blob(blob) => {
            let data = match policy.secrets.bytes(&blob.data) {
                Cow::Borrowed(_) => blob.data,
                Cow::Owned(clean) => clean,
            };
            let (mime_type, uri) = (field(blob.mime_type), blob.uri.map(field));
            digest.part(AnswerPart::Data, &data);
            digest.part(AnswerPart::MimeType, &mime_type);
            digest.field(AnswerPart::Uri, uri.as_ref());
            Content::Blob(Blob {
                mime_type,
                data,
                uri,
            })
        }
        Content::Link(link) => {
            let link = ResourceLink {
                uri: field(link.uri),
                name: field(link.name),
                description: link.description.map(scrub),
                mime_type: link.mime_type.map(field),
            };
            digest.part(AnswerPart::Link, &link.uri);
            digest.part(AnswerPart::Name, &link.name);
            digest.field(AnswerPart::Description, link.description.as_ref());
            digest.field(AnswerPart::MimeType, link.mime_type.as_ref());
            Content::Link(link)
        }
    }
}

fn judge_error(
    error: RawError,
    policy: &ReleasePolicy<'_>,
    digest: &mut AnswerDigest,
) -> Result<ToolError, Fault> {
    let mut message = policy.secrets.text(seen(&error.message));
    message.truncate(message.floor_char_boundary(MESSAGE));
    let code = ToolErrorCode::parse(&error.code);
    digest.part(AnswerPart::Code, code.as_str());
    digest.part(AnswerPart::Message, &message);
    if let Some(seconds) = error.retry_after {
        digest.part(AnswerPart::RetryAfter, seconds.to_be_bytes());
    }
    let too_long = |data: &String| u64::try_from(data.len()).unwrap_or(u64::MAX) > policy.most;
    if error.data.as_ref().is_some_and(too_long) {
        return Err(too_large(policy));
    }
    let data = error
        .data
        .map(|text| parse(&text, policy, digest))
        .transpose()?;
    Ok(ToolError {
        code,
        message,
        retry_after: error.retry_after,
        data,
        denied: Vec::new(),
    })
}

/// One line without control characters, for what becomes a field of the protocol.
fn plain(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    /// Takes this text out.
    struct Secret(&'static str);

    impl Scrub for Secret {
        fn text(&self, text: String) -> String {
            match self.0 {
                "" => text,
                secret => text.replace(secret, "[redacted]"),
            }
        }

        fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
            Cow::Borrowed(bytes)
        }

        fn json(&self, _: &mut Value, _: &str) {}
    }

    fn digest(answer: GuestAnswer) -> [u8; 32] {
        let policy = ReleasePolicy {
            schema: None,
            most: 1_000,
            secrets: &Secret(""),
            denied: &[],
        };
        let released = release(answer, &policy, None);
        released
            .unwrap_or_else(|fault| panic!("{fault:?}"))
            .fingerprint()
            .sha256
    }

    /// Whoever has an answer can see whether it is the one on record.
    #[test]
    fn a_digest_is_of_all_that_the_caller_gets() {
        let structured = |text: &str| RawOutput {
            structured: Some(text.to_owned()),
            contents: Vec::new(),
        };
        let content = |content| RawOutput {
            structured: None,
            contents: vec![content],
        };
        let link = |description: Option<&str>, mime_type: Option<&str>| {
            content(Content::Link(ResourceLink {
                uri: "a".to_owned(),
                name: "b".to_owned(),
                description: description.map(str::to_owned),
                mime_type: mime_type.map(str::to_owned),
            }))
        };
        let blob = |mime_type: &str| {
            content(Content::Blob(Blob {
                data: b"1".to_vec(),
                mime_type: mime_type.to_owned(),
                uri: None,
            }))
        };
        let error = |code: &str, retry_after| RawError {
            code: code.to_owned(),
            message: "1".to_owned(),
            retry_after,
            data: None,
        };
        let answers = [
            Ok(structured("1")),
            Ok(content(Content::Text("1".to_owned()))),
            Ok(blob("text/plain")),
            Ok(blob("image/png")),
            Ok(link(None, None)),
            Ok(link(Some("c"), None)),
            Ok(link(None, Some("c"))),
            Err(error("failed", None)),
            Err(error("not-found", None)),
            Err(error("failed", Some(1))),
        ];
        let digests = answers.map(digest);
        let different: std::collections::HashSet<_> = digests.iter().collect();
        assert_eq!(different.len(), digests.len());
        let spelled = [r#"{"a":1,"b":[2]}"#, "{ \"a\": 1,\n \"b\": [ 2 ] }"];
        let [one, other] = spelled.map(|text| digest(Ok(structured(text))));
        assert_eq!(one, other);
    }

    fn of_arrays(count: usize) -> GuestAnswer {
        Ok(RawOutput {
            structured: Some(format!("[{}[0]]", "[0],".repeat(count - 1))),
            contents: Vec::new(),
        })
    }

    #[test]
    fn g71_a_result_of_many_small_values_is_weighed_before_it_is_read() {
        let results = Results::default();
        let caller = "a".into();
        let room = |answer: &GuestAnswer| results.room(&caller, answer).now_or_never();
        let fault = room(&of_arrays(1 << 20)).expect("at once");
        assert_eq!(fault.unwrap_err().code, Code::OutputTooLarge);
        let in_an_error = Err(RawError {
            code: "failed".to_owned(),
            message: String::new(),
            retry_after: None,
            data: of_arrays(1 << 20).unwrap().structured,
        });
        let fault = room(&in_an_error).expect("at once");
        assert_eq!(fault.unwrap_err().code, Code::OutputTooLarge);
        let small = room(&of_arrays(10)).expect("at once");
        assert!(small.unwrap().is_none());
    }

    #[test]
    fn g71_results_of_one_caller_wait_for_each_other_and_hold_up_no_other() {
        let results = Results::default();
        let (a, b) = ("a".into(), "b".into());
        let large = of_arrays(100_000);
        let mut held = Vec::new();
        while let Some(room) = results.room(&a, &large).now_or_never() {
            held.push(room.unwrap().expect("it is no small one"));
        }
        let sum: u64 = held.iter().map(Lease::amount).sum();
        assert!(sum <= ALL_READ / 2, "{sum}");
        let mut next = pin!(results.room(&a, &large));
        assert!(next.as_mut().now_or_never().is_none());
        let others = results.room(&b, &large).now_or_never();
        assert!(others.expect("at once").unwrap().is_some());
        drop(held);
        assert!(next.now_or_never().expect("its turn").unwrap().is_some());
    }

    /// The host's words repeat what the guest asked for, and are a part of what the caller gets.
    #[test]
    fn n94_what_was_denied_is_scrubbed_and_digested() {
        let secret = "t0ken-of-the-upstream";
        let secrets = Secret(secret);
        let said = vec![format!("GET http://a.test/{secret} is denied.\u{202e}")];
        let released = |denied: &[String]| {
            let error = RawError {
                code: "failed".to_owned(),
                message: "HttpRequestDenied".to_owned(),
                retry_after: None,
                data: None,
            };
            let policy = ReleasePolicy {
                schema: None,
                most: 1_000,
                secrets: &secrets,
                denied,
            };
            release(Err(error), &policy, None).unwrap_or_else(|fault| panic!("{fault:?}"))
        };
        let (with, without) = (released(&said), released(&[]));
        assert_ne!(with.fingerprint().sha256, without.fingerprint().sha256);
        let Outcome::Error(error) = with.into_outcome() else {
            panic!("an error became an output")
        };
        let [told] = &error.denied[..] else {
            panic!("{error:?}")
        };
        assert!(told.starts_with("GET http://a.test/"), "{told}");
        assert!(
            !told.contains(secret) && !told.contains('\u{202e}'),
            "{told}"
        );

        // A guest that ends by a trap says nothing at all; one that ran out of fuel was not denied it.
        let crashed = explain(Fault::new(Code::Trapped, "It crashed."), &said, &secrets);
        assert!(
            crashed.say.starts_with("It crashed.\n[toolhost] GET"),
            "{}",
            crashed.say
        );
        assert!(!crashed.say.contains(secret), "{}", crashed.say);
        let empty = explain(Fault::new(Code::OutOfFuel, "Out."), &said, &secrets);
        assert_eq!(empty.say, "Out.");
    }
}
