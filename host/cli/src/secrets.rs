//! The credentials of a manifest: fetched for a start, or looked at as far as they are here; and the token
//! that is made for `local`.
//!
//! It says what is odd about a value, and never the value.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::diagnostics::Diagnostics;
use super::start::{HostConfig, is_path, private_folder};
use crate::compile::{bounded, create_once};
use crate::egress::{Auth, HttpGrant};
use crate::manifest::{CommandSpec, SecretPlace, SecretSpec, Start};
use toolhost_outbound::secret::{
    CommandSource, EnvSource, FileSource, History, Secret, SecretSource, Secrets, ShortAccepted,
    SourceError, Unloaded,
};

/// The largest file of a token, in bytes.
const MOST_TOKEN: u64 = 4 << 10;

impl HostConfig {
    /// The secrets of the manifest, with what the host has known before. Those that cannot be had are
    /// noted, and have no value. No program is run for one unless `runs` says so.
    pub(super) async fn secrets(
        &self,
        runs: bool,
        history: Arc<History>,
        lacking: &mut Diagnostics,
    ) -> Secrets {
        let which = |spec: &SecretSpec| runs || !is_program(spec);
        let (secrets, unloaded) = self.load_secrets(which, history).await;
        for one in unloaded {
            lacking.add(self.line(&one), self.said(&one));
        }
        for odd in self.oddities(&secrets) {
            tracing::warn!("{odd}");
        }
        secrets
    }

    /// Looks at the secrets that are here, and runs no program. What is wrong with one is noted; what is
    /// odd, or not here, is said.
    pub(super) async fn look_at_secrets(&self, wrong: &mut Diagnostics) -> Vec<String> {
        let specs = self.manifest.secrets.iter();
        let programs = specs.filter(|(_, spec)| is_program(spec));
        let mut notes: Vec<String> = programs
            .map(|(name, spec)| {
                let line = spec.line;
                format!(
                    "secret `{name}` (line {line}): a program prints it, which was not run here"
                )
            })
            .collect();
        let without = match self.manifest.host.start {
            Start::Strict => "a start needs it",
            Start::Degraded => "a start goes on without it",
        };
        let here = |spec: &SecretSpec| !is_program(spec);
        let (secrets, unloaded) = self.load_secrets(here, Arc::default()).await;
        for one in unloaded {
            match is_elsewhere(&one.error) {
                true => notes.push(format!("{}; {without}", self.said(&one))),
                false => wrong.add(self.line(&one), self.said(&one)),
            }
        }
        notes.extend(self.oddities(&secrets));
        notes
    }

    async fn load_secrets(
        &self,
        which: impl Fn(&SecretSpec) -> bool,
        history: Arc<History>,
    ) -> (Secrets, Vec<Unloaded>) {
        let specs = self.manifest.secrets.iter().filter(|(_, spec)| which(spec));
        let sources = specs.map(|(name, spec)| (name.clone(), self.source(spec)));
        Secrets::load(sources.collect(), history).await
    }

    fn line(&self, one: &Unloaded) -> u32 {
        let spec = self.manifest.secrets.get(&one.name);
        spec.map_or(0, |spec| spec.line)
    }

    fn said(&self, one: &Unloaded) -> String {
        format!(
            "secret `{}` (line {}): {}",
            one.name,
            self.line(one),
            one.error
        )
    }

    /// What an upstream would not get as the operator means it.
    fn oddities(&self, secrets: &Secrets) -> Vec<String> {
        let mut odd = Vec::new();
        secrets.each(|name, value| {
            let line = self.manifest.secrets.get(name).map_or(0, |spec| spec.line);
            let secret = format!("secret `{name}` (line {line}):");
            if let Some(what) = value.oddity() {
                odd.push(format!(
                    "{secret} its value {what}. Others may take that off, or not take the value: write it without"
                ));
            }
            let mut grants = self.http_grants();
            if let Some((scheme, line)) = grants.find_map(|grant| doubled(grant, name, value)) {
                odd.push(format!(
                    "{secret} its value begins with `{scheme}`, which the grant on line {line} adds itself: an upstream would be sent it twice. Write the value without"
                ));
            }
        });
        odd
    }

    fn http_grants(&self) -> impl Iterator<Item = &Arc<HttpGrant>> {
        let tools = self.manifest.tools.iter();
        let sections =
            tools.flat_map(|tool| std::iter::once(&tool.all).chain(tool.functions.values()));
        sections.flat_map(|section| &section.grants.http)
    }

    fn source(&self, spec: &SecretSpec) -> Box<dyn SecretSource> {
        let source: Box<dyn SecretSource> = match &spec.place {
            SecretPlace::Env(variable) => Box::new(EnvSource::new(variable.clone())),
            SecretPlace::File(path) => Box::new(FileSource::new(self.base.join(path))),
            SecretPlace::Command(spec) => Box::new(self.command(spec)),
        };
        match spec.accept_short {
            true => Box::new(ShortAccepted(source)),
            false => source,
        }
    }

    fn command(&self, spec: &CommandSpec) -> CommandSource {
        CommandSource {
            program: if is_path(&spec.program) {
                self.base.join(&spec.program)
            } else {
                spec.program.clone()
            },
            arguments: spec.arguments.clone(),
            folder: self.base.clone(),
            timeout: spec.timeout,
            ttl: spec.ttl,
        }
    }

    /// The token for `local`, made at the first start, where no caller has a token of its own.
    pub(super) fn local_token(&self) -> anyhow::Result<Option<[u8; 32]>> {
        let callers = &self.manifest.callers;
        let local = callers.is_empty() || callers.iter().any(|caller| &*caller.name == "local");
        if !local || callers.iter().any(|caller| caller.token_sha256.is_some()) {
            return Ok(None);
        }
        let path = self.token_file();
        private_folder(&self.state().join("agents"))?;
        let token = match bounded::text(&path, MOST_TOKEN) {
            Ok(token) => token.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_token(&path)?,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if token.len() < 32 {
            bail!(
                "{} holds no token; remove it and start again",
                path.display()
            );
        }
        Ok(Some(Sha256::digest(token.as_bytes()).into()))
    }
}

/// The scheme that this grant would put before a value that begins with it, and the grant's line.
fn doubled(grant: &HttpGrant, name: &str, value: &Secret) -> Option<(&'static str, u32)> {
    let auth = grant.auth.as_ref().filter(|auth| auth.secret() == name)?;
    let scheme = match auth {
        Auth::Bearer { .. } => "Bearer",
        Auth::Basic { .. } => "Basic",
        Auth::Header { .. } | Auth::Query { .. } => return None,
    };
    value.has_scheme(scheme).then_some((scheme, grant.line))
}

/// Whether a program prints it.
fn is_program(spec: &SecretSpec) -> bool {
    matches!(spec.place, SecretPlace::Command(_))
}

/// Whether a secret may just be where the host will run, and not where its manifest is looked at.
fn is_elsewhere(error: &SourceError) -> bool {
    match error {
        SourceError::NotSet(_) => true,
        SourceError::Unreadable { error, .. } => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Makes the token. Of several processes that start together, one's is the token of all.
fn make_token(path: &Path) -> anyhow::Result<String> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = hex::encode(random);
    match create_once::create(path, format!("{token}\n").as_bytes()) {
        Ok(()) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let first = bounded::text(path, MOST_TOKEN);
            Ok(first
                .with_context(|| format!("cannot read {}", path.display()))?
                .trim()
                .to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
