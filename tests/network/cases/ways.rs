//! Ways out that nobody granted: a proxy of the environment, and the host's own doors.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Program, speak};
use crate::network::peer::{Peer, Step};
use crate::network::space::case;
use crate::network::world::{open, rogue};

/// What programs take for a proxy.
const VARIABLES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "FTP_PROXY",
    "SOCKS_PROXY",
    "PROXY",
    "REQUEST_METHOD",
];

#[test]
fn n40_proxies_of_the_environment_are_ignored() {
    case(async |world| {
        let proxy = world.inner(|_| vec![Step::ok("by the proxy")]).await;
        let peer = world.peer(|_| vec![Step::ok("direct")]).await;
        let text = rogue("", &[("up", &peer.url(""), &open(&world, ""))]);
        let program = Program::at(world.site(), &text);
        for scheme in ["http", "socks5", "socks5h"] {
            let arguments = json!({ "url": peer.url("/a") }).to_string();
            let mut command = program.command(&["call", "rogue.get", &arguments, "--json"]);
            for variable in VARIABLES {
                command.env(variable, format!("{scheme}://{}", proxy.address));
            }
            for variable in ["NO_PROXY", "no_proxy"] {
                command.env(variable, "unrelated.test");
            }
            let output = tokio::process::Command::from(command)
                .output()
                .await
                .expect("a run");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success() && said.contains("direct"),
                "{output:?}"
            );
            let _: Value = serde_json::from_str(&said).expect("JSON");
        }
        assert_eq!(peer.requests().len(), 3);
        assert_eq!(proxy.connections().await, 0, "the environment was believed");
    });
}

#[test]
fn n55_no_name_of_this_machine_leads_to_the_hosts_own_door() {
    case(async |world| {
        let bound = async || {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a port")
        };
        let beside = Peer::start(vec![bound().await], |_| vec![Step::ok("arrived")]);
        let port = bound().await.local_addr().expect("an address").port();
        world.names.set("door.test", &["127.0.0.1"]);
        let mut urls = vec![
            ("address", format!("http://127.0.0.1:{port}")),
            ("local", format!("http://localhost:{port}")),
            ("sub", format!("http://sub.localhost:{port}")),
        ];
        let mut dns = "";
        if world.namespace {
            urls.push(("name", format!("http://door.test:{port}")));
            dns = "[host.egress]\ndns = \"127.0.0.1\"\n";
        }
        urls.push(("beside", beside.url("")));
        let private = "private = [\"127.0.0.0/8\"]";
        let grants: Vec<(&str, &str, &str)> = urls
            .iter()
            .map(|(name, url)| (*name, url.as_str(), private))
            .collect();
        let doors =
            format!("[host]\nagents = [\"unix:a/agent.sock\", \"http://127.0.0.1:{port}\"]\n");
        let program = Program::at(world.site(), &format!("{doors}{dns}{}", rogue("", &grants)));
        let _serving = program.serve().await;
        let mut agent = speak(&program.site.path("a/agent.sock")).await;
        agent.initialize().await;
        for (name, url) in &urls {
            let url = format!("{url}/mcp");
            let answer = agent
                .call(json!(name), "rogue_get", json!({ "url": url }))
                .await;
            let word = if *name == "beside" {
                "arrived"
            } else {
                "(own-door)"
            };
            assert!(answer.to_string().contains(word), "{name}: {answer}");
        }
    });
}
