//! Configuration: `wasi:config`. A guest reads what the manifest says for it, and nothing else of the
//! host.

use crate::grants::ConfigGrant;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// The interface under each name that guests import it by: all have the same two functions, and the
/// first draft called it `runtime`.
pub const NAMES: [&str; 4] = [
    "wasi:config/store@0.2.0-rc.1",
    "wasi:config/store@0.2.0-draft",
    "wasi:config/store@0.2.0-draft-2024-09-27",
    "wasi:config/runtime@0.2.0-draft",
];

/// The interface's `error`. Values come from the manifest, so it never happens.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;

pub(super) fn link<T: 'static>(
    linker: &mut Linker<T>,
    granted: fn(&mut T) -> &[ConfigGrant],
) -> wasmtime::Result<()> {
    for name in NAMES {
        let mut interface = linker.instance(name)?;
        interface.func_wrap(
            "get",
            move |mut store: StoreContextMut<'_, T>, (key,): (String,)| {
                let found = get(granted(store.data_mut()), &key);
                Answer::Ok((Ok(found),))
            },
        )?;
        interface.func_wrap(
            "get-all",
            move |mut store: StoreContextMut<'_, T>, (): ()| {
                let all = get_all(granted(store.data_mut()));
                Answer::Ok((Ok(all),))
            },
        )?;
    }
    Ok(())
}

fn get(grants: &[ConfigGrant], key: &str) -> Option<String> {
    let found = grants.iter().find(|grant| grant.key == key);
    found.map(|grant| grant.value.clone())
}

fn get_all(grants: &[ConfigGrant]) -> Vec<(String, String)> {
    let pairs = grants
        .iter()
        .map(|grant| (grant.key.clone(), grant.value.clone()));
    pairs.collect()
}
