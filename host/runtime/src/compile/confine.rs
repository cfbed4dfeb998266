//! The walls of a process that compiles what strangers wrote: it computes, and no more. It may read
//! what it was given, write what it made, and allocate; no file, no socket, no other program.
//!
//! It knows nothing of components. The walls go up on a process that runs on one thread and has
//! opened nothing: nobody could slip through before they stand.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// The largest file that it may write: what a component of the largest size compiles to, and room.
pub(super) const MOST_WRITTEN: u64 = 1 << 30;
/// Open files: what it was given, and a few for the runtime's own look at the machine.
const MOST_FILES: u64 = 16;
/// Less urgent than everything that serves.
const NICE: i32 = 10;

/// Puts this process behind its walls, for good. `cpu` is in seconds of processor time, `memory` in
/// bytes of what it allocates.
///
/// Limits and the closing of files must succeed. What a kernel may lack is told in the list that
/// comes back: the host says so, and compiles all the same.
///
/// # Errors
///
/// The wall that could not be put up.
pub(super) fn confine(cpu: u64, memory: u64) -> Result<Vec<String>, String> {
    bound(cpu, memory).map_err(|error| format!("limits cannot be set: {error}"))?;
    close_others();
    let mut missing = Vec::new();
    missing.extend(no_files().err());
    missing.extend(no_network().err());
    Ok(missing)
}

fn bound(cpu: u64, memory: u64) -> rustix::io::Result<()> {
    // Not `As`: address space is what engines and allocators reserve, not what they use.
    for (resource, soft, hard) in [
        (Resource::Cpu, cpu, cpu.saturating_add(1)),
        (Resource::Data, memory, memory),
        (Resource::Fsize, MOST_WRITTEN, MOST_WRITTEN),
        (Resource::Nofile, MOST_FILES, MOST_FILES),
        // What it crashes on is a stranger's; a core of it helps nobody.
        (Resource::Core, 0, 0),
    ] {
        // Where the host itself has less, less it is.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            current: Some(soft.min(most)),
            maximum: Some(hard.min(most)),
        };
        setrlimit(resource, limit)?;
    }
    // Whoever started it may go away: then nobody wants the result.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Only the order of work is worse where this fails.
    let _ = rustix::process::nice(NICE);
    Ok(())
}

/// Closes what the host itself was started with and did not know of: shells and editors leave such
/// files open.
fn close_others() {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // The one that listed them is closed by now; that is no error.
        let _ = nix::unistd::close(number);
    }
}

/// No path can be opened, made, run or removed; no TCP port bound or connected to; no process
/// outside signalled.
fn no_files() -> Result<(), String> {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match restricted.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => Ok(()),
        Ok(RulesetStatus::PartiallyEnforced) => Err(
            "this kernel's Landlock is an older one: it keeps files out of reach, not all else"
                .to_owned(),
        ),
        Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock".to_owned()),
        Err(error) => Err(format!("Landlock: {error}")),
    }
}

/// System calls that a compiler has no use for: the network, other programs and processes, and the
/// doors through which filters like this one are walked around.
const FORBIDDEN: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_open_by_handle_at,
];

/// The same calls by the numbers of the x32 ABI, and those it numbers differently (execve, ptrace,
/// sendmsg, execveat and their like): a kernel that has it answers to both.
#[cfg(target_arch = "x86_64")]
fn other_numbers() -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    let same = FORBIDDEN.iter().copied();
    same.chain(512..=547).map(|number| X32 | number)
}

#[cfg(not(target_arch = "x86_64"))]
fn other_numbers() -> impl Iterator<Item = i64> {
    std::iter::empty()
}

fn no_network() -> Result<(), String> {
    let filter = filter().map_err(|error| format!("seccomp: {error}"))?;
    seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN
        .iter()
        .copied()
        .chain(other_numbers())
        .map(|number| (number, Vec::new()))
        .collect();
    // A process may signal itself, as `abort` does, and read its own limits: not another's.
    let others = |own: u64| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, own)
            .and_then(|other| SeccompRule::new(vec![other]))
    };
    rules.insert(libc::SYS_tgkill, vec![others(std::process::id().into())?]);
    rules.insert(libc::SYS_prlimit64, vec![others(0)?]);
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1)),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Behind the walls nothing is reached. The walls hold for the rest of a process, so this test
    /// is run again by itself in one of its own.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "it tries what must not work")]
    fn behind_the_walls_nothing_is_reached() {
        const INSIDE: &str = "TOOLHOST_TEST_BEHIND_WALLS";
        if std::env::var_os(INSIDE).is_none() {
            let mut again = Command::new(std::env::current_exe().expect("this program"));
            again
                .args([
                    "--exact",
                    "compile::confine::tests::behind_the_walls_nothing_is_reached",
                ])
                .args(["--nocapture", "--test-threads=1"])
                .env(INSIDE, "1");
            let ended = again.output().expect("a run");
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert!(
                ended.status.success() && said.contains("behind the walls"),
                "{said}{}",
                String::from_utf8_lossy(&ended.stderr)
            );
            return;
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let missing = confine(60, 1 << 30).expect("walls");
        assert!(missing.is_empty(), "{missing:?}");

        // `TcpListener` is closed by number here; letting it be dropped would close another's.
        std::mem::forget(listener);
        let refused = |what: &str, error: std::io::Error| {
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied,
                "{what}: {error}"
            );
        };
        refused("reading", std::fs::read("/etc/passwd").expect_err("read"));
        refused(
            "listing",
            std::fs::read_dir("/").map(drop).expect_err("listed"),
        );
        let place = std::env::temp_dir().join("toolhost-behind-walls");
        refused("writing", std::fs::write(place, "").expect_err("written"));
        refused(
            "connecting",
            std::net::TcpStream::connect(address)
                .map(drop)
                .expect_err("connected"),
        );
        refused(
            "asking",
            std::net::UdpSocket::bind(("127.0.0.1", 0))
                .map(drop)
                .expect_err("bound"),
        );
        refused(
            "running",
            Command::new("/bin/true")
                .status()
                .map(drop)
                .expect_err("run"),
        );
        let parent = rustix::process::getppid().expect("a parent");
        assert!(rustix::process::test_kill_process(parent).is_err());
        println!("behind the walls");
    }
}
