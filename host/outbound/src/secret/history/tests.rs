//! What is remembered, for how long, and for whom.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;

use super::*;
use crate::secret::REDACTED;
use crate::secret::testing::Scripted;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec()).unwrap()
}

fn number(count: usize) -> Secret {
    secret(&format!("the-value-number-{count:04}"))
}

fn plain(place: &Arc<str>) -> Vec<PatternSource> {
    vec![PatternSource::plain(Arc::clone(place))]
}

fn takes_out(watch: &Arc<SecretPatterns>, text: &str) -> bool {
    watch.patterns().scrub_text(text) == REDACTED
}

#[test]
fn n88_the_oldest_value_that_nobody_holds_goes_first_and_no_other() {
    let (history, place) = (Arc::new(History::default()), Arc::from("place"));
    let watch = history.watch("shop.ask", plain(&place)).unwrap();
    let sent = history.note(&place, number(0));
    for count in 1..=2 * MOST_REMEMBERED {
        drop(history.note(&place, number(count)));
    }
    assert_eq!(history.count(&place), MOST_REMEMBERED);
    let known =
        |count: usize| takes_out(&watch, std::str::from_utf8(number(count).expose()).unwrap());
    assert!(known(0), "a call that runs has sent it");
    assert!(!known(1) && !known(MOST_REMEMBERED));
    assert!((MOST_REMEMBERED + 2..=2 * MOST_REMEMBERED).all(known));
    // When its call is over it is remembered as long as any other.
    history.replaced(&place, &sent);
    drop(sent);
    assert!(known(0));
    history.age();
    assert!(!known(0) && !known(2 * MOST_REMEMBERED));
}

/// As many as can be sought are, and what is in force is always among them.
#[test]
fn n88_with_more_values_than_can_be_sought_those_in_force_are() {
    let history = Arc::new(History::default());
    let places: Vec<Arc<str>> = (0..5).map(|at| format!("place {at}").into()).collect();
    let sought = places.iter().flat_map(plain).collect();
    let watch = history.watch("shop.ask", sought).unwrap();
    let mut in_force = Vec::new();
    for place in &places {
        let value = format!("what is in force at {place}");
        in_force.push(history.note(place, secret(&value)));
        for count in 0..MOST_REMEMBERED {
            drop(history.note(
                place,
                secret(&format!("{place} {:?}", number(count).expose())),
            ));
        }
    }
    for value in &in_force {
        assert!(takes_out(
            &watch,
            std::str::from_utf8(value.expose()).unwrap()
        ));
    }
}

#[test]
fn n89_a_stream_takes_in_what_becomes_known_while_it_flows() {
    let (history, place) = (Arc::new(History::default()), Arc::from("place"));
    let watch = history.watch("shop.ask", plain(&place)).unwrap();
    let first = history.note(&place, secret("the-former-value"));
    let mut streams = [
        watch.patterns().scrubber(),
        watch.patterns().line_scrubber(),
    ];
    let head = Bytes::from_static(b"the-former-value, ");
    let mut out = streams
        .each_mut()
        .map(|stream| stream.push(head.clone()).to_vec());
    let second = history.note(&place, secret("the-second-value"));
    for (stream, out) in streams.iter_mut().zip(&mut out) {
        for piece in [&b"the-seco"[..], b"nd-value\n"] {
            out.extend_from_slice(&stream.push(Bytes::from_static(piece)));
        }
        out.extend_from_slice(&stream.finish());
        assert_eq!(String::from_utf8_lossy(out), "[redacted], [redacted]\n");
    }
    drop((first, second));
}

/// A function had no credential when a call of it began.
#[test]
fn n89_a_stream_that_began_with_nothing_to_seek_takes_it_in_and_loses_no_byte() {
    let (history, place) = (Arc::new(History::default()), Arc::from("place"));
    let before = history.watch("shop.ask", Vec::new()).unwrap();
    let mut stream = before.patterns().scrubber();
    assert!(!stream.holds_back());
    let mut out = stream.push(Bytes::from_static(b"head ")).to_vec();
    assert_eq!(out, b"head ");
    let after = history.watch("shop.ask", plain(&place)).unwrap();
    let value = history.note(&place, secret("the-former-value"));
    out.extend_from_slice(&stream.push(Bytes::from_static(b"the-former-value ")));
    assert!(stream.holds_back());
    // It goes on holding what it has when there is nothing to seek any more.
    drop((value, after));
    history.age();
    out.extend_from_slice(&stream.push(Bytes::from_static(b"tail")));
    out.extend_from_slice(&stream.finish());
    assert_eq!(String::from_utf8_lossy(&out), "head [redacted] tail");
}

#[tokio::test]
async fn n90_setups_before_and_after_a_reload_seek_the_same_whatever_a_secret_is_called() {
    let history = Arc::new(History::default());
    let watch = |secrets: &crate::secret::Secrets, name: &str| {
        let place = secrets.place(name).unwrap();
        history.watch("shop.ask", plain(&place)).unwrap()
    };
    let source = Scripted::new(Duration::from_secs(600));
    let old = source.named("key", Arc::clone(&history)).await;
    let of_old = watch(&old, "key");
    source.say(Some("the-second-value"));
    let new = source.named("other", Arc::clone(&history)).await;
    let of_new = watch(&new, "other");
    // Another source altogether, and then no credential at all.
    let elsewhere = Scripted::new(Duration::from_secs(600));
    elsewhere.say(Some("a-value-from-elsewhere"));
    let third = elsewhere.named("key", Arc::clone(&history)).await;
    let of_third = watch(&third, "key");
    let without = history.watch("shop.ask", Vec::new()).unwrap();
    let all = [
        "the-former-value",
        "the-second-value",
        "a-value-from-elsewhere",
    ];
    for watch in [&of_old, &of_new, &of_third, &without] {
        assert!(all.iter().all(|value| takes_out(watch, value)));
    }
    // Neither setup's calls send them as data of their own.
    for secrets in [&old, &new, &third] {
        assert!(
            all.iter()
                .all(|value| secrets.leak(value.as_bytes()).is_some())
        );
    }
    // What another function's grants use makes no difference to a guest, by whatever name.
    let other = history.watch("shop.other", Vec::new()).unwrap();
    let place = third.place("key").unwrap();
    let same_name = history.watch("shop.third", plain(&place)).unwrap();
    assert!(all.iter().all(|value| !takes_out(&other, value)));
    assert!(!takes_out(&same_name, all[0]) && takes_out(&same_name, all[2]));
    // An hour after the old setups are gone nobody can have what only they used.
    drop((of_old, of_new, old, new));
    assert!(all.iter().all(|value| takes_out(&of_third, value)));
    history.age();
    assert!(!takes_out(&of_third, all[0]) && !takes_out(&of_third, all[1]));
    assert!(takes_out(&of_third, all[2]));
}

/// An upstream that trims what it is sent, and tells it back, tells no credential.
#[test]
fn g76_a_credential_is_taken_out_also_without_what_others_take_off() {
    let (history, place) = (Arc::new(History::default()), Arc::from("place"));
    let watch = history.watch("shop.ask", plain(&place)).unwrap();
    let _held = history.note(&place, secret(" Bearer tok-abcdef-123456\u{a0}"));
    for told in [
        " Bearer tok-abcdef-123456\u{a0}",
        "Bearer tok-abcdef-123456",
        "tok-abcdef-123456",
        "746f6b2d6162636465662d313233343536",
        "dG9rLWFiY2RlZi0xMjM0NTY=",
    ] {
        let patterns = watch.patterns();
        let clean = patterns.scrub_text(told);
        assert!(clean.contains(REDACTED), "{told}: {clean}");
        assert!(!clean.contains("abcdef"), "{told}: {clean}");
    }
    // A part of it that could be guessed is sought in what goes out no more than a short secret is.
    let _short = history.note(&place, secret("Bearer a-battery"));
    assert!(!history.guarded().finds(b"a-battery"));
    assert!(history.guarded().finds(b"Bearer a-battery"));
    assert!(history.guarded().finds(b"tok-abcdef-123456"));
    assert!(takes_out(&watch, "a-battery"));
}
