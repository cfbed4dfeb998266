//! The threads that touch files for guests: few, restricted to the granted directories, and apart
//! from everything else. A file system that hangs holds these up, and nobody else.
//!
//! It does not know what they do.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wasmtime_wasi::p2::FsError;

use super::wall;
use crate::grants::DirAccess;
use crate::shares::Shares;
use crate::terms::Caller;
use toolhost_outbound::CurrentCall;

/// How many work at once for one set of directories. One caller has at most half of them, two a third
/// each; what else comes waits in its own call, on that call's account and at most until its
/// deadline, and callers are served in turns.
const WORKERS: usize = 8;

/// Whose work it is: an agent and the user it acts for.
type Owner = (Arc<str>, Option<Arc<str>>);

/// How long one stays without work.
const PATIENCE: Duration = Duration::from_secs(10);

/// The threads for one set of directories.
pub(super) struct FileWorkers {
    /// Only its blocking threads are used. Taken out when it goes.
    runtime: Option<Runtime>,
    free: Shares<Owner>,
}

/// The threads, as one caller has them work.
#[derive(Clone)]
pub(super) struct CallerWorkers {
    workers: Arc<FileWorkers>,
    owner: Owner,
}

impl CallerWorkers {
    pub(super) fn new(workers: &Arc<FileWorkers>, caller: Option<&Caller>) -> Self {
        let owner = caller.map(|caller| (Arc::clone(&caller.agent), caller.user.clone()));
        Self {
            workers: Arc::clone(workers),
            owner: owner.unwrap_or_default(),
        }
    }

    /// For whom.
    pub(super) const fn caller(&self) -> &Arc<str> {
        &self.owner.0
    }

    /// Does work on one of the threads. What has begun ends, also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, FsError> {
        self.workers.run(&self.owner, work).await
    }
}

impl FileWorkers {
    /// Threads that reach only `places`; they start when there is work.
    pub(super) fn new(places: Vec<(Arc<File>, DirAccess)>) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(WORKERS)
            .thread_keep_alive(PATIENCE)
            .thread_name("files")
            .on_thread_start(move || wall::raise(&places))
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            free: Shares::new(u64::try_from(WORKERS).unwrap_or(u64::MAX)),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        owner: &Owner,
        work: impl FnOnce() -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, FsError> {
        let trap = |what: &str| FsError::trap(wasmtime::Error::msg(what.to_owned()));
        let Some(runtime) = &self.runtime else {
            return Err(trap("no thread for files"));
        };
        let place = self.free.wait(owner, 1).await;
        let place = place.map_err(FsError::trap)?;
        let current = CurrentCall::carried();
        let done = runtime.handle().spawn_blocking(move || {
            let _place = place;
            if wall::stands() {
                current.around(work)
            } else {
                Err(trap("the thread for files is not restricted"))
            }
        });
        match done.await {
            Ok(done) => done,
            Err(error) => Err(trap(&format!("a file operation broke off: {error}"))),
        }
    }
}

impl Drop for FileWorkers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What still runs is bounded and ends by itself; nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn here(path: &std::path::Path, access: DirAccess) -> (Arc<File>, DirAccess) {
        (Arc::new(File::open(path).unwrap()), access)
    }

    /// Whether this kernel has Landlock switched on, asked in another way than by using it.
    fn kernel_has_landlock() -> bool {
        std::fs::read_to_string("/sys/kernel/security/lsm")
            .is_ok_and(|lsm| lsm.split(',').any(|one| one.trim() == "landlock"))
    }

    /// Whoever has many operations that hang holds up his own.
    #[tokio::test]
    async fn g64_one_callers_operations_leave_threads_for_others() {
        let site = tempfile::tempdir().unwrap();
        let workers = Arc::new(FileWorkers::new(vec![here(site.path(), DirAccess::Read)]).unwrap());
        let crew = |agent: &str| {
            let caller = Caller {
                agent: agent.into(),
                user: None,
            };
            CallerWorkers::new(&workers, Some(&caller))
        };
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        let hang = || {
            let (crew, gone) = (crew("mallory"), Arc::clone(&gone));
            tokio::spawn(async move {
                let work = move || {
                    // Until the other end is dropped.
                    let _ = gone.lock().map(|gone| gone.recv());
                    Ok(())
                };
                crew.run(work).await
            })
        };
        let many: Vec<_> = (0..3 * WORKERS).map(|_| hang()).collect();
        // Those that have begun hold their places; this one comes behind them all.
        while workers.free.free() > u64::try_from(WORKERS / 2).unwrap() {
            tokio::task::yield_now().await;
        }
        let honest = crew("alice");
        let honest = honest.run(|| Ok(7));
        let honest = tokio::time::timeout(Duration::from_secs(20), honest).await;
        assert_eq!(honest.expect("its turn").unwrap(), 7);
        drop(go);
        for one in many {
            one.await.unwrap().unwrap();
        }
    }

    /// The escape hatch: plain host code on a file worker's thread, past every check of paths.
    #[tokio::test]
    async fn what_is_not_granted_is_out_of_a_workers_reach_whatever_its_code_does() {
        if kernel_has_landlock() {
            assert!(wall::landlock_is_here(), "the kernel has it, we do not");
        }
        if !wall::landlock_is_here() {
            // It is skipped by name: see `tests/harness/machine.rs`.
            assert_ne!(std::env::var("TOOLHOST_TESTS").as_deref(), Ok("all"));
            eprintln!("skipped: this kernel has no Landlock");
            return;
        }
        let site = tempfile::tempdir().unwrap();
        for name in ["look", "work", "else"] {
            std::fs::create_dir(site.path().join(name)).unwrap();
            std::fs::write(site.path().join(name).join("f"), name).unwrap();
        }
        let at = |name: &str| site.path().join(name);
        let workers = FileWorkers::new(vec![
            here(&at("look"), DirAccess::Read),
            here(&at("work"), DirAccess::ReadWrite),
        ]);
        let workers = CallerWorkers::new(&Arc::new(workers.unwrap()), None);
        let (look, work, other) = (at("look"), at("work"), at("else"));
        let tried = workers.run(move || {
            let denied = |done: std::io::Result<()>| {
                done.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
            };
            let port = std::net::TcpListener::bind("127.0.0.1:0").map(drop);
            Ok(vec![
                (
                    "reads what it may look at",
                    std::fs::read(look.join("f")).is_ok(),
                ),
                (
                    "reads where it works",
                    std::fs::read(work.join("f")).is_ok(),
                ),
                (
                    "writes where it works",
                    std::fs::write(work.join("g"), "x").is_ok(),
                ),
                (
                    "moves where it works",
                    std::fs::rename(work.join("g"), work.join("h")).is_ok(),
                ),
                (
                    "no reading elsewhere",
                    denied(std::fs::read(other.join("f")).map(drop)),
                ),
                (
                    "no /etc/passwd",
                    denied(std::fs::read("/etc/passwd").map(drop)),
                ),
                (
                    "no /proc/self",
                    denied(std::fs::read("/proc/self/environ").map(drop)),
                ),
                (
                    "no listing elsewhere",
                    denied(std::fs::read_dir("/").map(drop)),
                ),
                (
                    "no writing elsewhere",
                    denied(std::fs::write(other.join("f"), "x")),
                ),
                (
                    "no making elsewhere",
                    denied(std::fs::create_dir(other.join("d"))),
                ),
                (
                    "no writing where it looks",
                    denied(std::fs::write(look.join("f"), "x")),
                ),
                (
                    "no removing where it looks",
                    denied(std::fs::remove_file(look.join("f"))),
                ),
                (
                    "no program",
                    std::process::Command::new("/bin/true").spawn().is_err(),
                ),
                ("no socket", denied(port)),
            ])
        });
        for (what, holds) in tried.await.unwrap() {
            assert!(holds, "{what}");
        }
        // The rest of the process is not restricted.
        assert!(std::fs::read(at("else").join("f")).is_ok());
    }

    #[tokio::test]
    async fn stuck_clerks_hold_up_their_own_directories_only() {
        let site = tempfile::tempdir().unwrap();
        let workers =
            || Arc::new(FileWorkers::new(vec![here(site.path(), DirAccess::Read)]).unwrap());
        let stuck = CallerWorkers::new(&workers(), None);
        let other = CallerWorkers::new(&workers(), None);
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let mut waiting = Vec::new();
        for _ in 0..WORKERS + 4 {
            let (stuck, gate) = (stuck.clone(), Arc::clone(&gate));
            waiting.push(tokio::spawn(async move {
                let wait = move || {
                    let _ = gate.lock().map(|gate| gate.recv());
                    Ok(())
                };
                stuck.run(wait).await
            }));
        }
        // One caller has half of them.
        while stuck.workers.free.free() > u64::try_from(WORKERS / 2).unwrap() {
            tokio::task::yield_now().await;
        }
        assert_eq!(other.run(|| Ok(7)).await.unwrap(), 7);
        drop(go);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
        assert_eq!(stuck.run(|| Ok(7)).await.unwrap(), 7);
    }
}
