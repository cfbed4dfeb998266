//! What the proofs of a call say, and what no type can keep apart: whose place it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::gate::{Operator, RawArguments};
use crate::manifest::{self, Manifest};
use crate::quota::Quota;
use crate::terms::Definition;

const TEXT: &str = r#"
schema = 1
[caller.a]
stdio = true
may = ["x.f"]
[caller.b]
uid = 1
may = ["*"]
[tool.x]
component = "x.wasm"
limits = { deadline = "3s" }
[tool.y]
component = "y.wasm"
"#;

/// A gate with two callers and the function `f` of each of two tools.
struct Scene {
    manifest: Manifest,
    callers: Callers,
    quota: Quota,
}

impl Scene {
    fn new() -> Self {
        let manifest = manifest::parse("toolhost.toml", TEXT).expect("a manifest");
        Self {
            callers: Callers::new(&manifest.callers, 0, None),
            quota: Quota::new(&manifest),
            manifest,
        }
    }

    fn function(&self, tool: &str) -> Arc<FunctionPolicy> {
        let spec = self.manifest.tools.iter().find(|spec| *spec.name == *tool);
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
        let definition = json!({
            "name": "f",
            "description": "",
            "input_schema": schema,
        });
        let definition: Definition = serde_json::from_value(definition).expect("a definition");
        let id = FunctionId {
            tool: tool.into(),
            function: "f".into(),
        };
        let spec = spec.expect("a tool").function("f").clone();
        Arc::new(FunctionPolicy::new(id, [7; 32], spec, Arc::new(definition)))
    }

    fn allow(&self, caller: &str, tool: &str) -> Option<Allowed> {
        let operator = Operator::at_socket(0, 0).expect("an operator");
        let caller = self.callers.named(&operator, caller).expect("a caller");
        self.callers.allow(&caller, &self.function(tool))
    }

    fn decide(&self, caller: &str, tool: &str, arguments: Value) -> Decision {
        let allowed = self.allow(caller, tool).expect("it may");
        decide(allowed.check(canonical(arguments)))
    }

    fn cleared(&self, caller: &str, tool: &str) -> Cleared {
        match self.decide(caller, tool, json!({ "n": 1.0 })) {
            Decision::Proceed(cleared) => cleared,
            Decision::Ask(request) => match request {},
            Decision::Refuse(fault) => panic!("{fault:?}"),
        }
    }

    fn place(&self, caller: &str, tool: &str) -> Reservation {
        let (caller, tool) = (caller.into(), tool.into());
        let place = self.quota.reserve(&caller, &tool).now_or_never();
        place.expect("at once").expect("a place")
    }
}

fn canonical(arguments: Value) -> CanonicalArguments {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object")
    };
    RawArguments::new(arguments, 1_000).canonical(None)
}

#[test]
fn nobody_gets_a_proof_for_what_he_may_not_use() {
    let scene = Scene::new();
    assert!(scene.allow("a", "x").is_some() && scene.allow("b", "y").is_some());
    assert!(scene.allow("a", "y").is_none());
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let scene = Scene::new();
    match scene.decide("a", "x", json!({ "n": "one" })) {
        Decision::Refuse(fault) => assert_eq!(fault.code, Code::InvalidArguments),
        _ => panic!("it is no integer"),
    }
}

#[test]
fn a_permit_says_what_was_judged_and_its_deadline_begins_with_it() {
    let scene = Scene::new();
    let now = Instant::now();
    let permit = admit(scene.cleared("a", "x"), scene.place("a", "x"), now);
    let permit = permit.expect("admitted");
    assert_eq!(&*permit.caller().agent, "a");
    assert_eq!(permit.function().to_string(), "x.f");
    assert_eq!(permit.digest(), &[7; 32]);
    assert_eq!(&**permit.arguments(), r#"{"n":1}"#);
    assert_eq!(permit.fingerprint(), Fingerprint::of(br#"{"n":1}"#));
    assert_eq!(permit.deadline(), now + Duration::from_secs(3));
}

#[test]
fn a_place_of_another_caller_or_tool_admits_nothing() {
    let scene = Scene::new();
    for (caller, tool) in [("a", "x"), ("b", "y")] {
        let place = scene.place(caller, tool);
        let end = admit(scene.cleared("b", "x"), place, Instant::now());
        let fault = end.err().unwrap_or_else(|| panic!("{caller}, {tool}"));
        assert_eq!(fault.code, Code::Internal);
        assert!(fault.detail.is_some_and(|detail| detail.contains("place")));
    }
    let own = scene.place("b", "x");
    assert!(admit(scene.cleared("b", "x"), own, Instant::now()).is_ok());
}

#[test]
fn what_is_judged_anew_is_what_was_judged() {
    let scene = Scene::new();
    let cleared = scene.cleared("a", "x");
    let again = cleared.into_arguments().expect("arguments");
    assert_eq!(
        (again.text(), again.value()),
        (r#"{"n":1}"#, &json!({ "n": 1 }))
    );
    assert_eq!(again.fingerprint(), Fingerprint::of(br#"{"n":1}"#));
}

#[test]
fn long_arguments_have_the_same_form_as_short_ones() {
    let map = || {
        json!({ "b": [1.0, null], "a": "text" })
            .as_object()
            .cloned()
    };
    let forms = [0, 10, 1_000].map(|short| {
        let raw = RawArguments::new(map().unwrap_or_default(), short);
        assert_eq!(raw.are_long(), short < 1_000);
        raw.canonical(None)
    });
    for form in forms {
        assert_eq!(form.text(), r#"{"a":"text","b":[1,null]}"#);
        assert_eq!(form.fingerprint(), Fingerprint::of(form.text().as_bytes()));
    }
}
