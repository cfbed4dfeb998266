//! What a guest may not send of its own accord: credentials, in the request's URL, headers or body.
//!
//! A guest has none, so what it sends it was told, or found where it should not be. It does not know
//! whether a grant allows the request; and what the host itself adds comes later and is not judged.

use bytes::Bytes;

use super::attempt::AttemptRecorder;
use super::{HttpContext, Outbound, OutboundRequest, RequestTarget};
use crate::egress::{Refusal, RefusalKind};
use crate::secret::{Leak, Secrets};
use crate::terms::Limits;

/// A longer body is searched on a thread that nobody else waits for, in bytes.
const AT_ONCE: usize = 256 << 10;

/// Refuses a request that holds a credential.
///
/// # Errors
/// Where it is and what it resembles, without a letter of it.
pub(super) async fn check(
    context: &HttpContext,
    request: &OutboundRequest,
    limits: &Limits,
    record: &mut AttemptRecorder,
) -> Result<(), Refusal> {
    let outbound = context.outbound();
    let secrets = outbound.secrets();
    let refusal = |leak, place| {
        context.leaked();
        refusal(leak, place)
    };
    if let Some(leak) = in_target(secrets, request) {
        // The URL is what the ledger would keep.
        record.conceal(|text| secrets.keepable(text));
        return Err(refusal(leak, "URL"));
    }
    let headers = request.headers.iter();
    let mut parts = headers.flat_map(|(name, value)| [name.as_bytes(), value]);
    if let Some(leak) = parts.find_map(|part| secrets.leak(part)) {
        return Err(refusal(leak, "headers"));
    }
    // A body beyond its limit is refused for that, unread.
    let length = u64::try_from(request.body.len()).unwrap_or(u64::MAX);
    if length > limits.request_body {
        return Ok(());
    }
    match in_body(outbound, &request.body).await {
        Some(leak) => Err(refusal(leak, "body")),
        None => Ok(()),
    }
}

fn in_target(secrets: &Secrets, request: &OutboundRequest) -> Option<Leak> {
    let parts: [&str; 3] = match &request.target {
        RequestTarget::Url(url) => [url, "", ""],
        RequestTarget::Parts {
            scheme,
            authority,
            path_with_query,
        } => [scheme, authority, path_with_query],
    };
    let mut parts = parts.into_iter().chain([request.method.as_str()]);
    parts.find_map(|part| secrets.leak(part.as_bytes()))
}

async fn in_body(outbound: &Outbound, body: &Bytes) -> Option<Leak> {
    if body.len() <= AT_ONCE {
        return outbound.secrets().leak(body);
    }
    let (secrets, body) = (outbound.secrets().clone(), body.clone());
    let searched = tokio::task::spawn_blocking(move || secrets.leak(&body));
    // What could not be searched does not go out.
    searched
        .await
        .unwrap_or(Some(Leak("what cannot be searched")))
}

fn refusal(Leak(what): Leak, place: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Denied,
        say: format!(
            "The request was not sent: its {place} holds {what}. Tools send no credentials; leave \
             it out, the host adds what a grant needs."
        ),
        nearest: None,
    }
}
