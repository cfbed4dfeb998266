//! Which grant decides, and what is said to whom it denies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::egress::testing::{grant, network};
use crate::egress::{PathError, RawTarget};

fn get(url: &str) -> RawRequest<'_> {
    RawRequest {
        method: "GET",
        target: RawTarget::Url(url),
    }
}

fn api() -> Vec<Arc<HttpGrant>> {
    vec![Arc::new(grant(
        "api",
        "https://api.test",
        &[
            "GET /search/issues",
            "GET /repos/acme/*/issues/**",
            "POST /repos/acme/*/issues",
        ],
    ))]
}

fn judged(method: &str, url: &str) -> Result<(Arc<str>, u32), RefusalKind> {
    let ask = RawRequest {
        method,
        target: RawTarget::Url(url),
    };
    judge(&api(), &ask)
        .map(|verdict| (Arc::clone(&verdict.grant().name), verdict.rule().line))
        .map_err(|refusal| refusal.kind)
}

#[test]
fn the_first_fitting_rule_is_cited() {
    for (method, url, line) in [
        ("GET", "https://api.test/search/issues?q=a", 11),
        ("GET", "https://API.test.:443/search/issues", 11),
        ("GET", "https://api.test/repos/acme/x/issues", 12),
        ("GET", "https://api.test/repos/acme/x/issues/1/comments", 12),
        ("POST", "https://api.test/repos/acme/x/issues", 13),
    ] {
        assert_eq!(
            judged(method, url),
            Ok(("api".into(), line)),
            "{method} {url}"
        );
    }
}

/// N01, N02, N03, N15, N17, N19, N39, N65.
#[test]
fn n01_n02_n03_n15_n17_n19_n39_n65_what_no_rule_names_is_denied() {
    for (method, url) in [
        ("GET", "https://evil.test/search/issues"),
        ("GET", "https://evilapi.test/search/issues"),
        ("GET", "https://api.test.evil/search/issues"),
        ("GET", "https://x.api.test/search/issues"),
        ("GET", "https://xn--exmple-4nf.com/search/issues"),
        ("GET", "https://аpi.test/search/issues"),
        ("GET", "http://api.test/search/issues"),
        ("GET", "http://api.test:443/search/issues"),
        ("GET", "https://api.test:8443/search/issues"),
        ("GET", "https://api.test/"),
        ("GET", "https://api.test/search/issues/"),
        ("GET", "https://api.test/Search/Issues"),
        ("GET", "https://api.test/repos/evil/x/issues"),
        ("POST", "https://api.test/search/issues"),
        ("HEAD", "https://api.test/search/issues"),
        ("TRACE", "https://api.test/search/issues"),
        ("GET", "https://127.0.0.1/search/issues"),
    ] {
        assert_eq!(
            judged(method, url),
            Err(RefusalKind::Denied),
            "{method} {url}"
        );
    }
    for url in [
        "https://api.test@evil.test/search/issues",
        "https://api.test/repos/acme/../../search/issues",
        "https://api.test/repos/acme/x%2Fy/issues",
        "https://api.test/search/issues#x",
        "ftp://api.test/search/issues",
    ] {
        assert_eq!(judged("GET", url), Err(RefusalKind::Invalid), "{url}");
    }
}

#[test]
fn the_url_is_built_from_the_judged_parts() {
    let url = |text: &str| judge(&api(), &get(text)).unwrap().url().to_string();
    assert_eq!(
        url("HTTPS://API.TEST.:0443/%73earch/issues?q=a%20b&x=%zz+|^[]{}"),
        "https://api.test/search/issues?q=a%20b&x=%zz+|^[]{}"
    );
    assert_eq!(
        url("https://api.test/search/issues?"),
        "https://api.test/search/issues?"
    );
    assert_eq!(
        url("https://api.test/search/issues"),
        "https://api.test/search/issues"
    );
}

#[test]
fn two_grants_of_one_origin_are_told_apart_by_their_rules() {
    let mut grants = api();
    grants.push(Arc::new(grant(
        "write",
        "https://api.test",
        &["DELETE /x", "GET /search/issues"],
    )));
    let name = |ask: &RawRequest<'_>| Arc::clone(&judge(&grants, ask).unwrap().grant().name);
    assert_eq!(&*name(&get("https://api.test/search/issues")), "api");
    let delete = RawRequest {
        method: "DELETE",
        target: RawTarget::Url("https://api.test/x"),
    };
    assert_eq!(&*name(&delete), "write");
}

/// N04 to N13: an address written as such never reaches a resolver, so it is judged here.
#[test]
fn literal_addresses_need_a_private_range() {
    for (origin, range, class) in [
        ("http://127.0.0.1", "127.0.0.0/8", "loopback"),
        ("http://10.0.0.1", "10.0.0.0/8", "private"),
        ("http://[::1]", "::1/128", "loopback"),
        ("http://[fd00::1]", "fc00::/7", "private"),
        ("http://[::ffff:127.0.0.1]", "127.0.0.0/8", "loopback"),
        ("http://[64:ff9b::7f00:1]", "64:ff9b::/96", "nat64"),
        ("http://localhost", "127.0.0.0/8", "loopback"),
        ("http://localhost", "::1/128", "loopback"),
        ("http://shop.localhost", "127.0.0.0/8", "loopback"),
    ] {
        let mut grant = grant("in", origin, &["GET /**"]);
        let url = format!("{origin}/");
        let refusal = judge(&[Arc::new(grant.clone())], &get(&url)).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Denied, "{origin}");
        assert!(refusal.say.contains(class), "{}", refusal.say);
        grant.private = vec![network(range)];
        assert!(judge(&[Arc::new(grant)], &get(&url)).is_ok(), "{origin}");
    }
}

/// N12.
#[test]
fn n12_no_range_opens_a_metadata_service() {
    for origin in [
        "http://169.254.169.254",
        "http://[fd00:ec2::254]",
        "http://100.100.100.200",
        "http://metadata.google.internal",
    ] {
        let mut grant = grant("meta", origin, &["GET /**"]);
        grant.private = vec![network("0.0.0.0/0"), network("::/0")];
        let refusal = judge(&[Arc::new(grant)], &get(&format!("{origin}/"))).unwrap_err();
        assert!(refusal.say.contains("metadata"), "{}", refusal.say);
    }
}

#[test]
fn parameters_that_are_the_hosts_are_refused() {
    let mut grant = grant("api", "https://api.test", &["GET /**"]);
    grant.auth = Some(Auth::Query {
        name: "api_key".to_owned(),
        secret: "s".into(),
    });
    let grants = [Arc::new(grant)];
    for query in [
        "api_key=x",
        "a=b&api_key=x",
        "API_KEY=x",
        "api%5Fkey=x",
        "a=b;api_key=x",
        "api_key",
        "api_key[]=x",
        "api_key%5B0%5D=x",
        "%20api_key=x",
        "+api_key=x",
        "_method=DELETE",
        "a&_METHOD=DELETE",
        "X-HTTP-Method-Override=PUT",
    ] {
        let url = format!("https://api.test/?{query}");
        let refusal = judge(&grants, &get(&url)).expect_err(query);
        assert_eq!(refusal.kind, RefusalKind::Invalid, "{query}");
    }
    for query in ["", "api_keys=x", "key=api_key", "a=_method", "xapi_key=1"] {
        let url = format!("https://api.test/?{query}");
        assert!(judge(&grants, &get(&url)).is_ok(), "{query}");
    }
}

#[test]
fn a_denial_says_what_the_nearest_grant_allows() {
    let mut grants = api();
    grants.push(Arc::new(grant(
        "shop",
        "http://shop.test:8080",
        &["GET /orders/*"],
    )));
    for (url, nearest, say) in [
        (
            "https://api.test/user?token=hunter2",
            Some("api"),
            "GET https://api.test/user is denied. The nearest grant, \"api\", allows there: \
             GET /search/issues, GET /repos/acme/*/issues/**, POST /repos/acme/*/issues.",
        ),
        (
            "http://shop.test/orders/1",
            Some("shop"),
            "GET http://shop.test/orders/1 is denied. The nearest grant, \"shop\", reaches only \
             http://shop.test:8080: GET /orders/*.",
        ),
        (
            "https://evil.test/?q=hunter2",
            Some("api"),
            "GET https://evil.test/ is denied. The nearest grant, \"api\", reaches only \
             https://api.test: GET /search/issues, GET /repos/acme/*/issues/**, \
             POST /repos/acme/*/issues.",
        ),
    ] {
        let refusal = judge(&grants, &get(url)).unwrap_err();
        assert_eq!(refusal.say, say);
        assert_eq!(refusal.nearest.as_deref(), nearest);
    }
    let refusal = judge(&[], &get("https://api.test/")).unwrap_err();
    assert_eq!(
        refusal.say,
        "GET https://api.test/ is denied: this function has no HTTP grant."
    );
    assert_eq!(refusal.nearest, None);
}

#[test]
fn a_denial_is_short() {
    let rules: Vec<String> = (0..50).map(|n| format!("GET /{n}")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let grants = [Arc::new(grant("api", "https://api.test", &rules))];
    let url = format!("https://api.test/{}", "x".repeat(4000));
    let say = judge(&grants, &get(&url)).unwrap_err().say;
    assert!(say.len() < 600, "{say}");
    assert!(say.ends_with("GET /7 and 42 more."), "{say}");
}

#[test]
fn explain_shows_every_comparison_and_the_same_decision() {
    let mut grants = api();
    grants.push(Arc::new(grant(
        "plain",
        "http://api.test",
        &["GET /search/issues"],
    )));
    grants.push(Arc::new(grant("shop", "https://shop.test", &["GET /"])));
    let ask = get("https://api.test/repos/acme/x/issues");
    let Explanation { steps, outcome } = explain(
        &grants,
        &ask,
        &RequestContent::nothing(&Arguments::default()),
    );
    let misses: Vec<_> = steps.iter().map(|step| step.miss).collect();
    assert_eq!(
        misses,
        [None, Some(OriginMiss::Scheme), Some(OriginMiss::Host)]
    );
    let rules: Vec<_> = steps[0]
        .rules
        .iter()
        .map(|step| (step.rule.line, step.miss))
        .collect();
    assert_eq!(
        rules,
        [
            (11, Some(RuleMiss::Path)),
            (12, None),
            (13, Some(RuleMiss::Method))
        ]
    );
    assert_eq!(outcome.unwrap().rule().line, 12);
    assert!(steps[1].rules.is_empty());

    let bad = explain(
        &grants,
        &get("https://api.test/a/../b"),
        &RequestContent::nothing(&Arguments::default()),
    );
    assert!(bad.steps.is_empty());
    let refusal = bad.outcome.unwrap_err();
    assert_eq!(
        refusal,
        unreadable(TargetError::Path(PathError::DotSegment))
    );
    assert_eq!(
        refusal.say,
        "The request was not sent: the URL's path holds a . or .. segment, or one that some servers \
         take for it."
    );
}

/// N72: whoever has only another function's grants has nothing.
#[test]
fn n72_grants_that_are_not_given_do_not_count() {
    let ask = get("https://api.test/search/issues");
    assert!(judge(&api(), &ask).is_ok());
    let other = [Arc::new(grant("shop", "https://shop.test", &["GET /**"]))];
    assert!(judge(&other, &ask).is_err());
}
