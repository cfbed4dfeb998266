//! Where credentials come from: variables, files, commands, and what changes while a host serves.

use serde_json::json;

use super::secrets::{grant, run};
use crate::harness::{Program, Upstream, speak};

/// What keeps a host from starting is said at once, for all secrets, and never what they are.
#[tokio::test]
async fn a_secret_that_cannot_be_had_is_named_at_the_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let up = Upstream::echo().await;
    let sources = [
        (
            "a",
            "env = \"NOWHERE\"",
            "the environment variable NOWHERE is not set",
        ),
        ("b", "file = \"missing\"", "No such file"),
        (
            "c",
            "file = \"open\"",
            "can be read by others on this machine; chmod 600 it",
        ),
        ("d", "file = \"empty\"", "it is empty"),
        ("e", "file = \"long\"", "at most 8192 bytes"),
        ("f", "file = \"lines\"", "holds a control character"),
        (
            "g",
            "command = [\"./tell\", \"no-value\"]",
            "failed (exit status: 7)",
        ),
        ("h", "command = [\"no-such-program\"]", "does not start"),
        ("i", "file = \"short\"", "write `accept_short = true`"),
    ];
    let mut text = "[tool.rogue]\ncomponent = \"rogue.wasm\"\n".to_owned();
    for (name, source, _) in sources {
        text.push_str(&format!("[secret.{name}]\n{source}\n"));
        let auth = format!("auth = {{ bearer = \"{name}\" }}");
        let grant = grant("get", &up, &auth).replace("http.up]", &format!("http.{name}]"));
        text.push_str(&grant.replace("/**", &format!("/{name}/**")));
    }
    let program = Program::new(&text);
    for (name, value, mode) in [
        ("open", "hunter2-hunter2".to_owned(), 0o604),
        ("empty", "\n".to_owned(), 0o600),
        ("short", "hunter2-hunter2\n".to_owned(), 0o600),
        ("long", "hunter2-".repeat(1025), 0o600),
        ("lines", "hunter2\nhunter2\n".to_owned(), 0o600),
        (
            "tell",
            "#!/bin/sh\necho hunter2\nexit 7\n".to_owned(),
            0o700,
        ),
    ] {
        program.site.write(name, value);
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(program.site.path(name), mode).expect("a mode");
    }
    let (_, said) = run(&program, &["call", "rogue.get", r#"{"url":"http://a"}"#]).await;
    for (name, _, expected) in sources {
        let line = said
            .lines()
            .find(|line| line.contains(&format!("secret `{name}` (line ")));
        assert!(
            line.is_some_and(|line| line.contains(expected)),
            "{name}: {said}"
        );
    }
    assert!(!said.contains("hunter2"), "{said}");
}

/// A value that tries can find out is taken where the operator says so, and not otherwise.
#[tokio::test]
async fn n85_a_short_secret_is_taken_only_where_it_is_accepted() {
    use std::os::unix::fs::PermissionsExt as _;
    let up = Upstream::echo().await;
    let arguments = json!({ "url": up.url("/a") }).to_string();
    for (accept, taken) in [("", false), ("accept_short = true", true)] {
        let text = format!(
            "[secret.key]\nfile = \"short\"\n{accept}\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n{}",
            grant("get", &up, r#"auth = { bearer = "key" }"#)
        );
        let program = Program::new(&text);
        program.site.write("short", "fifteen-letters");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(program.site.path("short"), mode).expect("a mode");
        let (out, err) = run(&program, &["call", "rogue.get", &arguments]).await;
        assert_eq!(out.contains("[redacted]"), taken, "{out} {err}");
        assert_eq!(err.contains("fewer than 16 bytes"), !taken, "{err}");
        assert!(!err.contains("fifteen-letters"), "{err}");
    }
}

#[tokio::test]
async fn a_command_prints_a_secret_and_no_shell_reads_it() {
    let up = Upstream::echo().await;
    let text = format!(
        r#"
[secret.key]
command = ["printf", "%s\n", "$KEY `id`; 'a' and more"]
timeout = "30s"
ttl = "1h"
[tool.rogue]
component = "rogue.wasm"
{}"#,
        grant("get", &up, r#"auth = { bearer = "key" }"#)
    );
    let program = Program::new(&text);
    let arguments = json!({ "url": up.url("/a") }).to_string();
    let (out, err) = run(&program, &["call", "rogue.get", &arguments]).await;
    assert!(out.contains("[redacted]"), "{out} {err}");
    assert_eq!(
        up.next().await.header("authorization"),
        Some("Bearer $KEY `id`; 'a' and more")
    );
}

/// As Kubernetes does it: the folder behind the link is exchanged while the host serves.
#[tokio::test]
async fn a_secret_is_exchanged_while_the_host_serves() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let up = Upstream::echo().await;
    let text = format!(
        r#"
[host]
agents = ["unix:a/agent.sock"]
[secret.key]
file = "secrets/token"
[tool.rogue]
component = "rogue.wasm"
{}"#,
        grant("get", &up, r#"auth = { bearer = "key" }"#)
    );
    let program = Program::new(&text);
    for (version, value) in [
        ("..1", "first-value-token\n"),
        ("..2", "second-value-token\n"),
    ] {
        let name = format!("secrets/{version}/token");
        program.site.write(&name, value);
        let mode = std::fs::Permissions::from_mode(0o400);
        std::fs::set_permissions(program.site.path(&name), mode).expect("a mode");
    }
    symlink("..1", program.site.path("secrets/..data")).expect("a link");
    symlink("..data/token", program.site.path("secrets/token")).expect("a link");
    let serving = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    // What an old request of the same tool could bring back is taken out as well.
    let url = up.url("/a?was=first-and-now=second");
    let mut ask = async || {
        let answer = lines
            .call(json!(1), "rogue_get", json!({ "url": url }))
            .await;
        let answer = answer.to_string();
        assert!(answer.contains("[redacted]"), "{answer}");
        assert!(!answer.contains("-token"), "{answer}");
        let seen = up.next().await;
        seen.header("authorization")
            .expect("a credential")
            .to_owned()
    };
    assert_eq!(ask().await, "Bearer first-value-token");
    symlink("..2", program.site.path("secrets/..new")).expect("a link");
    let (new, data) = (
        program.site.path("secrets/..new"),
        program.site.path("secrets/..data"),
    );
    std::fs::rename(new, data).expect("exchanged");
    // The file is looked at once a second.
    let began = std::time::Instant::now();
    while ask().await != "Bearer second-value-token" {
        assert!(began.elapsed().as_secs() < 60, "it was not read anew");
    }
    drop(serving);
}
