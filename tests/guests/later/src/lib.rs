//! Asynchronous functions that know nothing of this host: it finds them by their types.

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "generated"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../wasi3/wit",
        world: "toolhost:wasi3/typed",
        generate_all,
    });
    use super::component::Later;
    export!(Later);
}

#[cfg(target_arch = "wasm32")]
mod component {
    use super::bindings::wasi::clocks::monotonic_clock;
    use super::bindings::{Guest, wit_stream};

    pub(crate) struct Later;

    impl Guest for Later {
        async fn wait(ms: u32) -> u64 {
            let begin = monotonic_clock::now();
            monotonic_clock::wait_for(u64::from(ms) * 1_000_000).await;
            (monotonic_clock::now() - begin) / 1_000_000
        }

        async fn check(number: i32) -> Result<i32, String> {
            monotonic_clock::wait_for(0).await;
            if number < 0 {
                return Err(format!("{number} is below nothing"));
            }
            Ok(number)
        }

        fn add(a: u32, b: u32) -> u32 {
            a.saturating_add(b)
        }

        /// A synchronous function may not wait.
        fn wait_all_the_same() -> u32 {
            wit_bindgen::block_on(monotonic_clock::wait_for(1_000_000));
            1
        }

        /// It answers, and something of it goes on.
        async fn leave_behind() -> u32 {
            wit_bindgen::spawn_local(monotonic_clock::wait_for(3_600_000_000_000));
            7
        }

        fn numbers() -> wit_bindgen::StreamReader<u8> {
            wit_stream::new().1
        }
    }
}
