//! Addresses of pages. It does not ask for them.

use toolhost_sdk::ToolError;
use url::Url;

/// Reads an address; a fragment is for the reader, not for the server.
pub(crate) fn parse(text: &str) -> Result<Url, ToolError> {
    let refused = |why: &str| ToolError::invalid_arguments(format_args!("url: {text:?} {why}"));
    let url = Url::parse(text.trim()).map_err(|error| {
        refused(&format!(
            "is no address ({error}); write it like https://example.org/page"
        ))
    })?;
    checked(url).map_err(refused)
}

/// Where a redirect leads.
pub(crate) fn redirected(from: &Url, location: &str) -> Result<Url, ToolError> {
    let refused = |why: &str| {
        ToolError::failed(format_args!(
            "{from} redirects to {location:?}, which {why}"
        ))
    };
    let to = from.join(location).map_err(|_| refused("is no address"))?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(refused("is not encrypted although the page is"));
    }
    checked(to).map_err(refused)
}

fn checked(mut url: Url) -> Result<Url, &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name in it; credentials are the host's to add");
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_web_addresses_are_taken() {
        assert_eq!(
            parse(" https://a.example/x#top").unwrap().as_str(),
            "https://a.example/x"
        );
        for text in [
            "",
            "a.example",
            "file:///etc/passwd",
            "ftp://a.example",
            "https://u:p@a.example/",
            "data:,x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_relative_and_never_loses_encryption() {
        let from = parse("https://a.example/x/y").unwrap();
        assert_eq!(
            redirected(&from, "../z").unwrap().as_str(),
            "https://a.example/z"
        );
        assert_eq!(
            redirected(&from, "//b.example/").unwrap().as_str(),
            "https://b.example/"
        );
        assert!(redirected(&from, "http://a.example/").is_err());
        assert!(redirected(&from, "javascript:alert(1)").is_err());
    }
}
