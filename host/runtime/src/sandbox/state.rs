//! The data of one guest's store: its meter and what its capabilities keep.

use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::meter::Meter;
use crate::capability::{GuestState, HasGuestState};
use crate::terms::Code;

/// The data of one guest's store.
pub(super) struct StoreData {
    pub(super) meter: Meter,
    pub(super) guest: GuestState,
    /// What befell the guest after it had answered.
    pub(super) after: Option<Code>,
}

impl HasGuestState for StoreData {
    fn guest_state(&mut self) -> &mut GuestState {
        &mut self.guest
    }
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.guest.wasi()
    }
}

impl WasiHttpView for StoreData {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.guest.wasi_http()
    }
}
