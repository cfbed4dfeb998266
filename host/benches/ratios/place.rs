//! On which processors the sides of a measurement run. Left to itself the kernel may put the client
//! beside one server and apart from the other, and keeps it so for seconds: then the ratio of two
//! times with one call in flight says which of them was lucky. A server that wakes a second thread for
//! every message is lucky more often: it keeps the other processor busy, and so the one that it needs is
//! not asleep. So both are given the same place, too.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the client and both servers run.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Where the kernel likes.
    Free,
    /// All on one processor: a message costs a change of tasks.
    One,
    /// The client on one, the servers on another: a message wakes an idle processor.
    Two,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::One, Self::Two, Self::Free];

    /// How it is called in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Free => "left to the kernel",
            Self::One => "on one processor",
            Self::Two => "on two processors",
        }
    }

    /// Measures with this thread and all threads of the servers in their places.
    pub(crate) fn during(self, servers: [u32; 2], measure: impl FnOnce()) {
        let all = sched_getaffinity(None).unwrap();
        let mut some = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let first = some.next().unwrap();
        let other = some.next().unwrap_or(first);
        let (client, server) = match self {
            Self::Free => (all, all),
            Self::One => (only(first), only(first)),
            Self::Two => (only(first), only(other)),
        };
        sched_setaffinity(None, &client).unwrap();
        servers.iter().for_each(|pid| put(*pid, &server));
        measure();
        sched_setaffinity(None, &all).unwrap();
        servers.iter().for_each(|pid| put(*pid, &all));
    }
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

/// Places every thread of a process; new ones follow the thread that starts them.
fn put(process: u32, set: &CpuSet) {
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let thread: i32 = task.unwrap().file_name().to_str().unwrap().parse().unwrap();
        // A thread may have ended meanwhile.
        let _ = sched_setaffinity(Pid::from_raw(thread), set);
    }
}
