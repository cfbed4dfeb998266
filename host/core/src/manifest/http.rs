//! `http.*`: where requests may go, of a tool and of its functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Host;

use super::diagnostics::{At, Finding, Span, TextDiagnostics};
use super::egress::KEYS;
use super::grants::Site;
use super::key_reader::{Entry, KeyReader};
use super::name::Kind;
use super::problem::quoted;
use super::rule::{self, Placed};
use super::secret::Secrets;
use super::{auth, egress, network, origin, units};
use crate::egress::{
    Auth, Class, HttpGrant, Network, Origin, QueryRule, Scheme, Way, is_host_parameter,
    is_localhost, is_metadata_name, is_public, loopback, may_dial,
};

/// A list that nobody can read over protects nothing; it also bounds the comparing below.
const MOST_RULES: usize = 256;

/// A grant as far as it could be read.
#[derive(Debug, Clone)]
pub(super) struct PartialHttpGrant {
    span: Span,
    line: u32,
    /// Unless it is wrong; then what depends on it is not judged.
    origin: Option<Origin>,
    rules: Vec<Placed>,
    /// Rules before this one are inherited.
    fresh: usize,
    /// It has no `allow` of its own.
    silent: bool,
    /// A function's section adds to it.
    extended: bool,
    private: Vec<Network>,
    auth: Option<Auth>,
    /// How many redirects are followed, and where that is written.
    redirects: Option<At<u32>>,
    way: Way,
}

/// The most redirects that can be followed: a longer chain is a loop or a trap.
const MOST_REDIRECTS: u32 = 3;

/// Grants by name.
pub(super) type PartialHttpGrants = BTreeMap<Arc<str>, PartialHttpGrant>;

/// The grants of a section, over those it inherits.
pub(super) fn read(
    sections: Vec<Entry<'_>>,
    site: &Site<'_>,
    inherited: &PartialHttpGrants,
) -> PartialHttpGrants {
    let mut drafts = inherited.clone();
    for draft in drafts.values_mut() {
        draft.fresh = draft.rules.len();
        draft.silent = false;
        draft.extended = false;
    }
    let Some(page) = sections.first().map(|section| section.page) else {
        return drafts;
    };
    for section in sections {
        let name = Kind::Grant.read(page, &section.key);
        let Some(table) = section.table() else {
            continue;
        };
        match drafts.get_mut(&name) {
            Some(draft) => extend(draft, table, site.secrets),
            None => {
                drafts.insert(name, new(table, site));
            }
        }
    }
    report_rivals(page, &drafts);
    drafts
}

fn new(mut table: KeyReader<'_>, site: &Site<'_>) -> PartialHttpGrant {
    let (page, secrets) = (table.page, site.secrets);
    let url = table.take("url");
    if url.is_none() {
        table.missing(
            "url",
            "write for example `url = \"https://api.example.com\"`",
        );
    }
    let origin = url.as_ref().and_then(origin::read);
    let allow = table.take("allow");
    let rules = allow.as_ref().map(rules_of).unwrap_or_default();
    rule::report_shadowed(page, &rules, 1);
    rule::report_opened(page, &rules, 1);
    let private = match table.take("private") {
        Some(entry) => networks(&entry, origin.as_ref()),
        None => Some(Vec::new()),
    };
    let credential = table.take("auth");
    let auth = credential.as_ref().and_then(|entry| entry.table());
    if credential.is_some() && auth.is_none() {
        secrets.doubt();
    }
    let auth = auth.and_then(|table| auth::read(table, secrets));
    report_never(page, &rules, auth.as_ref());
    let redirects = table.take("redirects").and_then(|entry| {
        let value = units::small_count(&entry, 0..=MOST_REDIRECTS)?;
        let span = entry.key.span;
        Some(At { value, span })
    });
    let own = egress::own(&mut table);
    let (span, line) = (table.span.clone(), table.line());
    let slips = table.finish();
    if slips.hide(&["auth"]) {
        secrets.doubt();
    }
    let private = private.filter(|_| !slips.hide(&["private"]));
    if let (Some(origin), Some(url), Some(private)) = (&origin, &url, &private) {
        let finding = unreachable(origin, url, private)
            .or_else(|| in_clear(origin, private, credential.as_ref()));
        finding.into_iter().for_each(|finding| page.report(finding));
    }
    let direct = private.as_ref().is_none_or(|networks| !networks.is_empty());
    let origin_at = url.as_ref().zip(origin.as_ref());
    let way = origin_at.map(|at| site.egress.way(own, at, direct));
    PartialHttpGrant {
        span,
        line,
        origin,
        rules,
        fresh: 0,
        silent: allow.is_none() && !slips.hide(&["allow"]),
        extended: false,
        private: private.unwrap_or_default(),
        auth,
        redirects,
        way: way.unwrap_or_default(),
    }
}

/// Reports the query parameters that a rule lists and no guest may send.
fn report_never(page: &TextDiagnostics<'_>, rules: &[Placed], auth: Option<&Auth>) {
    for rule in rules {
        let content = rule.value.content.as_deref();
        let Some(QueryRule::Only(listed)) = content.map(|content| &content.query) else {
            continue;
        };
        for name in listed.keys().filter(|name| is_host_parameter(auth, name)) {
            let message = format!(
                "a request with the parameter {} is always refused",
                quoted(name)
            );
            let finding = Finding::at(&rule.span, message);
            page.report(finding.hint("it is the host's to set: delete it from `query`"));
        }
    }
}

/// Adds a function's rules to a grant of its tool.
fn extend(draft: &mut PartialHttpGrant, mut table: KeyReader<'_>, secrets: &Secrets) {
    let page = table.page;
    draft.extended = true;
    for key in ["url", "private", "auth", "redirects"]
        .into_iter()
        .chain(KEYS)
    {
        let refused = table.refuse(key, |entry| {
            let message = format!(
                "{} is the tool's to say, a function only adds to `allow`",
                entry.label()
            );
            Finding::at(&entry.key.span, message)
                .hint("give the grant another name, or delete the key")
        });
        if refused && key == "auth" {
            secrets.doubt();
        }
    }
    match table.take("allow") {
        Some(entry) => {
            let rules = rules_of(&entry);
            report_never(page, &rules, draft.auth.as_ref());
            draft.rules.extend(rules);
        }
        None => table.missing("allow", "write for example `allow = [\"GET /orders/*\"]`"),
    }
    rule::report_shadowed(page, &draft.rules, draft.fresh.max(1));
    rule::report_opened(page, &draft.rules, draft.fresh.max(1));
    table.finish();
}

fn rules_of(entry: &Entry<'_>) -> Vec<Placed> {
    let Some(list) = entry.list() else {
        return Vec::new();
    };
    let message = match list.len() {
        0 => "`allow` allows nothing".to_owned(),
        1..=MOST_RULES => return rule::read(&list),
        many => format!("`allow` has {many} rules, at most {MOST_RULES} are possible"),
    };
    let hint = "write for example `allow = [\"GET /orders/*\"]`";
    entry
        .page
        .report(Finding::at(&entry.span, message).hint(hint));
    Vec::new()
}

/// The networks of `private`, unless one of them is wrong.
fn networks(entry: &Entry<'_>, origin: Option<&Origin>) -> Option<Vec<Network>> {
    let list = entry.list()?;
    let literal = origin.and_then(network::literal);
    let message = match literal {
        _ if list.is_empty() => "`private` names no network".to_owned(),
        Some(ip) if is_public(ip) => format!("`private` has no effect: {ip} is public"),
        _ => {
            let networks = network::read(&list, origin);
            return (networks.len() == list.len()).then_some(networks);
        }
    };
    entry
        .page
        .report(Finding::at(&entry.key.span, message).hint("delete `private`"));
    None
}

/// What keeps every request of the grant from being sent.
fn unreachable(origin: &Origin, url: &Entry<'_>, private: &[Network]) -> Option<Finding> {
    let (class, example) = match (network::literal(origin), &origin.host) {
        (Some(ip), _) => {
            let bits = if ip.is_ipv4() { 32 } else { 128 };
            (may_dial(ip, private).err()?, format!("{ip}/{bits}"))
        }
        (None, Host::Domain(name)) if is_metadata_name(name) => (Class::Metadata, String::new()),
        (None, Host::Domain(name)) if is_localhost(name) => {
            (loopback(private).err()?, "127.0.0.0/8".to_owned())
        }
        (None, _) => return None,
    };
    let message =
        format!("the grant can never connect: its host's address is `{class}`, not public");
    let hint = if class.can_be_granted() {
        format!("add `private = [\"{example}\"]` to the grant if it is meant")
    } else {
        "no grant opens such an address: delete the grant".to_owned()
    };
    Some(Finding::at(&url.span, message).hint(hint))
}

/// A credential that everyone on the way could read.
fn in_clear(
    origin: &Origin,
    private: &[Network],
    credential: Option<&Entry<'_>>,
) -> Option<Finding> {
    let entry = credential?;
    if origin.scheme == Scheme::Https || !private.is_empty() {
        return None;
    }
    let message = "the credential would cross the internet in clear";
    Some(Finding::at(&entry.key.span, message).hint(
        "write `https://` in `url`, or the network in `private` if the host is not on the internet",
    ))
}

/// Reports each new rule that a second grant of the same origin has too: the request would carry
/// one of two credentials, by chance of the order.
fn report_rivals(page: &TextDiagnostics<'_>, drafts: &PartialHttpGrants) {
    for (index, (name, draft)) in drafts.iter().enumerate() {
        for (other_name, other) in drafts.iter().skip(index + 1) {
            if draft.origin.is_none() || draft.origin != other.origin {
                continue;
            }
            let pairs = draft.rules.iter().enumerate().flat_map(|(i, rule)| {
                let fresh = move |j: usize| i >= draft.fresh || j >= other.fresh;
                let rivals = other.rules.iter().enumerate();
                rivals
                    .filter(move |(j, rival)| fresh(*j) && rule::overlap(&rule.value, &rival.value))
                    .map(move |(_, rival)| (rule, rival))
            });
            if let Some((rule, rival)) = pairs.into_iter().next() {
                let rule_first = rule.span.start < rival.span.start;
                let (first, first_name, second) = if rule_first {
                    (rule, name, rival)
                } else {
                    (rival, other_name, rule)
                };
                report_rival(page, first, first_name, second);
            }
        }
    }
}

fn report_rival(page: &TextDiagnostics<'_>, first: &Placed, first_name: &str, second: &Placed) {
    let message = format!(
        "some requests fit both {} and a rule of the grant {} for the same host",
        quoted(&second.value.text),
        quoted(first_name),
    );
    let hint = format!(
        "which credential they carry would be left to chance: \
         keep the rules apart from {} on line {}, or join the grants",
        quoted(&first.value.text),
        first.value.line
    );
    page.report(Finding::at(&second.span, message).hint(hint));
}

/// Reports the grants of a section that allow nothing, neither themselves nor through a function.
pub(super) fn report_silent<'d>(
    page: &TextDiagnostics<'_>,
    own: &PartialHttpGrants,
    functions: impl Iterator<Item = &'d PartialHttpGrants> + Clone,
) {
    for (name, draft) in own.iter().filter(|(_, draft)| draft.silent) {
        let extended =
            |drafts: &PartialHttpGrants| drafts.get(name).is_some_and(|draft| draft.extended);
        if !functions.clone().any(extended) {
            let finding = Finding::at(&draft.span, "`allow` is missing")
                .hint("write for example `allow = [\"GET /orders/*\"]`");
            page.report(finding.remote());
        }
    }
}

/// The grants that a section does not inherit.
pub(super) fn own(drafts: &PartialHttpGrants, inherited: &PartialHttpGrants) -> PartialHttpGrants {
    let fresh = drafts
        .iter()
        .filter(|(name, _)| !inherited.contains_key(*name));
    fresh
        .map(|(name, draft)| (Arc::clone(name), draft.clone()))
        .collect()
}

/// Reports the grants of a section whose `redirects` nothing can use, neither their own rules nor
/// those that a function adds: only GET and HEAD are followed.
pub(super) fn report_unfollowed<'d>(
    page: &TextDiagnostics<'_>,
    own: &PartialHttpGrants,
    functions: impl Iterator<Item = &'d PartialHttpGrants> + Clone,
) {
    let asks = |draft: &PartialHttpGrant| {
        let mut rules = draft.rules.iter();
        rules.any(|rule| matches!(rule.value.method, http::Method::GET | http::Method::HEAD))
    };
    for (name, draft) in own {
        let Some(redirects) = draft.redirects.as_ref().filter(|at| at.value > 0) else {
            continue;
        };
        let extended = functions.clone().filter_map(|drafts| drafts.get(name));
        if !draft.rules.is_empty() && !asks(draft) && !extended.into_iter().any(asks) {
            let message = "`redirects` has no effect: the grant has no rule for GET or HEAD";
            let finding = Finding::at(&redirects.span, message);
            page.report(
                finding
                    .hint("no other method is followed: delete it")
                    .remote(),
            );
        }
    }
}

/// The grants as every other room knows them.
pub(super) fn grants(drafts: &PartialHttpGrants) -> Vec<Arc<HttpGrant>> {
    let grant = |(name, draft): (&Arc<str>, &PartialHttpGrant)| {
        Some(Arc::new(HttpGrant {
            name: Arc::clone(name),
            line: draft.line,
            origin: draft.origin.clone()?,
            allow: draft.rules.iter().map(|rule| rule.value.clone()).collect(),
            private: draft.private.clone(),
            auth: draft.auth.clone(),
            redirects: draft.redirects.as_ref().map_or(0, |at| at.value),
            way: draft.way.clone(),
        }))
    };
    drafts.iter().filter_map(grant).collect()
}
