//! The cases, by what is attacked.

mod addresses;
mod asks;
mod bodies;
mod encrypted;
mod followed;
mod framing;
mod headers;
mod patience;
mod redirects;
mod resolving;
mod retries;
mod rules;
mod secrets;
mod targets;
mod ways;
