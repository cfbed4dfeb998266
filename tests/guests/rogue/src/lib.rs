//! A hostile tool: every function does what a host must stand, or tries what it must refuse. Each
//! answers plainly with what it got, so that a test can tell.

mod answers;
mod bounds;
mod deeds;
mod files;
mod hoarding;
mod leaks;
mod network;
mod storage;
mod streams;
mod surroundings;
mod timing;

use answers::{BrokenPromise, NotJson, Verbatim, WrongOutput, complain, flood, litter, long_name};
use bounds::{babble, copy_for_ever, crash, hog, nap, quit, recurse, spin, touch_for_ever};
use deeds::acts;
use files::{hard_link, list, many_handles, read, remove, rename, write};
use hoarding::hoard;
use leaks::tell;
use network::{connect, crowd, get, post, raw, relay, resolve, wasi_http};
use storage::{
    configured, kv_count, kv_delete, kv_draft, kv_flood, kv_get, kv_hold, kv_keys, kv_odd, kv_set,
};
use streams::{poll_busy, poll_many, shriek, zeroes};
use surroundings::{env, log, now, progress, random, stash, udp};
use timing::{odd_timers, request_options};

toolhost_sdk::export!(
    spin,
    copy_for_ever,
    touch_for_ever,
    hog,
    nap,
    recurse,
    crash,
    quit,
    babble,
    flood,
    litter,
    long_name,
    complain,
    WrongOutput,
    NotJson,
    BrokenPromise,
    Verbatim,
    read,
    write,
    list,
    remove,
    rename,
    hard_link,
    many_handles,
    hoard,
    acts,
    get,
    post,
    raw,
    wasi_http,
    crowd,
    relay,
    connect,
    resolve,
    env,
    now,
    random,
    stash,
    log,
    progress,
    kv_set,
    kv_get,
    kv_delete,
    kv_keys,
    kv_count,
    kv_flood,
    kv_odd,
    kv_hold,
    kv_draft,
    configured,
    tell,
    udp,
    poll_many,
    poll_busy,
    zeroes,
    shriek,
    request_options,
    odd_timers,
);
