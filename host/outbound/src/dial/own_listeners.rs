//! The doors of this very host: no tool may knock there, whatever it is granted.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use crate::egress::Class;

/// Where this process listens. Clones share one list.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors(Arc<RwLock<Vec<SocketAddr>>>);

impl Doors {
    pub(super) fn add(&self, door: SocketAddr) {
        let door = canonical(door.ip(), door.port());
        let mut doors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !doors.contains(&door) {
            doors.push(door);
        }
    }

    /// Takes those of another list over.
    pub(super) fn add_all(&self, others: &Self) {
        let others = others.0.read().unwrap_or_else(PoisonError::into_inner);
        others.clone().into_iter().for_each(|door| self.add(door));
    }

    /// Why this address may not be dialled, if it is a door. One that listens on every address
    /// of the machine is met by its port alone.
    pub(super) fn class(&self, ip: IpAddr, port: u16) -> Option<Class> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let dialled = canonical(ip, port);
        let same = |door: &SocketAddr| {
            *door == dialled || (door.ip().is_unspecified() && door.port() == port)
        };
        doors.iter().any(same).then_some(Class::OwnDoor)
    }
}

fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn n55_a_door_is_known_in_every_notation() {
        let doors = Doors::default();
        doors.add("127.0.0.1:7420".parse().unwrap());
        doors.add("[::1]:7421".parse().unwrap());
        let own = |text: &str| {
            let at: SocketAddr = text.parse().unwrap();
            doors.class(at.ip(), at.port())
        };
        for door in ["127.0.0.1:7420", "[::ffff:127.0.0.1]:7420", "[::1]:7421"] {
            assert_eq!(own(door), Some(Class::OwnDoor), "{door}");
        }
        for other in ["127.0.0.1:7421", "127.0.0.2:7420", "[::1]:7420"] {
            assert_eq!(own(other), None, "{other}");
        }
        doors.add("0.0.0.0:80".parse().unwrap());
        assert_eq!(own("192.168.0.7:80"), Some(Class::OwnDoor));
    }
}
