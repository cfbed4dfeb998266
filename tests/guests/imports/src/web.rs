//! HTTP, by both ways that a guest has.

use crate::bindings::toolhost::tool::http;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, RequestOptions, Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::note;

pub(crate) fn ask(all: &mut Vec<String>, authority: &str) {
    whole(all, authority);
    fields(all);
    respond(all);
    for (path, comes) in [
        ("/open/pieces", Comes::Whole),
        // It is answered with half of what it promises.
        ("/open/cut", Comes::InPart),
        ("/closed", Comes::Nothing),
    ] {
        let future = send(all, authority, path);
        let came = read(all, &future);
        assert_eq!(came, comes, "of {path}");
    }
}

/// How much of a response comes.
#[derive(Debug, PartialEq, Eq)]
enum Comes {
    Nothing,
    InPart,
    Whole,
}

fn whole(all: &mut Vec<String>, authority: &str) {
    for path in ["/open/whole", "/closed"] {
        let request = http::Request {
            method: "POST".to_owned(),
            url: format!("http://{authority}{path}"),
            headers: vec![("x-asked".to_owned(), "whole".to_owned())],
            body: Some(b"a body".to_vec()),
            timeout_ms: Some(5_000),
        };
        note!(all, http::send(&request));
    }
}

fn fields(all: &mut Vec<String>) {
    let fields = Fields::new();
    let listed = Fields::from_list(&[("x-a".to_owned(), b"1".to_vec())]);
    note!(
        all,
        fields.append("x-a", b"1"),
        fields.set("x-b", &[b"2".to_vec(), b"3".to_vec()]),
        fields.has("x-b"),
        fields.get("x-b"),
        fields.clone().entries(),
        fields.delete("x-b"),
        fields.entries(),
        fields.append("not a name", b"1"),
        listed.map(|listed| listed.entries()),
    );
}

/// What only a server would send.
fn respond(all: &mut Vec<String>) {
    let response = OutgoingResponse::new(Fields::new());
    note!(
        all,
        response.set_status_code(204),
        response.status_code(),
        response.headers().entries(),
        response.body().map(|body| OutgoingBody::finish(body, None)),
    );
}

fn send(all: &mut Vec<String>, authority: &str, path: &str) -> FutureIncomingResponse {
    let request = OutgoingRequest::new(Fields::new());
    note!(
        all,
        request.set_method(&Method::Post),
        request.method(),
        request.set_scheme(Some(&Scheme::Http)),
        request.scheme(),
        request.set_authority(Some(authority)),
        request.authority(),
        request.set_path_with_query(Some(path)),
        request.path_with_query(),
        request.headers().entries(),
    );
    let options = RequestOptions::new();
    note!(
        all,
        options.set_connect_timeout(Some(5_000_000_000)),
        options.connect_timeout(),
        options.set_first_byte_timeout(Some(5_000_000_000)),
        options.first_byte_timeout(),
        options.set_between_bytes_timeout(Some(5_000_000_000)),
        options.between_bytes_timeout(),
    );
    let body = request.body().expect("a body");
    let sent = outgoing_handler::handle(request, Some(options));
    let writer = body.write().expect("a stream");
    note!(
        all,
        writer.blocking_write_and_flush(b"a body"),
        writer.flush()
    );
    drop(writer);
    note!(all, OutgoingBody::finish(body, None));
    sent.expect("an answer to come")
}

fn read(all: &mut Vec<String>, future: &FutureIncomingResponse) -> Comes {
    note!(all, future.get().is_none(), future.subscribe().block());
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        other => {
            all.push(format!("{other:?}"));
            return Comes::Nothing;
        }
    };
    note!(all, response.status(), future.get().is_some());
    // When it was answered is not for the test to know, but for the recording.
    note!(all, response.headers().entries());
    let body = response.consume().expect("a body");
    let stream = body.stream().expect("a stream");
    let came = pieces(all, &stream);
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    note!(all, trailers.get().is_some(), trailers.get().is_some());
    came
}

fn pieces(all: &mut Vec<String>, stream: &InputStream) -> Comes {
    loop {
        let ready = stream.subscribe();
        note!(all, ready.ready());
        ready.block();
        drop(ready);
        match stream.read(1 << 10) {
            Ok(piece) => all.push(format!("a piece of {}: {piece:?}", piece.len())),
            Err(StreamError::LastOperationFailed(error)) => {
                note!(all, error.to_debug_string(), http_error_code(&error));
                return Comes::InPart;
            }
            Err(StreamError::Closed) => return Comes::Whole,
        }
    }
}
