//! Panics over what it reads.

fn main() {
    let words = std::io::read_to_string(std::io::stdin()).expect("an input");
    let count = words.split_whitespace().count();
    assert!(count < 5, "too many words: {count}");
}
