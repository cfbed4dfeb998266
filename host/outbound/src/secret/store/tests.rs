//! Secrets that change while the host runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::UNIX_EPOCH;

use super::*;
use crate::secret::testing::Scripted;
use crate::secret::{PatternSource, SecretPatterns};
use crate::terms::ManualClock;

async fn value(secrets: &Secrets) -> String {
    let secret = secrets.current("key").await.unwrap();
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

/// Lets what was held age at once.
fn age(secrets: &Secrets) {
    secrets.age();
    for slot in secrets.slots.values() {
        let mut held = slot.change();
        held.due = held.due.map(|_| Instant::now());
    }
}

/// What is sought for a function whose grants use the secret `key` of this manifest.
fn watch(secrets: &Secrets) -> Arc<SecretPatterns> {
    let sought = PatternSource::plain(secrets.place("key").unwrap());
    secrets.history().watch("shop.ask", vec![sought]).unwrap()
}

#[tokio::test]
async fn a_value_is_asked_for_again_when_it_has_aged_and_not_before() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.secrets().await;
    source.say(Some("the-second-value"));
    for _ in 0..100 {
        assert_eq!(value(&secrets).await, "the-former-value");
    }
    assert_eq!(source.asked(), 1);
    age(&secrets);
    assert_eq!(value(&secrets).await, "the-second-value");
    assert_eq!(value(&secrets).await, "the-second-value");
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn a_source_that_fails_leaves_the_old_value() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.secrets().await;
    for broken in [
        None,
        Some("no"),
        Some("shorter-than-16"),
        Some("a\nb\nc\nd"),
        Some(""),
    ] {
        source.say(broken);
        age(&secrets);
        let asked = source.asked();
        assert_eq!(value(&secrets).await, "the-former-value", "{broken:?}");
        // Nobody waits for a source that failed before, but it is asked, and not at once again.
        while secrets.slots["key"].is_due().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(value(&secrets).await, "the-former-value", "{broken:?}");
        assert_eq!(source.asked(), asked + 1, "{broken:?}");
    }
    source.say(Some("the-second-value"));
    age(&secrets);
    while value(&secrets).await != "the-second-value" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_value_before_is_still_taken_out() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.secrets().await;
    let watch = watch(&secrets);
    let scrub = |text: &str| watch.patterns().scrub_text(text).into_owned();
    let both = "<the-former-value> <the-second-value>";
    assert_eq!(scrub(both), "<[redacted]> <the-second-value>");
    source.say(Some("the-second-value"));
    age(&secrets);
    assert_eq!(value(&secrets).await, "the-second-value");
    assert_eq!(scrub(both), "<[redacted]> <[redacted]>");
    // After the longest call there can be, nobody can have it any more.
    secrets.history().age();
    assert_eq!(scrub(both), "<the-former-value> <[redacted]>");
}

#[tokio::test]
async fn values_age_and_are_forgotten_to_the_second() {
    let manual = ManualClock::at(UNIX_EPOCH);
    let history = Arc::new(History::timed_by(manual.clock()));
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.named("key", history).await;
    let watch = watch(&secrets);
    let scrub = |text: &str| watch.patterns().scrub_text(text).into_owned();
    source.say(Some("the-second-value"));
    manual.advance(Duration::from_secs(599));
    assert_eq!(value(&secrets).await, "the-former-value");
    manual.advance(Duration::from_secs(1));
    assert_eq!(value(&secrets).await, "the-second-value");
    let all = "<the-former-value> <the-second-value> <the-very-third-value>";
    for (passed, said, expected) in [
        (
            3_599,
            "the-very-third-value",
            "<[redacted]> <[redacted]> <[redacted]>",
        ),
        (
            600,
            "the-fourth-value",
            "<the-former-value> <[redacted]> <[redacted]>",
        ),
    ] {
        source.say(Some(said));
        manual.advance(Duration::from_secs(passed));
        assert_eq!(value(&secrets).await, said);
        assert_eq!(scrub(all), expected, "{said}");
    }
    assert_eq!(source.asked(), 4);
}

#[tokio::test]
async fn a_value_that_an_upstream_refuses_is_asked_for_anew_but_not_again_and_again() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.secrets().await;
    source.say(Some("the-second-value"));
    secrets.suspect("key");
    assert_eq!(
        value(&secrets).await,
        "the-former-value",
        "it was asked just now"
    );
    secrets.age();
    secrets.suspect("key");
    assert_eq!(value(&secrets).await, "the-second-value");
    for _ in 0..100 {
        secrets.suspect("key");
        value(&secrets).await;
    }
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn a_value_that_comes_again_is_remembered_once() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = source.secrets().await;
    for round in 0..100 {
        source.say(Some(if round % 2 == 0 {
            "one-value-of-them"
        } else {
            "other-value-of-it"
        }));
        age(&secrets);
        value(&secrets).await;
    }
    let place = secrets.place("key").unwrap();
    assert_eq!(secrets.history().count(&place), 3, "and the first one");
}

#[tokio::test]
async fn all_that_cannot_be_loaded_are_named() {
    let source = |value| -> Box<dyn SecretSource> {
        let source = Scripted::new(Duration::from_secs(600));
        source.say(value);
        Box::new(source)
    };
    let sources = vec![
        ("a".into(), source(None)),
        ("b".into(), source(Some("good-enough-for-it"))),
        ("c".into(), source(Some(""))),
    ];
    let (secrets, unloaded) = Secrets::load(sources, Arc::default()).await;
    let said: Vec<String> = unloaded
        .iter()
        .map(|one| format!("{}: {}", one.name, one.error))
        .collect();
    assert_eq!(
        said,
        [
            "a: the environment variable SCRIPT is not set",
            "c: it is empty"
        ]
    );
    assert_eq!(secrets.missing().collect::<Vec<_>>(), ["a", "c"]);
    assert!(secrets.current("a").await.is_none());
}

#[tokio::test]
async fn g78_a_secret_that_was_not_there_at_the_start_is_used_once_it_is() {
    let source = Scripted::new(Duration::from_secs(600));
    source.say(None);
    let secrets = source.secrets().await;
    let watch = watch(&secrets);
    assert!(secrets.current("key").await.is_none());
    source.say(Some("a-value-that-came-late"));
    age(&secrets);
    // Nobody waits for a source that failed: whoever comes next has what it says.
    while secrets.current("key").await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&secrets).await, "a-value-that-came-late");
    assert_eq!(secrets.missing().count(), 0);
    assert!(watch.patterns().finds(b"a-value-that-came-late"));
}

#[test]
fn secrets_show_nothing() {
    let secret = Secret::new(b"hunter2-hunter2-x".to_vec()).unwrap();
    let secrets: Secrets = [("name".into(), secret)].into_iter().collect();
    assert_eq!(
        secrets.history().guarded().scrub_text("hunter2-hunter2-x"),
        "[redacted]"
    );
    assert!(!format!("{secrets:?}").contains("hunter2"));
}

#[tokio::test]
async fn many_calls_at_once_ask_once() {
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = Arc::new(source.secrets().await);
    source.say(Some("the-second-value"));
    age(&secrets);
    let calls = (0..100).map(|_| {
        let secrets = Arc::clone(&secrets);
        tokio::spawn(async move { value(&secrets).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "the-second-value");
    }
    assert_eq!(source.asked(), 2);
}
