//! Questions about paths that are on their way at once, all about one text in this guest's memory.

use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::filesystem::preopens::get_directories;

#[link(wasm_import_module = "wasi:filesystem/types@0.3.0")]
unsafe extern "C" {
    /// Bindings copy the path for every question; asked like this the host alone would.
    #[link_name = "[async-lower][method]descriptor.stat-at"]
    fn stat_at(directory: i32, flags: i32, path: *const u8, length: usize, result: *mut u8) -> i32;
}

/// Asks `n` questions about a path of `size` bytes, and waits for so long with all of them open.
pub(crate) async fn ask(n: u64, size: u64, ms: u64) -> Result<String, String> {
    let directories = get_directories();
    let (directory, _) = directories.first().ok_or("no directory")?;
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    let path = vec![b'a'; size];
    // Nobody reads it: one place is enough for all answers.
    let mut result = vec![0_u8; 4096];
    let handle = directory.handle().cast_signed();
    for _ in 0..n {
        // SAFETY: path and result outlive the call: the host ends it, or the sleep below does.
        let _ = unsafe { stat_at(handle, 0, path.as_ptr(), path.len(), result.as_mut_ptr()) };
    }
    monotonic_clock::wait_for(ms.saturating_mul(1_000_000)).await;
    Ok(n.to_string())
}
