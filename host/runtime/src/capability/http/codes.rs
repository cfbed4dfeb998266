//! The errors of `wasi:http` as plain data, both ways.

use std::borrow::Cow;

use wasmtime_wasi_http::p2::bindings::http::types::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, TlsAlertReceivedPayload,
};

use crate::terms::HttpCode;

/// Each error by its word, with the number and the text that belong to it.
macro_rules! codes {
    (
        plain: $($plain:ident)*;
        large: $($large:ident)*;
        small: $($small:ident)*;
        text: $($text:ident)*;
        field: $($field:ident)*;
    ) => {
        /// An error as plain data.
        pub(super) fn plain(code: &ErrorCode) -> HttpCode {
            let (is, number, text) = match code {
                $(ErrorCode::$plain => (stringify!($plain), None, None),)*
                $(ErrorCode::$large(size) => (stringify!($large), *size, None),)*
                $(ErrorCode::$small(size) => (stringify!($small), size.map(u64::from), None),)*
                $(ErrorCode::$text(text) => (stringify!($text), None, text.clone()),)*
                $(ErrorCode::$field(field) => (
                    stringify!($field),
                    field.field_size.map(u64::from),
                    field.field_name.clone(),
                ),)*
                ErrorCode::HttpRequestHeaderSize(field) => {
                    let field = field.as_ref();
                    (
                        "HttpRequestHeaderSize",
                        field.and_then(|field| field.field_size).map(u64::from),
                        field.and_then(|field| field.field_name.clone()),
                    )
                }
                ErrorCode::DnsError(error) => {
                    ("DnsError", error.info_code.map(u64::from), error.rcode.clone())
                }
                ErrorCode::TlsAlertReceived(alert) => (
                    "TlsAlertReceived",
                    alert.alert_id.map(u64::from),
                    alert.alert_message.clone(),
                ),
            };
            HttpCode {
                is: Cow::Borrowed(is),
                number,
                text,
            }
        }

        /// The error of plain data, if there is one.
        pub(super) fn code(of: HttpCode) -> Option<ErrorCode> {
            let HttpCode { is, number, text } = of;
            let small = number.and_then(|number| u32::try_from(number).ok());
            let field = |text| FieldSizePayload {
                field_name: text,
                field_size: small,
            };
            Some(match &*is {
                $(stringify!($plain) => ErrorCode::$plain,)*
                $(stringify!($large) => ErrorCode::$large(number),)*
                $(stringify!($small) => ErrorCode::$small(small),)*
                $(stringify!($text) => ErrorCode::$text(text),)*
                $(stringify!($field) => ErrorCode::$field(field(text)),)*
                "HttpRequestHeaderSize" => {
                    let is_said = small.is_some() || text.is_some();
                    ErrorCode::HttpRequestHeaderSize(is_said.then(|| field(text)))
                }
                "DnsError" => ErrorCode::DnsError(DnsErrorPayload {
                    rcode: text,
                    info_code: number.and_then(|number| u16::try_from(number).ok()),
                }),
                "TlsAlertReceived" => ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                    alert_id: number.and_then(|number| u8::try_from(number).ok()),
                    alert_message: text,
                }),
                _ => return None,
            })
        }

        #[cfg(test)]
        const WORDS: &[&str] = &[
            $(stringify!($plain),)*
            $(stringify!($large),)*
            $(stringify!($small),)*
            $(stringify!($text),)*
            $(stringify!($field),)*
            "HttpRequestHeaderSize",
            "DnsError",
            "TlsAlertReceived",
        ];
    };
}

codes! {
    plain: DnsTimeout DestinationNotFound DestinationUnavailable DestinationIpProhibited
        DestinationIpUnroutable ConnectionRefused ConnectionTerminated ConnectionTimeout
        ConnectionReadTimeout ConnectionWriteTimeout ConnectionLimitReached TlsProtocolError
        TlsCertificateError HttpRequestDenied HttpRequestLengthRequired HttpRequestMethodInvalid
        HttpRequestUriInvalid HttpRequestUriTooLong HttpResponseIncomplete HttpResponseTimeout
        HttpUpgradeFailed HttpProtocolError LoopDetected ConfigurationError;
    large: HttpRequestBodySize HttpResponseBodySize;
    small: HttpRequestHeaderSectionSize HttpRequestTrailerSectionSize
        HttpResponseHeaderSectionSize HttpResponseTrailerSectionSize;
    text: HttpResponseTransferCoding HttpResponseContentCoding InternalError;
    field: HttpRequestTrailerSize HttpResponseHeaderSize HttpResponseTrailerSize;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn errors_are_the_same_both_ways() {
        for word in WORDS {
            let said = HttpCode {
                is: Cow::Borrowed(word),
                number: None,
                text: None,
            };
            assert_eq!(plain(&code(said.clone()).unwrap()), said);
        }
        let said = plain(&ErrorCode::InternalError(Some("full".to_owned())));
        assert_eq!(said.text.as_deref(), Some("full"));
        assert_eq!(plain(&code(said.clone()).unwrap()), said);
        let none = HttpCode {
            is: "Fine".into(),
            number: None,
            text: None,
        };
        assert!(code(none).is_none());
    }
}
