//! Hostile guests: each act of the threat model, its fault, and an honest call right after it.
//!
//! The act is the test's name: `g34_…` is row G34 of `tests/THREATS.md`.

mod abi;
mod answers;
mod bounds;
mod hoard;
mod isolation;
mod outside;
mod start;
mod streams;

use crate::harness::{Handmade, House, Site, definition};

/// What the operator's credential is; it must not be in anything that leaves the host.
const SECRET: &str = "s3cr3t-0f-the-operator";

/// The rogue with bounds that it hits soon, and with a credential that it may use but not hold.
fn rogue(limits: &str) -> House {
    let text = format!(
        r#"
[secret.key]
env = "KEY"
[tool.rogue]
component = "rogue.wasm"
log = "trace"
limits = {{ {limits} }}
[tool.rogue.function.get.http.up]
url = "http://127.0.0.1:9"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
auth = {{ bearer = "key" }}
[tool.everything]
component = "everything.wasm"
"#
    );
    House::at(Site::new().secret("key", SECRET), &text)
}

/// A host with a component made by hand, whose one function is `handmade_go`.
fn handmade(parts: &Handmade<'_>, limits: &str) -> House {
    let site = Site::new();
    site.write("handmade.wasm", parts.build(&[definition("go")]));
    let text = format!(
        r#"
[tool.handmade]
component = "handmade.wasm"
limits = {{ {limits} }}
[tool.everything]
component = "everything.wasm"
"#
    );
    House::at(site, &text)
}
