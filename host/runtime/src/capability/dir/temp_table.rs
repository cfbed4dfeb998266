//! wasmtime-wasi's own file operations, done on the thread that asks. It keeps guests inside their
//! directories; this only lends it a table for one operation.

use futures_util::FutureExt as _;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsError;

/// A table for one operation.
#[derive(Default)]
pub(super) struct TempTable {
    pub(super) table: ResourceTable,
    context: WasiFilesystemCtx,
}

impl TempTable {
    /// Lays something on it.
    pub(super) fn lay(&mut self, descriptor: Descriptor) -> Result<Resource<Descriptor>, FsError> {
        Ok(self.table.push(descriptor)?)
    }

    /// What wasmtime-wasi works on.
    pub(super) fn view(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }
}

/// The end of an operation that waits for nothing but the disk: its descriptors were made to be
/// worked on where one is.
pub(super) fn at_once<T>(
    operation: impl Future<Output = Result<T, FsError>>,
) -> Result<T, FsError> {
    operation.now_or_never().unwrap_or_else(|| {
        let error = wasmtime::Error::msg("a file operation did not end where it began");
        Err(FsError::trap(error))
    })
}
