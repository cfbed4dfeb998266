//! A component that knows nothing of this host: functions of every WIT type.

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(
        unsafe_code,
        unreachable_pub,
        clippy::all,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "generated, but for a text that is none"
    )]

    wit_bindgen::generate!({ path: "wit", world: "types" });

    use exports::test::types::{echo, trouble};

    struct Component;

    impl Guest for Component {
        fn add(a: i32, b: i32) -> i32 {
            a.wrapping_add(b)
        }

        fn init() {}
    }

    impl echo::Guest for Component {
        fn echo_all(all: echo::All) -> echo::All {
            all
        }

        fn echo_text(text: String) -> String {
            text
        }

        fn echo_bytes(bytes: Vec<u8>) -> Vec<u8> {
            bytes
        }

        fn echo_points(points: Vec<echo::Point>) -> Vec<echo::Point> {
            points
        }

        fn echo_u64(value: u64) -> u64 {
            value
        }

        fn echo_char(value: char) -> char {
            value
        }

        fn rest() {}
    }

    struct Thing;

    impl trouble::GuestThing for Thing {
        fn new() -> Self {
            Self
        }

        fn look(&self) -> u32 {
            1
        }
    }

    impl trouble::Guest for Component {
        type Thing = Thing;

        fn fail(how: trouble::Problem) -> Result<String, trouble::Problem> {
            Err(how)
        }

        fn fail_plainly() -> Result<(), String> {
            Err("it is Sunday".to_owned())
        }

        fn not_a_number() -> f64 {
            f64::NAN
        }

        fn infinity() -> f32 {
            f32::INFINITY
        }

        fn bad_text() -> String {
            // SAFETY: none; that is what is tested, and only the host reads it.
            unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
        }

        fn many(count: u32) -> Vec<u64> {
            (0..u64::from(count)).collect()
        }

        fn use_thing(_: trouble::ThingBorrow<'_>) -> u32 {
            1
        }
    }

    export!(Component);
}
