//! HTTP as guests see it: `wasi:http` and `toolhost:tool/http`. Both end in one exchange, which is not in here.

mod codes;
mod held;
mod host;
mod seam;
mod wasi;

pub(in crate::capability) use host::{HasHttp, State, link, link_p3};
