//! One request through `wasi:http`, part by part, as a guest of another toolkit would send it.

use std::time::Duration;

use toolhost_sdk::ToolError;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::{InputStream, StreamError};

use super::{Answer, Crowd, Parts, refused};

/// Sends it and reads the whole answer.
pub(crate) fn send(parts: Parts) -> Result<Answer, ToolError> {
    let request = request(&parts)?;
    let body = request.body().map_err(|()| malformed("body"))?;
    let waiting = outgoing_handler::handle(request, None)
        .map_err(|error| refused("wasi", format!("{error:?}")))?;
    let mut bytes = parts.body.unwrap_or_default().into_bytes();
    bytes.resize(bytes.len() + parts.fill as usize, b'x');
    write(&body, &bytes, Duration::from_millis(parts.pause_ms))?;
    let trailers = match parts.trailers.as_slice() {
        [] => None,
        trailers => Some(fields(trailers)?),
    };
    OutgoingBody::finish(body, trailers).map_err(|error| refused("wasi", format!("{error:?}")))?;
    waiting.subscribe().block();
    let response = waiting
        .get()
        .and_then(Result::ok)
        .ok_or_else(|| ToolError::failed("the response was not there when it was ready"))?
        .map_err(|error| refused("wasi", format!("{error:?}")))?;
    read(&response)
}

/// Sends many requests, waits for them one by one in their order when all are under way, and reads
/// none before it has them all.
pub(crate) fn crowd(count: u32, authority: &str) -> Result<Crowd, ToolError> {
    let mut crowd = Crowd::default();
    let mut waiting = Vec::new();
    for number in 0..count {
        let request = OutgoingRequest::new(Fields::new());
        let path = format!("/{number}");
        let set = request
            .set_scheme(Some(&Scheme::Http))
            .and_then(|()| request.set_authority(Some(authority)))
            .and_then(|()| request.set_path_with_query(Some(&path)));
        set.map_err(|()| malformed("request"))?;
        match outgoing_handler::handle(request, None) {
            Ok(response) => waiting.push(response),
            Err(error) => crowd.refuse(format!("{error:?}")),
        }
    }
    let mut unread = Vec::new();
    for response in waiting {
        response.subscribe().block();
        match response.get().and_then(Result::ok) {
            Some(Ok(response)) => unread.push(response),
            Some(Err(error)) => crowd.refuse(format!("{error:?}")),
            None => crowd.refuse("nothing was there when it was ready".to_owned()),
        }
    }
    for response in unread {
        match read(&response) {
            Ok(_) => crowd.answered += 1,
            Err(error) => crowd.refuse(error.message),
        }
    }
    Ok(crowd)
}

impl Crowd {
    fn refuse(&mut self, why: String) {
        *self.refused.entry(why).or_default() += 1;
    }
}

fn fields(pairs: &[(String, String)]) -> Result<Fields, ToolError> {
    let fields = Fields::new();
    for (name, value) in pairs {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| refused("header", format!("{name}: {error:?}")))?;
    }
    Ok(fields)
}

fn request(parts: &Parts) -> Result<OutgoingRequest, ToolError> {
    let request = OutgoingRequest::new(fields(&parts.headers)?);
    let method = method(parts.method.as_deref().unwrap_or("GET"));
    request
        .set_method(&method)
        .map_err(|()| malformed("method"))?;
    let scheme = scheme(&parts.scheme);
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| malformed("scheme"))?;
    request
        .set_authority(Some(&parts.authority))
        .map_err(|()| malformed("authority"))?;
    request
        .set_path_with_query(parts.path.as_deref())
        .map_err(|()| malformed("path"))?;
    Ok(request)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    }
}

fn scheme(name: &str) -> Scheme {
    match name {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}

fn write(body: &OutgoingBody, bytes: &[u8], pause: Duration) -> Result<(), ToolError> {
    let stream = body.write().map_err(|()| malformed("body"))?;
    for piece in bytes.chunks(4096) {
        stream
            .blocking_write_and_flush(piece)
            .map_err(|error| refused("wasi", format!("{error:?}")))?;
        std::thread::sleep(pause);
    }
    Ok(())
}

fn read(response: &IncomingResponse) -> Result<Answer, ToolError> {
    let headers = response
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = response.consume().map_err(|()| malformed("response"))?;
    let (bytes, pieces) = drain(&body)?;
    Ok(Answer {
        status: response.status(),
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        pieces,
    })
}

/// The body, and the bytes of each of its pieces.
fn drain(body: &IncomingBody) -> Result<(Vec<u8>, Vec<usize>), ToolError> {
    let stream: InputStream = body.stream().map_err(|()| malformed("response"))?;
    let (mut bytes, mut pieces) = (Vec::new(), Vec::new());
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => {
                pieces.push(piece.len());
                bytes.extend(piece);
            }
            Err(StreamError::Closed) => return Ok((bytes, pieces)),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(refused("wasi", error.to_debug_string()));
            }
        }
    }
}

fn malformed(what: &str) -> ToolError {
    refused("invalid", format!("the host takes no such {what}"))
}
