//! Making the host hold things: many calls of the host under way at once, each with as much as it is
//! let carry, and resources that are never let go.

use std::mem::forget;

use super::bindings::wasi::filesystem::preopens::get_directories;
use super::bindings::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use super::bindings::wasi::http::types::{ErrorCode, Fields, Method, Request, Trailers};
use super::bindings::{wit_future, wit_stream};

/// By a way, so large, so often. Says what became of them, where it comes to that.
pub(crate) async fn hoard(way: String, size: u64, times: u64) -> Result<String, String> {
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    match way.as_str() {
        "questions" => questions(size, times).await,
        "writes" => writes(times).await,
        "methods" => {
            for _ in 0..times {
                let (_, trailers) =
                    wit_future::new::<Result<Option<Trailers>, ErrorCode>>(|| Ok(None));
                let (request, sent) = Request::new(Fields::new(), None, trailers, None);
                let _ = request.set_method(&Method::Other("x".repeat(size)));
                forget((request, sent));
            }
            Ok(times.to_string())
        }
        "fields" => {
            for _ in 0..times {
                let fields = Fields::new();
                while fields.append("x", &vec![7; size]).is_ok() {}
                forget(fields);
            }
            Ok(times.to_string())
        }
        other => Err(format!("no way `{other}`")),
    }
}

#[link(wasm_import_module = "wasi:filesystem/types@0.3.0")]
#[allow(
    unsafe_code,
    reason = "what is generated keeps a text of its own for each call"
)]
unsafe extern "C" {
    #[link_name = "[async-lower][method]descriptor.stat-at"]
    fn raw_stat_at(fd: i32, flags: i32, path: *const u8, length: usize, answer: *mut u8) -> i32;
}

/// Asks about one path, so often at once: of the guest's memory it takes one text. Says how many
/// were answered at once.
#[allow(unsafe_code, reason = "see above")]
async fn questions(size: usize, times: u64) -> Result<String, String> {
    let (directory, _) = get_directories().into_iter().next().ok_or("no directory")?;
    let fd = directory.handle().cast_signed();
    let (path, mut answer) = (vec![b'a'; size], vec![0_u8; 4_096]);
    let mut over = 0_u64;
    for _ in 0..times {
        // SAFETY: both stay where they are until the instance ends, which is when the call does.
        let status = unsafe { raw_stat_at(fd, 0, path.as_ptr(), size, answer.as_mut_ptr()) };
        // Its low bits are how far it is, 2 at its end.
        over += u64::from(status & 15 == 2);
    }
    forget((directory, path, answer));
    Ok(over.to_string())
}

/// Writes to so many streams of one file at once.
async fn writes(times: u64) -> Result<String, String> {
    let (directory, _) = get_directories().into_iter().next().ok_or("no directory")?;
    let how = OpenFlags::CREATE;
    let open = directory.open_at(
        PathFlags::empty(),
        "out".to_owned(),
        how,
        DescriptorFlags::WRITE,
    );
    let file = open.await.map_err(|code| format!("{code:?}"))?;
    let mut ends = Vec::new();
    for _ in 0..times {
        let (mut writer, reader) = wit_stream::new::<u8>();
        ends.push(file.write_via_stream(reader, 0));
        wit_bindgen::spawn_local(async move {
            writer.write_all(vec![7; 64 << 10]).await;
        });
    }
    let mut refused = 0;
    for end in ends {
        refused += u64::from(end.await.is_err());
    }
    Ok(format!("{refused} of {times} refused"))
}
