//! What the host holds of a guest's header fields and of its requests that are not sent: each of
//! wasi-http's functions that takes something over holds room on the call's account first. What has
//! gone since is not followed: when much was added, everything is weighed anew.
//!
//! It does not know what the fields say, nor what becomes of a request that is sent.

use bytes::Bytes;
use http::HeaderMap;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi_http::p2::bindings::http::types as p2_types;
use wasmtime_wasi_http::p2::types as p2;
use wasmtime_wasi_http::p3::bindings::http::types as p3_types;
use wasmtime_wasi_http::{FieldMap, p3};

use super::host::HasHttp;
use super::wasi::CHUNK;
use crate::shares::{Account, Exceeded, Holding};

/// What the fields of one resource may come to, in bytes, as wasi-http counts them: half of its own
/// default.
pub(super) const FIELDS: usize = 64 << 10;

/// What one field costs beyond its name and value, in bytes: an entry of the map, which has up to
/// twice the room that it needs, the map's index, and two allocations.
const FIELD: u64 = 256;

/// What a full resource of fields costs at the most, in bytes: wasi-http counts at least 40 for each.
const FULL: u64 = (FIELDS as u64 / 40) * FIELD + FIELDS as u64;

/// What a piece of a body costs beyond its bytes.
const PIECE: u64 = 64;

/// What a body that is written holds, in bytes: two pieces, and the channel that they wait in.
pub(super) const BODY: u64 = 2 * CHUNK as u64 + 1_024;

/// What a request under way costs beyond its head and its body, in bytes: its task, and the buffers
/// of what waits for its turn.
pub(super) const EXCHANGE: u64 = 32 << 10;

/// How much is added before everything is weighed anew, in bytes: so that weighing, which takes time
/// for each field, is a small part of what adding them took.
const AGAIN: u64 = 1 << 20;

/// What one call's resources of `wasi:http` hold.
pub(super) struct Kept {
    holding: Holding,
    /// Added since it was last weighed.
    since: u64,
}

impl Kept {
    pub(super) fn new(account: &Account) -> Self {
        Self {
            holding: account.nothing(),
            since: 0,
        }
    }

    /// Holds room for `more` that is about to be added to the table.
    pub(super) fn add(&mut self, table: &mut ResourceTable, more: u64) -> Result<(), Exceeded> {
        self.since = self.since.saturating_add(more);
        let is_little = self.since <= AGAIN.max(self.holding.bytes() / 4);
        if is_little && self.holding.grow(more).is_ok() {
            return Ok(());
        }
        // Before it is called full: much may have gone since it was weighed.
        self.holding.resize(weigh(table).saturating_add(more))?;
        self.since = more;
        Ok(())
    }
}

pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What one field costs.
fn field(name: usize, value: usize) -> u64 {
    length(name)
        .saturating_add(length(value))
        .saturating_add(FIELD)
}

/// What fields cost.
pub(super) fn fields(map: &HeaderMap) -> u64 {
    let each = map.iter();
    list(each.map(|(name, value)| (name.as_str().len(), value.len())))
}

/// What the resources of `wasi:http` in a table hold.
fn weigh(table: &mut ResourceTable) -> u64 {
    let text = |text: &Option<String>| text.as_ref().map_or(0, |text| length(text.len()));
    let body = |is_there: bool| if is_there { BODY } else { 0 };
    let each = table.iter_mut().map(|entry| {
        if let Some(map) = entry.downcast_ref::<FieldMap>() {
            fields(map)
        } else if let Some(request) = entry.downcast_ref::<p2::HostOutgoingRequest>() {
            let method = match &request.method {
                p2_types::Method::Other(method) => length(method.len()),
                _ => 0,
            };
            fields(&request.headers)
                + method
                + text(&request.authority)
                + text(&request.path_with_query)
                + body(request.body.is_some())
        } else if let Some(response) = entry.downcast_ref::<p2::HostOutgoingResponse>() {
            fields(&response.headers) + body(response.body.is_some())
        } else if let Some(response) = entry.downcast_ref::<p2::HostIncomingResponse>() {
            fields(&response.headers)
        } else if let Some(request) = entry.downcast_ref::<p3::Request>() {
            let authority = request.authority.as_ref();
            let path = request.path_with_query.as_ref();
            fields(&request.headers)
                + length(request.method.as_str().len())
                + authority.map_or(0, |authority| length(authority.as_str().len()))
                + path.map_or(0, |path| length(path.as_str().len()))
        } else if let Some(response) = entry.downcast_ref::<p3::Response>() {
            fields(&response.headers)
        } else {
            0
        }
    });
    each.fold(0, u64::saturating_add)
}

/// A body that is collected: its pieces as they come, and not one buffer that is moved as it grows.
#[derive(Default)]
pub(super) struct Pieces {
    all: Vec<Bytes>,
    length: usize,
}

impl Pieces {
    /// Adds a piece, once there is room for it.
    pub(super) fn push(&mut self, piece: Bytes, held: &mut Holding) -> Result<(), Exceeded> {
        held.grow(length(piece.len()).saturating_add(PIECE))?;
        self.length = self.length.saturating_add(piece.len());
        self.all.push(piece);
        Ok(())
    }

    /// Bytes of all pieces.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// The whole body. Each piece goes as soon as it is copied.
    pub(super) fn whole(self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.length);
        for piece in self.all {
            whole.extend_from_slice(&piece);
        }
        whole
    }

    /// The whole body, not copied where it is one piece.
    pub(super) fn bytes(mut self) -> Bytes {
        match self.all.len() {
            1 => self.all.pop().unwrap_or_default(),
            _ => self.whole().into(),
        }
    }
}

/// Room for what a guest is about to add.
fn add<T: HasHttp>(store: &mut StoreContextMut<'_, T>, more: u64) -> wasmtime::Result<()> {
    let (state, table) = store.data_mut().state();
    Ok(state.keep(table, more)?)
}

/// What fields of these lengths cost.
pub(super) fn list(all: impl Iterator<Item = (usize, usize)>) -> u64 {
    all.map(|(name, value)| field(name, value))
        .fold(0, u64::saturating_add)
}

/// The functions of fields, the same in both generations.
macro_rules! of_fields {
    ($linker:expr, $instance:literal, $types:ident) => {{
        use $types::{Host as _, HostFields as _};
        type Fields = Resource<FieldMap>;

        let mut interface = $linker.instance($instance)?;
        interface.func_wrap(
            "[static]fields.from-list",
            |mut store: StoreContextMut<'_, T>, (all,): (Vec<(String, Vec<u8>)>,)| {
                let each = all.iter().map(|(name, value)| (name.len(), value.len()));
                add(&mut store, list(each).min(FULL))?;
                let mut view = store.data_mut().http();
                Ok((match view.from_list(all) {
                    Ok(made) => Ok(made),
                    Err(error) => Err(view.convert_header_error(error)?),
                },))
            },
        )?;
        interface.func_wrap(
            "[method]fields.set",
            |mut store: StoreContextMut<'_, T>,
             (of, name, values): (Fields, String, Vec<Vec<u8>>)| {
                let each = values.iter().map(|value| (name.len(), value.len()));
                add(&mut store, list(each).min(FULL))?;
                let mut view = store.data_mut().http();
                Ok((match view.set(of, name, values) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(view.convert_header_error(error)?),
                },))
            },
        )?;
        interface.func_wrap(
            "[method]fields.append",
            |mut store: StoreContextMut<'_, T>, (of, name, value): (Fields, String, Vec<u8>)| {
                add(&mut store, field(name.len(), value.len()).min(FULL))?;
                let mut view = store.data_mut().http();
                Ok((match view.append(of, name, value) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(view.convert_header_error(error)?),
                },))
            },
        )?;
        interface.func_wrap(
            "[method]fields.clone",
            |mut store: StoreContextMut<'_, T>, (of,): (Fields,)| {
                let cost = fields(store.data_mut().http().table.get(&of)?);
                // They are copied when one of the two is changed, whichever it is.
                add(&mut store, cost)?;
                Ok((view_clone!(store, $types, of),))
            },
        )?;
        interface
    }};
}

/// `clone` of the trait, not of a reference.
macro_rules! view_clone {
    ($store:expr, $types:ident, $of:expr) => {
        $types::HostFields::clone(&mut $store.data_mut().http(), $of)?
    };
}

/// The setters of a request's texts, the same in both generations.
macro_rules! of_requests {
    ($interface:expr, $of:literal, $types:ident, $request:ty) => {{
        $interface.func_wrap(
            concat!("[method]", $of, ".set-method"),
            |mut store: StoreContextMut<'_, T>,
             (of, method): (Resource<$request>, $types::Method)| {
                if let $types::Method::Other(name) = &method {
                    add(&mut store, length(name.len()))?;
                }
                Ok((store.data_mut().http().set_method(of, method)?,))
            },
        )?;
        $interface.func_wrap(
            concat!("[method]", $of, ".set-authority"),
            |mut store: StoreContextMut<'_, T>,
             (of, text): (Resource<$request>, Option<String>)| {
                add(
                    &mut store,
                    text.as_ref().map_or(0, |text| length(text.len())),
                )?;
                Ok((store.data_mut().http().set_authority(of, text)?,))
            },
        )?;
        $interface.func_wrap(
            concat!("[method]", $of, ".set-path-with-query"),
            |mut store: StoreContextMut<'_, T>,
             (of, text): (Resource<$request>, Option<String>)| {
                add(
                    &mut store,
                    text.as_ref().map_or(0, |text| length(text.len())),
                )?;
                Ok((store.data_mut().http().set_path_with_query(of, text)?,))
            },
        )?;
    }};
}

/// Puts functions that hold room first in the place of wasi-http's own.
pub(super) fn link<T: HasHttp>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use p2_types::HostOutgoingRequest as _;

    linker.allow_shadowing(true);
    let mut interface = of_fields!(linker, "wasi:http/types@0.2.12", p2_types);
    of_requests!(
        interface,
        "outgoing-request",
        p2_types,
        p2::HostOutgoingRequest
    );
    interface.func_wrap(
        "[method]outgoing-request.body",
        |mut store: StoreContextMut<'_, T>, (of,): (Resource<p2::HostOutgoingRequest>,)| {
            add(&mut store, BODY)?;
            let view = &mut store.data_mut().http();
            Ok((p2_types::HostOutgoingRequest::body(view, of)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-response.body",
        |mut store: StoreContextMut<'_, T>, (of,): (Resource<p2::HostOutgoingResponse>,)| {
            add(&mut store, BODY)?;
            let view = &mut store.data_mut().http();
            Ok((p2_types::HostOutgoingResponse::body(view, of)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The same for WASI 0.3.
pub(super) fn link_p3<T: HasHttp>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use p3_types::HostRequest as _;

    linker.allow_shadowing(true);
    let mut interface = of_fields!(linker, "wasi:http/types@0.3.0", p3_types);
    of_requests!(interface, "request", p3_types, p3::Request);
    linker.allow_shadowing(false);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use http::{HeaderName, HeaderValue};

    use super::*;

    /// Fields of one name and so many values of so many bytes, as a guest makes them.
    fn full(
        kept: &mut Kept,
        table: &mut ResourceTable,
        value: usize,
    ) -> Result<Resource<FieldMap>, Exceeded> {
        let mut map = FieldMap::new_mutable(FIELDS);
        let value = HeaderValue::from_bytes(&vec![b'x'; value]).unwrap();
        loop {
            kept.add(table, field(1, value.len()))?;
            let name = HeaderName::from_static("x");
            if map.append_raw(name, value.clone()).is_err() {
                return Ok(table.push(map).unwrap());
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_has_gone_counts_no_longer() {
        let account = Account::new(4 << 20);
        for value in [0, 100, 5_000] {
            let (mut kept, mut table) = (Kept::new(&account), ResourceTable::new());
            // A hundred times the account, one after the other.
            for _ in 0..(400 << 20) / FULL {
                let map = full(&mut kept, &mut table, value).unwrap();
                table.delete(map).unwrap();
            }
            // And beside each other.
            let mut held = 0_u64;
            while full(&mut kept, &mut table, value).is_ok() {
                held += 1;
            }
            let least = (4 << 20) / FULL - 3;
            assert!(held >= least && account.held() <= 4 << 20, "{held}");
            drop((kept, table));
            assert_eq!(account.held(), 0);
        }
    }

    #[test]
    fn a_body_is_as_it_came_and_held_before_it_is_taken() {
        let account = Account::new(1_000);
        let mut held = account.nothing();
        let mut pieces = Pieces::default();
        for piece in ["ab", "", "cde"] {
            pieces.push(Bytes::from(piece), &mut held).unwrap();
        }
        assert_eq!((pieces.len(), held.bytes()), (5, 5 + 3 * PIECE));
        let large = Bytes::from(vec![7; 900]);
        assert!(pieces.push(large, &mut held).is_err());
        assert_eq!(pieces.whole(), b"abcde");
        let mut one = Pieces::default();
        let whole = Bytes::from_static(b"whole");
        one.push(whole.clone(), &mut held).unwrap();
        assert_eq!(one.bytes().as_ptr(), whole.as_ptr());
    }
}
