//! Configuration: `wasi:config`. A guest reads what the manifest says for it, and nothing else of the
//! host.

use crate::grants::ConfigGrant;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, ResourceTable};

use super::seam::{Behind, pass, told_as};
use crate::terms::ConfigAnswer;

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

/// What is granted, behind the seam.
pub(super) type Values<'a> = Behind<'a, &'a [ConfigGrant]>;

pub(super) fn link<T: 'static>(
    linker: &mut Linker<T>,
    granted: fn(&mut T) -> Values<'_>,
) -> wasmtime::Result<()> {
    for name in NAMES {
        let mut interface = linker.instance(name)?;
        interface.func_wrap(
            "get",
            move |mut store: StoreContextMut<'_, T>, (key,): (String,)| {
                let found = granted(store.data_mut()).get(&key)?;
                Answer::Ok((Ok(found),))
            },
        )?;
        interface.func_wrap(
            "get-all",
            move |mut store: StoreContextMut<'_, T>, (): ()| {
                let all = granted(store.data_mut()).get_all()?;
                Answer::Ok((Ok(all),))
            },
        )?;
    }
    Ok(())
}

/// One function of whichever name, through the seam. Its answers are nothing to hold.
macro_rules! through {
    ($seam:expr, $name:literal, $arguments:expr, $live:expr) => {
        pass!(
            $seam,
            &mut ResourceTable::new(),
            $name,
            $arguments,
            ConfigAnswer,
            $live
        )
    };
}

impl Values<'_> {
    fn get(&self, key: &str) -> wasmtime::Result<Option<String>> {
        let get = || {
            let found = self.live.iter().find(|grant| grant.key == key);
            Ok(found.map(|grant| grant.value.clone()))
        };
        through!(self.seam, "wasi:config/store.get", key, get())
    }

    fn get_all(&self) -> wasmtime::Result<Vec<(String, String)>> {
        let get_all = || {
            let grants = self.live.iter();
            let pairs = grants.map(|grant| (grant.key.clone(), grant.value.clone()));
            Ok(pairs.collect())
        };
        through!(self.seam, "wasi:config/store.get-all", (), get_all())
    }
}

told_as! {
    ConfigAnswer: Option<String> = Value, Vec<(String, String)> = All
}
