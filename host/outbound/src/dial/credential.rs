//! Adds the credential of a grant to a request, just before it is sent.
//!
//! It knows neither where credentials come from nor where requests go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use crate::egress::Auth;
use crate::secret::{Secret, percent};

/// Adds the credential; `None` where it does not fit a header.
pub(super) fn inject(
    headers: &mut HeaderMap,
    url: &mut Url,
    auth: &Auth,
    secret: &Secret,
) -> Option<()> {
    let (name, value) = match auth {
        Auth::Bearer { .. } => (AUTHORIZATION, join(b"Bearer ", secret.expose())),
        Auth::Basic { user, .. } => (AUTHORIZATION, join(b"Basic ", &basic(user, secret))),
        Auth::Header { name, .. } => (name.clone(), join(b"", secret.expose())),
        Auth::Query { name, .. } => {
            add_parameter(url, name, secret);
            return Some(());
        }
    };
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Some(())
}

/// RFC 7617: the user's name and the secret, in base64.
pub(crate) fn basic(user: &str, secret: &Secret) -> Zeroizing<Vec<u8>> {
    let pair = join(format!("{user}:").as_bytes(), secret.expose());
    Zeroizing::new(STANDARD.encode(&*pair).into_bytes())
}

fn join(start: &[u8], end: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([start, end].concat())
}

fn add_parameter(url: &mut Url, name: &str, secret: &Secret) {
    let pair = Zeroizing::new(format!(
        "{}={}",
        percent(name.as_bytes()),
        percent(secret.expose())
    ));
    let query = match url.query() {
        None | Some("") => pair,
        Some(query) => Zeroizing::new(format!("{query}&{}", *pair)),
    };
    url.set_query(Some(&query));
}
