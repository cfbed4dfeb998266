//! The seam that every answer to a guest from outside passes: live, kept as it is given, or taken from a
//! recording instead of the outside.
//!
//! It knows no capability: what an answer is made of, each says for itself ([`Told`], [`Fails`]).

use std::fmt::{Debug, Write as _};

use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

use super::context::CallContext;
use crate::shares::Exceeded;
use crate::terms::{Fault, HostAnswer, HostQuestion, Stopped};
pub(super) use toolhost_outbound::AnswerSource;
use toolhost_outbound::AttemptLog;

/// What every answer to one guest passes. Where nothing is recorded, that is one look at an option.
pub(super) struct Seam(AttemptLog);

impl Seam {
    pub(super) fn new(context: &CallContext<'_>) -> Self {
        Self(context.attempts.clone())
    }

    /// Whether the guest runs again from a recording: what it holds is hollow.
    pub(super) fn is_replaying(&self) -> bool {
        self.0.recorder().is_replaying()
    }

    /// Takes from a guest what it held; none where that is hollow.
    pub(super) fn release<R: 'static>(
        &self,
        table: &mut ResourceTable,
        held: Resource<R>,
    ) -> Result<Option<R>, ResourceTableError> {
        if self.is_replaying() {
            table.delete(Resource::<Hollow>::new_own(held.rep()))?;
            return Ok(None);
        }
        table.delete(held).map(Some)
    }

    /// How a host function finds its answer. `arguments` are all that it was given; what is large is
    /// wrapped in [`Bulk`], and a resource is its number.
    pub(super) fn ask(&self, function: &'static str, arguments: &dyn Debug) -> AnswerSource {
        let asked = || HostQuestion {
            function: function.into(),
            digest: digest(arguments),
        };
        let step = self.0.step(asked);
        step.unwrap_or_else(|divergence| {
            AnswerSource::Given(HostAnswer::Stopped(faulted(&Fault::internal(divergence))))
        })
    }

    /// Whether what a guest says, and is answered nothing to, is to be heard: it was said before where it
    /// runs again.
    ///
    /// # Errors
    ///
    /// It says something else than in its recording.
    pub(super) fn hear(
        &self,
        function: &'static str,
        arguments: &dyn Debug,
    ) -> wasmtime::Result<bool> {
        match self.ask(function, arguments) {
            AnswerSource::Live => Ok(true),
            AnswerSource::Kept(asked) => {
                self.keep(asked, HostAnswer::Heard);
                Ok(true)
            }
            AnswerSource::Given(HostAnswer::Heard) => Ok(false),
            AnswerSource::Given(HostAnswer::Stopped(stopped)) => Err(ended(stopped)),
            AnswerSource::Given(_) => Err(unfit()),
        }
    }

    /// Keeps a live answer.
    pub(super) fn keep(&self, asked: HostQuestion, answer: HostAnswer) {
        self.0.recorder().keep(asked, answer);
    }
}

/// What a guest holds that runs again from a recording: it is never asked, for the recording answers.
pub(super) struct Hollow;

impl Hollow {
    /// Something hollow for a guest to hold.
    pub(super) fn hold<R: 'static>(
        table: &mut ResourceTable,
    ) -> Result<Resource<R>, ResourceTableError> {
        let hollow = table.push(Self)?;
        Ok(Resource::new_own(hollow.rep()))
    }
}

/// Bytes of any number among a host function's arguments.
pub(super) struct Bulk<'a>(pub(super) &'a [u8]);

impl Debug for Bulk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(blake3::hash(self.0).to_hex().as_str())
    }
}

fn digest(arguments: &dyn Debug) -> [u8; 32] {
    struct Into(blake3::Hasher);

    impl std::fmt::Write for Into {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }

    let mut into = Into(blake3::Hasher::new());
    // Hashing does not fail, and what derives `Debug` does not either.
    let _ = write!(into, "{arguments:?}");
    *into.0.finalize().as_bytes()
}

/// A recording has an answer that its host function never gives.
pub(super) fn unfit() -> wasmtime::Error {
    Fault::internal("a recording answers otherwise than the host function that was asked ever does")
        .into()
}

/// A host function ended the call.
pub(super) fn stopped(error: &wasmtime::Error) -> HostAnswer {
    HostAnswer::Stopped(why(error))
}

/// What a host function gives, as an answer of its capability.
pub(super) trait Told<A>: Sized {
    /// As it is kept.
    fn tell(&self) -> A;

    /// As it was kept. What a guest holds of it is hollow, and goes into the table.
    ///
    /// # Errors
    ///
    /// It is an answer to something else, or the table is full.
    fn told(answer: A, table: &mut ResourceTable) -> wasmtime::Result<Self>;
}

/// How a host function fails, as an answer of its capability.
pub(super) trait Fails<A>: Sized {
    /// As it is kept, or why it ends the call; and the error itself.
    fn tell(self) -> (Result<A, Stopped>, Self);

    /// As it was kept; another answer is given back.
    ///
    /// # Errors
    ///
    /// It is no error.
    fn told(answer: A) -> Result<Self, A>;

    /// The call ends.
    fn stop(error: wasmtime::Error) -> Self;
}

impl<A> Fails<A> for wasmtime::Error {
    fn tell(self) -> (Result<A, Stopped>, Self) {
        (Err(why(&self)), self)
    }

    fn told(answer: A) -> Result<Self, A> {
        Err(answer)
    }

    fn stop(error: Self) -> Self {
        error
    }
}

/// A live result as it is kept, and the result itself.
pub(super) fn tell<A, T, E>(live: Result<T, E>) -> (HostAnswer, Result<T, E>)
where
    A: Into<HostAnswer>,
    T: Told<A>,
    E: Fails<A>,
{
    match live {
        Ok(value) => (value.tell().into(), Ok(value)),
        Err(error) => {
            let (answer, error) = error.tell();
            let answer = answer.map_or_else(HostAnswer::Stopped, Into::into);
            (answer, Err(error))
        }
    }
}

/// A kept result.
pub(super) fn told<A, T, E>(answer: HostAnswer, table: &mut ResourceTable) -> Result<T, E>
where
    A: TryFrom<HostAnswer, Error = HostAnswer>,
    T: Told<A>,
    E: Fails<A>,
{
    let answer = match E::told(given(answer).map_err(E::stop)?) {
        Ok(error) => return Err(error),
        Err(answer) => answer,
    };
    T::told(answer, table).map_err(E::stop)
}

/// A kept answer as one of its capability.
///
/// # Errors
///
/// It ended the call, or is another capability's.
pub(super) fn given<A>(answer: HostAnswer) -> wasmtime::Result<A>
where
    A: TryFrom<HostAnswer, Error = HostAnswer>,
{
    A::try_from(answer).map_err(|other| match other {
        HostAnswer::Stopped(stopped) => ended(stopped),
        _ => unfit(),
    })
}

/// What host functions give, each as one kind of their capability's answers: `Type = Kind`, and
/// `nothing = Kind` for what has no value.
macro_rules! told_as {
    ($answer:ident: nothing = $kind:ident $(, $($rest:tt)*)?) => {
        impl $crate::capability::seam::Told<$answer> for () {
            fn tell(&self) -> $answer {
                $answer::$kind
            }

            fn told(
                answer: $answer,
                _: &mut wasmtime::component::ResourceTable,
            ) -> wasmtime::Result<Self> {
                match answer {
                    $answer::$kind => Ok(()),
                    _ => Err($crate::capability::seam::unfit()),
                }
            }
        }
        $($crate::capability::seam::told_as!($answer: $($rest)*);)?
    };
    ($answer:ident: $($type:ty = $kind:ident),* $(,)?) => {$(
        impl $crate::capability::seam::Told<$answer> for $type {
            fn tell(&self) -> $answer {
                $answer::$kind(self.clone())
            }

            fn told(
                answer: $answer,
                _: &mut wasmtime::component::ResourceTable,
            ) -> wasmtime::Result<Self> {
                match answer {
                    $answer::$kind(value) => Ok(value),
                    _ => Err($crate::capability::seam::unfit()),
                }
            }
        }
    )*};
}

/// The answer of a host function, through the seam: `pass!(seam, table, "interface.function",
/// (arguments), Capability'sAnswer, what it is live)`. The last is not evaluated where the answer is from
/// a recording; it must not return from the function.
macro_rules! pass {
    ($seam:expr, $table:expr, $function:expr, $arguments:expr, $answer:ty, $live:expr) => {{
        // What is asked is not borrowed while it is answered.
        let step = $seam.ask($function, &$arguments);
        $crate::capability::seam::settle!(step, $seam, $table, $answer, $live)
    }};
}

/// The same once it is known how the answer is found.
macro_rules! settle {
    ($step:expr, $seam:expr, $table:expr, $answer:ty, $live:expr) => {
        match $step {
            $crate::capability::seam::AnswerSource::Given(answer) => {
                $crate::capability::seam::told::<$answer, _, _>(answer, $table)
            }
            $crate::capability::seam::AnswerSource::Live => $live,
            $crate::capability::seam::AnswerSource::Kept(asked) => {
                let (answer, live) = $crate::capability::seam::tell::<$answer, _, _>($live);
                $seam.keep(asked, answer);
                live
            }
        }
    };
}
pub(super) use {pass, settle, told_as};

/// What the host functions of a capability work on, behind the seam.
pub(super) struct Behind<'a, V> {
    pub(super) seam: &'a Seam,
    pub(super) live: V,
}

/// A fault as it is kept.
fn faulted(fault: &Fault) -> Stopped {
    Stopped::Fault {
        code: fault.code,
        say: fault.say.to_string(),
        detail: fault.detail.clone(),
    }
}

/// Why a host function ended the call.
fn why(error: &wasmtime::Error) -> Stopped {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return faulted(fault);
    }
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Stopped::HostMemory(exceeded.most);
    }
    match error.downcast_ref::<ResourceTableError>() {
        Some(ResourceTableError::Full) => Stopped::Resources,
        Some(ResourceTableError::HasChildren) => Stopped::HasChildren,
        Some(ResourceTableError::NotPresent) => Stopped::NotPresent,
        Some(ResourceTableError::WrongType) => Stopped::WrongType,
        None => Stopped::Other(error.to_string()),
    }
}

/// The error with which a host function ended the call.
pub(super) fn ended(stopped: Stopped) -> wasmtime::Error {
    match stopped {
        Stopped::HostMemory(most) => Exceeded { most }.into(),
        Stopped::Resources => ResourceTableError::Full.into(),
        Stopped::HasChildren => ResourceTableError::HasChildren.into(),
        Stopped::NotPresent => ResourceTableError::NotPresent.into(),
        Stopped::WrongType => ResourceTableError::WrongType.into(),
        Stopped::Fault { code, say, detail } => Fault {
            detail,
            ..Fault::new(code, say)
        }
        .into(),
        Stopped::Other(words) => wasmtime::Error::msg(words),
    }
}
