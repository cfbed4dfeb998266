//! The outside world of one case: its names, its addresses, who listens there, and the host whose
//! tool is let loose on it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use toolhost_core::egress::TlsFiles;
use toolhost_core::terms::Outcome;
use toolhost_outbound::dial::{Dialer, Tls};
use toolhost_outbound::resolve::ServerResolver;

use super::dns::Server;
use super::names::Names;
use super::peer::{Peer, Request, Step};
use crate::harness::{End, House, Site, structured};

/// The public address that honest upstreams have.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// Where the world's name server is.
const NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// The world of one case.
pub(super) struct World {
    pub(super) names: Names,
    /// In a namespace every address can be bound and is really dialled.
    pub(super) namespace: bool,
    /// IPv6 is there, too.
    pub(super) v6: bool,
    asked: Asked,
    _server: Option<Server>,
}

/// How the host asks for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// As this machine is set up.
    System,
    /// As `dns` in the manifest says.
    Directly,
}

/// What a request came to, as the tool saw it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Came {
    /// An answer: status, headers, body.
    Answer(Value),
    /// The host's code for none, and its words.
    Refused(String, String),
}

impl World {
    /// In a namespace, with a name server on its first address.
    pub(super) async fn namespace(v6: bool, asked: Asked) -> Self {
        let names = Names::default();
        let server = Server::start(NAME_SERVER, names.clone()).await;
        Self {
            names,
            namespace: true,
            v6,
            asked,
            _server: Some(server.expect("a name server")),
        }
    }

    /// In this process.
    pub(super) fn seams() -> Self {
        Self {
            names: Names::default(),
            namespace: false,
            v6: false,
            asked: Asked::System,
            _server: None,
        }
    }

    /// The address of honest upstreams.
    pub(super) fn address(&self) -> IpAddr {
        if self.namespace {
            PUBLIC.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// What a grant has to say so that it reaches honest upstreams.
    pub(super) fn open(&self) -> &'static str {
        if self.namespace {
            ""
        } else {
            r#"private = ["127.0.0.0/8"]"#
        }
    }

    /// A folder for a host in this world.
    pub(super) fn site(&self) -> Site {
        Site::new().dialer(Arc::new(self.dialer()))
    }

    /// A folder for a host that trusts an authority in those grants that name its file.
    pub(super) fn site_trusting(&self, pem: &str) -> Site {
        let files = TlsFiles {
            ca: Some("ca.pem".into()),
            client: None,
        };
        let tls = Tls::new(Some(pem.as_bytes()), None).expect("an authority");
        let dialer = self.dialer().with_tls(BTreeMap::from([(files, tls)]));
        Site::new().dialer(Arc::new(dialer))
    }

    fn dialer(&self) -> Dialer {
        match (self.namespace, self.asked) {
            (false, _) => Dialer::with_resolver(Arc::new(self.names.clone())),
            (true, Asked::System) => Dialer::new(),
            (true, Asked::Directly) => {
                let resolver = ServerResolver::new(NAME_SERVER).expect("a resolver");
                Dialer::with_resolver(Arc::new(resolver))
            }
        }
    }

    /// A host in this world.
    pub(super) fn house(&self, text: &str) -> House {
        House::at(self.site(), text)
    }

    /// An honest address with a free port.
    pub(super) async fn listener(&self) -> TcpListener {
        let bound = TcpListener::bind((self.address(), 0)).await;
        bound.expect("a port")
    }

    /// A private address, and the range of it: what a credential may be sent to in clear.
    pub(super) fn inside(&self) -> (IpAddr, &'static str) {
        if self.namespace {
            (
                Ipv4Addr::new(10, 1, 2, 3).into(),
                r#"private = ["10.0.0.0/8"]"#,
            )
        } else {
            (Ipv4Addr::LOCALHOST.into(), r#"private = ["127.0.0.0/8"]"#)
        }
    }

    /// An upstream on that address.
    pub(super) async fn inner(
        &self,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Peer {
        let bound = TcpListener::bind((self.inside().0, 0)).await;
        Peer::start(vec![bound.expect("a port")], script)
    }

    /// An upstream that plays a script on each request.
    pub(super) async fn peer(
        &self,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(vec![self.listener().await], script)
    }

    /// Listens on every address of this machine, at these ports; so whatever is dialled arrives.
    /// Without a namespace, on loopback alone.
    pub(super) async fn everywhere(&self, ports: &[u16]) -> Peer {
        let mut listeners = Vec::new();
        for port in ports {
            if self.namespace {
                let any = TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await;
                listeners.push(any.expect("a port"));
                if self.v6 {
                    listeners.push(only_v6(*port));
                }
            } else {
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
                listeners.push(bound.expect("a port"));
            }
        }
        Peer::start(listeners, |_| {
            vec![
                Step::response("200 OK", "connection: close\r\n", "arrived"),
                Step::Close,
            ]
        })
    }
}

/// Beside the listener of the same port for IPv4.
fn only_v6(port: u16) -> TcpListener {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None);
    let socket = socket.expect("a socket");
    sockopt::set_ipv6_v6only(&socket, true).expect("an option");
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    rustix::net::bind(&socket, &address).expect("a port");
    rustix::net::listen(&socket, 1024).expect("a listener");
    TcpListener::from_std(socket.into()).expect("a listener")
}

/// The rogue with limits, and grants of a name, a URL and whatever else they say.
pub(super) fn rogue(limits: &str, grants: &[(&str, &str, &str)]) -> String {
    let mut text = format!("[tool.rogue]\ncomponent = \"rogue.wasm\"\nlimits = {{ {limits} }}\n");
    for (name, url, more) in grants {
        text.push_str(&format!("[tool.rogue.http.{name}]\nurl = \"{url}\"\n"));
        if !more.contains("allow =") {
            text.push_str("allow = [\"GET /**\", \"POST /**\"]\n");
        }
        text.push_str(more);
        text.push('\n');
    }
    text
}

/// The rogue with one grant, for one upstream.
pub(super) fn granted(world: &World, peer: &Peer, limits: &str, more: &str) -> House {
    world.house(&rogue(limits, &[("up", &peer.url(""), &open(world, more))]))
}

/// What a grant says beside its URL, and what opens it to honest upstreams.
pub(super) fn open(world: &World, more: &str) -> String {
    format!("{}\n{more}", world.open())
}

/// Asks for a URL through the host's own interface.
pub(super) async fn get(house: &House, url: &str) -> Came {
    came(&house.call("rogue_get", json!({ "url": url })).await)
}

/// Sends a request through the host's own interface.
pub(super) async fn send(house: &House, method: &str, url: &str, more: Value) -> Came {
    let arguments = merged(json!({ "method": method, "url": url }), more);
    came(&house.call("rogue_raw", arguments).await)
}

/// Sends a request through `wasi:http`, in the parts that this URL is cut into.
pub(super) async fn wasi(house: &House, url: &str, more: Value) -> Came {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let parts = json!({ "scheme": scheme, "authority": authority, "path": path });
    came(&house.call("rogue_wasi_http", merged(parts, more)).await)
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

/// What a call of the tool came to.
pub(super) fn came(end: &End) -> Came {
    match end {
        Ok(Outcome::Error(error)) => {
            let http = error.data.as_ref().and_then(|data| data["http"].as_str());
            let http = http.unwrap_or(error.code.as_str());
            Came::Refused(http.to_owned(), error.message.clone())
        }
        Ok(_) => Came::Answer(structured(end)),
        // Exhausting what the host holds for a guest ends the call.
        Err(fault) => Came::Refused(fault.code.as_str().to_owned(), fault.say.to_string()),
    }
}

impl Came {
    /// The host's code.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Answer(_) => "answer",
            Self::Refused(code, _) => code,
        }
    }

    /// The answer.
    pub(super) fn answer(&self) -> &Value {
        match self {
            Self::Answer(answer) => answer,
            Self::Refused(..) => panic!("{self:?}"),
        }
    }

    /// The answer's body.
    pub(super) fn body(&self) -> &str {
        self.answer()["body"].as_str().expect("a body")
    }

    /// The answer's status.
    pub(super) fn status(&self) -> u64 {
        self.answer()["status"].as_u64().expect("a status")
    }

    /// The answer's first header of a name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.answer()["headers"].as_array().expect("headers");
        let named = headers.iter().find(|header| header[0] == name)?;
        named[1].as_str()
    }

    /// Whether the host did not send it: by either interface's words.
    pub(super) fn is_refused(&self) -> bool {
        match self {
            Self::Answer(_) => false,
            Self::Refused(code, say) => match code.as_str() {
                "denied" | "invalid" | "too-large" | "header" => true,
                "wasi" => ["HttpRequestDenied", "InternalError", "BodySize", "Uri"]
                    .iter()
                    .any(|word| say.contains(word)),
                _ => false,
            },
        }
    }
}
