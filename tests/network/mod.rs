//! Hostile networks: every case calls a real guest through a host with a manifest, against real
//! listeners and a real name server, in a network namespace of its own where the kernel allows one.
//!
//! A case looks at both sides: what the tool was told, and what arrived where. It knows nothing of
//! how the host decides.

mod cases;
mod dns;
mod lo;
mod names;
mod peer;
mod space;
mod tls;

mod world;
