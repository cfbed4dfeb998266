//! Pages as servers send them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use toolhost_sdk::http::{Error, ErrorCode, Request, with_transport};
use toolhost_sdk::{Code, ToolError};

use super::*;

fn page(content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    Response::new(200)
        .with_header("content-type", content_type)
        .with_body(body)
}

fn got(response: Response) -> Result<String, ToolError> {
    let call = || get("https://a.example/dir/page".to_owned(), None, None, false);
    with_transport(move |_| Ok(response.clone()), call)
}

#[test]
fn a_page_becomes_markdown_with_absolute_links() {
    let html = r#"<!doctype html><html><head><title> A
        page </title><style>p{}</style></head><body><h1>Hello</h1>
        <p>See <a href="../other?x=1#y">this</a> and <a href="javascript:x()">that</a>.</p>
        <img src="/logo.png" alt="Logo"><img src="data:image/png;base64,AAAA" alt="inline">
        <script>alert(1)</script><ul><li>one<li>two</ul></body></html>"#;
    let text = got(page("text/html; charset=utf-8", html)).unwrap();
    assert_eq!(
        text,
        "Title: A page\nSource: https://a.example/dir/page\n\n# Hello\n\n\
         See [this](https://a.example/other?x=1#y) and that.\n\n\
         ![Logo](https://a.example/logo.png)\n\n*   one\n*   two"
    );
}

#[test]
fn only_the_main_part_is_shown_unless_asked() {
    let html = "<nav>Menu</nav><main><p>Text</p></main><footer>Imprint</footer>";
    let call = |whole| {
        let response = page("text/html", html);
        let call = || get("https://a.example/".to_owned(), None, None, whole);
        with_transport(move |_| Ok(response.clone()), call).unwrap()
    };
    assert_eq!(call(false), "Source: https://a.example/\n\nText");
    assert!(call(true).contains("Menu") && call(true).contains("Imprint"));
}

#[test]
fn a_base_of_the_page_counts() {
    let html = r#"<base href="https://b.example/d/"><a href="x">link</a>"#;
    assert!(
        got(page("text/html", html))
            .unwrap()
            .contains("(https://b.example/d/x)")
    );
}

#[test]
fn text_and_json_come_as_they_are() {
    assert!(
        got(page("application/json", r#"{"a":1}"#))
            .unwrap()
            .ends_with(r#"{"a":1}"#)
    );
    assert!(got(page("text/plain", "<b>")).unwrap().ends_with("<b>"));
    assert!(
        got(Response::new(200).with_body("plain"))
            .unwrap()
            .ends_with("plain")
    );
    assert!(
        got(Response::new(200).with_body("<p>a</p>"))
            .unwrap()
            .ends_with("\n\na")
    );
}

#[test]
fn what_is_no_text_is_refused() {
    let error = got(page("image/png", "\u{89}PNG")).unwrap_err();
    assert_eq!(
        error.message,
        "https://a.example/dir/page is image/png with 5 bytes; only text can be shown"
    );
    assert_eq!(
        got(Response::new(200).with_body("\0\0")).unwrap_err().code,
        Code::Failed
    );
}

#[test]
fn a_page_of_two_thousand_levels_is_cut_and_not_fatal() {
    let html = format!("<p>top</p>{}deep", "<div>".repeat(2_000));
    let text = got(page("text/html", html)).unwrap();
    assert!(text.contains("top") && !text.contains("deep"));
}

#[test]
fn a_long_page_says_where_to_go_on() {
    let response = page("text/plain", "x".repeat(250));
    let call = |start| {
        let response = response.clone();
        let call = || {
            get(
                "https://a.example/".to_owned(),
                Some(start),
                Some(100),
                false,
            )
        };
        with_transport(move |_| Ok(response.clone()), call)
    };
    assert!(
        call(0)
            .unwrap()
            .ends_with("x\n\n[Truncated: characters 0 to 100 of 250. Continue with start=100.]")
    );
    assert!(
        call(200)
            .unwrap()
            .ends_with(&format!("\n\n{}", "x".repeat(50)))
    );
    assert_eq!(call(250).unwrap_err().code, Code::InvalidArguments);
}

#[test]
fn redirects_are_followed_as_requests_of_their_own() {
    let server = |request: &Request| match request.url.as_str() {
        "https://a.example/" => Ok(Response::new(302).with_header("location", "/new#part")),
        "https://a.example/new" => Ok(page("text/plain", "here")),
        other => panic!("asked for {other}"),
    };
    let text = with_transport(server, || {
        get("https://a.example/".to_owned(), None, None, false)
    })
    .unwrap();
    assert_eq!(text, "Source: https://a.example/new\n\nhere");
}

#[test]
fn a_circle_ends() {
    let error = got(Response::new(301).with_header("location", "/dir/page")).unwrap_err();
    assert!(
        error.message.contains("more than 5 redirects"),
        "{}",
        error.message
    );
}

#[test]
fn errors_name_the_page_and_leave_its_words_out() {
    let error = got(Response::new(404).with_body("<html>...")).unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    assert_eq!(
        error.message,
        "https://a.example/dir/page: the upstream answered with status 404"
    );
    let refuse = |_: &Request| Err(Error::new(ErrorCode::Denied, "no grant allows it"));
    let error = with_transport(refuse, || {
        get("https://a.example/".to_owned(), None, None, false)
    })
    .unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::Denied, "https://a.example/: no grant allows it")
    );
}
