//! The first draft of the interface, as guests of other hosts import it.

// Generated code.
#[allow(unsafe_code, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package toolhost:rogue;
            world storage {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
                import wasi:keyvalue/store@0.2.0-draft2;
            }
        ",
        world: "toolhost:rogue/storage",
        generate_all,
    });
}

use bindings::wasi::keyvalue0_2_0_draft::{atomics, batch, store};
use bindings::wasi::keyvalue0_2_0_draft2::store as newer;

/// Every operation once, and a list over all pages.
pub(super) fn round(bucket: &str, keys: u32) -> Result<Vec<String>, String> {
    let said = |error: store::Error| format!("{error:?}");
    let bucket = store::open(bucket).map_err(said)?;
    let pairs: Vec<(String, Vec<u8>)> = (0..keys)
        .map(|n| (format!("k{n}"), n.to_string().into_bytes()))
        .collect();
    for some in pairs.chunks(1_000) {
        batch::set_many(&bucket, some).map_err(said)?;
    }
    let sum = atomics::increment(&bucket, "k1", 41).map_err(said)?;
    if sum != 42 || !bucket.exists("k1").map_err(said)? {
        return Err(format!("1 and 41 are {sum}"));
    }
    let wanted = ["k0".to_owned(), "none".to_owned()];
    let many = batch::get_many(&bucket, &wanted).map_err(said)?;
    if many != [Some(("k0".to_owned(), b"0".to_vec())), None] {
        return Err(format!("{many:?}"));
    }
    bucket.delete("k0").map_err(said)?;
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = bucket.list_keys(cursor).map_err(said)?;
        all.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Lists from places that were never given.
pub(super) fn wild_cursors() -> Vec<String> {
    let wild = ["-1", "", "1e9", "99999999999999999999", "\u{202e}1"];
    let list = |cursor: &str| {
        let bucket = newer::open("odd").map_err(|error| format!("{error:?}"))?;
        let page = bucket.list_keys(Some(cursor));
        page.map_err(|error| match error {
            newer::Error::Other(message) => message,
            other => format!("{other:?}"),
        })
    };
    let said = |cursor| list(cursor).map_or_else(|error| error, |page| format!("{page:?}"));
    wild.into_iter().map(said).collect()
}
