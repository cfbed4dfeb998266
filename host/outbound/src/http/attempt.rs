//! One request on its way, as the record of its call has it: written when it is decided, answered when
//! it is over.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::HttpError;
use crate::attempts::{AttemptLog, OpenAttempt};
use crate::dial::Sending;
use crate::egress::{AllowedRequest, Refusal, RefusalKind};
use crate::egress::{MAX_METHOD, ParsedRequest};
use crate::secret::REDACTED;
use crate::terms::{self, AnswerEnd, Attempt, AttemptAnswer, HttpTarget, RuleRef, Target};

/// What is recorded of a method that no request has.
const TOO_LONG: &str = "(a method that is too long)";

/// A request on its way. When this is dropped its record is whole: what was decided stands there since
/// before anything left, what came of it is added now. The end of its call's record waits for it.
pub(super) struct AttemptRecorder {
    log: AttemptLog,
    _hold: TaskTrackerToken,
    began: Instant,
    target: HttpTarget,
    stage: Stage,
}

enum Stage {
    /// It is not decided yet; where it never is, it could not be read.
    Asked,
    /// It stands in the record and nothing is to be added, or it is not to be recorded.
    Written,
    /// It may go out.
    Allowed(Open),
}

struct Open {
    attempt: OpenAttempt,
    answer: AttemptAnswer,
    /// Whether anything of it left, as the dialer says.
    sending: Sending,
    /// Bytes of its body.
    body: u64,
}

impl AttemptRecorder {
    pub(super) fn begin(log: &AttemptLog, method: &str, asked: Option<&ParsedRequest>) -> Self {
        Self {
            _hold: log.hold(),
            log: log.clone(),
            began: Instant::now(),
            target: HttpTarget {
                method: match method.len() {
                    0..=MAX_METHOD => method.to_owned(),
                    _ => TOO_LONG.to_owned(),
                },
                scheme: asked.map(|asked| Cow::Borrowed(asked.origin.scheme.as_str())),
                host: asked.map(|asked| asked.origin.host_text()),
                port: asked.map(|asked| asked.origin.port),
                path: asked.map(|asked| asked.path.as_str().to_owned()),
            },
            stage: Stage::Asked,
        }
    }

    /// Says that this attempt is not to be recorded.
    pub(super) fn discard(&mut self) {
        self.stage = Stage::Written;
    }

    /// Says that what was asked holds a credential: nothing of it is kept but where it should have
    /// gone, as far as `keepable` lets that pass.
    pub(super) fn conceal(&mut self, keepable: impl Fn(String) -> String) {
        let target = &mut self.target;
        target.method = keepable(std::mem::take(&mut target.method));
        target.host = target.host.take().map(keepable);
        target.path = Some(REDACTED.to_owned());
    }

    /// Records that it does not go out, and gives the guest's error.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> HttpError {
        let Refusal { kind, say, nearest } = refusal;
        self.write_refused(*kind, say, nearest.clone());
        HttpError::from(refusal)
    }

    fn write_refused(&mut self, kind: RefusalKind, why: &str, nearest: Option<Arc<str>>) {
        if !matches!(self.stage, Stage::Asked) {
            return;
        }
        self.stage = Stage::Written;
        let verdict = terms::Verdict::Refused {
            nearest,
            kind: kind.as_str().into(),
            why: why.to_owned(),
        };
        let to = Target::Http(std::mem::take(&mut self.target));
        // It is not made, recorded or not.
        let _ = self.log.note(Attempt { to, verdict });
    }

    /// Records that it goes out, and gives what the dialer tells when it does. Until there is an answer
    /// it counts as abandoned.
    ///
    /// # Errors
    /// It cannot be recorded, so it must not go out.
    pub(super) fn allow(
        &mut self,
        verdict: &AllowedRequest,
        body: usize,
    ) -> Result<Sending, HttpError> {
        let rule = verdict.rule();
        let attempt = Attempt {
            to: Target::Http(std::mem::take(&mut self.target)),
            verdict: terms::Verdict::Allowed(RuleRef {
                grant: Arc::clone(&verdict.grant().name),
                line: rule.line,
                rule: Some(Arc::clone(&rule.text)),
            }),
        };
        // Decided, whatever comes of recording it.
        self.stage = Stage::Written;
        let attempt = self.log.begin(attempt)?;
        let sending = Sending::default();
        self.stage = Stage::Allowed(Open {
            attempt,
            answer: AttemptAnswer {
                end: AnswerEnd::Abandoned,
                status: None,
                peer: None,
                left: false,
                sent: 0,
                received: 0,
                ms: 0,
            },
            sending: sending.clone(),
            body: u64::try_from(body).unwrap_or(u64::MAX),
        });
        Ok(sending)
    }

    fn note(&mut self, note: impl FnOnce(&mut AttemptAnswer)) {
        if let Stage::Allowed(open) = &mut self.stage {
            note(&mut open.answer);
        }
    }

    /// Notes the head of the response.
    pub(super) fn answered(&mut self, status: StatusCode, peer: Option<SocketAddr>) {
        self.note(|answer| {
            answer.end = AnswerEnd::Answered;
            answer.status = Some(status.as_u16());
            answer.peer = peer.map(|peer| peer.ip());
        });
    }

    /// Notes how much of the body came so far.
    pub(super) fn received(&mut self, bytes: u64) {
        self.note(|answer| answer.received = bytes);
    }

    /// Notes that there is no whole response.
    pub(super) fn failed(&mut self, error: &HttpError) {
        let (error, why) = (error.code.as_str().into(), error.say.clone());
        self.note(|answer| answer.end = AnswerEnd::Failed { error, why });
    }

    /// Notes that the dialer did not send it.
    pub(super) fn unsent(&mut self, error: &HttpError) {
        let why = error.say.clone();
        self.note(|answer| answer.end = AnswerEnd::Refused { why });
    }
}

impl Drop for AttemptRecorder {
    fn drop(&mut self) {
        self.write_refused(RefusalKind::Invalid, "", None);
        if let Stage::Allowed(open) = std::mem::replace(&mut self.stage, Stage::Written) {
            let mut answer = open.answer;
            answer.ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
            answer.left = open.sending.has_left();
            if answer.left {
                answer.sent = open.body;
            }
            open.attempt.answer(answer);
        }
    }
}

impl std::fmt::Debug for AttemptRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}
