//! The shares and their turns, one promise a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::pin::pin;

use futures_util::FutureExt as _;

use super::*;

fn names(count: u64) -> impl Iterator<Item = u64> {
    0..count
}

#[test]
fn whoever_is_alone_gets_half_and_whoever_comes_next_finds_something() {
    let shares = Shares::new(32);
    let mut leases = Vec::new();
    let mut most = Vec::new();
    for owner in names(5) {
        while let Ok(lease) = shares.take(&owner, 1) {
            leases.push(lease);
        }
        most.push(shares.held(&owner));
    }
    assert_eq!(most, [16, 8, 4, 2, 1]);
    assert_eq!(shares.take(&0, 1).unwrap_err(), Short::Owner);
    leases.clear();
    assert_eq!(shares.free(), 32);
}

#[test]
fn a_first_piece_may_be_all_there_is_and_no_more_than_one_may_hold() {
    let shares = Shares::new(10);
    let all = shares.take(&"a", 10).unwrap();
    assert_eq!(shares.take(&"b", 1).unwrap_err(), Short::All);
    assert_eq!(shares.take(&"a", 1).unwrap_err(), Short::Owner);
    drop(all);
    let bounded = Shares::with_most(10, 3);
    assert_eq!(bounded.take(&"a", 4).unwrap_err(), Short::Owner);
    let mut lease = bounded.take(&"a", 2).unwrap();
    lease.grow(1).unwrap();
    assert_eq!(lease.grow(1).unwrap_err(), Short::Owner);
    lease.shrink(9);
    assert_eq!((lease.amount(), bounded.free()), (0, 10));
}

#[test]
fn owners_are_served_in_turns_and_one_owners_requests_in_order() {
    let shares = Shares::new(2);
    let held = shares.take(&0, 2).unwrap();
    let mut first = Box::pin(shares.wait(&1, 1));
    let mut second = Box::pin(shares.wait(&1, 1));
    let mut other = Box::pin(shares.wait(&2, 1));
    for wait in [&mut first, &mut second, &mut other] {
        assert!(wait.now_or_never().is_none());
    }
    drop(held);
    let first = first.now_or_never().expect("its turn").unwrap();
    let other = other.now_or_never().expect("its turn").unwrap();
    assert!((&mut second).now_or_never().is_none());
    drop((first, other));
    second.now_or_never().expect("its turn").unwrap();
    assert_eq!(shares.free(), 2);
    assert!(shares.stock().owners.is_empty());
}

#[test]
fn whoever_gives_up_leaves_nothing_behind_called_or_not() {
    let shares = Shares::new(1);
    let held = shares.take(&0, 1).unwrap();
    {
        let mut called = pin!(shares.wait(&1, 1));
        assert!(called.as_mut().now_or_never().is_none());
        let mut not_called = pin!(shares.wait(&2, 1));
        assert!(not_called.as_mut().now_or_never().is_none());
        drop(held);
        assert_eq!(shares.free(), 0, "it is the first one's now");
    }
    assert_eq!(shares.free(), 1);
    assert!(shares.stock().owners.is_empty());
}

#[test]
fn what_can_never_be_had_is_not_waited_for() {
    let shares = Shares::with_most(10, 3);
    let asked = shares.wait(&0, 4).now_or_never().expect("at once");
    assert_eq!(asked.unwrap_err(), Short::Owner);
}

/// Many orders of takes, waits, gifts and departures: the sum is right after each, and at the end
/// nothing is held.
#[test]
fn the_books_balance_in_every_order() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..200 {
        let shares = Shares::with_most(1 + random(20), 1 + random(20));
        let mut leases: Vec<Lease<u64>> = Vec::new();
        let mut waits = Vec::new();
        for _ in 0..100 {
            let (owner, amount) = (random(4), random(6));
            match random(5) {
                0 => leases.extend(shares.take(&owner, amount)),
                1 => {
                    let shares = shares.clone();
                    let mut wait = Box::pin(async move { shares.wait(&owner, amount).await });
                    match (&mut wait).now_or_never() {
                        Some(now) => leases.extend(now),
                        None => waits.push(wait),
                    }
                }
                2 if !leases.is_empty() => drop(leases.swap_remove(0)),
                3 if !waits.is_empty() => drop(waits.swap_remove(0)),
                _ => {
                    let polled = waits.iter_mut().map(|wait| wait.now_or_never());
                    let ended: Vec<_> = polled.collect();
                    let mut still = Vec::new();
                    for (wait, ended) in waits.drain(..).zip(ended) {
                        match ended {
                            Some(lease) => leases.extend(lease),
                            None => still.push(wait),
                        }
                    }
                    waits = still;
                }
            }
            let stock = shares.stock();
            let held: u64 = stock.owners.values().map(|held| held.amount).sum();
            assert_eq!(held, stock.used);
            assert!(stock.used <= stock.total);
            assert!(stock.owners.values().all(|held| held.amount <= stock.each));
        }
        drop((leases, waits));
        let stock = shares.stock();
        assert_eq!(stock.used, 0);
        assert!(stock.owners.is_empty(), "{stock:?}");
    }
}
