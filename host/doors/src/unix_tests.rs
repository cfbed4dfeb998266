//! The socket's folder, and the socket that was there before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::symlink;

use tokio::io::AsyncWriteExt as _;

use super::*;

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("toolhost-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

fn refusal(path: &Path) -> String {
    UnixDoor::bind(path, Audience::Own)
        .expect_err("bound")
        .to_string()
}

#[tokio::test]
async fn folder_and_socket_are_for_their_owner_alone_and_the_socket_goes_away() {
    let home = Folder::new("modes");
    let path = home.0.join("agents/agent.sock");
    let door = UnixDoor::bind(&path, Audience::Own).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    drop(door);
    assert!(!path.exists());
}

#[tokio::test]
async fn where_others_are_callers_they_can_connect_and_change_nothing() {
    let home = Folder::new("others");
    let path = home.0.join("agents/agent.sock");
    let door = UnixDoor::bind(&path, Audience::Others).unwrap();
    let folder = path.parent().unwrap();
    assert_eq!((mode(folder), mode(&path)), (0o711, 0o666));
    drop(door);
    std::fs::set_permissions(folder, Permissions::from_mode(0o733)).unwrap();
    let refused = UnixDoor::bind(&path, Audience::Others).expect_err("bound");
    assert!(refused.to_string().contains("chmod 711"), "{refused}");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let home = Folder::new("stale");
    let path = home.0.join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener that just goes leaves its socket");
    let door = UnixDoor::bind(&path, Audience::Own).unwrap();
    let say = refusal(&path);
    assert!(say.contains("another host answers"), "{say}");
    assert!(path.exists());
    drop(door);
}

/// Whoever can open the folder can lock it, and whoever listens need not answer.
#[test]
fn x90_nobody_holds_up_a_start_with_a_lock_or_a_full_queue() {
    let scratch = Folder::new("x90");
    let path = scratch.0.join("agents/agent.sock");
    drop(UnixDoor::bind(&path, Audience::Others).unwrap());
    let folder = File::open(path.parent().unwrap()).unwrap();
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).unwrap();
    drop(UnixDoor::bind(&path, Audience::Others).unwrap());

    let busy = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let (busy, address) = (busy.unwrap(), SocketAddrUnix::new(&path).unwrap());
    rustix::net::bind(&busy, &address).unwrap();
    rustix::net::listen(&busy, 0).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let next = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        match connect(&next, &address) {
            Ok(()) => waiting.push(next),
            Err(error) => break error,
        }
    };
    assert_eq!(full, Errno::AGAIN);
    let refused = UnixDoor::bind(&path, Audience::Others).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{refused}");
}

#[tokio::test]
async fn what_is_not_ours_alone_is_refused() {
    let home = Folder::new("refused");
    let open = home.0.join("open");
    DirBuilder::new().mode(0o700).create(&open).unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o750)).unwrap();
    assert!(refusal(&open.join("s")).contains("chmod 700"));

    symlink(&home.0, home.0.join("link")).unwrap();
    assert!(refusal(&home.0.join("link/s")).contains("is a link"));

    std::fs::write(home.0.join("file"), "").unwrap();
    assert!(refusal(&home.0.join("file")).contains("is something else"));
    symlink("/nowhere", home.0.join("sock")).unwrap();
    assert!(refusal(&home.0.join("sock")).contains("is something else"));

    assert!(refusal(Path::new("agent.sock")).contains("no folder"));
    assert!(refusal(&home.0.join("x".repeat(200))).contains("107 bytes"));
}

#[tokio::test]
async fn a_peer_that_only_stopped_sending_is_not_gone() {
    let (mut near, far) = UnixStream::pair().unwrap();
    let (_read, write) = far.into_split();
    near.shutdown().await.unwrap();
    assert!(!write.is_gone());
    drop(near);
    assert!(write.is_gone());
}

#[test]
fn x53_a_bridge_asks_only_what_a_host_could_have_bound() {
    let home = Folder::new("bridged");
    let at = |name: &str| home.0.join(name);
    let says = |name: &str| match may_be_a_hosts(&at(name), Audience::Own) {
        Ok(there) => there.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(says("agent.sock"), "false");
    assert_eq!(says("none/agent.sock"), "false");
    let _door = UnixDoor::bind(&at("agents/agent.sock"), Audience::Own).unwrap();
    assert_eq!(says("agents/agent.sock"), "true");
    symlink("agents/agent.sock", at("link.sock")).unwrap();
    symlink("agents", at("folder")).unwrap();
    std::fs::write(at("file.sock"), "").unwrap();
    for (name, why) in [
        ("link.sock", "is something else"),
        ("file.sock", "is something else"),
        ("folder/agent.sock", "has to be a real folder"),
    ] {
        assert!(says(name).contains(why), "{name}: {}", says(name));
    }
    let open = |mode| {
        std::fs::set_permissions(at("agents"), Permissions::from_mode(mode)).unwrap();
    };
    open(0o711);
    assert!(says("agents/agent.sock").contains("chmod 700"));
    let others = may_be_a_hosts(&at("agents/agent.sock"), Audience::Others);
    assert!(others.unwrap());
    open(0o733);
    assert!(may_be_a_hosts(&at("agents/agent.sock"), Audience::Others).is_err());
    let own = rustix::process::geteuid().as_raw();
    assert!(is_trusted(own) && is_trusted(0) && !is_trusted(own.wrapping_add(7)));
}
