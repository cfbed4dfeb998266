//! Buckets, in both drafts. The guest has one, `kept`.

use crate::bindings::wasi::keyvalue0_2_0_draft as draft;
use crate::bindings::wasi::keyvalue0_2_0_draft2 as draft2;
use crate::note;

pub(crate) fn ask(all: &mut Vec<String>) {
    older(all);
    newer(all);
}

fn pairs(keys: &[&str]) -> Vec<(String, Vec<u8>)> {
    let each = keys.iter();
    each.map(|key| ((*key).to_owned(), format!("of {key}").into_bytes()))
        .collect()
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn older(all: &mut Vec<String>) {
    note!(all, draft::store::open("absent").map(drop));
    let bucket = draft::store::open("kept").expect("the guest has a bucket");
    note!(
        all,
        bucket.get("there"),
        bucket.set("a", b"1"),
        bucket.exists("a"),
        bucket.delete("a"),
        bucket.get("a"),
        bucket.list_keys(None),
        draft::atomics::increment(&bucket, "count", 2),
        draft::batch::set_many(&bucket, &pairs(&["b", "c"])),
        draft::batch::get_many(&bucket, &keys(&["b", "absent", "c"])),
        draft::batch::delete_many(&bucket, &keys(&["b"])),
        bucket.set("", b"no key"),
    );
}

fn newer(all: &mut Vec<String>) {
    note!(all, draft2::store::open("absent").map(drop));
    let bucket = draft2::store::open("kept").expect("the guest has a bucket");
    note!(
        all,
        bucket.get("there"),
        bucket.set("d", b"1"),
        bucket.exists("d"),
        bucket.delete("d"),
        bucket.list_keys(None),
        bucket.list_keys(Some("not one")),
        draft2::atomics::increment(&bucket, "count", -1),
        draft2::batch::set_many(&bucket, &pairs(&["e", "f"])),
        draft2::batch::get_many(&bucket, &keys(&["e", "absent", "f"])),
        draft2::batch::delete_many(&bucket, &keys(&["e"])),
    );
    let see = || draft2::atomics::Cas::new(&bucket, "f").expect("what is there");
    let (first, second) = (see(), see());
    note!(all, first.current(), second.current());
    note!(all, draft2::atomics::swap(first, b"first"));
    // It is not as it was seen.
    let Err(draft2::atomics::CasError::CasFailed(now)) = draft2::atomics::swap(second, b"second")
    else {
        panic!("it was swapped");
    };
    note!(all, now.current(), draft2::atomics::swap(now, b"third"));
}
