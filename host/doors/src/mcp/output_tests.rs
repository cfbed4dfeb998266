//! The writing half, its peer a pipe in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::budget::Budget;
use crate::terms::Caller;

pub(in super::super) fn allowance(budget: &Arc<Budget>, name: &str) -> Allowance {
    budget.of(&Caller {
        agent: name.into(),
        user: None,
    })
}

fn output<W: AsyncWrite + Unpin>(writer: W) -> Output<W> {
    let allowance = allowance(&Arc::new(Budget::new(4 << 20)), "ada");
    Output::new(writer, allowance, CancellationToken::new())
}

#[tokio::test]
async fn a_flush_given_up_half_way_loses_nothing() {
    let (near, mut far) = tokio::io::duplex(4);
    let output = output(near);
    let mark = output.push(b"first line");
    {
        let mut flush = pin!(output.flush(mark));
        assert!(
            flush.as_mut().now_or_never().is_none(),
            "four bytes held eleven"
        );
    }
    let mark = output.push(b"second");
    assert_eq!(output.backlog(), 11 + 7 - 4);
    let mut read = [0; 18];
    let (flushed, got) = tokio::join!(output.flush(mark), far.read_exact(&mut read));
    flushed.unwrap();
    got.unwrap();
    assert_eq!(&read, b"first line\nsecond\n");
    assert_eq!(output.backlog(), 0);
}

#[tokio::test]
async fn a_closed_reader_is_an_error() {
    let (near, far) = tokio::io::duplex(4);
    drop(far);
    let output = output(near);
    let mark = output.push(b"x");
    assert_eq!(
        output.flush(mark).await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    assert!(output.cut.is_cancelled(), "the connection is of no use");
}

/// A flush up to a mark that is written already, while a later message is half written: what is on
/// its way stays in its place.
#[tokio::test]
async fn x23_a_flush_of_an_older_mark_loses_nothing_that_is_on_its_way() {
    let (near, mut far) = tokio::io::duplex(16);
    let output = output(near);
    let first = output.push(b"one");
    output.flush(first).await.unwrap();
    let second = output.push(&[b'x'; 40]);
    assert!(output.flush(second).now_or_never().is_none());
    assert!(output.flush(first).now_or_never().is_none());
    let third = output.push(b"three");
    let mut got = vec![0; 4 + 41 + 6];
    let (flushed, read) = tokio::join!(output.flush(third), far.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert_eq!(got, [&b"one\n"[..], &[b'x'; 40], b"\nthree\n"].concat());
}

/// Messages, flushes of any mark, flushes that are given up and reads, in every order: all bytes come
/// once and in their order, and nothing turns without an end.
#[tokio::test]
async fn x23_whatever_is_given_up_all_bytes_come_once_and_in_order() {
    let mut seed = 11_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for round in 0..2_000 {
        let (near, mut far) = tokio::io::duplex(1 + random(24));
        let output = output(near);
        let (mut said, mut marks, mut got) = (Vec::new(), vec![0], Vec::new());
        let mut flushes: Vec<Pin<Box<dyn Future<Output = io::Result<()>>>>> = Vec::new();
        for step in 0..40 {
            match random(6) {
                0 | 1 => {
                    let line = vec![b'a' + u8::try_from(step % 26).unwrap(); random(30)];
                    marks.push(output.push(&line));
                    said.extend(line);
                    said.push(b'\n');
                }
                2 => flushes.push(Box::pin(output.flush(marks[random(marks.len())]))),
                3 if !flushes.is_empty() => {
                    let at = random(flushes.len());
                    if let Some(end) = (&mut flushes[at]).now_or_never() {
                        end.unwrap_or_else(|error| panic!("round {round}: {error}"));
                        drop(flushes.swap_remove(at));
                    }
                }
                4 if !flushes.is_empty() => drop(flushes.swap_remove(random(flushes.len()))),
                _ => {
                    let mut piece = vec![0; 1 + random(16)];
                    if let Some(read) = far.read(&mut piece).now_or_never() {
                        got.extend_from_slice(&piece[..read.unwrap()]);
                    }
                }
            }
        }
        drop(flushes);
        let rest = said.len() - got.len();
        let mut end = vec![0; rest];
        let (flushed, read) = tokio::join!(output.flush_all(), far.read_exact(&mut end));
        flushed.unwrap_or_else(|error| panic!("round {round}: {error}"));
        read.unwrap();
        got.extend(end);
        assert_eq!(got, said, "round {round}");
        assert_eq!(output.backlog(), 0);
    }
}

#[tokio::test]
async fn x26_answers_that_are_not_read_are_bounded_for_a_connection_and_for_a_caller() {
    let budget = Arc::new(Budget::new(4 << 20));
    let line = vec![b'x'; 3 << 20];
    let mut outputs = Vec::new();
    let (mut kept, mut dropped) = (0, 0);
    for _ in 0..8 {
        let (near, far) = tokio::io::duplex(64);
        let output = Output::new(near, allowance(&budget, "ada"), CancellationToken::new());
        for id in 0..80 {
            let before = output.backlog();
            output.answer(&line, Some(&RequestId::Number(id)));
            let more = output.backlog() - before;
            if more > length(line.len()) {
                kept += more;
            } else {
                assert!(more < 500);
                dropped += 1;
            }
        }
        assert!(output.backlog() < MAX_UNREAD + 2 * length(line.len()));
        outputs.push((output, far));
    }
    assert!(dropped > 500, "{dropped}");
    assert!(
        kept <= (128 << 20) + length(line.len()) + 8 * FREE,
        "{kept}"
    );
    // Another caller's answer is kept.
    let (near, _far) = tokio::io::duplex(64);
    let other = Output::new(near, allowance(&budget, "bob"), CancellationToken::new());
    other.answer(&line, None);
    assert!(other.backlog() > length(line.len()));
    drop(outputs);
    assert_eq!(allowance(&budget, "ada").unread(), 0);
}

#[tokio::test]
async fn what_is_read_is_held_no_longer() {
    let budget = Arc::new(Budget::new(4 << 20));
    let own = allowance(&budget, "ada");
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let output = Output::new(near, own.clone(), CancellationToken::new());
    let mark = output.answer(&vec![b'x'; 1 << 20], None);
    assert_eq!(own.unread(), (1 << 20) + 1 - FREE);
    let mut got = vec![0; (1 << 20) + 1];
    let (flushed, read) = tokio::join!(output.flush(mark), far.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert_eq!(own.unread(), 0);
}
