//! A component that calls every function of every interface that a host gives a guest, and says what it
//! was answered: so two runs of it can be told apart, and a function that is added and not called is
//! missed by the test that reads its imports. It ends itself where it cannot call all.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a call that cannot be made is the test's failure"
)]

#[cfg(target_arch = "wasm32")]
mod files;
#[cfg(target_arch = "wasm32")]
mod stored;
#[cfg(target_arch = "wasm32")]
mod surroundings;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(target_arch = "wasm32")]
mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::all, reason = "generated")]

    wit_bindgen::generate!({
        inline: "
            package toolhost:imports;
            world imports {
                include wasi:cli/imports@0.2.12;
                import wasi:http/types@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
                import wasi:config/store@0.2.0-rc.1;
                import wasi:logging/logging@0.1.0-draft;
                import toolhost:tool/http@0.1.0;
                import toolhost:tool/progress@0.1.0;
                /// Calls everything but what ends it; says what it was answered.
                export ask: func(authority: string) -> list<string>;
                /// Ends by itself.
                export leave: func(code: option<u8>);
            }
        ",
        path: "../../../wit",
        generate_all,
    });
}

/// Notes what was called, and what it gave.
#[cfg(target_arch = "wasm32")]
macro_rules! note {
    ($all:ident, $($call:expr),+ $(,)?) => {
        $($all.push(format!("{} = {:?}", stringify!($call), $call));)+
    };
}
#[cfg(target_arch = "wasm32")]
pub(crate) use note;

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, reason = "generated")]

    use super::bindings::wasi::cli::exit;
    use super::bindings::{Guest, export};
    use super::{files, stored, surroundings, web};

    struct Component;

    impl Guest for Component {
        fn ask(authority: String) -> Vec<String> {
            let mut all = Vec::new();
            surroundings::ask(&mut all);
            files::ask(&mut all);
            stored::ask(&mut all);
            web::ask(&mut all, &authority);
            all
        }

        fn leave(code: Option<u8>) {
            match code {
                Some(code) => exit::exit_with_code(code),
                None => exit::exit(Ok(())),
            }
        }
    }

    export!(Component with_types_in super::bindings);
}
