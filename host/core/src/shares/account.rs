//! What one owner may hold of the host's memory, whoever of its parts holds it: one sum, counted
//! before anything is allocated.
//!
//! It does not know what the bytes are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are held for one owner, and the most that may be. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Account {
    inner: Arc<Sums>,
}

#[derive(Debug)]
struct Sums {
    most: u64,
    held: AtomicU64,
}

/// The account does not have as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host holds as much for this call as it may: {most} bytes")]
pub struct Exceeded {
    /// The most that may be held, in bytes.
    pub most: u64,
}

/// Bytes on an account, given back when this is dropped.
#[derive(Debug)]
pub struct Holding {
    account: Account,
    bytes: u64,
}

impl Account {
    /// An account of at most `most` bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self {
            inner: Arc::new(Sums {
                most,
                held: AtomicU64::new(0),
            }),
        }
    }

    /// Puts `bytes` on the account.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: then nothing has changed.
    pub fn hold(&self, bytes: u64) -> Result<Holding, Exceeded> {
        self.add(bytes)?;
        Ok(Holding {
            account: self.clone(),
            bytes,
        })
    }

    /// Nothing yet, to be grown.
    #[must_use]
    pub fn nothing(&self) -> Holding {
        Holding {
            account: self.clone(),
            bytes: 0,
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.inner.held.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) -> Result<(), Exceeded> {
        let sums = &*self.inner;
        let fits = |held: u64| held.checked_add(bytes).filter(|then| *then <= sums.most);
        let added = sums
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        added.map(drop).map_err(|_| Exceeded { most: sums.most })
    }
}

impl Holding {
    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts more on the account.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: then nothing has changed.
    pub fn grow(&mut self, more: u64) -> Result<(), Exceeded> {
        self.account.add(more)?;
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// Holds exactly `bytes` from now on.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: then nothing has changed.
    pub fn resize(&mut self, bytes: u64) -> Result<(), Exceeded> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => {
                self.shrink(self.bytes - bytes);
                Ok(())
            }
        }
    }

    /// Gives a part back.
    pub fn shrink(&mut self, less: u64) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        let held = &self.account.inner.held;
        held.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_sum_is_bounded_whoever_holds_and_comes_back() {
        let account = Account::new(10);
        let mut first = account.hold(4).unwrap();
        let second = account.clone().hold(6).unwrap();
        assert_eq!(first.grow(1), Err(Exceeded { most: 10 }));
        drop(second);
        first.grow(5).unwrap();
        first.shrink(8);
        assert_eq!((first.bytes(), account.held()), (1, 1));
        first.resize(7).unwrap();
        assert_eq!(first.resize(11), Err(Exceeded { most: 10 }));
        first.resize(2).unwrap();
        assert_eq!((first.bytes(), account.held()), (2, 2));
        drop(first);
        assert_eq!(account.held(), 0);
        assert!(account.hold(u64::MAX).is_err());
    }
}
