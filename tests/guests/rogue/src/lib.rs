//! A hostile tool: every function does what a host must stand, or tries what it must refuse. Each
//! answers plainly with what it got, so that a test can tell.

mod answers;
mod bounds;
mod files;
mod network;
mod storage;
mod surroundings;

use answers::{BrokenPromise, NotJson, WrongOutput, flood};
use bounds::{babble, crash, hog, nap, quit, recurse, spin};
use files::{hard_link, list, many_handles, read, remove, rename, write};
use network::{connect, crowd, get, post, raw, relay, resolve, wasi_http};
use storage::{
    configured, kv_count, kv_delete, kv_draft, kv_flood, kv_get, kv_hold, kv_keys, kv_odd, kv_set,
};
use surroundings::{env, log, now, progress, random, stash};

toolhost_sdk::export!(
    spin,
    hog,
    nap,
    recurse,
    crash,
    quit,
    babble,
    flood,
    WrongOutput,
    NotJson,
    BrokenPromise,
    read,
    write,
    list,
    remove,
    rename,
    hard_link,
    many_handles,
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
);
