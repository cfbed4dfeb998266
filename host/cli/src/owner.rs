//! Whose the state folder is when a command comes: nobody's, so that it is this process's from now on, or
//! another one's, which is asked over its operators' socket.
//!
//! It does not know what is asked.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use super::start::HostConfig;
use super::{Setting, out};
use crate::sandbox::Sandbox;
use crate::terms::Clock;
use toolhost_doors::{CallAnswer, CallRequest, Client, Unanswered};
use toolhost_ledger::state::{self, Held, LockError, Role, StateLock};

/// How long an owner is waited for that is just starting or ending, or makes calls of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose the state folder is.
pub(super) enum Claim {
    /// This process's, as long as this value is there.
    Mine(StateLock),
    /// Another one's.
    Theirs(Owner),
}

/// A host that owns the state folder and answers.
pub(super) struct Owner {
    client: Client,
    held: Held,
}

impl HostConfig {
    /// Refuses ground that others can change, with all else that keeps a host from starting there.
    async fn stand_firm(&self) -> anyhow::Result<()> {
        let exposed = self.exposed_files();
        if exposed.is_empty() {
            return Ok(());
        }
        let loaded = self
            .load(exposed, &Sandbox::new(Clock::SYSTEM)?, None)
            .await;
        loaded.map(drop)
    }

    /// Takes the state folder, or finds the host that has it.
    ///
    /// # Errors
    ///
    /// It can be nobody's; or its owner does not answer.
    pub(super) async fn claim(&self, role: Role) -> anyhow::Result<Claim> {
        self.stand_firm().await?;
        let until = Instant::now() + PATIENCE;
        loop {
            let held = match StateLock::take(&self.state(), role) {
                Ok(lock) => return Ok(Claim::Mine(lock)),
                Err(LockError::Held(held)) => held,
                Err(error) => return Err(error.into()),
            };
            if let Some(owner) = self.answering(held, until).await? {
                return Ok(Claim::Theirs(owner));
            }
        }
    }

    /// Takes the state folder for a host that serves. One whose owner makes a call of its own is waited
    /// for.
    ///
    /// # Errors
    ///
    /// It can be nobody's; or another host has it, and goes on.
    pub(super) async fn own(&self, role: Role) -> anyhow::Result<StateLock> {
        self.stand_firm().await?;
        let until = Instant::now() + PATIENCE;
        loop {
            match StateLock::take(&self.state(), role) {
                Ok(lock) => return Ok(lock),
                Err(LockError::Held(held)) if held.is_brief() && Instant::now() < until => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The host that owns the state folder, if one does. One that is just starting has so much time.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub(super) async fn owner(&self, patience: Duration) -> anyhow::Result<Option<Owner>> {
        let until = Instant::now() + patience;
        while let Some(held) = state::owner(&self.state())? {
            if let Some(owner) = self.answering(held, until).await? {
                return Ok(Some(owner));
            }
        }
        Ok(None)
    }

    /// The owner, if it answers. One that has no socket is given a moment, until it has one or is gone.
    async fn answering(&self, held: Held, until: Instant) -> anyhow::Result<Option<Owner>> {
        let socket = self.admin_socket();
        let found = Client::find(&socket).await;
        let Some(client) = found.map_err(|error| silent(&held, error))? else {
            if Instant::now() >= until {
                bail!(
                    "{held}; it has not opened its operators' socket {}: it is starting or ending, or makes calls of its own. Wait until it is over, or stop it",
                    socket.display()
                );
            }
            tokio::time::sleep(PAUSE).await;
            return Ok(None);
        };
        match client.health().await {
            Ok(_) => Ok(Some(Owner { client, held })),
            // It may just have gone.
            Err(Unanswered::Failed { .. }) if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
                Ok(None)
            }
            Err(error) => Err(silent(&held, error)),
        }
    }
}

fn silent(held: &Held, error: Unanswered) -> anyhow::Error {
    match error {
        Unanswered::Silent { .. } => anyhow::anyhow!(
            "{held}, but {error}: it may be stopped or overloaded. Let it go on (kill -CONT), or end it"
        ),
        error => anyhow::Error::from(error).context(held.to_string()),
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.fmt(f)
    }
}

impl Owner {
    /// Has a call made.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub(super) async fn call(&self, asked: &CallRequest) -> anyhow::Result<CallAnswer> {
        let answer = self.client.call(asked).await;
        answer.map_err(|error| self.failed(error))
    }

    /// Where its ledger ends, as it knows it.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub(super) async fn ledger_head(&self) -> anyhow::Result<toolhost_ledger::Head> {
        let head = self.client.ledger_head().await;
        head.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: Unanswered) -> anyhow::Error {
        match error {
            Unanswered::Refused(problems) => problems.into(),
            error => silent(&self.held, error),
        }
    }
}

async fn running(setting: &Setting) -> anyhow::Result<Owner> {
    let config = HostConfig::read(setting)?;
    config.owner(PATIENCE).await?.with_context(|| {
        format!(
            "no host runs on the state folder {}; start one with `toolhost serve`",
            config.state().display()
        )
    })
}

/// `reload`: the host that runs loads its manifest anew.
pub(super) async fn reload(setting: &Setting) -> anyhow::Result<ExitCode> {
    let owner = running(setting).await?;
    let done = owner.client.reload().await;
    let done = done.map_err(|error| owner.failed(error))?;
    if setting.json {
        out::json(&done)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (word, names) in [
        ("added", &done.added),
        ("removed", &done.removed),
        ("changed", &done.changed),
    ] {
        for name in names {
            say!("{word} {name}");
        }
    }
    tell!(
        "reloaded: {} functions; calls that run finish on what they began with",
        done.functions
    );
    Ok(ExitCode::SUCCESS)
}

/// `health`: whether the host that runs can run calls.
pub(super) async fn health(setting: &Setting) -> anyhow::Result<ExitCode> {
    let owner = running(setting).await?;
    let state = owner.client.health().await;
    let (ready, state) = state.map_err(|error| owner.failed(error))?;
    if setting.json {
        out::json(&state)?;
    } else {
        say!("{}", state["status"].as_str().unwrap_or("unknown"));
        tell!("{}", owner.held);
    }
    Ok(match ready {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
