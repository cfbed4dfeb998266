//! Progress: `toolhost:tool/progress`. What a call says before it ends, as fast as an agent can use
//! it; the rest is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use wasmtime::component::{HasData, Linker};

use super::bindings::toolhost::tool::progress;
use super::context::CallContext;
use super::seam::Behind;
use crate::terms::{Clock, Progress, is_hidden};
use toolhost_outbound::secret::{Redactions, SecretPatterns};

/// Reports closer together than this are dropped: nobody reads more than ten a second. The first
/// ones are let through at once, so that short calls show their steps.
const APART: Duration = Duration::from_millis(25);

/// The longest message that is passed on, in bytes.
const MESSAGE: usize = 1_024;

/// The progress of one call.
pub(crate) struct State {
    credentials: Arc<SecretPatterns>,
    redactions: Redactions,
    agent: Option<mpsc::Sender<Progress>>,
    clock: Clock,
    last: Option<(Instant, f64)>,
}

impl State {
    pub(super) fn new(context: &CallContext<'_>) -> Self {
        Self {
            credentials: context.credentials.clone(),
            redactions: context.attempts.redactions().clone(),
            agent: context.progress.clone(),
            clock: context.clock,
            last: None,
        }
    }

    fn report(&mut self, done: f64, total: Option<f64>, message: Option<String>) {
        let Some(agent) = &self.agent else { return };
        let grows = done.is_finite() && self.last.is_none_or(|(_, before)| done > before);
        let now = self.clock.now();
        let apart = self
            .last
            .is_none_or(|(at, _)| now.saturating_duration_since(at) >= APART);
        let ends = total.is_some_and(|total| done >= total);
        if !grows || !(apart || ends) {
            return;
        }
        self.last = Some((now, done));
        let total = total.filter(|total| total.is_finite());
        // A full queue means that the agent does not read: dropping is the point.
        let _ = agent.try_send(Progress {
            done,
            total,
            message: message.map(|text| {
                let patterns = self.credentials.patterns().counting(&self.redactions);
                shorten(patterns.scrub(text))
            }),
        });
    }
}

/// Cuts a message at a character's border and drops what could move a terminal's cursor, or what
/// nobody sees.
fn shorten(message: String) -> String {
    message
        .chars()
        .filter(|c| !(c.is_control() || is_hidden(*c)))
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= MESSAGE).then_some(c)
        })
        .collect()
}

/// The progress of a call, behind the seam.
pub(super) type Reports<'a> = Behind<'a, &'a mut State>;

struct Reporting;

impl HasData for Reporting {
    type Data<'a> = Reports<'a>;
}

pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Reports<'_>,
) -> wasmtime::Result<()> {
    progress::add_to_linker::<T, Reporting>(linker, get)
}

impl progress::Host for Reports<'_> {
    fn report(
        &mut self,
        done: f64,
        total: Option<f64>,
        message: Option<String>,
    ) -> wasmtime::Result<()> {
        let asked = (done.to_bits(), total.map(f64::to_bits), &message);
        if self.seam.hear("toolhost:tool/progress.report", &asked)? {
            self.live.report(done, total, message);
        }
        Ok(())
    }
}
