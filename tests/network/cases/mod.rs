//! The cases, by what is attacked.

mod addresses;
mod bodies;
mod framing;
mod headers;
mod patience;
mod redirects;
mod resolving;
mod retries;
mod secrets;
mod targets;
mod ways;
