//! A table whose hashing asks WASI for randomness, and a tree.

use std::collections::{BTreeMap, HashMap};

fn main() {
    let table: HashMap<u32, String> = (0..30_000).map(|i| (i, format!("{i:x}"))).collect();
    let tree: BTreeMap<&str, u32> = table.iter().map(|(i, text)| (text.as_str(), *i)).collect();
    let last = tree.last_key_value().expect("an entry");
    println!("ok {} {} {last:?}", table.len(), tree.len());
}
