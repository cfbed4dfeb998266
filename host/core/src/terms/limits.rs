//! The bounds of one call. There is no value that means "unlimited".

use std::time::Duration;

/// The bounds of one call, and how many may run at once.
///
/// The defaults are those of the project's threat model: small enough that a hostile guest is a
/// nuisance, large enough that an ordinary tool (an interpreter too) never meets them. The manifest
/// changes them for all tools, one tool, or one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sum of all linear memories, in bytes. It also bounds how long one bulk instruction can run.
    pub memory: u64,
    /// What the host holds for the call outside of those memories, in bytes: header fields, bodies,
    /// names and requests under way, listings, values as they are taken over. It does not count for
    /// `memory`, so that how far a guest's own memory grows depends on the guest alone.
    pub host_memory: u64,
    /// Wasmtime fuel, about one per instruction: 5 billion are some seconds of a core.
    pub fuel: u64,
    /// From admission to the answer, waiting for the outside included.
    pub deadline: Duration,
    /// Calls of one tool that run at once.
    pub concurrency: u32,
    /// The whole answer, structured and contents together, in bytes.
    pub output: u64,
    /// Sum of all tables' elements. A QuickJS or Python component has about 7,700.
    pub table_elements: u64,
    /// Core instances in one component, nested ones included. A Python component has 14.
    pub instances: u32,
    /// Component-model handles alive at once.
    pub handles: u32,
    /// WASI resources (streams, pollables, descriptors, requests) alive at once.
    pub resources: u32,
    /// Outgoing requests.
    pub requests: u32,
    /// Body of one outgoing request, in bytes.
    pub request_body: u64,
    /// Body of one response, decoded, in bytes.
    pub response_body: u64,
    /// What may be kept of log messages, and of stdout and stderr, in bytes each.
    pub log: u64,
}

impl Limits {
    /// What a tool gets when the manifest says nothing.
    pub const DEFAULT: Self = Self {
        memory: 64 << 20,
        host_memory: 16 << 20,
        fuel: 5_000_000_000,
        deadline: Duration::from_secs(10),
        concurrency: 16,
        output: 4 << 20,
        table_elements: 100_000,
        instances: 64,
        handles: 4_096,
        resources: 1_024,
        requests: 64,
        request_body: 1 << 20,
        response_body: 10 << 20,
        log: 256 << 10,
    };
}

/// What a resource costs the host beside what it is there for, in bytes: its entry in the table, its
/// own allocation, and its place among its parent's children.
const RESOURCE: u64 = 512;

/// What a handle costs the host: its entry, and the state of what it stands for (a task, one end of a
/// stream).
const HANDLE: u64 = 256;

impl Limits {
    /// What the tables of a call's resources and handles cost the host when they are full, in bytes.
    /// It is held of `host_memory` from the start.
    #[must_use]
    pub const fn tables(&self) -> u64 {
        self.resources as u64 * RESOURCE + self.handles as u64 * HANDLE
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
