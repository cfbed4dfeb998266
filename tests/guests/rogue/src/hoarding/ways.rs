//! The ways. What a way is refused it counts as one that it did not get, and goes on.

use std::mem::forget;

use toolhost_sdk::ToolError;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, Scheme,
};

use super::Wanted;

/// One of a way's things: whether the host took it.
type Way = fn(&Wanted, usize) -> bool;

pub(super) fn hoard(wanted: &Wanted) -> Result<String, ToolError> {
    let way: Way = match wanted.way.as_str() {
        "fields" => fields,
        "empty-fields" => empty_fields,
        "names" => names,
        "list" => list,
        "set" => set,
        "clones" => clones,
        "methods" => methods,
        "paths" => paths,
        "authorities" => authorities,
        "bodies" => bodies,
        "responses" => responses,
        "trailers" => trailers,
        "requests" => requests,
        "children" => children,
        "timers" => timers,
        "streams" => streams,
        "listings" => listings,
        "long-paths" => long_paths,
        "texts" => texts,
        other => return Err(ToolError::failed(format_args!("no way `{other}`"))),
    };
    let got = (0..wanted.times).filter(|n| way(wanted, *n)).count();
    Ok(format!("{got} of {}", wanted.times))
}

fn text(wanted: &Wanted) -> String {
    "x".repeat(wanted.size)
}

fn kept<T>(thing: T) -> bool {
    forget(thing);
    true
}

/// One value after the other, until the fields are full.
fn fields(wanted: &Wanted, _: usize) -> bool {
    let (fields, value) = (Fields::new(), text(wanted).into_bytes());
    while fields.append("x", &value).is_ok() {}
    kept(fields)
}

fn empty_fields(_: &Wanted, _: usize) -> bool {
    let fields = Fields::new();
    while fields.append("x", b"").is_ok() {}
    kept(fields)
}

fn names(_: &Wanted, _: usize) -> bool {
    let fields = Fields::new();
    for n in 0.. {
        if fields.append(&format!("x{n}"), b"").is_err() {
            break;
        }
    }
    kept(fields)
}

fn list(wanted: &Wanted, _: usize) -> bool {
    let entries: Vec<_> = (0..1_000)
        .map(|n| (format!("x{n}"), vec![b'x'; wanted.size / 1_000]))
        .collect();
    Fields::from_list(&entries).is_ok_and(kept)
}

fn set(wanted: &Wanted, _: usize) -> bool {
    let fields = Fields::new();
    let values = vec![Vec::new(); wanted.size / 40];
    let done = fields.set("x", &values).is_ok();
    forget(fields);
    done
}

/// Of full fields, each changed, so that it is a copy.
fn clones(wanted: &Wanted, n: usize) -> bool {
    thread_local! {
        static FULL: std::cell::OnceCell<Fields> = const { std::cell::OnceCell::new() };
    }
    FULL.with(|full| {
        let full = full.get_or_init(|| {
            let fields = Fields::new();
            while fields.append("x", b"").is_ok() {}
            fields
        });
        let copy = full.clone();
        let _ = copy.set(
            "x",
            &vec![Vec::new(); (wanted.size / 40).saturating_sub(n % 2)],
        );
        kept(copy)
    })
}

fn request() -> OutgoingRequest {
    OutgoingRequest::new(Fields::new())
}

fn methods(wanted: &Wanted, _: usize) -> bool {
    let request = request();
    let done = request.set_method(&Method::Other(text(wanted))).is_ok();
    forget(request);
    done
}

fn paths(wanted: &Wanted, _: usize) -> bool {
    let request = request();
    let path = format!("/{}", text(wanted));
    let done = request.set_path_with_query(Some(&path)).is_ok();
    forget(request);
    done
}

fn authorities(wanted: &Wanted, _: usize) -> bool {
    let request = request();
    let done = request.set_authority(Some(&text(wanted))).is_ok();
    forget(request);
    done
}

/// As much of a body as is taken at once.
fn fill(body: &OutgoingBody) {
    let Ok(stream) = body.write() else { return };
    for _ in 0..8 {
        match stream.check_write() {
            Ok(room @ 1..) => {
                let piece = vec![7; usize::try_from(room).unwrap_or(0)];
                let _ = stream.write(&piece);
            }
            _ => break,
        }
    }
    forget(stream);
}

fn bodies(_: &Wanted, _: usize) -> bool {
    let request = request();
    if let Ok(body) = request.body() {
        fill(&body);
        forget(body);
    }
    kept(request)
}

fn responses(_: &Wanted, _: usize) -> bool {
    let response = OutgoingResponse::new(Fields::new());
    if let Ok(body) = response.body() {
        fill(&body);
        forget(body);
    }
    kept(response)
}

fn trailers(_: &Wanted, _: usize) -> bool {
    let request = request();
    let Ok(body) = request.body() else {
        return false;
    };
    let fields = Fields::new();
    while fields.append("x", b"").is_ok() {}
    forget(request);
    OutgoingBody::finish(body, Some(fields)).is_ok()
}

/// To somebody who does not answer, with a body that does not end.
fn requests(wanted: &Wanted, _: usize) -> bool {
    let request = request();
    let _ = request.set_method(&Method::Post);
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(&wanted.authority));
    let Ok(body) = request.body() else {
        return false;
    };
    let Ok(waiting) = outgoing_handler::handle(request, None) else {
        return false;
    };
    if let Ok(stream) = body.write() {
        let mut left = wanted.size;
        while left > 0 {
            let piece = vec![7; left.min(4_096)];
            if stream.blocking_write_and_flush(&piece).is_err() {
                break;
            }
            left -= piece.len();
        }
        forget(stream);
    }
    forget(body);
    kept(waiting)
}

/// Lets go of a body before its stream.
fn children(_: &Wanted, _: usize) -> bool {
    let Ok(body) = request().body() else {
        return false;
    };
    let Ok(stream) = body.write() else {
        return false;
    };
    drop(body);
    kept(stream)
}

fn timers(_: &Wanted, _: usize) -> bool {
    kept(subscribe_duration(u64::MAX / 2))
}

fn directory() -> Option<Descriptor> {
    get_directories().into_iter().next().map(|(dir, _)| dir)
}

/// Each with a piece that it has read and nobody takes.
fn streams(wanted: &Wanted, _: usize) -> bool {
    let Some(dir) = directory() else { return false };
    let open = dir.open_at(
        PathFlags::empty(),
        &wanted.path,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    let Ok(file) = open else { return false };
    let Ok(stream) = file.read_via_stream(0) else {
        return false;
    };
    let _ = stream.read(1 << 20);
    let ready = stream.subscribe();
    ready.block();
    forget((stream, ready));
    kept(file)
}

fn listings(_: &Wanted, _: usize) -> bool {
    let listed = directory().and_then(|dir| dir.read_directory().ok());
    listed.is_some_and(kept)
}

fn long_paths(wanted: &Wanted, _: usize) -> bool {
    let path = text(wanted);
    directory().is_some_and(|dir| dir.stat_at(PathFlags::empty(), &path).is_ok())
}

/// To everything that takes a text.
fn texts(wanted: &Wanted, n: usize) -> bool {
    use std::io::Write as _;

    let text = text(wanted);
    toolhost_sdk::log::info(&text);
    toolhost_sdk::progress::report(n as f64, None, Some(&text));
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stderr().write_all(text.as_bytes());
    true
}
