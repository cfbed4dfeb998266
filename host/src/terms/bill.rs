//! What one call used.

use std::time::Duration;

/// What one call used. Fuel is exact and the same from run to run; the times are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Bill {
    /// Wasmtime fuel: about one per instruction, bulk operations by their size.
    pub fuel: u64,
    /// The largest sum of the guest's linear memories, in bytes.
    pub peak_memory: u64,
    /// From admission to the end, in microseconds.
    #[serde(rename = "wall_us", serialize_with = "micros")]
    pub wall: Duration,
    /// Requests that left the host.
    pub egress_requests: u32,
    /// Bytes of request and response bodies that crossed the network, decoded.
    pub egress_bytes: u64,
}

fn micros<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
