//! Which generation of WASI a tool's component is run with.

/// A generation of WASI: the interfaces that are linked, and what the engine allows beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Wasi {
    /// WASI 0.2, on the engine where everything that a tool rarely needs is off.
    #[default]
    V02,
    /// WASI 0.3 beside 0.2, on an engine of its own that has the component model's async.
    V03,
}

impl Wasi {
    /// Every generation there is.
    pub const ALL: [Self; 2] = [Self::V02, Self::V03];

    /// As the manifest has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V02 => "0.2",
            Self::V03 => "0.3",
        }
    }

    /// The generation of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wasi| wasi.as_str() == name)
    }
}
