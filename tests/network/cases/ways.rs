//! Ways out that nobody granted: a proxy of the environment, and the host's own doors.

use serde_json::{Value, json};

use crate::harness::Program;
use crate::network::peer::Step;
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
