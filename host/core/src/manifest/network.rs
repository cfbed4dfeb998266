//! `private`: networks outside the public internet, in CIDR notation.

use core::net::IpAddr;

use url::Host;

use super::diagnostics::{At, Finding};
use super::key_reader::Entry;
use super::problem::quoted;
use crate::egress::{Class, Network, Origin, classify, is_public};

/// Reads the networks; each one that is wrong or has no effect is reported.
pub(super) fn read(entries: &[Entry<'_>], origin: Option<&Origin>) -> Vec<Network> {
    let mut networks: Vec<Network> = Vec::new();
    for entry in entries {
        let Some(text) = entry.text() else { continue };
        match one(&text).and_then(|network| useful(&text, network, &networks, origin)) {
            Ok(network) => networks.push(network),
            Err(finding) => entry.page.report(finding),
        }
    }
    networks
}

fn one(text: &At<&str>) -> Result<Network, Finding> {
    let at = |message: String| Finding::at(&text.span, message);
    let (address, prefix) = match text.value.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.value, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        let message = format!("{} is not a network", quoted(text.value));
        return Err(at(message).hint("write for example \"10.0.0.0/8\" or \"fd00::/8\""));
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let Some(prefix) = prefix else {
        let message = format!("{} has no prefix length", quoted(text.value));
        return Err(at(message).hint(format!("write \"{address}/{bits}\" for this one address")));
    };
    let digits =
        prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let Some(prefix) = prefix.parse::<u8>().ok().filter(|p| digits && *p <= bits) else {
        let message = format!(
            "{} has no prefix length from 0 to {bits}",
            quoted(text.value)
        );
        return Err(at(message).hint(format!("write for example \"{address}/{bits}\"")));
    };
    let first = first(address, prefix);
    if first != address {
        let message = format!("{} has bits behind its prefix", quoted(text.value));
        return Err(at(message).hint(format!("the network is \"{first}/{prefix}\"")));
    }
    Ok(Network { address, prefix })
}

/// The network, or why it has no effect.
fn useful(
    text: &At<&str>,
    network: Network,
    earlier: &[Network],
    origin: Option<&Origin>,
) -> Result<Network, Finding> {
    let at = |message: String| Finding::at(&text.span, message);
    let name = quoted(text.value);
    let covers = |wide: &&Network| wide.prefix <= network.prefix && wide.contains(network.address);
    if let Some(wide) = earlier.iter().find(covers) {
        let hint = format!("{}/{} covers it already", wide.address, wide.prefix);
        return Err(at(format!("{name} adds nothing")).hint(hint));
    }
    if samples(&network).any(is_public) {
        let message = format!("{name} has public addresses in it");
        return Err(at(message).hint("those need no entry: name the private network alone"));
    }
    let grantable = |ip| classify(ip).is_some_and(Class::can_be_granted);
    if !samples(&network).any(grantable) {
        let message = format!("{name} has no effect: no grant opens these addresses");
        let class = classify(network.address).map_or("special", Class::as_str);
        return Err(at(message).hint(format!("their class is `{class}`")));
    }
    match origin.and_then(literal) {
        Some(ip) if !network.contains(ip) => {
            let message = format!("{name} has no effect: the grant reaches {ip} only");
            Err(at(message).hint("delete it"))
        }
        _ => Ok(network),
    }
}

/// The address that an origin names, where it is one; a mapped IPv4 address as the IPv4 it is.
pub(super) fn literal(origin: &Origin) -> Option<IpAddr> {
    match &origin.host {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => Some(IpAddr::V6(*ip).to_canonical()),
    }
}

/// The first address of the network that `ip` is in.
fn first(ip: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix))
                .unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix))
                .unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

/// Addresses all over a network: the first of each of its 4096 equal parts, and the last.
///
/// The special ranges of the registries are so few and so large that a network with public
/// addresses in it shows one here.
fn samples(network: &Network) -> impl Iterator<Item = IpAddr> + use<> {
    let prefix = u32::from(network.prefix);
    let (base, width) = match network.address {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let size = 1_u128
        .checked_shl(width - prefix.min(width))
        .map_or(u128::MAX, |size| size - 1);
    let step = (size >> 12).max(1);
    let last = base.saturating_add(size);
    (0..4096_u128)
        .map_while(move |i| base.checked_add(i.checked_mul(step)?))
        .take_while(move |bits| *bits < last)
        .chain(std::iter::once(last))
        .map(move |bits| match u32::try_from(bits) {
            Ok(bits) if width == 32 => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(bits.into()),
        })
}
