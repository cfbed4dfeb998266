//! What the host keeps for one grant of one tool, whichever functions use it and however often the
//! manifest is loaded anew: its places, and its connections.
//!
//! It opens nothing, and knows neither manifest nor requests. Functions hold what is kept here: when the
//! last one that has a grant is gone, and the last call of it, nothing is left.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::client::{self, Client};
use super::connect::Connector;
use super::{AT_ONCE, OF_GRANT, POOL_IDLE, Tls};
use crate::egress::{Auth, HttpGrant, Network, Origin};
use crate::secret::SecretMark;
use crate::shares::Shares;

/// All upstreams of a host, by tool and grant. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Upstreams(Arc<Mutex<HashMap<Key, Weak<Upstream>>>>);

/// The names of a tool and of its grant.
type Key = (Arc<str>, Arc<str>);

/// One grant of one tool. What it counts does not begin anew with a reload.
pub(super) struct Upstream {
    /// Requests under way.
    pub(super) places: Shares<Arc<str>>,
    /// Its connections, by how they are opened: more than one where functions have grants of the same
    /// name that differ, and where calls from before a reload still run.
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// The connections of one grant that are opened alike, so that nothing of one origin, one credential or
/// one list of networks is reused for another. Each caller has its own of them, so that what one does
/// to a connection that many requests share is nothing to another.
pub struct Pool {
    pub(super) upstream: Arc<Upstream>,
    /// A grant that they are of. Others that have the same route differ in what they allow alone.
    pub(super) grant: Arc<HttpGrant>,
    pub(super) route: Route,
    pub(super) connector: OnceCell<Connector>,
    clients: Mutex<BTreeMap<Arc<str>, Own>>,
}

/// The connections of one caller.
struct Own {
    client: Client,
    used: Instant,
}

/// All that says how connections are opened, and whose credential they carry: where any of it is another
/// one after a reload, so are the connections.
#[derive(PartialEq, Eq)]
pub(super) struct Route {
    pub(super) origin: Origin,
    pub(super) private: Vec<Network>,
    pub(super) proxy: Option<Origin>,
    /// What the grant's files hold; none where they were not to be had.
    pub(super) tls: Option<Tls>,
    pub(super) auth: Option<Auth>,
    /// The value of its secret; none where there is none.
    pub(super) secret: Option<SecretMark>,
    /// Who is asked for names, where the manifest says it.
    pub(super) name_server: Option<SocketAddr>,
}

impl Upstreams {
    /// The upstream of this tool's grant, the same one for as long as anybody holds it.
    pub(super) fn find(&self, tool: &str, grant: &str) -> Arc<Upstream> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tool.into(), grant.into());
        if let Some(found) = all.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        // What others left are names and nothing else, and now not even that.
        all.retain(|_, upstream| upstream.strong_count() > 0);
        let made = Arc::new(Upstream {
            places: Shares::with_most(OF_GRANT, AT_ONCE),
            pools: Mutex::default(),
        });
        all.insert(key, Arc::downgrade(&made));
        made
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Upstream {
    /// Its connections that are opened in this way.
    pub(super) fn pool(self: &Arc<Self>, grant: &Arc<HttpGrant>, route: Route) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        let mut alive = pools.iter().filter_map(Weak::upgrade);
        if let Some(found) = alive.find(|pool| pool.route == route) {
            return found;
        }
        drop(alive);
        let made = Arc::new(Pool {
            upstream: Arc::clone(self),
            grant: Arc::clone(grant),
            route,
            connector: OnceCell::new(),
            clients: Mutex::default(),
        });
        pools.push(Arc::downgrade(&made));
        made
    }
}

impl Pool {
    /// Whether it was made for this grant of a function, as far as a grant itself can say.
    pub(super) fn is_of(&self, grant: &HttpGrant) -> bool {
        self.grant.name == grant.name
            && self.route.origin == grant.origin
            && self.route.private == grant.private
            && self.route.proxy == grant.way.proxy
            && self.route.auth == grant.auth
    }

    /// The connections of this caller, who sends now.
    pub(super) fn client(&self, caller: &Arc<str>, connector: &Connector, now: Instant) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains_key(caller) {
            // Callers go with a reload, and this stays: of whoever sent nothing for so long no
            // connection rests here.
            clients.retain(|_, own| now.duration_since(own.used) < POOL_IDLE);
        }
        let own = clients.entry(Arc::clone(caller)).or_insert_with(|| Own {
            client: client::client(connector.clone()),
            used: now,
        });
        own.used = now;
        own.client.clone()
    }

    #[cfg(test)]
    pub(super) fn callers(&self) -> usize {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.len()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.grant.name)
    }
}
