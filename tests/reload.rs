//! Loading anew while the host serves, with agents of both eras connected: what changes, for whom, and
//! what stays as it was.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use axum::body::{Body, Bytes};
use axum::http::Response;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{
    Agent, Program, Serving, Site, Upstream, exchange, manifest, sha256, speak, text_response,
};

const DOORS: &str = "[host]\nagents = [\"unix:a/agent.sock\", \"http://127.0.0.1:0\"]\n";
const HELLO: &str = "[tool.hello]\ncomponent = \"hello.wasm\"\n";
const EVERYTHING: &str = "[tool.everything]\ncomponent = \"everything.wasm\"\n";

/// A caller that is known by its name as a token.
fn caller(name: &str, may: &str) -> String {
    format!(
        "[caller.{name}]\ntoken_sha256 = \"{}\"\nmay = [{may}]\n",
        sha256(name)
    )
}

/// The caller that this user is.
fn own(may: &str) -> String {
    let uid = rustix::process::geteuid().as_raw();
    format!("[caller.own]\nuid = {uid}\nmay = [{may}]\n")
}

/// A program that serves, and how to make it load anew.
struct Scene {
    program: Program,
    host: Serving,
    address: SocketAddr,
}

impl Scene {
    async fn new(text: &str) -> Self {
        Self::at(Site::new(), text).await
    }

    async fn at(site: Site, text: &str) -> Self {
        Self::serving(Program::at(site, text), &["serve"]).await
    }

    async fn serving(program: Program, arguments: &[&str]) -> Self {
        let mut host = program.start(arguments);
        let line = host.says("agents' door: http://").await;
        let address = line.split("http://").nth(1);
        let address = address.and_then(|rest| rest.split('/').next()?.parse().ok());
        host.says("functions, ledger segment").await;
        Self {
            program,
            host,
            address: address.expect("an address"),
        }
    }

    fn agent(&self, token: &str) -> Agent {
        Agent::new(self.address, token)
    }

    /// Puts another manifest in the place of the old one, as careful people do.
    fn write(&self, text: &str) {
        let site = &self.program.site;
        site.write("new", format!("schema = 1\n{text}"));
        std::fs::rename(site.path("new"), site.path("toolhost.toml")).expect("renamed");
    }

    /// Locks what a manifest names.
    fn lock(&self, text: &str) {
        let lock = self.program.site.lock(&manifest(text)).expect("a lock");
        self.program
            .site
            .write("toolhost.lock", lock.text().expect("its text"));
    }

    /// Loads another manifest, with its lock.
    async fn reload(&mut self, text: &str) {
        self.lock(text);
        self.write(text);
        self.hang_up("reloaded: ").await;
    }

    /// Sends the signal, and waits for what the log says to it.
    async fn hang_up(&mut self, words: &str) {
        self.host.signal(Signal::HUP);
        self.host.says(words).await;
    }

    async fn health(&self) -> Value {
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        let reply = exchange(stream, request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.answer()
    }

    /// How often the ledger says that the manifest was loaded anew; it has to be whole.
    fn reloads(&self) -> u64 {
        let verified = self.program.run(&["ledger", "verify", "--json"]);
        assert_eq!(verified.code, 0, "{verified:?}");
        let segments = verified.json()["segments"].clone();
        let segments = segments.as_array().expect("segments").iter();
        let counted = segments.filter_map(|segment| segment["tally"]["reloads"].as_u64());
        let counted = counted.sum();
        let shown = self.program.run(&["ledger", "show", "--json"]).json();
        assert_eq!(shown["reloads"], counted);
        counted
    }
}

/// The names in an answer to `tools/list`.
fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().into_iter().flatten();
    let names = tools.filter_map(|tool| tool["name"].as_str());
    names.map(str::to_owned).collect()
}

/// An answer's stream of events, or whatever else comes line by line.
async fn stream(agent: &Agent, request: &[u8]) -> Lines<BufReader<TcpStream>> {
    let mut stream = agent.connect().await;
    stream.write_all(request).await.expect("sent");
    BufReader::new(stream).lines()
}

/// Reads on until a line has these words.
async fn until(lines: &mut Lines<BufReader<TcpStream>>, words: &str) {
    while let Some(line) = lines.next_line().await.expect("a line") {
        if line.contains(words) {
            return;
        }
    }
    panic!("the stream ended without {words:?}");
}

/// An upstream that answers `/held` with a body that comes when the test says so, and everything else
/// at once.
async fn patient_upstream() -> (Upstream, watch::Sender<bool>) {
    let release = watch::Sender::new(false);
    let released = release.clone();
    let upstream = Upstream::start(move |seen| {
        if seen.uri.path() != "/held" {
            return Some(text_response(200, "at once"));
        }
        let mut released = released.subscribe();
        let body = futures_util::stream::once(async move {
            let _ = released.wait_for(|released| *released).await;
            Ok::<_, Infallible>(Bytes::from_static(b"held"))
        });
        Some(Response::new(Body::from_stream(body)))
    });
    (upstream.await, release)
}

#[tokio::test]
async fn agents_of_both_eras_are_told_of_their_own_lists_and_sessions_stay() {
    let text = |ada: &str, own_may: &str| {
        let callers = format!("{}{}", caller("ada", ada), own(own_may));
        format!("{DOORS}{callers}{HELLO}")
    };
    let mut scene = Scene::new(&text("\"hello.*\"", "\"hello.*\"")).await;
    let ada = scene.agent("ada");
    // A session on the socket, one over HTTP with its stream, and a subscription of the newer era.
    let mut lines = speak(&scene.program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    let session = ada.session().await;
    let headers = [
        ("Mcp-Session-Id", &*session),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let mut told = stream(&ada, &ada.bytes("GET", &headers, b"")).await;
    until(&mut told, "200 OK").await;
    let listen = json!({ "notifications": { "toolsListChanged": true } });
    let mut subscribed = stream(&ada, &ada.modern("subscriptions/listen", listen)).await;
    until(&mut subscribed, "notifications/subscriptions/acknowledged").await;

    let more = format!(
        "{}{EVERYTHING}",
        text("\"hello.*\", \"everything.add\"", "\"hello.*\"")
    );
    scene.reload(&more).await;
    until(&mut told, "notifications/tools/list_changed").await;
    until(&mut subscribed, "notifications/tools/list_changed").await;
    let both = ["everything_add", "hello_greet"];
    assert_eq!(names(&ada.ask("tools/list", json!({})).await), both);
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(names(&ada.in_session(&session, &list).await.answer()), both);
    let sum = ada.call("everything_add", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(sum["result"]["structuredContent"], json!({ "sum": 3 }));

    // The other caller's list did not change, and it was told nothing.
    let ping = json!({ "jsonrpc": "2.0", "id": "ping", "method": "ping" });
    lines.tell(&ping).await;
    let answer = lines.hear().await.expect("an answer");
    assert_eq!(answer["id"], "ping", "{answer}");

    // Its tool goes; the other's list stays.
    scene
        .reload(&format!(
            "{}{EVERYTHING}",
            text("\"hello.*\", \"everything.add\"", "\"everything.add\"")
        ))
        .await;
    let change = lines.hear().await.expect("a notification");
    assert_eq!(change["method"], "notifications/tools/list_changed");
    lines.tell(&list).await;
    assert_eq!(names(&lines.answer(&json!(1)).await), ["everything_add"]);
    let gone = lines
        .call(json!(2), "hello_greet", json!({ "name": "Ada" }))
        .await;
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
    assert!(gone.to_string().contains("Unknown tool"), "{gone}");
    assert_eq!(scene.reloads(), 2);
}

#[tokio::test]
async fn a_call_in_flight_finishes_on_the_grants_and_credentials_it_began_with() {
    let (upstream, release) = patient_upstream().await;
    let address = upstream.address;
    let text = |key: &str, allow: &str| {
        format!(
            "{DOORS}{}[secret.key]\nfile = \"{key}\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n\
             limits = {{ deadline = \"60s\" }}\n[tool.rogue.http.up]\nurl = \"http://{address}\"\n\
             allow = [{allow}]\nauth = {{ bearer = \"key\" }}\nprivate = [\"127.0.0.0/8\"]\n",
            caller("ada", "\"*\"")
        )
    };
    let site = Site::new();
    for key in ["the-old-credential", "the-new-credential"] {
        site.write(key, key);
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(site.path(key), closed).expect("closed");
    }
    let mut scene = Scene::at(
        site,
        &text("the-old-credential", "\"GET /held\", \"POST /sink\""),
    )
    .await;
    let ada = scene.agent("ada");
    let relay = json!({ "from": upstream.url("/held"), "to": upstream.url("/sink") });
    let flying = tokio::spawn({
        let (ada, relay) = (ada.clone(), relay.clone());
        async move { ada.call("rogue_relay", relay).await }
    });
    let first = upstream.next().await;
    assert_eq!(
        first.header("authorization"),
        Some("Bearer the-old-credential")
    );

    scene
        .reload(&text("the-new-credential", "\"GET /held\""))
        .await;
    release.send_replace(true);
    // Written down before, and sent after the reload: by what the call began with.
    let sent = upstream.next().await;
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer the-old-credential")
    );
    let answer = flying.await.expect("an end");
    assert_eq!(
        answer["result"]["structuredContent"]["body"], "at once",
        "{answer}"
    );

    // A new call has what holds now.
    let answer = ada.call("rogue_relay", relay).await;
    assert_eq!(
        answer["result"]["_meta"]["toolhost/code"], "denied",
        "{answer}"
    );
    let asked = upstream.rest().await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(
        asked[0].header("authorization"),
        Some("Bearer the-new-credential")
    );
}

/// An upstream that answers everything on connections that it keeps, and how many it took.
async fn counting_upstream() -> (SocketAddr, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (came, count) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            came.send_modify(|count| *count += 1);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        stream.write_all(ok).await.expect("written");
                    }
                    line.clear();
                }
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_reload_keeps_the_connections_of_a_grant_that_did_not_change_and_drops_the_others() {
    let (address, count) = counting_upstream().await;
    let text = |more: &str, private: &str| {
        format!(
            "{DOORS}{}{more}[secret.key]\nfile = \"key\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n\
             [tool.rogue.http.up]\nurl = \"http://{address}\"\nallow = [\"GET /a\"]\n\
             auth = {{ bearer = \"key\" }}\nprivate = [\"{private}\"]\n",
            caller("ada", "\"*\"")
        )
    };
    let site = Site::new();
    site.write("key", "the-old-credential");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(site.path("key"), closed).expect("closed");
    let mut scene = Scene::at(site, &text("", "127.0.0.0/8")).await;
    let ada = scene.agent("ada");
    let get = async || {
        let url = json!({ "url": format!("http://{address}/a") });
        let answer = ada.call("rogue_get", url).await;
        let body = &answer["result"]["structuredContent"]["body"];
        assert_eq!(body, "ok", "{answer}");
        *count.borrow()
    };
    assert_eq!((get().await, get().await), (1, 1));
    // Another line and another caller; then other networks; then another value; then nothing.
    let more = caller("eve", "\"*\"");
    for (more, private, value, came) in [
        (&*more, "127.0.0.0/8", "the-old-credential", 1),
        (&*more, "127.0.0.0/16", "the-old-credential", 2),
        ("", "127.0.0.0/16", "the-new-credential", 3),
        ("", "127.0.0.0/16", "the-new-credential", 3),
    ] {
        scene.program.site.write("key", value);
        scene.write(&text(more, private));
        scene.hang_up("reloaded: ").await;
        assert_eq!(
            (get().await, get().await),
            (came, came),
            "{private} {value}"
        );
    }
}

#[tokio::test]
async fn x22_what_cannot_be_loaded_changes_nothing() {
    let good = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let mut scene = Scene::new(&good).await;
    let ada = scene.agent("ada");
    assert!(scene.health().await.get("reload_failed_since").is_none());
    let more = format!("{good}{EVERYTHING}");
    let broken = [
        (
            format!("{good}[tool.hello]\nfoo = 1\n[tool"),
            "is there twice",
        ),
        (more.clone(), "not in the lock file"),
        (good.replace("hello.wasm", "gone.wasm"), "cannot be read"),
        (
            good.replace("hello.wasm", "everything.wasm"),
            "with `toolhost lock`",
        ),
        (
            format!(
                "{good}[secret.s]\nfile = \"none\"\n[tool.hello.http.x]\nurl = \"https://a.test\"\nallow = [\"GET /\"]\nauth = {{ bearer = \"s\" }}\n"
            ),
            "none",
        ),
        (
            good.replace("\"*\"", "\"hello.nothing\""),
            "has no function `nothing`",
        ),
        (
            format!("{good}[tool.t]\ncomponent = \"hello.wasm\"\nlimits = {{ concurrency = 0 }}\n"),
            "concurrency",
        ),
    ];
    // However much is wrong.
    let odd: String = (0..300)
        .map(|number| format!("odd{number} = 1\n"))
        .collect();
    let broken = broken
        .into_iter()
        .chain([(format!("{good}{odd}"), "`odd299`")]);
    let mut since = None;
    for (text, why) in broken {
        scene.write(&text);
        scene.hang_up("not reloaded").await;
        scene.host.says(why).await;
        let health = scene.health().await;
        assert_eq!(health["status"], "ok");
        let now = health["reload_failed_since"].as_str().map(str::to_owned);
        assert!(
            now.is_some() && (since.is_none() || since == now),
            "{health}"
        );
        since = now;
        let answer = ada.call("hello_greet", json!({ "name": "Ada" })).await;
        assert!(
            answer.to_string().contains("Hello, Ada!"),
            "{why}: {answer}"
        );
    }
    assert_eq!(
        names(&ada.ask("tools/list", json!({})).await),
        ["hello_greet"]
    );
    // Ground that others can change.
    scene.write(&good);
    let path = scene.program.site.path("toolhost.toml");
    let open = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    open(0o666).expect("opened");
    scene.hang_up("not reloaded").await;
    scene.host.says("chmod go-w").await;
    open(0o644).expect("closed");
    // A lock that is damaged.
    scene
        .program
        .site
        .write("toolhost.lock", "schema = 1\n[[tool]]\nname = 'x'\n");
    scene.hang_up("not reloaded").await;
    assert_eq!(scene.reloads(), 0);

    scene.reload(&more).await;
    assert!(scene.health().await.get("reload_failed_since").is_none());
    assert!(names(&ada.ask("tools/list", json!({})).await).contains(&"everything_add".to_owned()));
    assert_eq!(scene.reloads(), 1);
}

#[tokio::test]
async fn what_was_taken_hold_of_at_the_start_needs_a_restart() {
    let text = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let mut scene = Scene::new(&text).await;
    let stranger = "[caller.other]\nuid = 4000000\nmay = [\"*\"]\n";
    for (text, key) in [
        (
            text.replace("[host]", "[host]\nstate = \"elsewhere\""),
            "`state` of `[host]`",
        ),
        (
            text.replace("a/agent.sock", "b/agent.sock"),
            "another Unix socket",
        ),
        (
            text.replace("127.0.0.1:0", "127.0.0.1:7421"),
            "another HTTP address",
        ),
        (
            text.replace(", \"http://127.0.0.1:0\"", ""),
            "`agents` of `[host]`",
        ),
        (format!("{text}{stranger}"), "`uid` of `[caller.other]`"),
    ] {
        scene.write(&text);
        scene.hang_up("not reloaded").await;
        scene.host.says(key).await;
        scene.host.says("restart it").await;
    }
    assert!(!scene.program.site.path("elsewhere/ledger").exists());
    let answer = scene
        .agent("ada")
        .call("hello_greet", json!({ "name": "Ada" }))
        .await;
    assert!(answer.to_string().contains("Hello, Ada!"), "{answer}");
    // What a running host can change goes on being changed.
    let wider = text.replace("[host]", "[host]\nconcurrency = 3\nqueue = 7");
    scene.reload(&wider).await;
}

#[tokio::test]
async fn a_caller_that_is_removed_is_refused_from_then_on_in_open_sessions_too() {
    let (upstream, release) = patient_upstream().await;
    let tools = format!(
        "{HELLO}[tool.rogue]\ncomponent = \"rogue.wasm\"\nlimits = {{ deadline = \"60s\" }}\n\
         [tool.rogue.http.up]\nurl = \"http://{}\"\nallow = [\"GET /held\"]\nprivate = [\"127.0.0.0/8\"]\n",
        upstream.address
    );
    let eve = caller("eve", "\"*\"");
    let before = format!(
        "{DOORS}{}{}{eve}{tools}",
        caller("ada", "\"*\""),
        own("\"*\"")
    );
    let mut scene = Scene::new(&before).await;
    let (ada, eve_agent) = (scene.agent("ada"), scene.agent("eve"));
    let session = ada.session().await;
    let socket = scene.program.site.path("a/agent.sock");
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    lines
        .begin(
            &json!(1),
            "rogue_get",
            &json!({ "url": upstream.url("/held") }),
        )
        .await;
    upstream.next().await;

    scene.reload(&format!("{DOORS}{eve}{tools}")).await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let reply = ada.in_session(&session, &list).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let reply = ada.send(&ada.modern("tools/list", json!({}))).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    // What ran finishes and is told; nothing more is taken, and the connection ends.
    lines
        .begin(&json!(2), "hello_greet", &json!({ "name": "Ada" }))
        .await;
    release.send_replace(true);
    let rest = lines.rest().await;
    let answer = |id: u32| rest.iter().find(|one| one["id"] == id);
    let first = answer(1).expect("an answer");
    assert_eq!(
        first["result"]["structuredContent"]["body"], "held",
        "{first}"
    );
    assert!(
        answer(2).is_none_or(|refused| refused["error"].is_object()),
        "{rest:?}"
    );
    let mut again = speak(&socket).await;
    again.tell(&list).await;
    let refusal = again.hear().await.expect("a refusal");
    assert!(
        refusal.to_string().contains("none of this host's callers"),
        "{refusal}"
    );
    // Nobody else noticed.
    let answer = eve_agent
        .call("hello_greet", json!({ "name": "Eve" }))
        .await;
    assert!(answer.to_string().contains("Hello, Eve!"), "{answer}");
}

#[tokio::test]
async fn whether_agents_may_run_under_the_hosts_user_is_judged_anew() {
    let text = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let mut scene = Scene::new(&text).await;
    assert_eq!(scene.health().await["mode"], "serve");
    scene.write(&format!("{text}{}", own("\"*\"")));
    scene.hang_up("dev: agents may run").await;
    scene.host.says("reloaded: ").await;
    assert_eq!(scene.health().await["mode"], "dev");
}

#[tokio::test]
async fn a_connection_that_becomes_another_callers_is_not_the_old_ones_any_more() {
    let before = format!("{DOORS}{}{HELLO}{EVERYTHING}", own("\"hello.*\""));
    let mut scene = Scene::new(&before).await;
    let socket = scene.program.site.path("a/agent.sock");
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    scene
        .reload(
            &before
                .replace("caller.own", "caller.new")
                .replace("hello.*", "everything.*"),
        )
        .await;
    assert!(
        lines
            .rest()
            .await
            .iter()
            .all(|one| one.get("result").is_none())
    );
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    let sum = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(sum["result"]["structuredContent"], json!({ "sum": 3 }));
}

#[tokio::test]
async fn calls_that_run_count_against_the_new_concurrency_and_who_waits_is_not_lost() {
    let (upstream, release) = patient_upstream().await;
    let text = |concurrency: u32| {
        format!(
            "{DOORS}{}[tool.rogue]\ncomponent = \"rogue.wasm\"\n\
             limits = {{ deadline = \"60s\", concurrency = {concurrency} }}\n\
             [tool.rogue.http.up]\nurl = \"http://{}\"\nallow = [\"GET /held\"]\nprivate = [\"127.0.0.0/8\"]\n",
            caller("ada", "\"*\""),
            upstream.address
        )
    };
    let mut scene = Scene::new(&text(1)).await;
    let ada = scene.agent("ada");
    let url = upstream.url("/held");
    let call = || {
        let (ada, url) = (ada.clone(), url.clone());
        tokio::spawn(async move { ada.call("rogue_get", json!({ "url": url })).await })
    };
    let mut calls = vec![call()];
    upstream.next().await;
    calls.push(call());
    calls.push(call());
    // The same bound anew is no second one: the two go on waiting.
    scene.reload(&text(1)).await;
    assert!(upstream.rest().await.is_empty());
    // One place more is one call more.
    scene.reload(&text(2)).await;
    upstream.next().await;
    assert!(upstream.rest().await.is_empty());
    release.send_replace(true);
    for call in calls {
        let answer = call.await.expect("an end");
        assert_eq!(
            answer["result"]["structuredContent"]["body"], "held",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn x35_what_is_withdrawn_while_a_call_waits_does_not_run() {
    let (upstream, release) = patient_upstream().await;
    let text = |may: &str, allow: &str| {
        format!(
            "{DOORS}{}{}[tool.rogue]\ncomponent = \"rogue.wasm\"\n\
             limits = {{ deadline = \"60s\", concurrency = 1 }}\n\
             [tool.rogue.http.up]\nurl = \"http://{}\"\nallow = [{allow}]\nprivate = [\"127.0.0.0/8\"]\n{HELLO}",
            caller("ada", may),
            caller("bob", "\"*\""),
            upstream.address
        )
    };
    let both = "\"GET /held\", \"GET /late\"";
    let mut scene = Scene::new(&text("\"*\"", both)).await;
    let call = |agent: Agent, path: &str| {
        let url = upstream.url(path);
        tokio::spawn(async move { agent.call("rogue_get", json!({ "url": url })).await })
    };
    let running = call(scene.agent("bob"), "/held");
    upstream.next().await;
    // The right of the one is withdrawn, the grant of the other.
    let rightless = call(scene.agent("ada"), "/late");
    let grantless = call(scene.agent("bob"), "/late");
    scene.reload(&text("\"hello.*\"", "\"GET /held\"")).await;
    release.send_replace(true);
    let answer = running.await.expect("an end");
    assert_eq!(answer["result"]["structuredContent"]["body"], "held");
    let answer = rightless.await.expect("an end");
    assert!(answer["error"].is_object(), "{answer}");
    let answer = grantless.await.expect("an end");
    assert_eq!(
        answer["result"]["_meta"]["toolhost/code"], "denied",
        "{answer}"
    );
    assert!(upstream.rest().await.is_empty());
    // The record says under which load each of them ran.
    let folder = scene.program.site.path(".toolhost/ledger");
    let segments = std::fs::read_dir(folder).expect("the ledger");
    let text: String = segments
        .map(|segment| std::fs::read_to_string(segment.expect("a segment").path()))
        .map(|text| text.expect("its text"))
        .collect();
    let loads: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a record"))
        .filter(|record| record["kind"] == "admitted")
        .map(|record| record["load"].as_u64().unwrap_or_default())
        .collect();
    assert_eq!(loads, [0, 1]);
}

#[tokio::test]
async fn x36_a_token_is_asked_again_after_a_body_that_came_slowly() {
    let text = |who: &str| format!("{DOORS}{}{HELLO}", caller(who, "\"*\""));
    let mut scene = Scene::new(&text("ada")).await;
    let mut stream = TcpStream::connect(scene.address)
        .await
        .expect("a connection");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ada\r\nConnection: close\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The head is read, and whose it is, before the body is asked for.
    let mut asked = [0; 25];
    stream
        .read_exact(&mut asked)
        .await
        .expect("asked for the body");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    scene.reload(&text("bob")).await;
    let reply = exchange(stream, body.as_bytes()).await;
    assert_eq!(reply.status, 401, "{reply:?}");
}

#[tokio::test]
async fn watched_files_are_loaded_when_they_are_replaced_and_a_component_when_it_is_locked() {
    let text = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let mut scene = Scene::serving(Program::new(&text), &["serve", "--watch"]).await;
    let ada = scene.agent("ada");
    // A component is exchanged for another one: refused, until somebody has looked at it.
    let site = &scene.program.site;
    std::fs::copy(site.path("everything.wasm"), site.path("new.wasm")).expect("copied");
    std::fs::rename(site.path("new.wasm"), site.path("hello.wasm")).expect("renamed");
    scene.host.says("not reloaded").await;
    scene.host.says("toolhost lock").await;
    assert_eq!(
        names(&ada.ask("tools/list", json!({})).await),
        ["hello_greet"]
    );
    let locked = scene.program.run(&["lock"]);
    assert_eq!(locked.code, 0, "{locked:?}");
    scene.host.says("reloaded: 13 functions").await;
    let sum = ada.call("hello_add", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(sum["result"]["structuredContent"], json!({ "sum": 3 }));

    // The manifest is replaced by another file.
    scene.write(&text.replace("\"*\"", "\"hello.add\""));
    scene.host.says("reloaded: 13 functions").await;
    assert_eq!(
        names(&ada.ask("tools/list", json!({})).await),
        ["hello_add"]
    );
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_looked_at() {
    let authority = || {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]);
        made.expect("a certificate").cert.pem()
    };
    let text = format!(
        "{DOORS}[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue.http.a]\n\
         url = \"https://a.test\"\nallow = [\"GET /\"]\nca = \"ca.pem\"\n"
    );
    let site = Site::new();
    site.write("ca.pem", authority());
    let mut scene = Scene::serving(Program::at(site, &text), &["serve", "--watch"]).await;
    let site = &scene.program.site;
    for (pem, said) in [
        ("nothing of the kind".to_owned(), "cannot use ca.pem"),
        (authority(), "reloaded: "),
    ] {
        site.write("new.pem", pem);
        std::fs::rename(site.path("new.pem"), site.path("ca.pem")).expect("renamed");
        scene.host.says(said).await;
    }
}

#[tokio::test]
async fn a_host_on_standard_input_watches_too() {
    let program = Program::new(HELLO);
    let mut host = program.start(&["serve", "--stdio", "--watch"]);
    let mut lines = host.speaker();
    lines.initialize().await;
    lines
        .call(json!(1), "hello_greet", json!({ "name": "Ada" }))
        .await;
    program
        .site
        .write("toolhost.toml", format!("schema = 1\n{HELLO}{EVERYTHING}"));
    host.says("not in the lock file").await;
    let locked = program.run(&["lock"]);
    assert_eq!(locked.code, 0, "{locked:?}");
    let change = lines.hear().await.expect("a notification");
    assert_eq!(change["method"], "notifications/tools/list_changed");
    let sum = lines
        .call(json!(2), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(sum["result"]["structuredContent"], json!({ "sum": 3 }));
    // The signal does not end it.
    host.signal(Signal::HUP);
    host.says("reloaded: 14 functions").await;
    drop(lines);
    assert!(host.child.wait().await.expect("an end").success());
}

/// A host whose tool reads a directory, and what it reads there now.
struct Exchanged {
    scene: Scene,
    ada: Agent,
}

impl Exchanged {
    async fn new() -> Self {
        let site = Site::new();
        for (name, text) in [
            ("share/inbox/letter", "an ordinary letter"),
            ("share/other/letter", "another letter"),
            ("private/letter", "the operator's own"),
        ] {
            site.write(name, text);
        }
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(site.path("private/letter"), closed).expect("closed");
        let text = format!(
            "{DOORS}{}[secret.s]\nfile = \"private/letter\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n\
             [tool.rogue.dir.inbox]\nhost = \"share/inbox\"\nguest = \"/d\"\naccess = \"read\"\n\
             [tool.other]\ncomponent = \"rogue.wasm\"\n[tool.other.http.up]\nurl = \"https://up.test\"\n\
             allow = [\"GET /**\"]\nauth = {{ bearer = \"s\" }}\n",
            caller("ada", "\"*\"")
        );
        let scene = Scene::at(site, &text).await;
        let ada = scene.agent("ada");
        Self { scene, ada }
    }

    async fn read(&self, file: &str) -> Value {
        let path = format!("/d/{file}");
        self.ada.call("rogue_read", json!({ "path": path })).await["result"].clone()
    }

    /// Puts a link in the place of the directory, in one step.
    fn link(&self, to: &std::path::Path) {
        let site = &self.scene.program.site;
        let inbox = site.path("share/inbox");
        if !inbox.is_symlink() {
            std::fs::rename(&inbox, site.path("share/old")).expect("moved");
        }
        std::os::unix::fs::symlink(to, site.path("share/new")).expect("a link");
        std::fs::rename(site.path("share/new"), inbox).expect("exchanged");
    }
}

#[tokio::test]
async fn x50_a_directory_exchanged_after_a_load_leads_to_nothing_that_a_load_would_refuse() {
    let here = Exchanged::new().await;
    let site = &here.scene.program.site;
    assert_eq!(here.read("letter").await["isError"], false);
    for (to, file) in [
        (site.path("private"), "letter"),
        (site.path(".toolhost/ledger"), ""),
        ("/proc/self".into(), "environ"),
        ("/sys/kernel".into(), "notes"),
        ("/".into(), "etc/hostname"),
    ] {
        here.link(&to);
        let answer = here.read(file).await;
        assert_eq!(answer["isError"], true, "{to:?}: {answer}");
        assert_eq!(
            answer["_meta"]["toolhost/code"], "missing-resource",
            "{to:?}: {answer}"
        );
    }
    // What the operator puts there is found, and judged by the same words.
    here.link(&site.path("share/other"));
    let answer = here.read("letter").await;
    assert!(answer.to_string().contains("another letter"), "{answer}");
    // In a folder that others may write, a link is as good as theirs.
    let open = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(site.path("share"), mode).expect("a mode");
    };
    here.link(&site.path("share/old"));
    open(0o777);
    assert_eq!(here.read("letter").await["isError"], true);
    open(0o755);
    assert_eq!(here.read("letter").await["isError"], false);
}

#[tokio::test]
async fn x51_a_pipe_or_a_huge_file_in_the_place_of_the_operators_holds_no_reload_up() {
    let good = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let mut scene = Scene::new(&good).await;
    for name in ["toolhost.toml", "toolhost.lock"] {
        let path = scene.program.site.path(name);
        let text = scene.program.site.read(name);
        for huge in [false, true] {
            std::fs::remove_file(&path).expect("removed");
            if huge {
                let file = std::fs::File::create(&path).expect("a file");
                file.set_len(1 << 40).expect("a hole");
            } else {
                let own = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, own).expect("a pipe");
            }
            scene.hang_up("not reloaded").await;
            scene
                .host
                .says(if huge {
                    "it has more than"
                } else {
                    "it is not a file"
                })
                .await;
            assert!(scene.health().await.get("reload_failed_since").is_some());
            std::fs::remove_file(&path).expect("removed");
            scene.program.site.write(name, &text);
            scene.hang_up("reloaded: ").await;
            assert!(scene.health().await.get("reload_failed_since").is_none());
        }
    }
}

#[tokio::test]
async fn x52_a_manifest_that_came_broken_by_another_way_is_noticed_when_it_is_repaired() {
    let good = format!("{DOORS}{}{HELLO}", caller("ada", "\"*\""));
    let program = Program::at(Site::new(), &good);
    let mut scene = Scene::serving(program, &["serve", "--watch"]).await;
    let site = &scene.program.site;
    let text = site.read("toolhost.toml");
    site.write("two/toolhost.toml", format!("{text}\nbroken = [\n"));
    std::os::unix::fs::symlink("two/toolhost.toml", site.path("new")).expect("a link");
    std::fs::rename(site.path("new"), site.path("toolhost.toml")).expect("exchanged");
    scene.host.says("not reloaded").await;
    // In the place where the link leads, where nothing was watched before.
    let repaired = scene.program.site.path("two/toolhost.toml");
    std::fs::write(repaired, text).expect("written");
    scene.host.says("reloaded: ").await;
}
