//! The data of one guest's store: its meter and its powers.

use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::meter::Meter;
use crate::capability::{Holder, Powers};
use crate::terms::Code;

/// The data of one guest's store.
pub(super) struct Running {
    pub(super) meter: Meter,
    pub(super) powers: Powers,
    /// What befell the guest after it had answered.
    pub(super) after: Option<Code>,
}

impl Holder for Running {
    fn powers(&mut self) -> &mut Powers {
        &mut self.powers
    }
}

impl WasiView for Running {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.powers.wasi()
    }
}

impl WasiHttpView for Running {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.powers.wasi_http()
    }
}
