//! The list of capabilities, and the grants of each that something has.

use std::sync::Arc;

use super::capability::{Capability, Grant};
use super::{command, config, dir, env, everyones, http, kv, log};
use crate::egress::HttpGrant;

/// All capabilities, in the order in which they are told.
pub static CAPABILITIES: [&Capability; 9] = [
    &http::CAPABILITY,
    &dir::CAPABILITY,
    &env::CAPABILITY,
    &kv::CAPABILITY,
    &config::CAPABILITY,
    &log::CAPABILITY,
    &everyones::CLOCK,
    &everyones::RANDOM,
    &everyones::PROGRESS,
];

/// Powers, by capability. Empty is what a tool has when the manifest grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Where requests may go.
    pub http: Vec<Arc<HttpGrant>>,
    /// Which directories exist.
    pub dir: Vec<dir::DirGrant>,
    /// Which variables exist.
    pub env: Vec<env::EnvGrant>,
    /// Which buckets exist.
    pub kv: Vec<kv::KvGrant>,
    /// Which configuration values exist.
    pub config: Vec<config::ConfigGrant>,
    /// Whether log messages are kept.
    pub log: Option<log::LogGrant>,
    /// How the function is a use of a program, where it is one.
    pub command: Option<Arc<command::CommandGrant>>,
}

impl Grants {
    /// All of them but how a program is used, in the order of [`CAPABILITIES`].
    pub fn each(&self) -> impl Iterator<Item = &dyn Grant> {
        let http = self.http.iter().map(|grant| &**grant as &dyn Grant);
        http.chain(all(&self.dir))
            .chain(all(&self.env))
            .chain(all(&self.kv))
            .chain(all(&self.config))
            .chain(all(self.log.as_slice()))
    }

    /// What they add to those that a section inherits.
    #[must_use]
    pub fn beyond(&self, inherited: &Self) -> Self {
        let http = self.http.iter().filter_map(|grant| {
            let mut known = inherited.http.iter();
            match known.find(|known| known.name == grant.name) {
                None => Some(grant.clone()),
                Some(known) => grant.beyond(known).map(Arc::new),
            }
        });
        Self {
            http: http.collect(),
            dir: fresh(&self.dir, &inherited.dir),
            env: fresh(&self.env, &inherited.env),
            kv: fresh(&self.kv, &inherited.kv),
            config: fresh(&self.config, &inherited.config),
            log: self.log.filter(|grant| inherited.log != Some(*grant)),
            command: self.command.clone(),
        }
    }
}

fn all<G: Grant>(grants: &[G]) -> impl Iterator<Item = &dyn Grant> {
    grants.iter().map(|grant| grant as &dyn Grant)
}

fn fresh<G: PartialEq + Clone>(grants: &[G], inherited: &[G]) -> Vec<G> {
    let fresh = grants.iter().filter(|grant| !inherited.contains(grant));
    fresh.cloned().collect()
}
