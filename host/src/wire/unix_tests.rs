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
