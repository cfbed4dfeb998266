//! Clocks, streams, memory and what else a call may use up.

use super::bindings::wasi::cli::{environment, stdout};
use super::bindings::wasi::clocks::{monotonic_clock, system_clock};
use super::bindings::wasi::random::random as source;
use super::bindings::wit_stream;

pub(crate) async fn sleep(ms: u64) -> Result<String, String> {
    let begin = monotonic_clock::now();
    monotonic_clock::wait_for(ms.saturating_mul(1_000_000)).await;
    let slept = monotonic_clock::now() - begin;
    Ok(format!("{}", slept / 1_000_000))
}

/// So many tasks that wait at once.
pub(crate) async fn sleepers(n: u64, ms: u64) -> Result<String, String> {
    let tasks: Vec<_> = (0..n)
        .map(|_| wit_bindgen::spawn_local(sleep(ms)))
        .collect();
    let mut woken = 0_u64;
    for task in tasks {
        woken += u64::from(task.await.is_some());
    }
    Ok(woken.to_string())
}

/// So many streams held at once.
pub(crate) fn streams(n: u64) -> Result<String, String> {
    let held: Vec<_> = (0..n).map(|_| wit_stream::new::<u8>()).collect();
    Ok(held.len().to_string())
}

/// Waits for what nobody will ever send.
pub(crate) async fn starve() -> Result<String, String> {
    let (writer, mut reader) = wit_stream::new::<u8>();
    let got = reader.next().await;
    drop(writer);
    Ok(format!("{got:?}"))
}

pub(crate) fn spin() -> Result<String, String> {
    let mut n = 0_u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

pub(crate) fn hog() -> Result<String, String> {
    let mut all = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

pub(crate) async fn print(text: String) -> Result<String, String> {
    let (mut writer, reader) = wit_stream::new::<u8>();
    let written = stdout::write_via_stream(reader);
    let rest = writer.write_all(text.into_bytes()).await;
    drop(writer);
    let done = written.await;
    Ok(format!("{} left, {done:?}", rest.len()))
}

pub(crate) fn now() -> Result<String, String> {
    let now = system_clock::now();
    Ok(format!(
        "{} {}",
        now.nanoseconds % 1_000_000,
        monotonic_clock::now() % 1_000_000
    ))
}

pub(crate) fn env() -> Result<String, String> {
    Ok(format!("{:?}", environment::get_environment()))
}

pub(crate) fn random(n: u64) -> Result<String, String> {
    Ok(source::get_random_bytes(n).len().to_string())
}
