//! Capabilities that every guest has: there is nothing to grant.

use super::capability::Capability;

/// Clocks.
pub(super) static CLOCK: Capability = Capability {
    name: "clock",
    imports: &["wasi:clocks"],
    provides: &[
        ("wasi:clocks/monotonic-clock", "0.2"),
        ("wasi:clocks/wall-clock", "0.2"),
    ],
    provides_v03: &[
        ("wasi:clocks/monotonic-clock", "0.3"),
        ("wasi:clocks/system-clock", "0.3"),
        ("wasi:clocks/types", "0.3"),
    ],
    grant: None,
};

/// Randomness.
pub(super) static RANDOM: Capability = Capability {
    name: "random",
    imports: &["wasi:random"],
    provides: &[
        ("wasi:random/insecure", "0.2"),
        ("wasi:random/insecure-seed", "0.2"),
        ("wasi:random/random", "0.2"),
    ],
    provides_v03: &[
        ("wasi:random/insecure", "0.3"),
        ("wasi:random/insecure-seed", "0.3"),
        ("wasi:random/random", "0.3"),
    ],
    grant: None,
};

/// What a call says before it ends.
pub(super) static PROGRESS: Capability = Capability {
    name: "progress",
    imports: &["toolhost:tool/progress"],
    provides: &[("toolhost:tool/progress", "0.1")],
    provides_v03: &[],
    grant: None,
};
