//! Which directories are granted. It does not know what is in them.

/// The granted directories as paths, in order.
#[cfg(target_arch = "wasm32")]
pub(crate) fn all() -> Vec<String> {
    let granted = wasip2::filesystem::preopens::get_directories();
    // Where relative paths begin.
    let absolute = |path: String| match path.as_str() {
        "." => "/".to_owned(),
        _ => path,
    };
    let paths = granted.into_iter().map(|(_, path)| absolute(path));
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::all;
#[cfg(test)]
pub(crate) use native::with;

/// Natively nothing is granted but what a test says.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;

    thread_local! {
        static GRANTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) fn all() -> Vec<String> {
        GRANTED.with_borrow(Clone::clone)
    }

    /// Runs `f` with these directories granted, on this thread.
    #[cfg(test)]
    pub(crate) fn with<R>(roots: &[&str], f: impl FnOnce() -> R) -> R {
        let before = GRANTED.replace(roots.iter().map(|root| (*root).to_owned()).collect());
        let result = f();
        GRANTED.set(before);
        result
    }
}
