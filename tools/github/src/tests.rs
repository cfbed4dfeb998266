//! The four functions against canned answers of GitHub.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toolhost_sdk::http::{Request, Response, with_transport};
use toolhost_sdk::serde_json::{Value, json};
use toolhost_sdk::{Code, ToolError};

use super::*;

fn issue(number: u64) -> Value {
    json!({
        "number": number, "title": "Leak", "state": "open", "state_reason": null,
        "user": { "login": "octocat" }, "labels": [{ "name": "bug" }, "old"], "comments": 3,
        "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-02T00:00:00Z",
        "html_url": "https://github.com/acme/app/issues/7", "body": "It leaks.",
    })
}

/// An upstream that answers by path and fails on any other.
fn github(
    pages: Vec<(&'static str, Value)>,
) -> impl Fn(&Request) -> Result<Response, toolhost_sdk::http::Error> {
    move |request| {
        let path = request.url.strip_prefix("https://api.github.com").unwrap();
        let page = pages.iter().find(|(known, _)| *known == path);
        let (_, body) = page.unwrap_or_else(|| panic!("asked for {path}"));
        Ok(Response::new(200).with_body(body.to_string()))
    }
}

fn refusal(response: Response) -> ToolError {
    let call = || read_issue("acme/app".to_owned(), 7, None);
    with_transport(move |_| Ok(response.clone()), call).unwrap_err()
}

#[test]
fn a_search_is_narrowed_and_summed_up() {
    let upstream = github(vec![(
        "/search/issues?q=leak%20repo%3Aacme%2Fapp%20state%3Aopen&per_page=5&page=1",
        json!({ "total_count": 1, "incomplete_results": false, "items": [issue(7)] }),
    )]);
    let call = || {
        search_issues(
            "leak ".to_owned(),
            Some("acme/app".to_owned()),
            Some(issues::State::Open),
            Some(5),
            None,
        )
    };
    let found = with_transport(upstream, call).unwrap();
    assert_eq!((found.total, found.issues[0].number), (1, 7));
}

#[test]
fn an_issue_comes_with_its_comments_and_what_is_missing() {
    let comment = json!({ "user": null, "created_at": "2026-11-02T00:00:00Z", "body": "x".repeat(5000), "html_url": "u" });
    let upstream = github(vec![
        ("/repos/acme/app/issues/7", issue(7)),
        (
            "/repos/acme/app/issues/7/comments?per_page=1",
            json!([comment]),
        ),
    ]);
    let issue = with_transport(upstream, || read_issue("acme/app".to_owned(), 7, Some(1))).unwrap();
    assert_eq!(issue.body, "It leaks.");
    assert_eq!(issue.discussion.len(), 1);
    assert_eq!(
        issue.notes,
        [
            "1 comments are longer than 4000 characters and were cut",
            "2 later comments are not here"
        ]
    );
}

#[test]
fn a_file_is_decoded() {
    let text = "a\nb\nc\n";
    let content: String = STANDARD
        .encode(text)
        .chars()
        .flat_map(|c| [c, '\n'])
        .collect();
    let upstream = github(vec![(
        "/repos/acme/app/contents/src/a%20b.rs?ref=v1",
        json!({ "type": "file", "path": "src/a b.rs", "sha": "1", "size": 6, "encoding": "base64", "content": content, "html_url": null }),
    )]);
    let call = || {
        read_file(
            "acme/app".to_owned(),
            "/src/a b.rs".to_owned(),
            Some("v1".to_owned()),
            Some(2),
        )
    };
    let file = with_transport(upstream, call).unwrap();
    assert_eq!(file.text.as_deref(), Some("b\nc\n"));
    assert_eq!((file.lines, file.next_line), (Some(3), None));
}

#[test]
fn a_long_file_says_where_to_go_on() {
    let text = format!("{}\n", "x".repeat(99)).repeat(1500);
    let page = json!({ "type": "file", "path": "a", "sha": "1", "encoding": "base64", "content": STANDARD.encode(text) });
    let upstream = github(vec![("/repos/acme/app/contents/a", page)]);
    let call = || read_file("acme/app".to_owned(), "a".to_owned(), None, None);
    let file = with_transport(upstream, call).unwrap();
    assert_eq!((file.lines, file.next_line), (Some(1500), Some(1001)));
}

#[test]
fn a_directory_is_listed_and_what_is_no_text_refused() {
    let upstream = || {
        github(vec![
            (
                "/repos/acme/app/contents",
                json!([{ "name": "src", "type": "dir", "size": 0 }]),
            ),
            (
                "/repos/acme/app/contents/logo",
                json!({ "type": "file", "path": "logo", "sha": "1", "encoding": "base64", "content": "AP8=" }),
            ),
            (
                "/repos/acme/app/contents/big",
                json!({ "type": "file", "path": "big", "sha": "1", "size": 2_000_000, "encoding": "none", "content": "" }),
            ),
        ])
    };
    let read = |path: &str| {
        with_transport(upstream(), || {
            read_file("acme/app".to_owned(), path.to_owned(), None, None)
        })
    };
    assert_eq!(
        read("").unwrap().entries.map(|entries| entries.len()),
        Some(1)
    );
    assert_eq!(read("logo").unwrap_err().message, "logo is no text file");
    assert!(read("big").unwrap_err().message.contains("2000000 bytes"));
}

#[test]
fn a_comment_is_posted_once() {
    let upstream = |request: &Request| {
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            (
                "POST",
                "https://api.github.com/repos/acme/app/issues/7/comments"
            )
        );
        assert_eq!(
            request.body.as_deref(),
            Some(br#"{"body":"Thanks"}"#.as_slice())
        );
        Ok(Response::new(201).with_body(r#"{"id":5,"html_url":"u"}"#))
    };
    let written = with_transport(upstream, || {
        create_comment("acme/app".to_owned(), 7, "Thanks".to_owned())
    })
    .unwrap();
    assert_eq!((written.id, written.url.as_str()), (5, "u"));
}

#[test]
fn refusals_say_what_to_do() {
    assert_eq!(refusal(Response::new(404)).code, Code::NotFound);
    assert_eq!(refusal(Response::new(301)).code, Code::NotFound);
    assert_eq!(refusal(Response::new(401)).code, Code::Denied);
    assert_eq!(refusal(Response::new(403)).code, Code::Denied);
    assert_eq!(
        refusal(Response::new(422).with_body(r#"{"message":"no such field"}"#)).message,
        "GitHub cannot work with these arguments: no such field"
    );
    assert_eq!(
        refusal(Response::new(502).with_body("<html>")).code,
        Code::Unavailable
    );
    assert_eq!(
        refusal(Response::new(200).with_body("{}")).code,
        Code::Failed
    );
}

#[test]
fn a_used_up_budget_says_how_long_to_wait() {
    let plain = refusal(Response::new(429).with_header("retry-after", "17"));
    assert_eq!(
        (plain.code, plain.retry_after),
        (Code::RateLimited, Some(17))
    );
    let used_up = refusal(
        Response::new(403)
            .with_header("x-ratelimit-remaining", "0")
            .with_header("x-ratelimit-reset", "1"),
    );
    assert_eq!(
        (used_up.code, used_up.retry_after),
        (Code::RateLimited, Some(1))
    );
    let secondary = refusal(
        Response::new(403).with_body(r#"{"message":"You have exceeded a secondary rate limit"}"#),
    );
    assert_eq!(
        (secondary.code, secondary.retry_after),
        (Code::RateLimited, Some(60))
    );
}

#[test]
fn arguments_that_would_change_the_path_are_refused_before_any_request() {
    for repo in [
        "", "acme", "acme/", "acme/a/b", "../app", "acme/..", "a b/c",
    ] {
        let call = || read_issue(repo.to_owned(), 7, None);
        let error = with_transport(|_| panic!("asked"), call).unwrap_err();
        assert_eq!(error.code, Code::InvalidArguments, "{repo}");
    }
    let call = || read_file("acme/app".to_owned(), "src/../../x".to_owned(), None, None);
    assert_eq!(
        with_transport(|_| panic!("asked"), call).unwrap_err().code,
        Code::InvalidArguments
    );
    let call = || create_comment("acme/app".to_owned(), 7, " ".to_owned());
    assert_eq!(
        with_transport(|_| panic!("asked"), call).unwrap_err().code,
        Code::InvalidArguments
    );
}
