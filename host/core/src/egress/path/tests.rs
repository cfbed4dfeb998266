//! One reading of a path, or none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn pattern(text: &str) -> Vec<PathSegment> {
    text.split('/')
        .skip(1)
        .map(|segment| match segment {
            "*" => PathSegment::Any,
            "**" => PathSegment::Rest,
            text => PathSegment::Exactly(text.to_owned()),
        })
        .collect()
}

#[test]
fn a_path_with_one_reading_gets_one_form() {
    for (given, canonical_form) in [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("/Ab/CD", "/Ab/CD"),
        ("/%61%62%7E%2D%5f", "/ab~-_"),
        ("/a%2e", "/a."),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b", "/a..b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b", "/a%20b"),
        ("/a%3fb%23c", "/a%3Fb%23c"),
        ("/100%25", "/100%25"),
        ("/100%25zz", "/100%25zz"),
        ("/a%3ab:c", "/a%3Ab:c"),
        ("/!$&'()*+,=:@-._~", "/!$&'()*+,=:@-._~"),
        ("/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
        (
            "/%22%3c%3E%5b%5d%5e%60%7b%7c%7d",
            "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D",
        ),
    ] {
        let found = canonical(given).map(|path| path.to_string());
        assert_eq!(found.as_deref(), Ok(canonical_form), "{given}");
        assert_eq!(canonical(canonical_form).unwrap().as_str(), canonical_form);
    }
}

/// However the second escape is written, and whatever it stands for.
#[test]
fn n80_a_path_that_is_encoded_twice_is_refused_in_every_spelling() {
    for escape in ["2e", "2f", "5c", "3b", "41", "00", "25", "u002e", "U2215"] {
        for spelling in 0..1_u32 << escape.len().min(3) {
            let letters =
                escape
                    .bytes()
                    .enumerate()
                    .map(|(at, letter)| match spelling >> at.min(2) & 1 {
                        0 => char::from(letter).to_string(),
                        _ => format!("%{letter:02x}"),
                    });
            let path = format!("/repos/acme/a%25{}b", letters.collect::<String>());
            assert_eq!(canonical(&path), Err(PathError::Twice), "{path}");
        }
    }
    for (given, reason) in [
        ("/repos/acme/%25%32%65%25%32%65", PathError::Twice),
        ("/a/%2525%32%65", PathError::Twice),
        ("/a/..%20", PathError::DotSegment),
        ("/a/%20..", PathError::DotSegment),
        ("/a/.%20.", PathError::DotSegment),
        ("/a/.%20", PathError::DotSegment),
        ("/a/..%c2%a0/b", PathError::DotSegment),
        ("/a/%ef%bc%8e%ef%bc%8e/b", PathError::DotSegment),
        ("/a/.%ef%b9%92", PathError::DotSegment),
        ("/a/%e2%80%a5/b", PathError::DotSegment),
        ("/a/..%ef%bc%8fb", PathError::Lookalike),
        ("/a/b%e2%88%95c", PathError::Lookalike),
        ("/a/b%ef%bc%bcc", PathError::Lookalike),
        ("/a/%ef%bc%852e", PathError::Lookalike),
        ("/a/..%ef%bc%9b", PathError::Lookalike),
    ] {
        assert_eq!(canonical(given), Err(reason), "{given:?}");
    }
    for plain in [
        "/...",
        "/a%20.",
        "/a%25zz",
        "/100%25",
        "/caf%C3%A9.",
        "/%25u00g0",
    ] {
        assert!(canonical(plain).is_ok(), "{plain}");
    }
}

/// N65, and the relatives of its forms.
#[test]
fn n65_a_path_with_two_readings_is_refused() {
    for (given, reason) in [
        ("a", PathError::Relative),
        ("*", PathError::Relative),
        ("http://evil/", PathError::Relative),
        ("//evil/", PathError::EmptySegment),
        ("/a//b", PathError::EmptySegment),
        ("/a//", PathError::EmptySegment),
        ("/.", PathError::DotSegment),
        ("/..", PathError::DotSegment),
        ("/a/./b", PathError::DotSegment),
        ("/a/../b", PathError::DotSegment),
        ("/a/%2e%2e/b", PathError::DotSegment),
        ("/a/.%2E/b", PathError::DotSegment),
        ("/a/%2e", PathError::DotSegment),
        ("/a%2Fb", PathError::EscapedSlash),
        ("/a%2fb", PathError::EscapedSlash),
        ("/a%5Cb", PathError::Backslash),
        ("/a\\b", PathError::Backslash),
        ("/a/..;/b", PathError::Parameter),
        ("/a;v=1", PathError::Parameter),
        ("/a%3bv", PathError::Parameter),
        ("/%252e%252e/", PathError::Twice),
        ("/%252F", PathError::Twice),
        ("/%2525", PathError::Twice),
        ("/a%00", PathError::EscapedControl),
        ("/a%0d%0aHost:x", PathError::EscapedControl),
        ("/a%7f", PathError::EscapedControl),
        ("/a%", PathError::Escape),
        ("/a%2", PathError::Escape),
        ("/a%zz", PathError::Escape),
        ("/a%u002f", PathError::Escape),
        ("/a%+1", PathError::Escape),
        ("/a b", PathError::Character),
        ("/a\tb", PathError::Character),
        ("/a\0b", PathError::Character),
        ("/é", PathError::Character),
        ("/a#b", PathError::Character),
        ("/a?b", PathError::Character),
        ("/%c0%af", PathError::NotUtf8),
        ("/%c0%ae%c0%ae", PathError::NotUtf8),
        ("/%ff", PathError::NotUtf8),
    ] {
        assert_eq!(canonical(given), Err(reason), "{given:?}");
    }
}

#[test]
fn patterns_match_whole_paths() {
    for (rule, path, expected) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/a", "/a", true),
        ("/a", "/A", false),
        ("/a", "/a/", false),
        ("/a/", "/a/", true),
        ("/a/", "/a", false),
        ("/a", "/ab", false),
        ("/a", "/a/b", false),
        ("/a/*", "/a/b", true),
        ("/a/*", "/a/", false),
        ("/a/*", "/a", false),
        ("/a/*", "/a/b/", false),
        ("/a/*", "/a/b/c", false),
        ("/*", "/", false),
        ("/*", "/a", true),
        ("/a/*/c", "/a/b/c", true),
        ("/a/*/c", "/a/b/d", false),
        ("/a/**", "/a", true),
        ("/a/**", "/a/", true),
        ("/a/**", "/a/b/c/", true),
        ("/a/**", "/ab", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/a/*/**", "/a/", false),
        ("/a/*/**", "/a/b", true),
        ("/a%20b", "/a%20b", true),
        ("/a:b", "/a%3Ab", false),
    ] {
        let matches = canonical(path).unwrap().matches(&pattern(rule));
        assert_eq!(matches, expected, "{rule} on {path}");
    }
    assert!(canonical("/").unwrap().matches(&[]));
    assert!(!canonical("/a").unwrap().matches(&[]));
}

/// What is judged is what is sent: `url` leaves a canonical path as it is.
#[test]
fn the_url_standard_does_not_change_a_canonical_path() {
    for byte in 0..=u8::MAX {
        let Ok(path) = canonical(&format!("/a%{byte:02x}b/{}", char::from(byte & 0x7f))) else {
            continue;
        };
        let url = url::Url::parse(&format!("https://api.test{path}")).unwrap();
        assert_eq!(url.path(), path.as_str());
        let uri: http::Uri = url.as_str().parse().unwrap();
        assert_eq!(uri.path(), path.as_str());
    }
}

/// A server may redirect to a name of an older character set; nobody reads ASCII into it.
#[test]
fn n93_a_server_names_its_own_paths_in_its_own_character_set() {
    for (path, read) in [
        ("/caf%E9", "/caf%E9"),
        ("/%e4%f6%fc/x", "/%E4%F6%FC/x"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/%e0b/%fe", "/%E0b/%FE"),
    ] {
        let own = canonical_of_server(path);
        assert_eq!(own.map(|own| own.as_str().to_owned()), Ok(read.to_owned()));
        // Of anybody else it has to be UTF-8.
        assert_eq!(canonical(path).is_ok(), read == "/caf%C3%A9", "{path}");
    }
    for path in [
        "/%c0%af",
        "/%c0%ae",
        "/%c1o",
        "/%c0o",
        "/%e0%80%af",
        "/%e0@o",
        "/%f0%80%80%af",
        "/%f8@",
        "/%fc%80%80%80%80%ae",
    ] {
        assert_eq!(canonical_of_server(path), Err(PathError::NotUtf8), "{path}");
    }
    for (path, error) in [
        ("/%e9/..", PathError::DotSegment),
        ("/%e9%2fa", PathError::EscapedSlash),
        ("/%e9//a", PathError::EmptySegment),
        ("/%e9%252e", PathError::Twice),
    ] {
        assert_eq!(canonical_of_server(path), Err(error), "{path}");
    }
}
