//! Which call the code that runs is about: what the log says of it beside every line. A call takes it
//! along from thread to thread; work that is handed to another thread has to be given it.
//!
//! It does not decide anything: nothing but the log asks for it.

use std::future::Future;
use std::sync::Arc;

use crate::terms::FunctionId;

tokio::task_local! {
    static CURRENT: CurrentCall;
}

/// A call that was admitted. Nothing is allocated for it.
#[derive(Debug, Clone)]
pub struct CurrentCall {
    /// What was called.
    pub function: FunctionId,
    /// Who called: the agent.
    pub caller: Arc<str>,
    /// The number of its first record in the ledger's segment.
    pub id: u64,
}

impl CurrentCall {
    /// A future that is about this call whenever it is polled, and when it is dropped.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Does work that is about this call.
    pub fn around<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// What this thread is about, for work that is done on another.
    pub fn carried() -> Carried {
        Carried(CURRENT.try_with(Self::clone).ok())
    }

    /// Looks at the call that this thread is about, if there is one.
    pub fn with(look: impl FnOnce(&Self)) {
        // Nothing to look at is nothing to do.
        let _ = CURRENT.try_with(look);
    }
}

/// The call that another thread's work is about, if it is about one.
pub struct Carried(Option<CurrentCall>);

impl Carried {
    /// Does that work.
    pub fn around<T>(self, work: impl FnOnce() -> T) -> T {
        match self.0 {
            Some(current) => current.around(work),
            None => work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u64) -> CurrentCall {
        CurrentCall {
            function: FunctionId {
                tool: "t".into(),
                function: "f".into(),
            },
            caller: "local".into(),
            id,
        }
    }

    fn id() -> Option<u64> {
        let mut id = None;
        CurrentCall::with(|call| id = Some(call.id));
        id
    }

    #[tokio::test]
    async fn x63_a_call_is_known_wherever_its_work_is_done() {
        assert_eq!(id(), None);
        let inside = async {
            tokio::task::yield_now().await;
            let current = CurrentCall::carried();
            let other = std::thread::spawn(move || current.around(id)).join();
            (id(), other.ok().flatten())
        };
        let (one, other) = tokio::join!(call(1).scope(inside), call(2).scope(async { id() }));
        assert_eq!((one, other), ((Some(1), Some(1)), Some(2)));
        assert_eq!(id(), None);
    }
}
