//! The loopback device of a fresh network namespace: up, and local for every address there is.
//!
//! With a local route to everything, each address can be bound without being added, and whatever is
//! dialled from inside arrives at a listener inside: public, private and metadata addresses alike.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The first device of every namespace.
const LO: u32 = 1;

const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;

const REQUEST_AND_ACK: u16 = 1 | 4;
const CREATE: u16 = 0x400;

const INET: u8 = 2;
const INET6: u8 = 10;

/// Brings the device up. Says whether IPv6 is there, too.
pub(super) fn bring_up() -> std::io::Result<bool> {
    request(NEW_LINK, REQUEST_AND_ACK, &link_up())?;
    request(NEW_ROUTE, REQUEST_AND_ACK | CREATE, &local_route(INET))?;
    Ok(request(NEW_ROUTE, REQUEST_AND_ACK | CREATE, &local_route(INET6)).is_ok())
}

/// `struct ifinfomsg`: any family, any type, and the flag UP to be set.
fn link_up() -> Vec<u8> {
    const UP: u32 = 1;
    let mut message = vec![0; 4];
    for word in [LO, UP, UP] {
        message.extend(word.to_ne_bytes());
    }
    message
}

/// `struct rtmsg` and the device: everything is local.
fn local_route(family: u8) -> Vec<u8> {
    const TABLE_LOCAL: u8 = 255;
    const STATIC: u8 = 4;
    const SCOPE_HOST: u8 = 254;
    const LOCAL: u8 = 2;
    const DEVICE: u16 = 4;
    let mut message = vec![family, 0, 0, 0, TABLE_LOCAL, STATIC, SCOPE_HOST, LOCAL];
    message.extend(0_u32.to_ne_bytes());
    message.extend(8_u16.to_ne_bytes());
    message.extend(DEVICE.to_ne_bytes());
    message.extend(LO.to_ne_bytes());
    message
}

/// One message to the kernel, and its answer.
fn request(kind: u16, flags: u16, body: &[u8]) -> std::io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let length = u32::try_from(16 + body.len()).expect("a short message");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &kernel)?;
    let mut answer = [0; 1024];
    rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    match code {
        0 => Ok(()),
        code => Err(std::io::Error::from_raw_os_error(-code)),
    }
}
