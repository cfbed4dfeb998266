//! Is there room. Places for calls, per tool and over all, and a queue that ends: beyond it a call
//! hears "busy" at once instead of waiting for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::terms::{Code, Fault};

/// The places of one host.
pub struct Quota {
    all: Arc<Semaphore>,
    tools: BTreeMap<Arc<str>, Arc<Semaphore>>,
    waiting: AtomicU32,
    queue: u32,
}

/// A held place, given back when it is dropped.
pub struct Reservation {
    _tool: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Quota {
    /// `all` places over all tools, so many for each tool, and `queue` calls that may wait.
    pub fn new(all: u32, queue: u32, tools: impl IntoIterator<Item = (Arc<str>, u32)>) -> Self {
        Self {
            all: places(all),
            tools: tools
                .into_iter()
                .map(|(tool, most)| (tool, places(most)))
                .collect(),
            waiting: AtomicU32::new(0),
            queue,
        }
    }

    /// Takes a place, waiting for one if the queue is not full. Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// `busy` when the queue is full, `shutting-down` when the host stops.
    pub async fn reserve(&self, tool: &str) -> Result<Reservation, Fault> {
        let of_tool = self
            .tools
            .get(tool)
            .ok_or_else(|| Fault::internal(format!("no places for tool `{tool}`")))?;
        if let (Ok(of_tool), Ok(of_all)) = (
            of_tool.clone().try_acquire_owned(),
            self.all.clone().try_acquire_owned(),
        ) {
            return Ok(Reservation {
                _tool: of_tool,
                _all: of_all,
            });
        }
        let _waiting = Waiting::join(self, tool)?;
        // The tool's place first: calls that wait for a busy tool hold no place of the others.
        let stopping = |_| {
            Fault::new(
                Code::ShuttingDown,
                "The host is stopping. Try again when it is back.",
            )
        };
        let of_tool = of_tool.clone().acquire_owned().await.map_err(stopping)?;
        let of_all = self.all.clone().acquire_owned().await.map_err(stopping)?;
        Ok(Reservation {
            _tool: of_tool,
            _all: of_all,
        })
    }

    /// Lets nobody in any more; who waits is told.
    pub fn close(&self) {
        self.all.close();
        self.tools.values().for_each(|tool| tool.close());
    }
}

fn places(most: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(
        usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS),
    ))
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn join(quota: &'a Quota, tool: &str) -> Result<Self, Fault> {
        quota
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < quota.queue).then_some(now + 1)
            })
            .map(|_| Self(&quota.waiting))
            .map_err(|_| {
                Fault::new(
                    Code::Busy,
                    format!("Too many calls are waiting (tool `{tool}`). Try again in a moment."),
                )
            })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T, Fault>) -> Option<Code> {
        result.err().map(|fault| fault.code)
    }

    #[tokio::test]
    async fn beyond_the_queue_is_busy_and_a_freed_place_is_given_on() {
        let quota = Arc::new(Quota::new(8, 1, [(Arc::from("a"), 1), (Arc::from("b"), 1)]));
        let held = quota.reserve("a").await;
        assert!(held.is_ok());
        let next = {
            let quota = quota.clone();
            tokio::spawn(async move { quota.reserve("a").await })
        };
        while quota.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(code(quota.reserve("a").await), Some(Code::Busy));
        assert!(
            quota.reserve("b").await.is_ok(),
            "another tool has its own places"
        );
        drop(held);
        assert!(next.await.is_ok_and(|reserved| reserved.is_ok()));
        assert_eq!(quota.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn closing_tells_who_waits() {
        let quota = Quota::new(1, 4, [(Arc::from("a"), 1)]);
        let held = quota.reserve("a").await;
        let (waited, ()) = tokio::join!(quota.reserve("a"), async { quota.close() });
        assert_eq!(code(waited), Some(Code::ShuttingDown));
        drop(held);
    }
}
