//! A program of WASI 0.3: it knows a command line, and nothing of any host. Its first argument says what
//! it does.

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
        world: "toolhost:wasi3/program",
        generate_all,
    });
    use super::program::Program;
    export!(Program);
}

#[cfg(target_arch = "wasm32")]
mod program {
    use super::bindings::exports::wasi::cli::run::Guest;
    use super::bindings::wasi::cli::{environment, exit, stderr, stdin, stdout};
    use super::bindings::wasi::clocks::monotonic_clock;
    use super::bindings::wit_stream;

    pub(crate) struct Program;

    impl Guest for Program {
        async fn run() -> Result<(), ()> {
            let mut arguments = environment::get_arguments().into_iter().skip(1);
            let what = arguments.next().unwrap_or_default();
            let rest: Vec<String> = arguments.collect();
            match what.as_str() {
                "arguments" => say(&format!("{rest:?}")).await,
                "upper" => {
                    let (stream, done) = stdin::read_via_stream();
                    let bytes = stream.collect().await;
                    done.await.map_err(drop)?;
                    say(&String::from_utf8_lossy(&bytes).to_uppercase()).await
                }
                "flood" => {
                    let (mut writer, reader) = wit_stream::new::<u8>();
                    let written = stdout::write_via_stream(reader);
                    for _ in 0..1_000 {
                        if !writer.write_all(vec![b'x'; 1 << 16]).await.is_empty() {
                            break;
                        }
                    }
                    drop(writer);
                    written.await.map_err(drop)
                }
                // Two streams to one output, and one of them is never ended.
                "twice" => {
                    let (mut open, reader) = wit_stream::new::<u8>();
                    let _forgotten = stdout::write_via_stream(reader);
                    open.write_all(b"first ".to_vec()).await;
                    say("second").await
                }
                "sleep" => {
                    monotonic_clock::wait_for(3_600_000_000_000).await;
                    Ok(())
                }
                "spin" => loop {
                    std::hint::spin_loop();
                },
                "exit" => {
                    exit::exit_with_code(rest.concat().parse().unwrap_or(0));
                    Ok(())
                }
                _ => {
                    let (mut writer, reader) = wit_stream::new::<u8>();
                    let written = stderr::write_via_stream(reader);
                    writer.write_all(b"it did not work".to_vec()).await;
                    drop(writer);
                    written.await.map_err(drop)?;
                    Err(())
                }
            }
        }
    }

    async fn say(text: &str) -> Result<(), ()> {
        let (mut writer, reader) = wit_stream::new::<u8>();
        let written = stdout::write_via_stream(reader);
        writer.write_all(text.as_bytes().to_vec()).await;
        drop(writer);
        written.await.map_err(drop)
    }
}
