//! Values that the manifest sets for this tool, by key. They do not change while a call runs, and they
//! are never credentials.
//!
//! ```
//! use toolhost_sdk::config;
//!
//! fn currency() -> String {
//!     config::get("currency").unwrap_or_else(|| "EUR".to_owned())
//! }
//!
//! // Natively a test says what is set:
//! assert_eq!(currency(), "EUR");
//! assert_eq!(config::with_values([("currency", "CHF")], currency), "CHF");
//! ```

#[cfg(target_arch = "wasm32")]
use crate::wasm::bindings::wasi::config::store;

/// The value of a key, where the manifest sets one.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    // The host's values come from its manifest: there is no error that a tool could act on.
    #[cfg(target_arch = "wasm32")]
    return store::get(key).ok().flatten();
    #[cfg(not(target_arch = "wasm32"))]
    native::VALUES.with_borrow(|values| values.get(key).cloned())
}

/// Every key and its value, in the order of the keys.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    #[cfg(target_arch = "wasm32")]
    return store::get_all().unwrap_or_default();
    #[cfg(not(target_arch = "wasm32"))]
    native::VALUES.with_borrow(|values| values.clone().into_iter().collect())
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::with_values;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    type Values = BTreeMap<String, String>;

    thread_local! {
        pub(super) static VALUES: RefCell<Values> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Puts the values before back, also when a test panics.
    struct Restore(Values);

    impl Drop for Restore {
        fn drop(&mut self) {
            VALUES.set(std::mem::take(&mut self.0));
        }
    }

    /// Runs `f` with these values and no others, on this thread; for native tests.
    pub fn with_values<R>(
        values: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
        f: impl FnOnce() -> R,
    ) -> R {
        let values = values
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        let _restore = Restore(VALUES.replace(values.collect()));
        f()
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::config::{all, get};

        #[test]
        fn values_hold_only_inside() {
            let inside = with_values([("b", "2"), ("a", "1")], || (get("a"), all()));
            let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
            assert_eq!(inside.0.as_deref(), Some("1"));
            assert_eq!(inside.1, [pair("a", "1"), pair("b", "2")]);
            assert_eq!((get("a"), all()), (None, Vec::new()));
        }
    }
}
