//! Bytes of a page as text. It does not know HTML beyond the place where a page names its charset.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far a page is looked at for its charset. Source: the HTML standard, "prescan a byte stream".
const LOOKED_AT: usize = 1_024;

/// The text: by its byte order mark, else by the header's charset, else by the page's own, else
/// UTF-8 where it is that, else Windows-1252, as browsers do.
pub(crate) fn decode(body: &[u8], content_type: Option<&str>) -> String {
    let named = content_type.and_then(parameter).or_else(|| prescan(body));
    let encoding = named.unwrap_or_else(|| match std::str::from_utf8(body) {
        Ok(_) => UTF_8,
        Err(_) => WINDOWS_1252,
    });
    encoding.decode(body).0.into_owned()
}

/// The charset of `text/html; charset=utf-8`.
fn parameter(content_type: &str) -> Option<&'static Encoding> {
    let (_, parameters) = content_type.split_once(';')?;
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset
            .then(|| Encoding::for_label(value.trim().trim_matches(['"', '\'']).as_bytes()))?
    })
}

/// The charset in `<meta charset="...">` or `<meta http-equiv content="...; charset=...">`.
fn prescan(body: &[u8]) -> Option<&'static Encoding> {
    let start = body.get(..LOOKED_AT).unwrap_or(body);
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let mut tags = start.split("<meta").skip(1);
    tags.find_map(|tag| {
        let tag = tag.split('>').next()?;
        let (_, value) = tag.split_once("charset")?;
        let value = value.trim_start().strip_prefix('=')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        let label = value.split(['"', '\'', ' ', ';', '/']).next()?;
        Encoding::for_label(label.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charset_is_found_wherever_it_is_named() {
        assert_eq!(
            decode(b"gr\xfcn", Some("text/html; charset=iso-8859-1")),
            "grün"
        );
        assert_eq!(
            decode(b"gr\xfcn", Some("text/html; x=y; Charset=\"windows-1252\"")),
            "grün"
        );
        assert_eq!(
            decode(b"<meta charset=koi8-r>\xc1", Some("text/html")),
            "<meta charset=koi8-r>а"
        );
        let http_equiv =
            b"<META http-equiv=Content-Type content='text/html; charset=shift_jis'>\x82\xa0";
        assert!(decode(http_equiv, None).ends_with('あ'));
        assert_eq!(
            decode(b"\xef\xbb\xbfx", Some("text/html; charset=iso-8859-1")),
            "x"
        );
    }

    #[test]
    fn without_a_name_it_is_utf_8_or_what_browsers_take() {
        assert_eq!(decode("grün".as_bytes(), None), "grün");
        assert_eq!(decode(b"gr\xfcn", Some("text/html")), "grün");
        assert_eq!(
            decode("grün".as_bytes(), Some("text/html; charset=nonsense")),
            "grün"
        );
    }
}
