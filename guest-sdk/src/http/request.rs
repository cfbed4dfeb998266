//! A request, built in one line. It does not know how it is sent.

use std::fmt::{Display, Write};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, ErrorCode, Response, transport};
use crate::ToolError;

/// What RFC 3986 calls unreserved; everything else is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Absolute, with the query.
    pub url: String,
    /// Names and values in the order they are sent.
    pub headers: Vec<(String, String)>,
    /// The body, where there is one.
    pub body: Option<Vec<u8>>,
    /// The longest time to wait for the whole response. The call's own deadline holds as well.
    pub timeout: Option<Duration>,
    /// What kept the body from being made; sending reports it.
    invalid: Option<Error>,
}

/// A GET request.
pub fn get(url: impl Display) -> Request {
    request("GET", url)
}

/// A POST request.
pub fn post(url: impl Display) -> Request {
    request("POST", url)
}

/// A PUT request.
pub fn put(url: impl Display) -> Request {
    request("PUT", url)
}

/// A PATCH request.
pub fn patch(url: impl Display) -> Request {
    request("PATCH", url)
}

/// A DELETE request.
pub fn delete(url: impl Display) -> Request {
    request("DELETE", url)
}

/// A request with any method, in capitals.
pub fn request(method: impl Into<String>, url: impl Display) -> Request {
    Request {
        method: method.into(),
        url: url.to_string(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        invalid: None,
    }
}

/// Text as one segment of a path: a `/` in it does not end the segment.
///
/// `.` and `..` cannot be written as a segment; a tool that takes names from an agent refuses them.
#[must_use]
pub fn segment(text: &str) -> impl Display {
    utf8_percent_encode(text, ESCAPED)
}

impl Request {
    /// Adds a header. The host refuses the ones that belong to it, `Host` for example.
    pub fn header(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    /// Adds a parameter to the query, escaped.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let value = value.to_string();
        let name = utf8_percent_encode(name, ESCAPED);
        let value = utf8_percent_encode(&value, ESCAPED);
        // Writing to a string cannot fail.
        let _ = write!(self.url, "{separator}{name}={value}");
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to JSON, with its content type.
    pub fn json_body(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => {
                let message = format_args!("the body has no JSON form: {error}");
                self.invalid = Some(Error::new(ErrorCode::Invalid, message));
                self
            }
        }
    }

    /// Sets the longest time to wait for the whole response.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the response, whatever its status.
    ///
    /// # Errors
    /// Why there is no response.
    pub fn send(self) -> Result<Response, Error> {
        match self.invalid {
            Some(error) => Err(error),
            None => transport::send(self),
        }
    }

    /// Sends it and reads the response as JSON: the common case in one line.
    ///
    /// # Errors
    /// Those of [`Request::send`], [`Response::error_for_status`] and [`Response::json`].
    pub fn json<T: DeserializeOwned>(mut self) -> Result<T, ToolError> {
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("accept"))
        {
            self = self.header("accept", "application/json");
        }
        self.send()?.error_for_status()?.json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::with_transport;

    #[test]
    fn a_query_is_escaped_and_appended() {
        let request = get("https://a.example/s?x=1")
            .query("q", "a b&c=ü")
            .query("n", 7);
        assert_eq!(
            request.url,
            "https://a.example/s?x=1&q=a%20b%26c%3D%C3%BC&n=7"
        );
    }

    #[test]
    fn a_json_body_names_its_type() {
        let request = post("https://a.example/").json_body(&serde_json::json!({ "a": 1 }));
        assert_eq!(request.body.as_deref(), Some(br#"{"a":1}"#.as_slice()));
        assert_eq!(
            request.headers,
            [("content-type".to_owned(), "application/json".to_owned())]
        );
    }

    #[test]
    fn a_body_without_json_form_is_never_sent() {
        let odd = std::collections::BTreeMap::from([(vec![1_u8], 1)]);
        let request = post("https://a.example/").json_body(&odd);
        let error = with_transport(|_| Ok(Response::new(200)), || request.send());
        assert_eq!(error.map_err(|error| error.code), Err(ErrorCode::Invalid));
    }
}
