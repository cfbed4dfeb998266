//! Which addresses a request may be sent to: the classes of IP addresses, and the rule over them.
//!
//! Pure. It knows no names, no sockets and no grants beyond a list of networks.
//!
//! Public is what IANA has given out for global unicast, less what it has set aside within: whatever is
//! not known to be public is not. Sources: IANA's registries of the IPv4 address space (everything from
//! 1/8 to 223/8 is given out), of IPv6 global unicast address assignments, and of special-purpose IPv4
//! and IPv6 addresses, as of November 2026; RFC 4291, 6052, 3056, 4380
//! and 5214 for addresses that carry another one inside, and the clouds' documentation for the
//! metadata services.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use super::Network;

/// What an address that is not part of the public internet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A cloud's metadata service: it hands out credentials to whoever asks. No grant reaches it.
    Metadata,
    /// This host.
    Loopback,
    /// Private use: RFC 1918, unique local and the old site-local addresses.
    Private,
    /// One link.
    LinkLocal,
    /// Shared address space behind a carrier's NAT.
    Cgnat,
    /// "This network": the unspecified address and its range. Systems take it for loopback.
    Unspecified,
    /// Set aside by the IETF for protocols.
    Protocol,
    /// For examples in documents.
    Documentation,
    /// For benchmarks.
    Benchmarking,
    /// Many receivers.
    Multicast,
    /// Every receiver of a link.
    Broadcast,
    /// Not given to anybody.
    Reserved,
    /// Thrown away by routers.
    Discard,
    /// Segment routing.
    SegmentRouting,
    /// Carries an IPv4 address behind a NAT64 gateway.
    Nat64,
    /// Carries an IPv4 address in a 6to4 tunnel, or is a relay of those.
    SixToFour,
    /// Carries IPv4 addresses in a Teredo tunnel.
    Teredo,
    /// Carries an IPv4 address in its interface part.
    Isatap,
    /// Carries an IPv4 address in the way that was given up in 2006.
    V4Compatible,
    /// Carries an IPv4 address for a stateless translator.
    V4Translated,
    /// A door of this very host. The dialer knows them, no range does.
    OwnDoor,
    /// On the internet, where a grant's credential would be read by everyone on the way.
    InClear,
}

impl Class {
    /// The name that errors, `explain` and the ledger use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Cgnat => "cgnat",
            Self::Unspecified => "unspecified",
            Self::Protocol => "protocol",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Discard => "discard",
            Self::SegmentRouting => "segment-routing",
            Self::Nat64 => "nat64",
            Self::SixToFour => "6to4",
            Self::Teredo => "teredo",
            Self::Isatap => "isatap",
            Self::V4Compatible => "v4-compatible",
            Self::V4Translated => "v4-translated",
            Self::OwnDoor => "own-door",
            Self::InClear => "in-clear",
        }
    }

    /// Whether a `private` range may open this class at all. Metadata services never are; the others
    /// that are not have no peer one could mean.
    #[must_use]
    pub const fn can_be_granted(self) -> bool {
        !matches!(
            self,
            Self::Metadata
                | Self::Unspecified
                | Self::Multicast
                | Self::Broadcast
                | Self::OwnDoor
                | Self::InClear
        )
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says whether an address belongs to the public internet.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    classify(ip).is_none()
}

/// Says what an address is for, or `None` where it is an ordinary public one. An IPv4-mapped
/// address is judged as the IPv4 address that systems would dial.
#[must_use]
pub fn classify(ip: IpAddr) -> Option<Class> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// Says whether an address may be dialled: it is public, or one of `private` covers it and its
/// class can be granted at all.
///
/// # Errors
/// The class that forbids it.
pub fn may_dial(ip: IpAddr, private: &[Network]) -> Result<(), Class> {
    let Some(class) = classify(ip) else {
        return Ok(());
    };
    if class.can_be_granted() && private.iter().any(|network| network.contains(ip)) {
        return Ok(());
    }
    Err(class)
}

/// Says whether a name is known to mean a metadata service, whatever it resolves to today.
#[must_use]
pub fn is_metadata_name(host: &str) -> bool {
    METADATA_NAMES.contains(&host)
}

/// Says whether a name means this host by definition (RFC 6761, 6.3): it is never asked of DNS.
#[must_use]
pub fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// The addresses of `localhost` that `private` covers.
///
/// # Errors
/// None is covered.
pub fn loopback(private: &[Network]) -> Result<Vec<IpAddr>, Class> {
    let covered: Vec<IpAddr> = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        .into_iter()
        .filter(|ip| may_dial(*ip, private).is_ok())
        .collect();
    if covered.is_empty() {
        Err(Class::Loopback)
    } else {
        Ok(covered)
    }
}

impl Network {
    /// Says whether an address lies in this range. An IPv4-mapped address counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => in_v4(ip, net, self.prefix),
            (IpAddr::V6(net), IpAddr::V6(ip)) => in_v6(ip, net, self.prefix),
            _ => false,
        }
    }
}

/// Google Cloud's.
const METADATA_NAMES: [&str; 2] = ["metadata.google.internal", "metadata.goog"];

const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google Cloud, OpenStack, Oracle, DigitalOcean
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS pod identity
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent Cloud
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud, inside the carriers' range
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud Classic
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer, a public address by its looks
];

const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google Cloud
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

/// First match wins, so the narrow ranges come before those that hold them.
const V4: [(Ipv4Addr, u8, Class); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Class::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Class::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Class::Cgnat),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Class::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Class::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Class::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Class::Protocol),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Class::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Class::SixToFour),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Class::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Class::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Class::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Class::Documentation),
    (Ipv4Addr::new(233, 252, 0, 0), 24, Class::Multicast),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Class::Multicast),
    (Ipv4Addr::BROADCAST, 32, Class::Broadcast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Class::Reserved),
];

/// First match wins. `2001::/23` is closed as a whole: what is globally reachable in it is anycast
/// of protocols, nothing that a tool would call.
const V6: [(Ipv6Addr, u8, Class); 20] = [
    (Ipv6Addr::UNSPECIFIED, 128, Class::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Class::Loopback),
    (Ipv6Addr::UNSPECIFIED, 96, Class::V4Compatible),
    (v6(0, 0, 0, 0, 0xffff), 96, Class::V4Translated),
    (v6(0x64, 0xff9b, 0, 0, 0), 96, Class::Nat64),
    (v6(0x64, 0xff9b, 1, 0, 0), 48, Class::Nat64),
    (v6(0x100, 0, 0, 0, 0), 64, Class::Discard),
    (v6(0x100, 0, 0, 1, 0), 64, Class::Discard),
    (v6(0x2001, 0, 0, 0, 0), 32, Class::Teredo),
    (v6(0x2001, 2, 0, 0, 0), 48, Class::Benchmarking),
    (v6(0x2001, 0, 0, 0, 0), 23, Class::Protocol),
    (v6(0x2001, 0xdb8, 0, 0, 0), 32, Class::Documentation),
    (v6(0x2002, 0, 0, 0, 0), 16, Class::SixToFour),
    (v6(0x3fff, 0, 0, 0, 0), 20, Class::Documentation),
    (v6(0x5f00, 0, 0, 0, 0), 16, Class::SegmentRouting),
    (v6(0xfc00, 0, 0, 0, 0), 7, Class::Private),
    (v6(0xfe80, 0, 0, 0, 0), 10, Class::LinkLocal),
    (v6(0xfec0, 0, 0, 0, 0), 10, Class::Private),
    (v6(0xff00, 0, 0, 0, 0), 8, Class::Multicast),
    (v6(0xfe00, 0, 0, 0, 0), 9, Class::Reserved),
];

/// What IANA has given to the regional registries out of `2000::/3`, the only space of global unicast.
/// `2001::/16` stands for the many ranges in it; the rest of `2000::/3` belongs to nobody, or did once
/// (`3ffe::/16`). A range that is given out later is added here.
const GLOBAL_V6: [(Ipv6Addr, u8); 12] = [
    (v6(0x2001, 0, 0, 0, 0), 16),
    (v6(0x2003, 0, 0, 0, 0), 18),
    (v6(0x2400, 0, 0, 0, 0), 12),
    (v6(0x2410, 0, 0, 0, 0), 12),
    (v6(0x2600, 0, 0, 0, 0), 12),
    (v6(0x2610, 0, 0, 0, 0), 23),
    (v6(0x2620, 0, 0, 0, 0), 23),
    (v6(0x2630, 0, 0, 0, 0), 12),
    (v6(0x2800, 0, 0, 0, 0), 12),
    (v6(0x2a00, 0, 0, 0, 0), 12),
    (v6(0x2a10, 0, 0, 0, 0), 12),
    (v6(0x2c00, 0, 0, 0, 0), 12),
];

const fn v6(a: u16, b: u16, c: u16, d: u16, e: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, d, e, 0, 0, 0)
}

fn classify_v4(ip: Ipv4Addr) -> Option<Class> {
    if METADATA_V4.contains(&ip) {
        return Some(Class::Metadata);
    }
    V4.iter()
        .find(|(net, prefix, _)| in_v4(ip, *net, *prefix))
        .map(|(_, _, class)| *class)
}

fn classify_v6(ip: Ipv6Addr) -> Option<Class> {
    // A gateway would unwrap these, so a range that covers the wrapping must not open what is inside.
    let wrapped = carried(ip).is_some_and(|inner| METADATA_V4.contains(&inner));
    if wrapped || METADATA_V6.contains(&ip) {
        return Some(Class::Metadata);
    }
    let listed = V6
        .iter()
        .find(|(net, prefix, _)| in_v6(ip, *net, *prefix))
        .map(|(_, _, class)| *class);
    match listed {
        // An interface part of ISATAP says more than the range it stands in, except where that
        // range can never be granted.
        Some(class) if !class.can_be_granted() => Some(class),
        _ if is_isatap(ip) => Some(Class::Isatap),
        Some(class) => Some(class),
        None => {
            let mut global = GLOBAL_V6.iter();
            let given_out = global.any(|(net, prefix)| in_v6(ip, *net, *prefix));
            (!given_out).then_some(Class::Reserved)
        }
    }
}

/// RFC 5214, 6.1: the interface identifier is `[02]00:5efe` and the IPv4 address.
fn is_isatap(ip: Ipv6Addr) -> bool {
    let [_, _, _, _, e, f, _, _] = ip.segments();
    (e == 0 || e == 0x200) && f == 0x5efe
}

/// The IPv4 address that a gateway or a tunnel would take out of this one.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, _, _, _, g, h] = ip.segments();
    let o = ip.octets();
    match (a, b) {
        (0x64, 0xff9b) if c == 1 => Some(Ipv4Addr::new(o[6], o[7], o[9], o[10])),
        (0x2002, _) => Some(join(b, c)),
        (0x2001, 0) => Some(join(!g, !h)),
        (0x64, 0xff9b) | (0, 0) => Some(join(g, h)),
        _ if is_isatap(ip) => Some(join(g, h)),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

fn in_v4(ip: Ipv4Addr, net: Ipv4Addr, prefix: u8) -> bool {
    let Some(host_bits) = 32_u32.checked_sub(u32::from(prefix)) else {
        return false;
    };
    // A shift by the whole width is the range of everything.
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    ip.to_bits() & mask == net.to_bits() & mask
}

fn in_v6(ip: Ipv6Addr, net: Ipv6Addr, prefix: u8) -> bool {
    let Some(host_bits) = 128_u32.checked_sub(u32::from(prefix)) else {
        return false;
    };
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    ip.to_bits() & mask == net.to_bits() & mask
}

#[cfg(test)]
mod tests;
