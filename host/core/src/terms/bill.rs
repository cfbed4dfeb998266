//! What one call used.

use std::time::Duration;

/// What one call used. Fuel is exact and the same from run to run; the times are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bill {
    /// Wasmtime fuel: about one per instruction, bulk operations by their size.
    pub fuel: u64,
    /// The largest sum of the guest's linear memories, in bytes.
    pub peak_memory: u64,
    /// From admission to the end, in microseconds.
    #[serde(rename = "wall_us", with = "micros")]
    pub wall: Duration,
    /// Requests that left the host.
    pub egress_requests: u32,
    /// Bytes of request and response bodies that crossed the network, decoded.
    pub egress_bytes: u64,
}

/// A time as a whole number of microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Duration, D::Error> {
        u64::deserialize(json).map(Duration::from_micros)
    }
}
