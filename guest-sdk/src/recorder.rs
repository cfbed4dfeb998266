//! What a tool tells a host, kept per thread where there is no host: native tests read it. It does
//! not know what it means.

use std::cell::RefCell;

use crate::log::Message;
use crate::progress::Report;

/// More than any test looks at; a program that never reads must not fill the memory.
const KEPT: usize = 10_000;

thread_local! {
    static PROGRESS: RefCell<Vec<Report>> = const { RefCell::new(Vec::new()) };
    static LOG: RefCell<Vec<Message>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn progress(report: Report) {
    PROGRESS.with_borrow_mut(|kept| push(kept, report));
}

pub(crate) fn log(message: Message) {
    LOG.with_borrow_mut(|kept| push(kept, message));
}

pub(crate) fn take_progress() -> Vec<Report> {
    PROGRESS.take()
}

pub(crate) fn take_log() -> Vec<Message> {
    LOG.take()
}

fn push<T>(kept: &mut Vec<T>, value: T) {
    if kept.len() < KEPT {
        kept.push(value);
    }
}
