//! Closed rules against requests that try to say more than they list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::value::MAX_TESTED;
use super::*;

fn any(required: bool) -> Field {
    Field {
        required,
        test: Test::Any,
    }
}

fn test(test: Test) -> Field {
    Field {
        required: true,
        test,
    }
}

fn pattern(text: &str) -> Test {
    Test::Pattern(Pattern::new(text).unwrap())
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn object(fields: &[(&str, JsonRule)]) -> JsonRule {
    let fields = fields.iter().cloned();
    JsonRule::Object(
        fields
            .map(|(name, shape)| (name.to_owned(), shape))
            .collect(),
    )
}

/// `POST /email`: to whom the call says, with any subject, and nobody in copy.
fn email() -> ContentRule {
    ContentRule {
        query: QueryRule::Only(BTreeMap::new()),
        body: BodyRule::Json(object(&[
            (
                "to",
                JsonRule::Value(test(Test::Equals("recipient".into()))),
            ),
            ("subject", JsonRule::Value(any(false))),
            (
                "urgent",
                JsonRule::Value(Field {
                    required: false,
                    test: Test::OneOf(vec![Scalar::Flag(false), Scalar::Integer(0)]),
                }),
            ),
        ])),
    }
}

const JSON: &str = "application/json";

fn sent(
    rule: &ContentRule,
    query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), ContentMiss> {
    let headers: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let arguments =
        Arguments::new(r#"{"recipient": "a@b.test", "n": 7, "f": 1.5, "l": ["x"]}"#.into());
    let query = (!query.is_empty()).then_some(query);
    rule.admits(
        query,
        &RequestContent {
            headers: &headers,
            body,
            arguments: &arguments,
        },
    )
}

fn body(rule: &ContentRule, body: &str) -> Result<(), String> {
    let judged = sent(rule, "", &[("Content-Type", JSON)], body.as_bytes());
    judged.map_err(|miss| {
        assert_eq!(miss.part, ContentPart::Body);
        miss.why
    })
}

fn query(fields: &[(&str, Field)], query: &str) -> Result<(), String> {
    let fields = fields.iter().cloned();
    let rule = ContentRule {
        query: QueryRule::Only(
            fields
                .map(|(name, field)| (name.to_owned(), field))
                .collect(),
        ),
        body: BodyRule::Empty,
    };
    sent(&rule, query, &[], b"").map_err(|miss| {
        assert_eq!(miss.part, ContentPart::Query);
        miss.why
    })
}

#[test]
fn what_the_rule_lists_is_admitted() {
    let rule = email();
    for good in [
        r#"{"to": "a@b.test"}"#,
        r#" { "subject" : null, "to" : "a\u0040b.test" } "#,
        r#"{"\u0074o": "a@b.test", "subject": {"any": ["thing", 1e3]}, "urgent": false}"#,
        r#"{"to": "a@b.test", "urgent": 0}"#,
    ] {
        assert_eq!(body(&rule, good), Ok(()), "{good}");
    }
}

#[test]
fn n67_a_body_says_what_is_listed_once_and_nothing_else() {
    let rule = email();
    for (bad, why) in [
        (
            r#"{"to": "evil@b.test"}"#,
            "`/to` is not what the call's argument `recipient` is",
        ),
        (r#"{"to": ["a@b.test"]}"#, "`/to` is not what"),
        (r#"{"to": "A@B.test"}"#, "`/to` is not what"),
        (r#"{}"#, "`/to` is missing"),
        (
            r#"{"To": "a@b.test"}"#,
            "`/To` is not listed by the rule; it lists `subject`, `to`, `urgent`",
        ),
        (
            r#"{"to": "a@b.test", "bcc": "evil@b.test"}"#,
            "`/bcc` is not listed",
        ),
        (
            r#"{"to": "a@b.test", "to\u0000": 1}"#,
            "`/to\\0` is not listed",
        ),
        (
            r#"{"to": "a@b.test", "mail": {"to": "evil@b.test"}}"#,
            "`/mail` is not listed",
        ),
        (
            r#"{"to": "a@b.test", "to": "evil@b.test"}"#,
            "the same name twice",
        ),
        (
            r#"{"to": "evil@b.test", "t\u006f": "a@b.test"}"#,
            "the same name twice",
        ),
        (
            r#"{"to": "a@b.test", "subject": {"a": 1, "\u0061": 2}}"#,
            "the same name twice",
        ),
        (
            r#"{"to": "a@b.test"} {"to": "evil@b.test"}"#,
            "not one JSON value",
        ),
        (r#"{"to": "a@b.test"}x"#, "not one JSON value"),
        ("\u{feff}{\"to\": \"a@b.test\"}", "not one JSON value"),
        (
            r#"{"to": "a@b.test", "subject": "\ud800"}"#,
            "not one JSON value",
        ),
        (
            r#"{"to": "a@b.test", "subject": 1e999}"#,
            "not one JSON value",
        ),
        (
            r#"{"to": "a@b.test", /* */ "subject": 1}"#,
            "not one JSON value",
        ),
        (r#"{"to": "a@b.test",}"#, "not one JSON value"),
        (r#"{'to': 'a@b.test'}"#, "not one JSON value"),
        (
            r#"{"to": "a@b.test", "subject": NaN}"#,
            "not one JSON value",
        ),
        (
            r#"{"to": "a@b.test", "urgent": "false"}"#,
            "`/urgent` is not one of",
        ),
        (
            r#"{"to": "a@b.test", "urgent": true}"#,
            "`/urgent` is not one of",
        ),
        (
            r#"{"to": "a@b.test", "urgent": 0.0}"#,
            "`/urgent` is not one of",
        ),
        (r#"[{"to": "a@b.test"}]"#, "it has to be an object"),
        (r#""to""#, "it has to be an object"),
        ("", "there is none"),
    ] {
        let found = body(&rule, bad).expect_err(bad);
        assert!(found.contains(why), "{bad}: {found}");
    }
    let deep = format!(
        "{{\"to\": \"a@b.test\", \"subject\": {}",
        "[".repeat(100_000)
    );
    assert!(body(&rule, &deep).is_err());
    let large = format!(
        "{{\"to\": \"a@b.test\", \"subject\": \"{}\"}}",
        "x".repeat(MAX_JUDGED)
    );
    assert!(body(&rule, &large).unwrap_err().contains("larger than"));
}

#[test]
fn g71_a_body_of_many_small_values_is_not_judged() {
    let many = format!("{{\"to\": [{}[0]]}}", "[0],".repeat(200_000));
    assert!(many.len() < MAX_JUDGED);
    let found = body(&email(), &many).unwrap_err();
    assert!(found.contains("more values than are judged"), "{found}");
}

#[test]
fn n68_another_type_charset_or_encoding_is_refused() {
    let rule = email();
    let good = br#"{"to": "a@b.test"}"#;
    for headers in [
        &[("content-type", "application/json")][..],
        &[("CONTENT-TYPE", "Application/JSON; charset=UTF-8")],
        &[
            ("content-type", "application/json;charset=utf-8"),
            ("accept", "*/*"),
        ],
    ] {
        assert_eq!(sent(&rule, "", headers, good), Ok(()), "{headers:?}");
    }
    for headers in [
        &[][..],
        &[("content-type", "")],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/json; charset=utf-16")],
        &[(
            "content-type",
            "application/json; charset=utf-8; charset=utf-16",
        )],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "application/merge-patch+json")],
        &[("content-type", JSON), ("Content-Type", "text/plain")],
        &[("content-type", JSON), ("content-type", JSON)],
        &[("content-type", JSON), ("content_type", "text/plain")],
        &[("content-type", JSON), ("Content-Encoding", "gzip")],
        &[("content-type", JSON), ("content_encoding", "gzip")],
        &[("content-type", JSON), ("content-encoding", "identity")],
    ] {
        let miss = sent(&rule, "", headers, good).expect_err("refused");
        assert_eq!(miss.part, ContentPart::Body, "{headers:?}");
    }
    let utf16: Vec<u8> =
        r#"{"to": "a@b.test"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(sent(&rule, "", &[("content-type", JSON)], &utf16).is_err());
    assert!(
        sent(
            &rule,
            "",
            &[("content-type", JSON)],
            b"{\"to\": \"a@b.test\", \"subject\": \"\xff\"}"
        )
        .is_err()
    );
}

/// A closed rule closes the query too: many servers read parameters from either place.
#[test]
fn n66_a_rule_about_the_body_closes_the_query() {
    let miss = sent(
        &email(),
        "to=evil@b.test",
        &[("content-type", JSON)],
        br#"{"to": "a@b.test"}"#,
    );
    assert_eq!(miss.unwrap_err().part, ContentPart::Query);
}

#[test]
fn n66_a_query_says_what_is_listed_once_and_nothing_else() {
    let fields = [
        ("q", any(true)),
        (
            "sort",
            Field {
                required: false,
                test: Test::OneOf(vec![text("new"), text("old")]),
            },
        ),
        (
            "page",
            Field {
                required: false,
                test: pattern("[0-9]{1,3}"),
            },
        ),
        (
            "n",
            Field {
                required: false,
                test: Test::Equals("n".into()),
            },
        ),
    ];
    for good in [
        "q=",
        "q=a%20b%26sort%3Dx",
        "sort=new&q=%C3%A9&page=12&n=7",
        "%71=1",
    ] {
        assert_eq!(query(&fields, good), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("", "`q` is missing"),
        ("sort=new", "`q` is missing"),
        ("q=a&sort=NEW", "`sort` is not one of"),
        ("q=a&page=1x", "`page` is not a text that fits"),
        ("q=a&page=12%0A", "control characters"),
        ("q=a&n=8", "`n` is not what"),
        ("q=a&n=7.0", "`n` is not what"),
        (
            "q=a&admin=1",
            "`admin` is not listed by the rule; it lists `n`, `page`, `q`, `sort`",
        ),
        ("q=a&Q=b", "`Q` is not listed"),
        ("q=a&q=b", "the same name twice"),
        ("q=a&%71=b", "the same name twice"),
        ("q=a&q[]=b", "`q[]` is not listed"),
        ("q=a&q%5B%5D=b", "`q[]` is not listed"),
        ("q=a;sort=x", "a bare ;"),
        ("q=a+b", "a bare +"),
        ("q=a&", "an empty piece"),
        ("&q=a", "an empty piece"),
        ("q=a&&n=7", "an empty piece"),
        ("q", "name=value"),
        ("q=a&=b", "name=value"),
        ("q=a=b", "name=value"),
        ("q=%", "begin one escape"),
        ("q=%zz", "begin one escape"),
        ("q=%2541", "begin one escape"),
        ("q=%00", "control characters"),
        ("q=%ff", "UTF-8"),
        ("q=%c0%af", "UTF-8"),
    ] {
        let found = query(&fields, bad).expect_err(bad);
        assert!(found.contains(why), "{bad}: {found}");
    }
}

#[test]
fn lists_are_judged_element_by_element() {
    let address = JsonRule::Value(test(pattern(r"[a-z]+@b\.test")));
    let rule = ContentRule {
        query: QueryRule::Any,
        body: BodyRule::Json(object(&[(
            "to",
            JsonRule::List(Box::new(object(&[("email", address)]))),
        )])),
    };
    let good = r#"{"to": [{"email": "a@b.test"}, {"email": "c@b.test"}]}"#;
    assert_eq!(body(&rule, good), Ok(()));
    for (bad, why) in [
        (r#"{"to": []}"#, "`/to` has to have an element"),
        (r#"{"to": {"email": "a@b.test"}}"#, "`/to` has to be a list"),
        (
            r#"{"to": [{"email": "a@b.test"}, {}]}"#,
            "`/to/1/email` is missing",
        ),
        (
            r#"{"to": [{"email": "a@b.test\n"}]}"#,
            "`/to/0/email` is not a text that fits",
        ),
        (
            r#"{"to": [{"email": "a@b.test", "name": 1}]}"#,
            "`/to/0/name` is not listed",
        ),
        (
            r#"{"to": [{"email": "a@b.test, e@evil.test"}]}"#,
            "`/to/0/email`",
        ),
    ] {
        let found = body(&rule, bad).expect_err(bad);
        assert!(found.contains(why), "{bad}: {found}");
    }
}

/// Two texts of a float can be one value here and two on the other side.
#[test]
fn n67_only_what_has_one_text_equals_an_argument() {
    let equals = |name: &str| ContentRule {
        query: QueryRule::Only(BTreeMap::new()),
        body: BodyRule::Json(object(&[(
            "v",
            JsonRule::Value(test(Test::Equals(name.into()))),
        )])),
    };
    assert_eq!(body(&equals("n"), r#"{"v": 7}"#), Ok(()));
    assert_eq!(body(&equals("l"), r#"{"v": ["x"]}"#), Ok(()));
    for (name, bad) in [
        ("n", r#"{"v": "7"}"#),
        ("n", r#"{"v": 7.0}"#),
        ("n", r#"{"v": 7e0}"#),
        ("f", r#"{"v": 1.5}"#),
        ("l", r#"{"v": ["x", "y"]}"#),
        ("no_such", r#"{"v": null}"#),
    ] {
        assert!(body(&equals(name), bad).is_err(), "{name}: {bad}");
    }
}

#[test]
fn a_pattern_fits_the_whole_text_or_not_at_all() {
    for (pattern, good, bad) in [
        ("a|b", "b", "ab"),
        ("a.*", "ab", "xab"),
        ("(?i)a", "A", "aa"),
        ("^a$", "a", "a\n"),
        ("(?m)^a$", "a", "a\nb"),
        ("", "", "a"),
    ] {
        let pattern = Pattern::new(pattern).unwrap();
        assert!(pattern.fits(good), "{pattern:?} {good:?}");
        assert!(!pattern.fits(bad), "{pattern:?} {bad:?}");
    }
    for bad in ["a)|(?:b", "(", "(?x)a # b", "a{1000}{1000}{1000}", "(a)\\1"] {
        assert!(Pattern::new(bad).is_err(), "{bad}");
    }
    assert!(
        !Pattern::new(".*")
            .unwrap()
            .fits(&"x".repeat(MAX_TESTED + 1))
    );
}

#[test]
fn the_arguments_that_a_rule_asks_for_are_known() {
    let names: Vec<String> = email().arguments().map(ToString::to_string).collect();
    assert_eq!(names, ["recipient"]);
}

/// `any` opens what it stands for, and nothing else.
#[test]
fn what_is_open_is_not_read() {
    let open = ContentRule {
        query: QueryRule::Any,
        body: BodyRule::Any,
    };
    assert_eq!(sent(&open, "a=1&a=2;+", &[], b"\xff"), Ok(()));
    let half = ContentRule {
        query: QueryRule::Any,
        body: BodyRule::Empty,
    };
    assert_eq!(
        sent(&half, "a=1&a=2", &[], b"x").unwrap_err().part,
        ContentPart::Body
    );
}

/// However the second escape is written.
#[test]
fn n80_a_query_that_is_encoded_twice_is_not_read() {
    for query in [
        "q=%252e",
        "q=%25%32%65",
        "q=%252%65",
        "q=%25%32e",
        "q=%25u002e",
        "%25%37%31=a",
    ] {
        let read = query::parameters(query);
        assert_eq!(read, Err(query::QueryError::Escape), "{query}");
    }
    assert_eq!(query::parameters("q=100%25").unwrap()["q"], "100%");
}
