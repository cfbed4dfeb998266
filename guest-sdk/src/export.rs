//! The list of a tool's functions. It does not know the bindings; `wasm` reads this list.

use crate::{Definition, Function, Output, ToolError};

/// One function in a tool's list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it says of itself.
    pub definition: fn() -> Definition,
    /// Runs it.
    pub call: fn(&str) -> Result<Output, ToolError>,
}

impl Entry {
    /// The entry of a function.
    #[must_use]
    pub const fn of<F: Function>() -> Self {
        Self {
            name: F::NAME,
            definition: F::definition,
            call: F::call,
        }
    }
}

/// Stops the build where two functions of a tool have the same name: `call` could reach only one.
pub const fn assert_distinct(functions: &[Entry]) {
    let mut left = functions;
    while let [first, rest @ ..] = left {
        let mut others = rest;
        while let [other, more @ ..] = others {
            assert!(
                !same(first.name.as_bytes(), other.name.as_bytes()),
                "two functions of this tool have the same name"
            );
            others = more;
        }
        left = rest;
    }
}

/// `==` of byte strings, which traits do not yet offer in constants.
const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let ([x, more_a @ ..], [y, more_b @ ..]) = (a, b) {
        if *x != *y {
            return false;
        }
        (a, b) = (more_a, more_b);
    }
    a.is_empty() && b.is_empty()
}

/// Makes a component of functions: `export!(find, order);`, once per crate.
///
/// Natively it exports nothing, so that `cargo test` links. Names must be distinct:
///
/// ```compile_fail
/// /// One.
/// #[toolhost_sdk::tool(name = "same")]
/// fn one() {}
/// /// Two.
/// #[toolhost_sdk::tool(name = "same")]
/// fn two() {}
/// toolhost_sdk::export!(one, two);
/// ```
#[macro_export]
macro_rules! export {
    ($($function:ty),+ $(,)?) => {
        const _: () = {
            const FUNCTIONS: &[$crate::__private::Entry] =
                &[$($crate::__private::Entry::of::<$function>()),+];
            $crate::__private::assert_distinct(FUNCTIONS);
            $crate::__export_component!(FUNCTIONS);
        };
    };
}

/// Natively there is no component.
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($functions:expr) => {};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole() {
        assert!(same(b"list", b"list"));
        assert!(!same(b"list", b"lis"));
        assert!(!same(b"lis", b"list"));
        assert!(!same(b"list", b"lost"));
    }
}
