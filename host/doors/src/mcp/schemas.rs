//! Schemas in their authors' order. The library keeps a schema as a map, which sorts its names, and
//! turns answers of HTTP into bytes itself. So it is given a stand-in for each schema, an object with
//! the schema's text in it, and in the bytes of a list the text takes the stand-in's place.
//!
//! Nothing that a tool says of itself is taken for a stand-in: in the bytes of a list everything of a
//! tool's is within a text of JSON, where a quote is escaped, and a stand-in begins with `{"`. A session's
//! own stream may carry answers of another kind; there the stand-in's name is one that nobody knows.
//!
//! It does not know which tools there are, nor who lists them.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use memchr::memmem;
use serde_json::{Map, Value};

use crate::terms::SchemaDocument;

/// The member of a stand-in that holds the schema's text: 128 bits of it are this process's own. It
/// sorts before `type`.
static NAME: LazyLock<String> = LazyLock::new(|| {
    let own = RandomState::new();
    let [first, second] = [0, 1].map(|half: u8| own.hash_one(half));
    format!("toolhost-schema-{first:016x}{second:016x}")
});

/// How a stand-in begins.
static BEGIN: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(&format!("{{\"{}\":", *NAME)).into_owned());

/// What stands for a schema until its answer is bytes.
pub(super) fn stand_in(schema: &SchemaDocument) -> Map<String, Value> {
    const TYPE: &str = "type";
    const OBJECT: &str = "object";
    let mut stand_in = Map::new();
    stand_in.insert(NAME.clone(), schema.to_string().into());
    // Results that are no objects are left out for older clients: the library looks for it there.
    if schema.as_map().get(TYPE).is_some_and(|kind| kind == OBJECT) {
        stand_in.insert(TYPE.to_owned(), OBJECT.into());
    }
    stand_in
}

/// The bytes of a list, or of an event with one in it, with every schema in its place; none where there
/// is no stand-in in them.
pub(super) fn in_place(message: &[u8]) -> Option<Vec<u8>> {
    let mut at = BEGIN.find(message)?;
    let mut whole = Vec::with_capacity(message.len());
    let mut rest = message;
    loop {
        let (before, from) = rest.split_at_checked(at)?;
        whole.extend_from_slice(before);
        let (schema, length) = text(from)?;
        whole.extend_from_slice(schema.as_bytes());
        rest = from.get(length..)?;
        match BEGIN.find(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    whole.extend_from_slice(rest);
    Some(whole)
}

/// The schema's text in a stand-in that these bytes begin with, and the stand-in's length.
fn text(from: &[u8]) -> Option<(String, usize)> {
    let mut values = serde_json::Deserializer::from_slice(from).into_iter::<Map<String, Value>>();
    let mut stand_in = values.next()?.ok()?;
    match stand_in.remove(NAME.as_str())? {
        Value::String(text) => Some((text, values.byte_offset())),
        _ => None,
    }
}

/// The same in the body of an answer, whether it is a whole one or comes event by event.
pub(crate) async fn in_answer(
    response: Response<BoxBody<Bytes, Infallible>>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let (head, body) = response.into_parts();
    let is_whole = body.size_hint().exact().is_some();
    let body = if is_whole {
        let Ok(whole) = body.collect().await;
        Full::new(in_bytes(whole.to_bytes())).boxed()
    } else {
        // An event comes in one frame.
        body.map_frame(|frame| frame.map_data(in_bytes)).boxed()
    };
    Response::from_parts(head, body)
}

fn in_bytes(message: Bytes) -> Bytes {
    in_place(&message).map_or(message, Bytes::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use serde_json::json;

    use super::*;

    const TEXT: &str =
        r#"{"type":"object","properties":{"to":{"title":"\"\\\n\u2028é"},"from":{}}}"#;

    fn schema(text: &str) -> SchemaDocument {
        serde_json::from_str(text).unwrap()
    }

    fn list(schemas: &[&str]) -> Vec<u8> {
        let stand_ins: Vec<_> = schemas.iter().map(|text| stand_in(&schema(text))).collect();
        serde_json::to_vec(&json!({ "before": stand_ins, "z": "behind" })).unwrap()
    }

    fn expected(schemas: &[&str]) -> String {
        let texts: Vec<String> = schemas
            .iter()
            .map(|text| schema(text).to_string())
            .collect();
        format!("{{\"before\":[{}],\"z\":\"behind\"}}", texts.join(","))
    }

    #[test]
    fn every_stand_in_becomes_its_text() {
        for schemas in [
            &[TEXT][..],
            &[TEXT, "{}", TEXT],
            &[r#"{"z":1,"type":["a"],"b":2}"#],
        ] {
            let whole = in_place(&list(schemas)).unwrap();
            assert_eq!(String::from_utf8(whole).unwrap(), expected(schemas));
        }
        assert_eq!(in_place(&list(&[])), None);
    }

    /// Even a tool that knew the name could not write it where it is looked for.
    #[test]
    fn n99_what_a_tool_says_is_no_stand_in_even_with_its_name() {
        let begin = format!("{{\"{}\":\"{{}}\"}}", *NAME);
        let said = json!({
            "description": begin,
            "ends_so": "{",
            "title": format!("\\{begin}"),
            "inputSchema": stand_in(&schema(&format!(r#"{{"default":{begin}}}"#))),
        });
        let whole = in_place(&serde_json::to_vec(&said).unwrap()).unwrap();
        let read: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(read["description"], begin);
        assert_eq!(read["title"], format!("\\{begin}"));
        assert_eq!(read["inputSchema"]["default"][NAME.as_str()], "{}");
        assert_eq!(NAME.len(), "toolhost-schema-".len() + 32);
    }

    #[tokio::test]
    async fn an_answer_says_its_new_length_and_a_stream_stays_one() {
        let whole = Response::new(Full::new(Bytes::from(list(&[TEXT]))).boxed());
        let answer = in_answer(whole).await;
        let length = expected(&[TEXT]).len();
        assert_eq!(
            answer.body().size_hint().exact(),
            Some(u64::try_from(length).unwrap())
        );
        let event = [&b"data: "[..], &list(&[TEXT]), b"\nid: 1\n\n"].concat();
        let events = [b": ping\n\n".to_vec(), event].map(|event| {
            let frame = Frame::data(Bytes::from(event));
            Ok::<_, Infallible>(frame)
        });
        let events = StreamBody::new(stream::iter(events));
        let answer = in_answer(Response::new(events.boxed())).await;
        assert_eq!(answer.body().size_hint().exact(), None);
        let Ok(body) = answer.into_body().collect().await;
        let said = format!(": ping\n\ndata: {}\nid: 1\n\n", expected(&[TEXT]));
        assert_eq!(body.to_bytes(), said);
    }
}
