//! Attempts as they stood within the end of their call until schema 2: any JSON, whose `verdict` says how
//! it ended and whose `times` how many it is about.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::show::Tried;

#[derive(Default, Deserialize)]
struct Attempt<'a> {
    times: Option<u64>,
    #[serde(borrow, default)]
    verdict: Option<Verdict<'a>>,
}

#[derive(Default, Deserialize)]
struct Verdict<'a> {
    #[serde(borrow, default)]
    is: Cow<'a, str>,
}

/// How many attempts these are.
pub(super) fn tried(attempts: &[Box<RawValue>]) -> Tried {
    let mut tried = Tried::default();
    for attempt in attempts {
        let attempt = serde_json::from_str::<Attempt<'_>>(attempt.get()).unwrap_or_default();
        let times = attempt.times.unwrap_or(1);
        tried.all = tried.all.saturating_add(times);
        if attempt
            .verdict
            .is_some_and(|verdict| verdict.is == "refused")
        {
            tried.refused = tried.refused.saturating_add(times);
        }
    }
    tried
}
