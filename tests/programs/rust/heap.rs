//! Grows the heap piece by piece, asking WASI for something between the pieces.

use std::time::{Instant, SystemTime};

fn main() {
    let mut pieces = Vec::new();
    for index in 0..40_u8 {
        pieces.push(vec![index; 400_000 + usize::from(index)]);
        let (_, _) = (Instant::now(), SystemTime::now());
        eprintln!("{index}");
    }
    let sound = (0..)
        .zip(&pieces)
        .all(|(index, piece)| piece.iter().all(|byte| *byte == index));
    println!("ok {} {sound}", pieces.len());
}
