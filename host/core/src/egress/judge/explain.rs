//! Every comparison of a decision, for an operator who asks why.
//!
//! It decides nothing by itself: it walks what `judge` walks.

use std::sync::Arc;

use super::{
    AllowedRequest, OriginMiss, Refusal, RuleMiss, RuleName, content_miss, decide, origin_miss,
    rule_miss, unreadable,
};
use crate::egress::{ContentPart, RequestContent};
use crate::egress::{HttpGrant, Rule};
use crate::egress::{ParsedRequest, RawRequest};

/// How one grant looks at one request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// The grant's name.
    pub grant: Arc<str>,
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// The only place it reaches.
    pub origin: String,
    /// Why the request does not go there; `None` where it does.
    pub miss: Option<OriginMiss>,
    /// Its rules, where the origin fits.
    pub rules: Vec<RuleStep>,
}

/// How one rule looks at one request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleStep {
    /// Which rule.
    #[serde(flatten)]
    pub rule: RuleName,
    /// Why it does not fit; `None` where it does.
    pub miss: Option<RuleMiss>,
    /// What is wrong with the query or the body, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Every comparison that [`judge`](super::judge) could make, and what it decides.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The grants in their order. Empty where the request cannot be read.
    pub steps: Vec<Step>,
    /// The decision, names' addresses aside: those are judged when they are known.
    pub outcome: Result<AllowedRequest, Refusal>,
}

/// Decides on one request and shows every comparison.
#[must_use]
pub fn explain(
    grants: &[Arc<HttpGrant>],
    ask: &RawRequest<'_>,
    sent: &RequestContent<'_>,
) -> Explanation {
    match ParsedRequest::parse(ask) {
        Err(error) => Explanation {
            steps: Vec::new(),
            outcome: Err(unreadable(error)),
        },
        Ok(asked) => Explanation {
            steps: grants
                .iter()
                .map(|grant| step(grant, &asked, sent))
                .collect(),
            outcome: decide(grants, &asked, sent),
        },
    }
}

fn step(grant: &HttpGrant, asked: &ParsedRequest, sent: &RequestContent<'_>) -> Step {
    let miss = origin_miss(grant, asked);
    let rules: &[Rule] = if miss.is_none() { &grant.allow } else { &[] };
    Step {
        grant: Arc::clone(&grant.name),
        line: grant.line,
        origin: grant.origin.to_string(),
        miss,
        rules: rules
            .iter()
            .map(|rule| rule_step(rule, asked, sent))
            .collect(),
    }
}

fn rule_step(rule: &Rule, asked: &ParsedRequest, sent: &RequestContent<'_>) -> RuleStep {
    let (miss, why) = match (rule_miss(rule, asked), content_miss(rule, asked, sent)) {
        (Some(miss), _) => (Some(miss), None),
        (None, None) => (None, None),
        (None, Some(content)) => {
            let miss = match content.part {
                ContentPart::Query => RuleMiss::Query,
                ContentPart::Body => RuleMiss::Body,
            };
            (Some(miss), Some(content.why))
        }
    };
    RuleStep {
        rule: RuleName::of(rule),
        miss,
        why,
    }
}
