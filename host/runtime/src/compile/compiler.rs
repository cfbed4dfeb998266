//! Compiling, and what else reads a stranger's code deeply, in a process of its own: started, watched, and judged by how it ends. A component that
//! makes the compiler crash, loop or eat memory ends that process, not the host.
//!
//! It does not know what a component is, nor where results are kept.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Resource, Signal, getrlimit};

use super::child::REFUSED;
use super::confine::MOST_WRITTEN;
use crate::terms::Wasi;

/// What a process that compiles one component may use.
#[derive(Debug, Clone, Copy)]
pub struct CompileLimits {
    /// Processor time over all of its threads, in whole seconds.
    pub cpu: Duration,
    /// What it allocates, in bytes.
    pub memory: u64,
    /// From its start to its end. A machine that is busy makes it wait: this is no fault of a
    /// component's, and is not held against it.
    pub wall: Duration,
}

impl CompileLimits {
    /// A component of 12 MB needs 15 seconds and 460 MB.
    pub const DEFAULT: Self = Self {
        cpu: Duration::from_secs(120),
        memory: 2 << 30,
        wall: Duration::from_secs(600),
    };
}

/// What compiles: the host's own program, started again.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    limits: CompileLimits,
}

/// What the process makes of the bytes that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Native code for the engine of this generation.
    Compile(Wasi),
    /// A component of a program of WASI preview 1.
    Adapt,
}

impl Task {
    /// What is done, what does it, and what becomes of the bytes.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Compile(_) => ("compiling it", "the compiler", "compiled"),
            Self::Adapt => (
                "making a component of it",
                "the encoder",
                "made a component",
            ),
        }
    }
}

/// Why nothing was made.
#[derive(Debug)]
pub(super) struct NotCompiled {
    /// What happened.
    pub(super) why: String,
    /// Whether the component is to blame, so that the next try would end the same.
    pub(super) lasting: bool,
}

/// How many threads may compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    /// One a core.
    All,
    /// None but the process's first.
    One,
}

/// How a process ended that was not refused, stopped or killed.
enum ChildExit {
    Made,
    /// It panicked, saying this.
    Panicked(String),
}

/// What the runtime exits with when a thread panics.
const PANICKED: i32 = 101;

/// What the process may say, in bytes.
const MOST_SAID: u64 = 4 << 10;

impl Compiler {
    /// This very program, also where its file was replaced or removed since it was started: the one
    /// that compiles has the settings of the one that runs.
    #[must_use]
    pub fn this_program() -> Self {
        Self::program(PathBuf::from("/proc/self/exe"), CompileLimits::DEFAULT)
    }

    /// The `toolhost` program in this file, for hosts that are built into another program.
    #[must_use]
    pub const fn program(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program, limits }
    }

    /// Does this with these bytes, into this file.
    ///
    /// A compiler that panics may have been refused what it asked the machine for, a thread for
    /// example: that says nothing of the component. So it is asked once more, to do it without
    /// threads, and only what it fails on then is the component's.
    pub(super) fn make(&self, task: Task, bytes: &[u8], into: File) -> Result<(), NotCompiled> {
        let unwritten = |error: io::Error| NotCompiled {
            why: format!("the result cannot be written: {error}"),
            lasting: false,
        };
        let again = into.try_clone().map_err(unwritten)?;
        match self.attempt((task, Threads::All), bytes, into)? {
            ChildExit::Panicked(_) => {}
            ChildExit::Made => return Ok(()),
        }
        again
            .set_len(0)
            .and_then(|()| (&again).rewind())
            .map_err(unwritten)?;
        match self.attempt((task, Threads::One), bytes, again)? {
            ChildExit::Made => Ok(()),
            ChildExit::Panicked(said) => Err(NotCompiled {
                why: format!("{} failed on it: {said}", task.words().1),
                lasting: true,
            }),
        }
    }

    fn attempt(
        &self,
        how: (Task, Threads),
        bytes: &[u8],
        into: File,
    ) -> Result<ChildExit, NotCompiled> {
        let task = how.0;
        let started = self.start(how, bytes, into).map_err(|error| NotCompiled {
            why: format!("the compile process cannot be started: {error}"),
            lasting: false,
        });
        let (mut child, mut said) = started?;
        let ended = self.wait(&mut child).map_err(|error| NotCompiled {
            why: format!("the compile process cannot be waited for: {error}"),
            lasting: false,
        })?;
        let said = words(&mut said);
        match ended {
            Some(status) if status.success() => {
                warn_once(&said);
                Ok(ChildExit::Made)
            }
            Some(status) if status.code() == Some(PANICKED) => Ok(ChildExit::Panicked(said)),
            Some(status) => Err(self.judge(task, status, &said)),
            None => Err(NotCompiled {
                why: format!(
                    "it was not {} within {}; try again when the machine is less busy",
                    task.words().2,
                    humantime::format_duration(self.limits.wall)
                ),
                lasting: false,
            }),
        }
    }

    /// Everything it gets and gives is a file in memory or on disk: no pipe that either side could
    /// block.
    fn start(
        &self,
        (task, threads): (Task, Threads),
        bytes: &[u8],
        into: File,
    ) -> io::Result<(Child, File)> {
        let mut component = File::from(memfd_create("component", MemfdFlags::CLOEXEC)?);
        component.write_all(bytes)?;
        component.rewind()?;
        let said = File::from(memfd_create("said", MemfdFlags::CLOEXEC)?);
        let mut command = Command::new(&self.program);
        command
            .arg0("toolhost")
            .arg("compile-child")
            .arg(format!("--cpu={}", self.limits.cpu.as_secs()))
            .arg(format!("--memory={}", self.limits.memory));
        if let Task::Compile(wasi) = task {
            command.arg(format!("--wasi={}", wasi.as_str()));
        }
        if threads == Threads::One {
            command.arg("--alone");
        }
        let child = command
            .env_clear()
            .current_dir("/")
            .stdin(component)
            .stdout(into)
            .stderr(Stdio::from(said.try_clone()?))
            .spawn()?;
        Ok((child, said))
    }

    /// How it ended; none when it had to be ended.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if start.elapsed() > self.limits.wall {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn judge(&self, task: Task, status: ExitStatus, said: &str) -> NotCompiled {
        let lasting = |why: String| NotCompiled { why, lasting: true };
        let (doing, who, _) = task.words();
        if status.code() == Some(i32::from(REFUSED)) {
            return lasting(said.to_owned());
        }
        let signal = status.signal().and_then(Signal::from_named_raw);
        let limit = match signal {
            Some(Signal::XCPU) => less(Resource::Cpu, self.limits.cpu.as_secs()),
            Some(Signal::XFSZ) => less(Resource::Fsize, MOST_WRITTEN),
            Some(Signal::ABORT | Signal::SEGV | Signal::BUS) => {
                less(Resource::Data, self.limits.memory) || less(Resource::As, u64::MAX)
            }
            _ => false,
        };
        if limit {
            return NotCompiled {
                why: format!(
                    "{doing} takes more than this process's own limits leave for it ({status}); raise what `ulimit -a` shows, or compile it elsewhere: {said}"
                ),
                lasting: false,
            };
        }
        match signal {
            Some(Signal::XCPU) => lasting(format!(
                "{doing} takes more than {} of processor time",
                humantime::format_duration(self.limits.cpu)
            )),
            Some(Signal::ABORT | Signal::SEGV | Signal::BUS) => lasting(format!(
                "{doing} takes more than {} of memory, or more stack than there is: {said}",
                bytesize::ByteSize(self.limits.memory).display().iec()
            )),
            Some(Signal::XFSZ | Signal::ILL | Signal::FPE | Signal::TRAP) => {
                lasting(format!("{who} failed on it ({status}): {said}"))
            }
            _ => NotCompiled {
                why: format!(
                    "the compile process was ended from outside or failed ({status}): {said}"
                ),
                lasting: false,
            },
        }
    }
}

/// Whether whoever started this host gave it less of something than the compile process is to have:
/// then that is what ran out. As nothing bounds address space but such a limit, any is one.
fn less(resource: Resource, wanted: u64) -> bool {
    let limit = getrlimit(resource);
    // The soft limit of address space is taken over, all others are set anew.
    let most = match resource {
        Resource::As => limit.current,
        _ => limit.maximum,
    };
    most.is_some_and(|most| most < wanted)
}

/// What the process said, on one line, without what would move a cursor.
fn words(said: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = said
        .rewind()
        .and_then(|()| said.take(MOST_SAID).read_to_end(&mut bytes));
    if let Err(error) = read {
        return format!("what it said cannot be read: {error}");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| *line != "stack backtrace:" && !line.starts_with("note: "))
        .collect();
    lines
        .join("; ")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// Which walls this kernel does not have.
fn warn_once(missing: &str) {
    static SAID: Once = Once::new();
    if !missing.is_empty() {
        SAID.call_once(|| {
            tracing::warn!(
                missing,
                "components are compiled within limits, but not behind every wall"
            );
        });
    }
}
