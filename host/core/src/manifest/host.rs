//! `[host]`: what concerns the process.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::diagnostics::{At, Finding, TextDiagnostics};
use super::egress::{self, Egress};
use super::key_reader::{Entry, KeyReader};
use super::problem::quoted;
use super::spec::{HostSpec, Start};
use super::{path, units};

/// The host's defaults, as `spec` states them.
const CONCURRENCY: u32 = 64;
const QUEUE: u32 = 256;
const MESSAGE: usize = 4 << 20;
const STATE: &str = ".toolhost";
const HTTP: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 7420);

/// Reads `[host]`; none is one that says nothing.
pub(super) fn read(table: Option<KeyReader<'_>>) -> (HostSpec, Egress) {
    let Some(mut table) = table else {
        return (with_defaults(PathBuf::from(STATE)), Egress::default());
    };
    let state = table.text("state");
    let state = state.and_then(|state| path::host(table.page, &state));
    let mut host = with_defaults(state.unwrap_or_else(|| PathBuf::from(STATE)));
    let (agents, admin) = (table.take("agents"), table.take("admin"));
    if let Some(agents) = &agents {
        host.agents_line = Some(table.page.line(&agents.key.span));
        if let Some(agents) = agents.list() {
            (host.unix, host.http) = doors(&agents);
        }
    }
    if let Some(admin) = &admin {
        host.admin = admin_socket(admin).unwrap_or(host.admin);
    }
    if let Some(entry) = admin.or(agents) {
        report_shared(&entry, &host);
    }
    let start = table.take("start").and_then(|entry| entry.text());
    host.start = start
        .and_then(|text| start_named(table.page, &text))
        .unwrap_or_default();
    let mut small = |key, value: &mut u32, range| {
        let entry = table.take(key);
        *value = entry
            .and_then(|e| units::small_count(&e, range))
            .unwrap_or(*value);
    };
    // Beyond the pool of instances nothing more could run; a longer queue only makes agents wait.
    small("concurrency", &mut host.concurrency, 1..=1_000);
    small("queue", &mut host.queue, 0..=10_000);
    // What the doors hold for callers goes by it: 64 largest messages, so 4 GiB at most.
    let message = table.take("message");
    let message = message.and_then(|entry| units::bytes(&entry, 256 << 10..=64 << 20));
    let message = message.and_then(|bytes| usize::try_from(bytes).ok());
    host.message = message.unwrap_or(host.message);
    let egress = egress::read(table.table("egress"));
    host.dns = egress.dns();
    table.finish();
    (host, egress)
}

fn with_defaults(state: PathBuf) -> HostSpec {
    HostSpec {
        unix: Some(state.join("agents/agent.sock")),
        admin: state.join("admin/admin.sock"),
        http: Some(HTTP),
        agents_line: None,
        start: Start::default(),
        concurrency: CONCURRENCY,
        queue: QUEUE,
        message: MESSAGE,
        dns: None,
        state,
    }
}

fn start_named(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<Start> {
    match text.value {
        "strict" => return Some(Start::Strict),
        "degraded" => return Some(Start::Degraded),
        _ => {}
    }
    let message = format!("{} is no way to start", quoted(text.value));
    page.report(Finding::at(&text.span, message).hint(
        "write \"strict\": all or nothing; or \"degraded\": what cannot be had costs its own tools",
    ));
    None
}

fn doors(agents: &[Entry<'_>]) -> (Option<PathBuf>, Option<SocketAddr>) {
    let (mut unix, mut http) = (None, None);
    for entry in agents {
        let Some(text) = entry.text() else { continue };
        let page = entry.page;
        if let Some(path) = text.value.strip_prefix("unix:") {
            let path = socket(
                page,
                &At {
                    value: path,
                    span: text.span.clone(),
                },
            );
            once(page, &text, &mut unix, path, "Unix socket");
        } else if let Some(address) = text.value.strip_prefix("http://") {
            let address = loopback(
                page,
                &At {
                    value: address,
                    span: text.span.clone(),
                },
            );
            once(page, &text, &mut http, address, "HTTP address");
        } else {
            page.report(unknown_door(&text));
        }
    }
    (unix, http)
}

fn admin_socket(entry: &Entry<'_>) -> Option<PathBuf> {
    let text = entry.text()?;
    let Some(path) = text.value.strip_prefix("unix:") else {
        let message = format!("{} is no door for operators", quoted(text.value));
        let finding = Finding::at(&text.span, message);
        entry
            .page
            .report(finding.hint("write \"unix:<path>\": a socket of the host's own user"));
        return None;
    };
    let span = text.span.clone();
    socket(entry.page, &At { value: path, span })
}

/// Reports an operators' socket that is not in a folder of its own: whoever may come to the agents' one
/// could come to it.
fn report_shared(entry: &Entry<'_>, host: &HostSpec) {
    let folder = |socket: &Path| socket.parent().map(path::normal);
    let agents = host.unix.as_deref().and_then(folder);
    if agents.is_some() && agents == folder(&host.admin) {
        let message = "the operators' socket would be in the folder of the agents' socket";
        let finding = Finding::at(&entry.span, message);
        entry
            .page
            .report(finding.hint("give it a folder of its own"));
    }
}

fn unknown_door(text: &At<&str>) -> Finding {
    let message = format!("{} is no door for agents", quoted(text.value));
    let hint = if text.value.starts_with("https:") {
        "the host speaks plain HTTP on loopback: write \"http://127.0.0.1:7420\""
    } else {
        "write \"unix:<path>\" or \"http://127.0.0.1:<port>\""
    };
    Finding::at(&text.span, message).hint(hint)
}

/// Takes the first of its kind, also one that is wrong in itself.
fn once<T>(
    page: &TextDiagnostics<'_>,
    text: &At<&str>,
    place: &mut Option<T>,
    value: Option<T>,
    kind: &str,
) {
    if place.is_some() {
        let message = format!("a second {kind}: there is at most one");
        page.report(Finding::at(&text.span, message).hint("delete one of the two"));
    } else {
        *place = value;
    }
}

fn socket(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<PathBuf> {
    // `sun_path` has 108 bytes with its end, and the manifest's folder only makes a path longer.
    const LONGEST: usize = 107;
    if text.value.len() > LONGEST {
        let message = format!(
            "a socket's path has at most {LONGEST} bytes, this has {}",
            text.value.len()
        );
        page.report(Finding::at(&text.span, message));
        return None;
    }
    path::host(page, text)
}

fn loopback(page: &TextDiagnostics<'_>, text: &At<&str>) -> Option<SocketAddr> {
    let written = text.value.strip_suffix('/').unwrap_or(text.value);
    let finding = match written.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(address),
        Ok(address) => {
            let message = format!("`{}` is not a loopback address", address.ip());
            Finding::at(&text.span, message)
                .hint("agents connect on this machine only: write \"http://127.0.0.1:7420\"")
        }
        Err(_) => {
            let message = format!("{} is not an IP address with a port", quoted(written));
            Finding::at(&text.span, message).hint(
                "write the address itself: \"http://127.0.0.1:7420\" or \"http://[::1]:7420\"",
            )
        }
    };
    page.report(finding);
    None
}
