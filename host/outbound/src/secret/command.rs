//! A secret that a program prints: a vault's client, a helper of a cloud.
//!
//! No shell is asked, and no thread waits. The program runs in a process group of its own, which is
//! ended with it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::source::{MOST_READ, Reading, SecretSource, SourceError, without_marks};

/// A program that prints a secret, and nothing else, on its standard output.
#[derive(Debug)]
pub struct CommandSource {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// The longest it may run.
    pub timeout: Duration,
    /// How long what it printed holds.
    pub ttl: Duration,
}

impl SecretSource for CommandSource {
    fn holds(&self) -> Option<Duration> {
        Some(self.ttl)
    }

    fn place(&self) -> String {
        let Self {
            program,
            arguments,
            folder,
            ..
        } = self;
        format!("command {program:?} {arguments:?} in {folder:?}")
    }

    fn read(&self) -> Reading<'_> {
        Box::pin(async move {
            let ran = tokio::time::timeout(self.timeout, self.run()).await;
            let late = || {
                let timeout = humantime::format_duration(self.timeout);
                format!("did not end within {timeout}; make it faster or raise its `timeout`")
            };
            let value = ran.unwrap_or_else(|_| Err(late()));
            value.map(Some).map_err(|why| SourceError::Command {
                program: self.program.display().to_string(),
                why,
            })
        })
    }
}

impl CommandSource {
    async fn run(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        // It has the host's environment: clients of vaults are told there where to ask. What it says
        // on standard error could hold anything, so nobody keeps it.
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|error| format!("does not start: {error}"))?;
        let mut running = Running(child);
        let value = match running.0.stdout.take() {
            Some(output) => read(output).await,
            None => Err("has no output".to_owned()),
        }?;
        let ended = running.0.wait().await;
        match ended {
            Ok(status) if status.success() => Ok(without_marks(value)),
            Ok(status) => Err(format!(
                "failed ({status}); run it by hand, as the host's user, to see why"
            )),
            Err(error) => Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Reads what is printed, into memory that is wiped and never moved.
async fn read(mut output: impl AsyncRead + Unpin) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut value = Zeroizing::new(vec![0; MOST_READ]);
    let mut filled = 0;
    while let Some(room) = value.get_mut(filled..).filter(|room| !room.is_empty()) {
        match output.read(room).await {
            Ok(0) => {
                value.truncate(filled);
                return Ok(value);
            }
            Ok(bytes) => filled += bytes,
            Err(error) => return Err(format!("broke off: {error}")),
        }
    }
    Err("prints more than a secret; it has to print the value and nothing else".to_owned())
}

/// A program while it runs. Dropped, all of its group end with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Without an id it was waited for: the group may be somebody else's by now.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // An error says that it ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn shell(script: &str, timeout: Duration) -> CommandSource {
        CommandSource {
            program: "sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            folder: "/".into(),
            timeout,
            ttl: Duration::from_secs(60),
        }
    }

    async fn said(source: &CommandSource) -> Result<String, String> {
        let read = source.read().await;
        read.map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap())
            .map_err(|error| error.to_string())
    }

    const ENOUGH: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn what_a_program_prints_is_the_value() {
        let source = shell("printf 'the value\\n'; echo noise >&2", ENOUGH);
        assert_eq!(said(&source).await.as_deref(), Ok("the value"));
        // No shell reads the arguments.
        let source = CommandSource {
            program: "printf".into(),
            arguments: vec!["%s".to_owned(), "$HOME; `id` *".to_owned()],
            ..shell("", ENOUGH)
        };
        assert_eq!(said(&source).await.as_deref(), Ok("$HOME; `id` *"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_do_well_is_named() {
        for (script, expected) in [
            ("echo half-a-secret; exit 3", "failed (exit status: 3)"),
            ("kill -9 $$", "failed (signal: 9"),
            ("yes no-end", "prints more than a secret"),
        ] {
            let error = said(&shell(script, ENOUGH)).await.unwrap_err();
            assert!(error.starts_with("the command sh "), "{error}");
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("half-a-secret"), "{error}");
        }
        let missing = CommandSource {
            program: "/no/such/program".into(),
            ..shell("", ENOUGH)
        };
        let error = said(&missing).await.unwrap_err();
        assert!(error.contains("does not start"), "{error}");
    }

    /// Its children have the pipe and would hold the reader; they end with it.
    #[tokio::test]
    async fn a_program_that_takes_too_long_ends_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let id = folder.path().join("id");
        let script = format!(
            "sleep 600 & echo $! > {}.part; mv {0}.part {0}; wait",
            id.display()
        );
        let source = shell(&script, ENOUGH);
        let reading = source.read();
        let started = async {
            while !id.exists() {
                tokio::task::yield_now().await;
            }
        };
        // Nobody waits any more: the same as a timeout, without its time.
        tokio::select! {
            read = reading => panic!("{read:?}"),
            () = started => {}
        }
        let child = std::fs::read_to_string(&id).unwrap();
        let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            tokio::task::yield_now().await;
        }
        let error = said(&shell("sleep 600", Duration::from_millis(20))).await;
        assert!(error.unwrap_err().contains("did not end within 20ms"));
    }

    /// An orphan that ended stays in the table where nobody reaps it.
    fn is_zombie(id: Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
        stat.map_or(true, |stat| stat.contains(") Z "))
    }
}
