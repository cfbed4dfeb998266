//! The `get-many` of `wasi:keyvalue@0.2.0-draft2` as it is since 2026, and as Spin has shipped it under
//! that name before: an entry for every key, its value or none. The other one, of 2024, has an entry or
//! none for every key. The two are told apart by the component's own types, for their names are one.

use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, Linker, Resource};
use wasmtime::{Engine, StoreContextMut};

use super::draft2::store::Error;
use super::state::{Stop, View};
use super::store::Bucket;

const BATCH: &str = "wasi:keyvalue/batch@0.2.0-draft2";
const GET_MANY: &str = "get-many";

/// Whether a component asks for this form.
pub(super) fn are_asked_for(engine: &Engine, component: &Component) -> bool {
    let types = component.component_type();
    let imports = types.get_import(engine, BATCH).map(|item| item.ty);
    let Some(ComponentItem::ComponentInstance(batch)) = imports else {
        return false;
    };
    let function = batch.get_export(engine, GET_MANY).map(|item| item.ty);
    let Some(ComponentItem::ComponentFunc(function)) = function else {
        return false;
    };
    let Some(Type::Result(result)) = function.results().next() else {
        return false;
    };
    match result.ok() {
        Some(Type::List(list)) => matches!(list.ty(), Type::Tuple(_)),
        _ => false,
    }
}

type Entries = Vec<(String, Option<Vec<u8>>)>;

/// Links this form in the place of the other one.
pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut batch = linker.instance(BATCH)?;
    batch.func_wrap_async(
        GET_MANY,
        move |mut store: StoreContextMut<'_, T>,
              (bucket, keys): (Resource<Bucket>, Vec<String>)| {
            Box::new(async move {
                let found = get(store.data_mut()).get_many(&bucket, keys).await;
                Ok((entries(found)?,))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// As the guest is told.
fn entries(found: Result<Entries, Stop>) -> wasmtime::Result<Result<Entries, Error>> {
    match found {
        Ok(entries) => Ok(Ok(entries)),
        Err(Stop::Error(error)) => Ok(Err(error.into())),
        Err(Stop::Trap(error)) => Err(error),
    }
}
