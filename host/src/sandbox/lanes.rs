//! Two lanes for calls. A call starts on the thread that asked for it, so a short one costs no
//! hand-over. One that has burnt its fair share of processor time goes on in a second runtime
//! whose threads the kernel runs only when nobody else wants to: loops cannot slow honest calls.
//!
//! A call that nobody waits for any more is not dropped but cancelled: the rest of its future runs
//! on the second lane, sees the token, and closes its books.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::run::panic_words;
use crate::terms::Fault;

/// Processor time a call may use on the first lane. An ordinary call needs some tens of
/// microseconds; an interpreter's a few hundred.
const FAIR_SHARE: Duration = Duration::from_millis(2);

/// The second lane.
pub struct Lanes {
    slow: Option<Runtime>,
}

impl Lanes {
    /// For a host of many callers: the second lane is a thread a core, at the lowest priority.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn for_many() -> Result<Self, Fault> {
        Self::new(|| {
            // On Linux this is per thread. Where it fails the lane works, at normal priority.
            let _ = rustix::process::setpriority_process(None, 19);
        })
    }

    /// For a command that makes one call and waits for it: the second lane gives way to nobody, so
    /// that a busy machine does not turn a call that is out of fuel into one that is out of time.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn for_one() -> Result<Self, Fault> {
        Self::new(|| {})
    }

    fn new(at_start: fn()) -> Result<Self, Fault> {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let slow = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("slow-lane")
            .on_thread_start(at_start)
            .enable_all()
            .build()
            .map_err(|error| Fault::internal(format!("the second lane cannot start: {error}")))?;
        Ok(Self { slow: Some(slow) })
    }

    /// Does long work of the host's own on a thread of the second lane, in nobody's way. It is not
    /// stopped when nobody waits for it any more.
    pub async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let stopped = || Fault::internal("the second lane is not there any more");
        let slow = self.slow.as_ref().ok_or_else(stopped)?;
        let done = slow.handle().spawn_blocking(work).await;
        done.map_err(|error| Fault::internal(format!("work of the host's failed: {error}")))
    }

    /// Runs a call to its end. `make` gets the token that says that nobody waits any more.
    pub fn drive<T, F>(&self, make: impl FnOnce(CancellationToken) -> F) -> Drive<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let slow = self.slow.as_ref().map(|slow| slow.handle().clone());
        Drive {
            stage: Stage::First(Box::pin(make(cancel.clone())), Duration::ZERO),
            cancel,
            slow,
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        if let Some(slow) = self.slow.take() {
            // A guest that still runs is dropped at its next yield; nobody waits for it.
            slow.shutdown_background();
        }
    }
}

/// A call on its way, to be awaited. Dropping it cancels the call.
pub struct Drive<T: Send + 'static> {
    stage: Stage<T>,
    cancel: CancellationToken,
    slow: Option<Handle>,
}

enum Stage<T> {
    First(Pin<Box<dyn Future<Output = T> + Send>>, Duration),
    Second(JoinHandle<T>),
    Over,
}

impl<T: Send + 'static> Future for Drive<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Stage::First(call, spent) = &mut this.stage {
            let start = Instant::now();
            // A panic ends its call, not the door that asked for it.
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context)));
            match polled {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(value)) => {
                    this.stage = Stage::Over;
                    return Poll::Ready(Ok(value));
                }
                Err(panic) => {
                    this.bury();
                    let what = panic_words(&*panic);
                    return Poll::Ready(Err(Fault::internal(format!("a call panicked: {what}"))));
                }
            }
            *spent += start.elapsed();
            if *spent < FAIR_SHARE {
                return Poll::Pending;
            }
            this.change_lane();
        }
        let Stage::Second(task) = &mut this.stage else {
            return Poll::Pending;
        };
        Pin::new(task).poll(context).map(|ended| {
            this.stage = Stage::Over;
            ended.map_err(|error| Fault::internal(format!("a call's task failed: {error}")))
        })
    }
}

impl<T: Send + 'static> Drive<T> {
    /// Drops what is left of a call that panicked; what panics again in there was said before.
    fn bury(&mut self) {
        let rest = std::mem::replace(&mut self.stage, Stage::Over);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(rest)));
    }

    fn change_lane(&mut self) {
        if let Some(slow) = &self.slow
            && let Stage::First(call, _) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            self.stage = Stage::Second(slow.spawn(call));
        }
    }
}

impl<T: Send + 'static> Drop for Drive<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.change_lane();
    }
}
