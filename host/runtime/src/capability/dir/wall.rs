//! The second layer: Landlock. Paths are kept inside by wasmtime-wasi and the kernel's
//! `RESOLVE_BENEATH`; should both be wrong some day, the threads that follow a guest's paths cannot
//! reach other files anyway, nor write where a grant says "read". The kernel holds it, so there is
//! nothing here to get wrong at each call.
//!
//! It does not cover what Landlock does not: the metadata of files elsewhere (`stat`, `readlink`),
//! and native code in this process, which could use another thread.

use std::cell::Cell;
use std::fs::File;
use std::sync::{Arc, OnceLock};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};

use crate::grants::DirAccess;

/// The first version that knows truncation (Linux 6.2). Earlier ones would also forbid to move a
/// file from one directory into another.
const NEEDED: ABI = ABI::V3;

thread_local! {
    static RAISED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the kernel has it, in the version that is needed.
#[must_use]
pub fn landlock_is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| empty().is_ok())
}

/// Forbids this thread, for ever, every file that is not in one of `places`, and every socket.
pub(super) fn raise(places: &[(Arc<File>, DirAccess)]) {
    if !landlock_is_here() {
        return;
    }
    match restrict(places) {
        Ok(()) => RAISED.set(true),
        Err(error) => tracing::error!(%error, "a thread for guests' files cannot be restricted"),
    }
}

/// Whether this thread may follow a guest's path: it is restricted, or the kernel cannot do it.
pub(super) fn stands() -> bool {
    RAISED.get() || !landlock_is_here()
}

/// Everything is forbidden.
fn empty() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()
}

fn restrict(places: &[(Arc<File>, DirAccess)]) -> Result<(), RulesetError> {
    let mut rules = empty()?;
    for (place, access) in places {
        rules = rules.add_rule(PathBeneath::new(&**place, rights(*access)))?;
    }
    rules.restrict_self().map(drop)
}

fn rights(access: DirAccess) -> BitFlags<AccessFs> {
    let look = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let change = make_bitflags!(AccessFs::{
        WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile | RemoveDir | Refer
    });
    match access {
        DirAccess::Read => look,
        DirAccess::ReadWrite => look | change,
    }
}
