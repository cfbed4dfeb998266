//! Whether what one call is answered from outside is live, kept as it is given, or taken from a recording.
//!
//! It knows no capability, nor how an answer gets to a guest. A guest that runs again from a recording and
//! asks something else is stopped: nothing is ever asked live in its place.

use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use serde::Serialize;

use crate::attempts::AttemptLog;
use crate::terms::{
    Attempt, AttemptAnswer, Divergence, HostAnswer, HostQuestion, RecordedAnswer, Recording, Usage,
};

/// About what an entry of a recording takes beyond its answer's own weight, in bytes; an attempt's too.
const EACH: u64 = 256;

/// Whether what a call is answered is recorded, or taken from a recording. Clones are of one call.
#[derive(Clone)]
pub struct Recorder(Option<Arc<Mutex<Tape>>>);

enum Tape {
    Recording(Writing),
    Replaying(Box<Reading>),
}

struct Writing {
    recording: Recording,
    /// Bytes that it may still take; none where it was more than it may.
    left: Option<u64>,
}

struct Reading {
    entries: Peekable<IntoIter<RecordedAnswer>>,
    /// Answers given so far.
    given: usize,
    /// Attempts noted so far, and denials.
    tried: usize,
    denied: usize,
    attempts: IntoIter<(Attempt, Option<AttemptAnswer>)>,
    denials: IntoIter<String>,
    usage: Vec<Usage>,
    divergence: Option<Divergence>,
}

/// Why there is no recording of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRecording {
    /// It was not recorded.
    #[error("the call was not recorded")]
    Off,
    /// It would have been larger than it may.
    #[error(
        "the call was answered more than its recording may hold; allow it more, or ask for less in one call"
    )]
    TooLarge,
}

/// How an answer is found.
pub enum AnswerSource {
    /// Live.
    Live,
    /// Live, and it is kept.
    Kept(HostQuestion),
    /// From the recording.
    Given(HostAnswer),
}

impl Recorder {
    /// Nothing is recorded: what production does.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Records what a call is answered, up to about so many bytes. A call that is answered more goes on,
    /// and has no recording.
    #[must_use]
    pub fn recording(most: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(Tape::Recording(Writing {
            recording: Recording::default(),
            left: Some(most),
        })))))
    }

    /// Answers a call from a recording, and nothing live.
    #[must_use]
    pub fn replaying(recording: Recording) -> Self {
        Self(Some(Arc::new(Mutex::new(Tape::Replaying(Box::new(
            Reading {
                entries: recording.entries.into_iter().peekable(),
                given: 0,
                tried: 0,
                denied: 0,
                attempts: recording.attempts.into_iter(),
                denials: recording.denials.into_iter(),
                usage: recording.usage,
                divergence: None,
            },
        ))))))
    }

    /// Whether it records or replays.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What was recorded, once the call is over.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn finish(&self) -> Result<Recording, NoRecording> {
        match self.tape().as_deref_mut() {
            Some(Tape::Recording(writing)) => match writing.left {
                Some(_) => Ok(std::mem::take(&mut writing.recording)),
                None => Err(NoRecording::TooLarge),
            },
            _ => Err(NoRecording::Off),
        }
    }

    /// Where a call that was run again left its recording, if it did.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        match self.tape().as_deref() {
            Some(Tape::Replaying(reading)) => reading.divergence.clone(),
            _ => None,
        }
    }

    /// The call is over: what it tried last when it was recorded, and how often it used its grants.
    ///
    /// # Errors
    ///
    /// It runs again, and has not asked all that is recorded.
    pub(crate) fn ended(&self) -> Result<RecordedAttempts, Divergence> {
        Ok(match self.tape().as_deref_mut() {
            Some(Tape::Replaying(reading)) => {
                if let Some(divergence) = &reading.divergence {
                    return Err(divergence.clone());
                }
                if reading.entries.peek().is_some() {
                    return Err(reading.diverge(None));
                }
                RecordedAttempts {
                    attempts: reading.attempts.by_ref().collect(),
                    denials: reading.denials.by_ref().collect(),
                    usage: std::mem::take(&mut reading.usage),
                }
            }
            _ => RecordedAttempts::default(),
        })
    }

    /// Whether the call runs again from a recording.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        matches!(self.tape().as_deref(), Some(Tape::Replaying(_)))
    }

    /// How the answer to what a guest asks is found, and what was tried for a recorded one.
    ///
    /// # Errors
    ///
    /// It runs again, and its recording has something else here.
    pub(crate) fn step(
        &self,
        asked: impl FnOnce() -> HostQuestion,
    ) -> Result<(AnswerSource, RecordedAttempts), Divergence> {
        let Some(mut tape) = self.tape() else {
            return Ok((AnswerSource::Live, RecordedAttempts::default()));
        };
        let asked = asked();
        match &mut *tape {
            Tape::Recording(_) => Ok((AnswerSource::Kept(asked), RecordedAttempts::default())),
            Tape::Replaying(reading) => {
                let (answer, tried) = reading.next(&asked)?;
                Ok((AnswerSource::Given(answer), tried))
            }
        }
    }

    /// Keeps a live answer.
    pub fn keep(&self, asked: HostQuestion, answer: HostAnswer) {
        let weight = length(answer.weight()).saturating_add(EACH);
        self.write(
            || weight,
            |recording| {
                recording.entries.push(RecordedAnswer {
                    asked,
                    answer,
                    attempts: recording.attempts.len(),
                    denials: recording.denials.len(),
                });
            },
        );
    }

    /// Keeps an attempt that is begun; its place among all.
    pub(crate) fn began(&self, attempt: &Attempt) -> Option<usize> {
        self.write(weight(attempt), |recording| {
            recording.attempts.push((attempt.clone(), None));
            recording.attempts.len() - 1
        })
    }

    /// Keeps what came of an attempt.
    pub(crate) fn answered(&self, place: Option<usize>, answer: &AttemptAnswer) {
        self.write(weight(answer), |recording| {
            if let Some((_, kept)) = place.and_then(|place| recording.attempts.get_mut(place)) {
                *kept = Some(answer.clone());
            }
        });
    }

    /// Keeps a denial that the guest was not told in words.
    pub(crate) fn denied(&self, say: &str) {
        self.write(weight(&say), |recording| {
            recording.denials.push(say.to_owned())
        });
    }

    /// Keeps how often a grant was used.
    pub(crate) fn used(&self, usage: &Usage) {
        self.write(weight(usage), |recording| {
            recording.usage.push(usage.clone())
        });
    }

    fn write<T>(
        &self,
        weight: impl FnOnce() -> u64,
        write: impl FnOnce(&mut Recording) -> T,
    ) -> Option<T> {
        match self.tape().as_deref_mut() {
            Some(Tape::Recording(writing)) => writing.write(weight(), write),
            _ => None,
        }
    }

    fn tape(&self) -> Option<MutexGuard<'_, Tape>> {
        let tape = self.0.as_ref()?;
        Some(tape.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// About what something takes beside an answer, in bytes: its texts are as long as a guest makes them.
fn weight(kept: &impl Serialize) -> impl FnOnce() -> u64 {
    || {
        let text = serde_json::to_vec(kept).unwrap_or_default();
        length(text.len()).saturating_add(EACH)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Writing {
    fn write<T>(&mut self, weight: u64, write: impl FnOnce(&mut Recording) -> T) -> Option<T> {
        self.left = self.left.and_then(|left| left.checked_sub(weight));
        match self.left {
            Some(_) => Some(write(&mut self.recording)),
            None => {
                self.recording = Recording::default();
                None
            }
        }
    }
}

impl Reading {
    /// The next answer, if it is one to this, and what was tried for it.
    fn next(&mut self, asked: &HostQuestion) -> Result<(HostAnswer, RecordedAttempts), Divergence> {
        if let Some(divergence) = &self.divergence {
            return Err(divergence.clone());
        }
        let Some(entry) = self.entries.next_if(|entry| entry.asked == *asked) else {
            return Err(self.diverge(Some(asked)));
        };
        self.given += 1;
        let attempts = entry.attempts.saturating_sub(self.tried);
        let denials = entry.denials.saturating_sub(self.denied);
        self.tried = entry.attempts;
        self.denied = entry.denials;
        let tried = RecordedAttempts {
            attempts: self.attempts.by_ref().take(attempts).collect(),
            denials: self.denials.by_ref().take(denials).collect(),
            usage: Vec::new(),
        };
        Ok((entry.answer, tried))
    }

    /// Notes that the guest asks something else, or no more.
    fn diverge(&mut self, asked: Option<&HostQuestion>) -> Divergence {
        let next = self.entries.peek();
        let recorded = next.map(|entry| &entry.asked);
        let differently = match (recorded, asked) {
            (Some(recorded), Some(asked)) if recorded.function == asked.function => {
                " with other arguments"
            }
            _ => "",
        };
        let divergence = Divergence {
            number: self.given + 1,
            recorded: recorded.map(|asked| asked.function.to_string()),
            asked: asked.map(|asked| format!("{}{differently}", asked.function)),
        };
        self.divergence = Some(divergence.clone());
        divergence
    }
}

/// What a call tried when it was recorded, to be noted again.
#[derive(Default)]
pub(crate) struct RecordedAttempts {
    attempts: Vec<(Attempt, Option<AttemptAnswer>)>,
    denials: Vec<String>,
    usage: Vec<Usage>,
}

impl RecordedAttempts {
    pub(crate) fn note(self, log: &AttemptLog) {
        for (attempt, answer) in self.attempts {
            log.repeat(attempt, answer);
        }
        for denial in self.denials {
            log.denied(&denial);
        }
        for usage in self.usage {
            log.used(usage);
        }
    }
}
