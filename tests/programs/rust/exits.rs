//! Gives up in good order, with a code of its own.

fn main() {
    eprintln!("no such word");
    std::process::exit(3);
}
