//! A component written for another host: drafts of WASI under all their names, an interface in two
//! versions, types of an interface that nobody implements, and functions of uncommon forms.

#[cfg(target_arch = "wasm32")]
mod component {
    #![allow(unsafe_code, unreachable_pub, clippy::all, reason = "generated")]

    wit_bindgen::generate!({ path: "wit", world: "stranger", generate_all });

    use self::exports::stranger::forecast0_1_0::api as old;
    use self::exports::stranger::forecast0_2_0_draft::api as new;
    use self::exports::stranger::home::bulk;
    use self::stranger::home::shapes::Unit;
    use self::wasi::keyvalue;
    use self::wasi::{config0_2_0_draft, config0_2_0_draft_2024_09_27, config0_2_0_rc_1};
    use self::wasi::{logging, logging0_1_0, logging0_1_0_draft};

    struct Component;

    impl Guest for Component {
        fn whereabouts(at: Place) -> Place {
            at
        }

        fn settings(key: String) -> Vec<Option<String>> {
            vec![
                config0_2_0_draft::runtime::get(&key).ok().flatten(),
                config0_2_0_draft::store::get(&key).ok().flatten(),
                config0_2_0_draft_2024_09_27::store::get(&key)
                    .ok()
                    .flatten(),
                config0_2_0_rc_1::store::get(&key).ok().flatten(),
            ]
        }

        fn complain(words: String) {
            logging::logging::log(logging::logging::Level::Error, "stranger", &words);
            logging0_1_0::logging::log(logging0_1_0::logging::Level::Error, "stranger", &words);
            logging0_1_0_draft::logging::log(
                logging0_1_0_draft::logging::Level::Error,
                "stranger",
                &words,
            );
        }

        fn recall(
            word: String,
            keys: Vec<String>,
        ) -> Result<Vec<(String, Option<String>)>, String> {
            let said = |error| format!("{error:?}");
            let bucket = keyvalue::store::open("words").map_err(said)?;
            bucket.set("a", word.as_bytes()).map_err(said)?;
            let entries = keyvalue::batch::get_many(&bucket, &keys).map_err(said)?;
            let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
            let read = entries.into_iter();
            Ok(read.map(|(key, value)| (key, value.map(text))).collect())
        }

        fn luck() -> u64 {
            self::wasi::random::insecure::get_insecure_random_u64()
        }
    }

    impl old::Guest for Component {
        fn get_weather(city: String) -> String {
            format!("fair in {city}")
        }
    }

    impl new::Guest for Component {
        fn get_weather(city: String, days: u8) -> String {
            format!("fair in {city} for {days} days")
        }
    }

    impl bulk::Guest for Component {
        fn twenty(
            a: u8,
            b: i16,
            c: String,
            d: u64,
            e: bool,
            f: char,
            g: f32,
            h: f64,
            i: Option<u8>,
            j: Vec<u8>,
            k: u8,
            l: u8,
            m: u8,
            n: u8,
            o: u8,
            p: u8,
            q: u8,
            r: Place,
            s: Unit,
            t: String,
        ) -> (
            u8,
            i16,
            String,
            u64,
            bool,
            char,
            f32,
            f64,
            Option<u8>,
            Vec<u8>,
            u32,
            Place,
            Unit,
            String,
        ) {
            let sum = [k, l, m, n, o, p, q].into_iter().map(u32::from).sum();
            (a, b, c, d, e, f, g, h, i, j, sum, r, s, t)
        }

        fn nested(value: Option<Option<Option<u8>>>) -> Option<Option<Option<u8>>> {
            value
        }

        fn flagged(value: bulk::Many) -> bulk::Many {
            value
        }

        fn one(value: (String,)) -> (String,) {
            value
        }

        fn plain(fail: bool) -> Result<(), ()> {
            if fail { Err(()) } else { Ok(()) }
        }

        fn half(fail: bool) -> Result<(), Unit> {
            if fail { Err(Unit::Kelvin) } else { Ok(()) }
        }

        fn other_half(fail: bool) -> Result<Place, ()> {
            let place = Place {
                city: "Rome".to_owned(),
                country: None,
            };
            if fail { Err(()) } else { Ok(place) }
        }

        fn a_name_that_is_far_longer_than_what_any_agent_can_be_shown_as_the_name_of_a_function()
        -> bool {
            true
        }
    }

    export!(Component);
}
