//! Every answer that a guest gets from outside passes one seam: a call that is recorded there runs again
//! from its recording alone, and comes out the same.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use toolhost_core::grants::provided;
use toolhost_core::terms::{Bill, Code, HostAnswer, Recording};
use toolhost_outbound::{NoRecording, Recorder};
use wit_parser::Resolve;

use crate::harness::{
    End, House, Site, Upstream, checkout, code, guest, structured, text_response, v03_guest,
};

/// As much of one call is recorded, in bytes.
const MOST: u64 = 4 << 20;

const SECRET: &str = "hunter2-hunter2-hunter2";

/// A host whose guest has something of everything, and what there is for it.
fn house(authority: &str, word: &str) -> House {
    let site = Site::new().secret("key", SECRET);
    site.write("data/there", word);
    let text = format!(
        r#"
[secret.key]
env = "KEY"
[tool.imports]
component = "imports.wasm"
env = {{ WORD = "{word}" }}
config = {{ greeting = "{word}" }}
log = "info"
[tool.imports.http.up]
url = "http://{authority}"
allow = ["POST /open/**"]
private = ["127.0.0.0/8"]
auth = {{ bearer = "key" }}
[tool.imports.dir.data]
host = "data"
guest = "/data"
access = "read-write"
[tool.imports.kv.kept]
bytes = "1MiB"
keys = 100
[tool.stranger]
component = "stranger.wasm"
config = {{ greeting = "{word}" }}
log = "info"
[tool.stranger.kv.default]
bytes = "1MiB"
keys = 100
"#
    );
    House::at(site, &text)
}

/// Answers in pieces, with what is left out at the end, and with the credential that it was asked with.
async fn upstream() -> Upstream {
    Upstream::start(|seen| {
        let bearer = seen.header("authorization").unwrap_or_default();
        let said = format!("{bearer} says {:?}", seen.body);
        let pieces = |pieces: Vec<Result<Bytes, std::io::Error>>| {
            Response::new(Body::from_stream(stream::iter(pieces)))
        };
        Some(match seen.uri.path() {
            "/open/pieces" => pieces(vec![
                Ok("one, ".into()),
                Ok("two, ".into()),
                Ok(said.into()),
            ]),
            "/open/cut" => {
                let half = stream::once(async { Ok(Bytes::from("half")) });
                // Once that has been written.
                let end = stream::once(async {
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    Err(std::io::Error::other("it breaks off"))
                });
                Response::new(Body::from_stream(half.chain(end)))
            }
            _ => text_response(200, &said),
        })
    })
    .await
}

/// Records a call.
async fn record(house: &House, function: &str, arguments: &Value) -> (End, Bill, Recording) {
    let recorder = Recorder::recording(MOST);
    let (end, bill) = house
        .with_recorder(function, arguments.clone(), &recorder)
        .await;
    (end, bill, recorder.finish().expect("a recording"))
}

/// As it is after it was written and read.
fn written(recording: &Recording) -> Recording {
    let text = serde_json::to_string(recording).expect("JSON");
    let read: Recording = serde_json::from_str(&text).expect("a recording");
    assert_eq!(read, *recording);
    read
}

/// What a call tried, in no order: what is sent beside each other has none.
fn tried(house: &House) -> Vec<String> {
    let mut all: Vec<String> = house.attempts().iter().map(Value::to_string).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_call_runs_again_from_its_recording_alone_and_comes_out_the_same() {
    let up = upstream().await;
    let authority = up.address.to_string();
    let live = house(&authority, "live");
    let arguments = json!({ "authority": authority });
    let (end, bill, recording) = record(&live, "imports_ask", &arguments).await;
    let notes = structured(&end);
    let was = tried(&live);
    assert!(was.len() > 8 && bill.egress_requests >= 3, "{was:#?}");
    drop((up, live));

    // Another host, where nothing is as it was: nobody answers, and whatever is read says otherwise.
    let other = house(&authority, "other");
    let recorder = Recorder::replaying(written(&recording));
    let (again, billed) = other
        .with_recorder("imports_ask", arguments, &recorder)
        .await;
    assert_eq!(recorder.divergence(), None, "{again:?}");
    assert_eq!(structured(&again), notes);
    assert_eq!(billed.fuel, bill.fuel);
    assert_eq!(billed.peak_memory, bill.peak_memory);
    assert_eq!(
        (billed.egress_requests, billed.egress_bytes),
        (bill.egress_requests, bill.egress_bytes)
    );
    assert_eq!(tried(&other), was);
    assert_eq!(other.site.read("data/there"), "other");
    assert!(!other.site.path("data/new").exists());
}

/// What a program is given on its standard input is no answer from outside; what it prints is its own.
#[tokio::test]
async fn a_program_that_answers_in_what_it_prints_runs_again() {
    let text = r#"
[tool.p]
component = "program.wasm"
[tool.p.command.upper]
description = "In capitals."
input.text = { type = "string" }
arguments = ["upper"]
stdin = "{text}"
"#;
    let arguments = json!({ "text": "small" });
    let (end, bill, recording) = record(&House::new(text), "p_upper", &arguments).await;
    assert!(end.is_ok(), "{end:?}");
    assert!(!recording.entries.is_empty());
    let recorder = Recorder::replaying(written(&recording));
    let (again, billed) = House::new(text)
        .with_recorder("p_upper", arguments, &recorder)
        .await;
    assert_eq!(recorder.divergence(), None);
    assert_eq!(end, again);
    assert_eq!(bill.fuel, billed.fuel);
}

#[tokio::test]
async fn a_call_of_wasi_0_3_is_not_recorded_and_not_made() {
    let site = Site::new();
    site.link(&v03_guest("wasi3.wasm"), "wasi3.wasm");
    let house = House::at(
        site,
        "[tool.wasi3]\ncomponent = \"wasi3.wasm\"\nwasi = \"0.3\"\n",
    );
    let recorder = Recorder::recording(MOST);
    let arguments = json!({ "n": 1, "ms": 1 });
    let (end, bill) = house
        .with_recorder("wasi3_sleepers", arguments.clone(), &recorder)
        .await;
    let fault = end.expect_err("a refusal");
    assert!(
        fault.say.contains("only calls of WASI 0.2 are"),
        "{fault:?}"
    );
    assert_eq!(bill.fuel, 0);
    let (end, _) = house
        .with_recorder("wasi3_sleepers", arguments, &Recorder::off())
        .await;
    assert!(end.is_ok(), "{end:?}");
}

/// However it ends.
#[tokio::test]
async fn a_guest_that_ends_itself_does_so_again() {
    let live = house("127.0.0.1:9", "live");
    for (arguments, is_failure) in [(json!({}), false), (json!({ "code": 3 }), true)] {
        let (end, bill, recording) = record(&live, "imports_leave", &arguments).await;
        assert!(end.is_err(), "{end:?}");
        let recorder = Recorder::replaying(written(&recording));
        let (again, billed) = live
            .with_recorder("imports_leave", arguments, &recorder)
            .await;
        assert_eq!(recorder.divergence(), None);
        assert_eq!(end, again);
        assert_eq!(bill.fuel, billed.fuel);
        let said = end.expect_err("an end").detail.unwrap_or_default();
        assert_eq!(said.ends_with("status 3"), is_failure, "{said}");
    }
}

#[tokio::test]
async fn interfaces_under_other_names_pass_the_seam_too() {
    let live = house("127.0.0.1:9", "live");
    let other = house("127.0.0.1:9", "other");
    for (function, arguments) in [
        ("stranger_settings", json!({ "key": "greeting" })),
        ("stranger_complain", json!({ "words": "said" })),
        ("stranger_luck", json!({})),
        (
            "stranger_recall",
            json!({ "word": "w", "keys": ["a", "b"] }),
        ),
    ] {
        let (end, bill, recording) = record(&live, function, &arguments).await;
        assert!(!recording.entries.is_empty(), "{function}");
        let recorder = Recorder::replaying(written(&recording));
        let (again, billed) = other.with_recorder(function, arguments, &recorder).await;
        assert_eq!(end, again, "{function}");
        assert_eq!(bill.fuel, billed.fuel, "{function}");
    }
}

/// The functions of each interface that a component imports, by the interface's name with its version.
fn imports(component: &str) -> BTreeMap<String, BTreeSet<String>> {
    let bytes = std::fs::read(guest(component)).expect("a component");
    let wit_parser::decoding::DecodedWasm::Component(resolve, world) =
        wit_parser::decoding::decode(&bytes).expect("a component")
    else {
        panic!("{component} is none");
    };
    let mut all = BTreeMap::new();
    for (key, item) in &resolve.worlds[world].imports {
        if let wit_parser::WorldItem::Interface { id, .. } = item {
            let functions = resolve.interfaces[*id].functions.keys().cloned();
            all.insert(resolve.name_world_key(key), functions.collect());
        }
    }
    all
}

/// What no guest can call: it would need what no guest is given.
fn is_out_of_reach(function: &str) -> bool {
    [
        // No socket is ever made, and no name is looked up.
        "[method]tcp-socket.",
        "[method]udp-socket.",
        "[method]incoming-datagram-stream.",
        "[method]outgoing-datagram-stream.",
        "[method]resolve-address-stream.",
        // These are a server's.
        "[method]incoming-request.",
        "[method]response-outparam.",
        "[static]response-outparam.",
    ]
    .iter()
    .any(|start| function.starts_with(start))
}

/// A function that is linked and not in here fails this test: it has to be called, and so to pass the
/// seam or to be answered from what the guest said itself.
#[test]
fn every_function_that_is_linked_is_called_by_the_guests_that_are_recorded() {
    let mut asked = imports("imports.wasm");
    for (interface, functions) in imports("stranger.wasm") {
        asked.entry(interface).or_default().extend(functions);
    }
    let mut resolve = Resolve::default();
    resolve
        .push_dir(checkout().join("wit"))
        .expect("the WIT of the host");
    let mut missing = Vec::new();
    for (name, series) in provided() {
        let is_it = |interface: &str| {
            let (own, version) = interface.split_once('@').unwrap_or((interface, ""));
            own == name && (version == series || version.starts_with(&format!("{series}.")))
        };
        let known: Vec<_> = asked
            .iter()
            .filter(|(interface, _)| is_it(interface))
            .collect();
        // Interfaces of types alone are only imported for those.
        let defined = resolve
            .interfaces
            .iter()
            .find(|(id, _)| is_it(&resolve.id_of(*id).unwrap_or_default()));
        let Some((_, defined)) = defined else {
            assert!(!known.is_empty(), "{name}@{series} is imported by none");
            continue;
        };
        for function in defined.functions.keys() {
            let is_called = known
                .iter()
                .any(|(_, functions)| functions.contains(function));
            if !is_called && !is_out_of_reach(function) {
                missing.push(format!("{name}@{series}.{function}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A guest that is answered without end does not make the host hold a recording without end.
#[tokio::test]
async fn g88_a_recording_is_bounded_and_the_call_goes_on() {
    let house = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"\n");
    let recorder = Recorder::recording(64 << 10);
    let readings = json!({ "readings": 100_000 });
    let (end, _) = house.with_recorder("rogue_now", readings, &recorder).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(recorder.finish(), Err(NoRecording::TooLarge));
    // What it tried counts by its texts.
    let up = upstream().await;
    let authority = up.address.to_string();
    let house = self::house(&authority, "live");
    let arguments = json!({ "authority": authority });
    let (_, _, whole) = record(&house, "imports_ask", &arguments).await;
    let answers: usize = whole
        .entries
        .iter()
        .map(|entry| entry.answer.weight())
        .sum();
    let lists = [
        &whole.entries.len(),
        &whole.attempts.len(),
        &whole.denials.len(),
        &whole.usage.len(),
    ];
    let each = 256 * lists.into_iter().sum::<usize>();
    let recorder = Recorder::recording(u64::try_from(answers + each).expect("a number"));
    let _ = house
        .with_recorder("imports_ask", arguments, &recorder)
        .await;
    assert_eq!(recorder.finish().err(), Some(NoRecording::TooLarge));
    assert_eq!(Recorder::off().finish(), Err(NoRecording::Off));
}

/// The other side sends the credential back that it got.
#[tokio::test]
async fn g89_a_recording_holds_no_credential() {
    let up = upstream().await;
    let authority = up.address.to_string();
    let house = house(&authority, "live");
    let arguments = json!({ "authority": authority });
    let (_, _, recording) = record(&house, "imports_ask", &arguments).await;
    let all = &recording.entries;
    let holds = |word: &str| {
        let holds = |bytes: &[u8]| {
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        };
        all.iter().any(|entry| match &entry.answer {
            HostAnswer::Http(toolhost_core::terms::HttpAnswer::Whole { body, .. })
            | HostAnswer::Stream(toolhost_core::terms::StreamAnswer::Piece(body)) => holds(body),
            _ => false,
        })
    };
    assert!(holds("says"), "the answers are in there");
    assert!(!holds(SECRET) && !format!("{recording:?}").contains(SECRET));
}

/// A guest that does not do what it did is stopped, and what it asks instead is asked nobody.
#[tokio::test]
async fn g90_a_guest_that_leaves_its_recording_reaches_nothing() {
    let up = upstream().await;
    let authority = up.address.to_string();
    let house = house(&authority, "live");
    let key = |key: &str| json!({ "key": key });
    let (_, _, recording) = record(&house, "stranger_settings", &key("greeting")).await;
    let first = recording.entries[0].asked.function.clone();
    let recorder = Recorder::replaying(recording.clone());
    let (end, _) = house
        .with_recorder("stranger_settings", key("else"), &recorder)
        .await;
    assert_eq!(code(&end), Code::Internal);
    let divergence = recorder.divergence().expect("a divergence");
    assert_eq!(divergence.number, 1);
    assert_eq!(divergence.recorded.as_deref(), Some(&*first));
    let said = divergence.to_string();
    assert!(said.contains("with other arguments"), "{said}");

    // Of another function, of another component even.
    let recorder = Recorder::replaying(recording.clone());
    let arguments = json!({ "authority": authority });
    let (end, bill) = house
        .with_recorder("imports_ask", arguments, &recorder)
        .await;
    let detail = end.expect_err("a fault").detail.unwrap_or_default();
    let both = ["wasi:clocks/wall-clock.now", &*first];
    assert!(both.iter().all(|side| detail.contains(side)), "{detail}");
    assert_eq!(bill.egress_requests, 0);
    assert!(!house.site.path("data/new").exists());

    // It ends before its recording does.
    let mut longer = recording;
    longer.entries.push(longer.entries[0].clone());
    let recorder = Recorder::replaying(longer);
    let (end, _) = house
        .with_recorder("stranger_settings", key("greeting"), &recorder)
        .await;
    assert_eq!(code(&end), Code::Internal);
    let said = recorder.divergence().expect("a divergence").to_string();
    assert!(said.contains("the guest asked no more"), "{said}");
}

/// Whoever changes a recording changes what its guest is answered, and nothing else.
#[tokio::test]
async fn g91_a_recording_that_was_changed_ends_its_call_alone() {
    let up = upstream().await;
    let authority = up.address.to_string();
    let live = house(&authority, "live");
    let arguments = json!({ "authority": authority });
    let (_, _, recording) = record(&live, "imports_ask", &arguments).await;
    let other = house(&authority, "other");
    let count = recording.entries.len();
    for changed in (0..count).step_by(7) {
        let mut recording = recording.clone();
        // An answer of another kind, or of another function of the same capability.
        let from = (changed + 3) % count;
        recording.entries[changed].answer = recording.entries[from].answer.clone();
        let recorder = Recorder::replaying(recording);
        let ended = other.with_recorder("imports_ask", arguments.clone(), &recorder);
        let (end, _) = ended.await;
        let is_known = match &end {
            Ok(_) => true,
            Err(fault) => matches!(fault.code, Code::Internal | Code::Trapped),
        };
        assert!(is_known, "{changed}: {end:?}");
        let detail = end.as_ref().err().and_then(|fault| fault.detail.as_deref());
        let is_a_panic = detail.is_some_and(|why| why.contains("panicked"));
        assert!(!is_a_panic, "{changed}: {end:?}");
    }
    assert!(!other.site.path("data/new").exists());
    let (end, _) = other
        .with_recorder("stranger_luck", json!({}), &Recorder::off())
        .await;
    assert!(end.is_ok(), "{end:?}");
}
