//! A response, and what its status means to an agent. It does not know where it came from.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::{Code, ToolError};

/// How much of an upstream's own words goes into an error message, in bytes.
const QUOTED: usize = 300;

/// A response, with any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl Response {
    /// An empty response: where a test's upstream begins.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The first header of this name, where it is text. Capitals do not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text; bytes that are no UTF-8 become the replacement character.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `failed` where the body is something else, with the place and its beginning.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        crate::json::read(&self.body).map_err(|error| {
            ToolError::failed(format_args!(
                "the upstream's answer is not what was expected, at `{}`: {}; it begins with {:?}",
                error.path(),
                error.inner(),
                self.beginning(),
            ))
        })
    }

    /// The response itself where its status is 2xx or 3xx.
    ///
    /// # Errors
    /// The status in the codes an agent acts on: 404 and 410 are `not-found`, 401 and 403 `denied`,
    /// 429 `rate-limited`, 5xx and 408 `unavailable`, the others `failed`. A `Retry-After` in
    /// seconds is kept; a date is not, the host has no clock that agrees with the upstream's.
    pub fn error_for_status(self) -> Result<Self, ToolError> {
        if self.status < 400 {
            return Ok(self);
        }
        let code = match self.status {
            401 | 403 => Code::Denied,
            404 | 410 => Code::NotFound,
            429 => Code::RateLimited,
            408 | 500.. => Code::Unavailable,
            _ => Code::Failed,
        };
        let quoted = self.beginning();
        let message = match quoted.as_str() {
            "" => format!("the upstream answered with status {}", self.status),
            said => format!("the upstream answered with status {}: {said}", self.status),
        };
        let mut error = ToolError::new(code, message);
        error.retry_after = self.retry_after();
        Err(error)
    }

    /// Seconds after which the upstream wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.header("retry-after")?.trim().parse().ok()
    }

    fn beginning(&self) -> String {
        let start = self.body.get(..QUOTED).unwrap_or(&self.body);
        String::from_utf8_lossy(start).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16) -> Option<Code> {
        Response::new(status)
            .error_for_status()
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn statuses_become_codes_an_agent_acts_on() {
        let expected = [
            (200, None),
            (304, None),
            (400, Some(Code::Failed)),
            (401, Some(Code::Denied)),
            (403, Some(Code::Denied)),
            (404, Some(Code::NotFound)),
            (408, Some(Code::Unavailable)),
            (429, Some(Code::RateLimited)),
            (500, Some(Code::Unavailable)),
            (503, Some(Code::Unavailable)),
        ];
        for (status, wanted) in expected {
            assert_eq!(code(status), wanted, "{status}");
        }
    }

    #[test]
    fn retry_after_is_kept_in_seconds_only() {
        let limited = |value: &str| {
            let response = Response::new(429).with_header("Retry-After", value);
            response
                .error_for_status()
                .err()
                .and_then(|error| error.retry_after)
        };
        assert_eq!(limited("30"), Some(30));
        assert_eq!(limited("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(limited("-1"), None);
    }

    #[test]
    fn what_is_no_json_is_quoted() {
        let response = Response::new(200).with_body("<html>".repeat(100));
        let error = response
            .json::<Vec<u8>>()
            .map_err(|error| error.message)
            .err();
        let message = error.unwrap_or_default();
        assert!(
            message.contains("expected value at line 1 column 1"),
            "{message}"
        );
        assert!(
            message.contains("<html>") && message.len() < 500,
            "{message}"
        );
    }
}
