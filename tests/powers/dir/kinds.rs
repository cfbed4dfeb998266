//! What is no file: pipes, sockets and devices that somebody put into a granted directory.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{acts, house};
use crate::harness::House;

/// A deadline that nothing here comes near, unless something waits for the other end of a pipe.
async fn soon(house: &House, tried: &[&[&str]]) -> Vec<String> {
    let limit = std::time::Duration::from_secs(8);
    let came = tokio::time::timeout(limit, acts(house, tried)).await;
    came.expect("a thread waits for what is no file")
}

fn pipe(house: &House, name: &str) {
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, house.site.path(name), FileType::Fifo, mode, 0).expect("a pipe");
}

#[tokio::test]
async fn g43_pipes_sockets_and_devices_are_refused_and_nobody_waits() {
    let house = house();
    let mut special = vec!["pipe", "socket", "link-to-pipe"];
    for dir in ["drafts", "notes"] {
        pipe(&house, &format!("{dir}/pipe"));
        let socket = UnixListener::bind(house.site.path(format!("{dir}/socket")));
        drop(socket.expect("a socket"));
        house
            .site
            .link("pipe".as_ref(), &format!("{dir}/link-to-pipe"));
        let null = rustix::fs::makedev(1, 3);
        let device = house.site.path(format!("{dir}/device"));
        match mknodat(
            CWD,
            device,
            FileType::CharacterDevice,
            Mode::RUSR | Mode::WUSR,
            null,
        ) {
            Ok(()) if dir == "drafts" => special.push("device"),
            Ok(()) => {}
            Err(error) => crate::harness::skipped(format!("no device can be made: {error}")),
        }
    }
    for name in special {
        let tried = [
            &["open", "0", name, "read,follow"][..],
            &["open", "0", name, "write,follow"],
            &["open", "0", name, "read,write,follow"],
            &["open", "0", name, "truncate,write,follow"],
            &["open", "0", name, "create,write,follow"],
            &["times-at", "0", name, "follow", "1", "0"],
            &["open", "1", name, "read,follow"],
            &["open", "1", name, "follow"],
        ];
        for (act, did) in tried.iter().zip(soon(&house, &tried).await) {
            assert_eq!(did, "not-permitted", "{act:?}");
        }
        // It can be looked at and taken away.
        let came = soon(
            &house,
            &[&["stat-at", "0", name, ""], &["unlink", "0", name]],
        )
        .await;
        assert!(came[0].starts_with("DescriptorType::"), "{came:?}");
        assert_eq!(came[1], "ok");
        if name != "link-to-pipe" && name != "device" {
            // The link after it leads to it.
            let again = house.site.path(format!("drafts/{name}"));
            mknodat(CWD, again, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        }
    }
    house
        .still_serves("rogue_read", serde_json::json!({ "path": "/notes/a.txt" }))
        .await;
}

/// The host's side puts a pipe into a file's place between the look and the opening.
#[tokio::test]
async fn g43_a_file_that_becomes_a_pipe_at_the_last_moment_holds_nobody_up() {
    let house = house();
    house.site.write("drafts/swap", "a file");
    pipe(&house, "drafts/pipe");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, drafts) = (Arc::clone(&stop), house.site.path("drafts"));
        std::thread::spawn(move || {
            let folder = std::fs::File::open(drafts).expect("a folder");
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&folder, "swap", &folder, "pipe", exchange)
                    .expect("a swap");
                swaps += 1;
            }
            swaps
        })
    };
    let mut tried: Vec<&[&str]> = Vec::new();
    for _ in 0..20 {
        tried.push(&["open", "0", "swap", "read,follow"]);
        tried.push(&["open", "0", "swap", "write,follow"]);
        tried.push(&["open", "0", "swap", "read,write"]);
        tried.push(&["times-at", "0", "swap", "follow", "1", "0"]);
    }
    for _ in 0..25 {
        for did in soon(&house, &tried).await {
            // A pipe that nobody reads cannot be opened to be written: `no-such-device`, if it came
            // after the look.
            let known = ["ok", "not-permitted", "no-such-device", "io", "access"];
            assert!(known.contains(&did.as_str()), "{did}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().expect("a thread") > 10, "nothing was raced");
}
