//! Waits, catches what it can, and ends with a code of its own.

use std::process::exit;
use std::thread::sleep;
use std::time::{Duration, Instant};

fn main() {
    let before = Instant::now();
    sleep(Duration::from_millis(3));
    if before.elapsed() < Duration::from_millis(3) {
        exit(1);
    }
    if std::thread::Builder::new().spawn(|| ()).is_ok() {
        exit(2);
    }
    println!("ok");
    exit(0);
}
