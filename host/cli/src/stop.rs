//! SIGINT and SIGTERM: the first asks the host to stop, the second ends it at once, and so does the
//! end of the time that a stop may take. Followed on a thread of its own, so that it holds whatever
//! the runtime's workers do.
//!
//! It does not know what has to end.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::log;

/// What closing the record may take beyond the grace that calls have.
const SPARE: Duration = Duration::from_secs(3);

/// The process was ended because it did not end by itself.
const OVERDUE: i32 = 70;

/// The process was ended by a second signal.
const INSISTED: i32 = 130;

/// Trips on the first SIGINT or SIGTERM. From then on the process has `grace` and three seconds:
/// what is not over then is cut off by its end, with exit code 70, a second later where nobody reads the
/// log's last lines. The record can be cut off at any
/// moment.
///
/// # Errors
///
/// When the thread or the handlers cannot be set up.
pub(super) fn stop_on_signal(grace: Duration) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let tripped = stop.clone();
    let (told, ready) = mpsc::channel();
    let follow = move || {
        let set_up = || -> io::Result<_> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let signals = {
                let _inside = runtime.enter();
                (
                    signal(SignalKind::interrupt())?,
                    signal(SignalKind::terminate())?,
                )
            };
            Ok((runtime, signals))
        };
        match set_up() {
            Err(error) => drop(told.send(Err(error))),
            Ok((runtime, signals)) => {
                drop(told.send(Ok(())));
                let code = runtime.block_on(follow(signals, &tripped, grace + SPARE));
                log::finish();
                std::process::exit(code);
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(follow)?;
    ready.recv().map_err(io::Error::other)??;
    Ok(stop)
}

/// Follows the signals until the process has to end, with this code.
async fn follow(
    (mut interrupt, mut terminate): (Signal, Signal),
    stop: &CancellationToken,
    time: Duration,
) -> i32 {
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    stop.cancel();
    tracing::info!("stopping: calls that run may finish; a second signal ends them");
    tokio::select! {
        _ = interrupt.recv() => INSISTED,
        _ = terminate.recv() => INSISTED,
        () = tokio::time::sleep(time) => {
            tracing::error!("the host did not come to its end in time and is ended; its record is whole up to here");
            OVERDUE
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Says to this test that it is the process to be stopped.
    const STUCK: &str = "TOOLHOST_TEST_STUCK";

    /// A process whose every worker turns in a loop without an await.
    fn stuck() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let _stop = stop_on_signal(Duration::ZERO).unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let (turns, turning) = mpsc::channel();
        for _ in 0..2 {
            let turns = turns.clone();
            runtime.spawn(async move {
                turns.send(()).unwrap();
                while std::time::Instant::now() < end {
                    std::hint::spin_loop();
                }
            });
        }
        for _ in 0..2 {
            turning.recv().unwrap();
        }
        eprintln!("stuck");
        std::thread::sleep(Duration::from_secs(20));
    }

    #[test]
    fn x24_a_signal_ends_a_process_whose_workers_are_all_stuck() {
        if std::env::var_os(STUCK).is_some() {
            return stuck();
        }
        let name = "stop::tests::x24_a_signal_ends_a_process_whose_workers_are_all_stuck";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(STUCK, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let is_stuck = said
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "stuck");
        assert!(is_stuck, "it never came so far");
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(OVERDUE));
    }
}
