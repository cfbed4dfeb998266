//! What one call tries on the outside: recorded before it is made, counted for the bill, and waited for
//! before the call's record ends.
//!
//! It does not know where attempts are recorded, nor what any of them means.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::recorder::{AnswerSource, Recorder};
use crate::secret::{Redactions, SecretPatterns};
use crate::terms::{
    Attempt, AttemptAnswer, AttemptSink, Divergence, HostQuestion, Unrecorded, Usage,
};

/// What one call tries on the outside. Clones write into the same record.
#[derive(Clone)]
pub struct AttemptLog(Arc<Writing>);

struct Writing {
    record: Arc<dyn AttemptSink>,
    /// The credentials that are taken out of what a guest asked for: it leaves the call, too.
    credentials: Option<Arc<SecretPatterns>>,
    requests: AtomicU32,
    bytes: AtomicU64,
    open: TaskTracker,
    redactions: Redactions,
    denials: Mutex<Vec<String>>,
    recorder: Recorder,
}

/// Denials whose reason is kept for the agent, and the longest reason, in bytes: what comes after the
/// first few is most often the same again.
const DENIALS: usize = 3;
const DENIAL: usize = 600;

impl AttemptLog {
    /// The attempts of a call whose grants use these credentials, in its record.
    #[must_use]
    pub fn new(record: Arc<dyn AttemptSink>, credentials: Option<Arc<SecretPatterns>>) -> Self {
        Self::recorded(record, credentials, Recorder::off())
    }

    /// The same of a call that is recorded, or run again.
    #[must_use]
    pub fn recorded(
        record: Arc<dyn AttemptSink>,
        credentials: Option<Arc<SecretPatterns>>,
        recorder: Recorder,
    ) -> Self {
        Self(Arc::new(Writing {
            recorder,
            record,
            credentials,
            requests: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            open: TaskTracker::new(),
            redactions: Redactions::default(),
            denials: Mutex::default(),
        }))
    }

    /// Of a guest that has no grants and no record: one that is asked what it is.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::new(Arc::new(Nowhere), None)
    }

    /// Records an attempt that is about to be made and has an answer.
    ///
    /// # Errors
    /// It cannot be recorded, so it must not be made.
    pub fn begin(&self, attempt: Attempt) -> Result<OpenAttempt, Unrecorded> {
        let hold = self.hold();
        let attempt = self.scrubbed(attempt);
        let place = self.0.recorder.began(&attempt);
        let number = self.0.record.attempt(attempt)?;
        Ok(OpenAttempt {
            log: self.clone(),
            number,
            place,
            is_answered: false,
            _hold: hold,
        })
    }

    /// Records an attempt that has no answer: one that is refused, or a change that the host makes itself.
    ///
    /// # Errors
    /// It cannot be recorded, so it must not be made.
    pub fn note(&self, attempt: Attempt) -> Result<(), Unrecorded> {
        let attempt = self.scrubbed(attempt);
        self.0.recorder.began(&attempt);
        self.0.record.attempt(attempt).map(drop)
    }

    /// Records what was tried when the call was recorded, and what came of it then.
    pub fn repeat(&self, attempt: Attempt, answer: Option<AttemptAnswer>) {
        // What cannot be recorded ends the call with its record, as it does live.
        match answer {
            Some(answer) => {
                if let Ok(open) = self.begin(attempt) {
                    open.answer(answer);
                }
            }
            None => drop(self.note(attempt)),
        }
    }

    /// Whether the call is recorded, or run again.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// How the answer to what a guest asks is found. What was tried for a recorded one is noted again.
    ///
    /// # Errors
    ///
    /// It runs again, and its recording has something else here.
    pub fn step(&self, asked: impl FnOnce() -> HostQuestion) -> Result<AnswerSource, Divergence> {
        let (source, tried) = self.0.recorder.step(asked)?;
        tried.note(self);
        Ok(source)
    }

    /// Says that the call is over. What it tried last when it was recorded is noted again.
    ///
    /// # Errors
    ///
    /// It runs again, and has not asked all that is recorded.
    pub fn ended(&self) -> Result<(), Divergence> {
        self.0.recorder.ended()?.note(self);
        Ok(())
    }

    /// Adds to how often a grant was used.
    pub fn used(&self, usage: Usage) {
        self.0.recorder.used(&usage);
        self.0.record.usage(usage);
    }

    fn scrubbed(&self, mut attempt: Attempt) -> Attempt {
        attempt.each_text(|text| *text = self.scrub(std::mem::take(text)));
        attempt
    }

    /// A text as it may stand in the record. What is cut is cut after this: a part of a credential
    /// would not be found.
    pub fn scrub(&self, text: String) -> String {
        match &self.0.credentials {
            Some(credentials) => credentials.patterns().scrub(text),
            None => text,
        }
    }

    /// How often a credential was taken out of what the call brought back.
    #[must_use]
    pub fn redactions(&self) -> &Redactions {
        &self.0.redactions
    }

    /// Notes what was denied and why, where the guest hears a code alone.
    pub fn denied(&self, say: &str) {
        let end = say.floor_char_boundary(DENIAL);
        let say = say.get(..end).unwrap_or_default();
        let mut denials = self.denials();
        if denials.len() < DENIALS && !denials.iter().any(|known| known == say) {
            denials.push(say.to_owned());
            self.0.recorder.denied(say);
        }
    }

    /// What was denied and why, as far as the guest was not told.
    #[must_use]
    pub fn untold(&self) -> Vec<String> {
        self.denials().clone()
    }

    fn denials(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        let denials = &self.0.denials;
        denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bill(&self, bytes: u64) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Held by what may begin an attempt, or has one that is not answered yet.
    pub fn hold(&self) -> TaskTrackerToken {
        self.0.open.token()
    }

    /// Waits until every attempt is answered. Whoever calls this has dropped the guest, so nothing
    /// new begins and what is open ends at once.
    pub async fn settled(&self) {
        self.0.open.close();
        self.0.open.wait().await;
    }

    /// Requests that left the host, and bytes of bodies that crossed the network.
    #[must_use]
    pub fn egress(&self) -> (u32, u64) {
        (
            self.0.requests.load(Ordering::Relaxed),
            self.0.bytes.load(Ordering::Relaxed),
        )
    }
}

/// An attempt that was recorded and has no answer yet. It owns the token that the end of its call's
/// record waits for, and gives that back only after it has written: whoever holds it in which order,
/// what it writes is in the record. One that is dropped without an answer, by a panic for example, is
/// billed as a request all the same.
pub struct OpenAttempt {
    log: AttemptLog,
    number: Option<u64>,
    /// Its place in the call's recording.
    place: Option<usize>,
    is_answered: bool,
    _hold: TaskTrackerToken,
}

impl OpenAttempt {
    /// Records what came of it.
    pub fn answer(mut self, mut answer: AttemptAnswer) {
        self.is_answered = true;
        if answer.left {
            self.log.bill(answer.sent.saturating_add(answer.received));
        }
        if self.number.is_some() || self.place.is_some() {
            answer.each_text(|text| *text = self.log.scrub(std::mem::take(text)));
            self.log.0.recorder.answered(self.place, &answer);
        }
        if let Some(number) = self.number {
            self.log.0.record.answer(number, answer);
        }
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        if !self.is_answered {
            self.log.bill(0);
        }
    }
}

/// Where nothing is recorded, because nothing can be reached.
struct Nowhere;

impl AttemptSink for Nowhere {
    fn attempt(&self, _: Attempt) -> Result<Option<u64>, Unrecorded> {
        Ok(None)
    }

    fn answer(&self, _: u64, _: AttemptAnswer) {}

    fn usage(&self, _: Usage) {}
}

/// Where nothing can be recorded.
#[cfg(any(test, feature = "testing"))]
pub struct Unrecordable;

#[cfg(any(test, feature = "testing"))]
impl AttemptSink for Unrecordable {
    fn attempt(&self, _: Attempt) -> Result<Option<u64>, Unrecorded> {
        Err(Unrecorded)
    }

    fn answer(&self, _: u64, _: AttemptAnswer) {}

    fn usage(&self, _: Usage) {}
}

/// Attempts that a test looks at.
#[cfg(any(test, feature = "testing"))]
#[derive(Default)]
pub struct Noted {
    /// In their order.
    pub attempts: Mutex<Vec<(Attempt, Option<AttemptAnswer>)>>,
    /// What was used besides.
    pub usage: Mutex<Vec<Usage>>,
}

#[cfg(any(test, feature = "testing"))]
impl Noted {
    /// What was refused or is over, each as one flat object.
    pub fn ended(&self) -> Vec<serde_json::Value> {
        let all = self.all();
        let ended = all.iter().filter(|(attempt, answer)| {
            answer.is_some() || matches!(attempt.verdict, crate::terms::Verdict::Refused { .. })
        });
        ended
            .map(|(attempt, answer)| flat(attempt, answer.as_ref()))
            .collect()
    }

    /// The attempts so far.
    pub fn all(&self) -> Vec<(Attempt, Option<AttemptAnswer>)> {
        let attempts = self.attempts.lock();
        attempts.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(any(test, feature = "testing"))]
fn json(what: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(what).unwrap_or_default()
}

/// What was asked, what was decided and what came of it, side by side.
#[cfg(any(test, feature = "testing"))]
fn flat(attempt: &Attempt, answer: Option<&AttemptAnswer>) -> serde_json::Value {
    let mut all = json(&attempt.to)[attempt.to.of()].clone();
    all["verdict"] = json(&attempt.verdict);
    let Some(answer) = answer else {
        (all["left"], all["sent"]) = (false.into(), 0.into());
        return all;
    };
    let serde_json::Value::Object(members) = json(answer) else {
        return all;
    };
    for (name, member) in members {
        if name == "end" {
            let is = member["is"].as_str().unwrap_or_default();
            let is = if is == "answered" { "allowed" } else { is };
            for part in ["error", "why"] {
                if let Some(part_of) = member.get(part) {
                    all["verdict"][part] = part_of.clone();
                }
            }
            if is == "refused" {
                all["verdict"]["nearest"] = all["verdict"]["grant"].take();
            }
            all["verdict"]["is"] = is.into();
        } else {
            all[name] = member;
        }
    }
    all
}

#[cfg(any(test, feature = "testing"))]
impl AttemptSink for Noted {
    fn attempt(&self, attempt: Attempt) -> Result<Option<u64>, Unrecorded> {
        let mut attempts = self.attempts.lock().map_err(|_| Unrecorded)?;
        attempts.push((attempt, None));
        Ok(u64::try_from(attempts.len() - 1).ok())
    }

    fn answer(&self, attempt: u64, answer: AttemptAnswer) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = usize::try_from(attempt)
            .ok()
            .and_then(|at| attempts.get_mut(at));
        if let Some((_, answered)) = attempt {
            *answered = Some(answer);
        }
    }

    fn usage(&self, usage: Usage) {
        let mut usages = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        usages.push(usage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n94_what_was_denied_is_kept_within_bounds() {
        let log = AttemptLog::nowhere();
        for text in ["a", "a", &"\u{e9}".repeat(DENIAL), "b", "c"] {
            log.denied(text);
        }
        let untold = log.untold();
        assert_eq!(untold.len(), DENIALS, "{untold:?}");
        assert!(untold.iter().all(|say| say.len() <= DENIAL), "{untold:?}");
    }
}
