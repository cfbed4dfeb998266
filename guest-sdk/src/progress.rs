//! Telling the agent how far a call is. It does not know whether anybody asked.

/// Says that `done` of `total` is done. Each report must say more than the one before; the host
/// drops what comes faster than an agent can use.
///
/// Natively a report is only kept for [`recorded`].
pub fn report(done: f64, total: Option<f64>, message: Option<&str>) {
    #[cfg(target_arch = "wasm32")]
    crate::wasm::bindings::toolhost::tool::progress::report(done, total, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::recorder::progress(Report {
        done,
        total,
        message: message.map(str::to_owned),
    });
}

/// One report, as a native test sees it.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How much is done.
    pub done: f64,
    /// Of how much.
    pub total: Option<f64>,
    /// In words.
    pub message: Option<String>,
}

/// Takes what this thread has reported so far; for native tests.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn recorded() -> Vec<Report> {
    crate::recorder::take_progress()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_kept_in_order_and_taken_once() {
        report(1.0, Some(2.0), Some("half"));
        report(2.0, Some(2.0), None);
        let done: Vec<f64> = recorded().iter().map(|report| report.done).collect();
        assert_eq!(done, [1.0, 2.0]);
        assert_eq!(recorded(), []);
    }
}
