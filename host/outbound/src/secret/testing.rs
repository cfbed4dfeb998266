//! A source of a secret for tests: it gives what they put in.

#![allow(missing_docs, reason = "for tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{History, Reading, SecretSource, Secrets, SourceError};

/// Gives what a test put in, and fails where that is nothing.
#[derive(Debug, Clone)]
pub struct Scripted {
    says: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicU64>,
    holds: Duration,
}

impl Scripted {
    /// It says `the-former-value`, which holds so long.
    pub fn new(holds: Duration) -> Self {
        Self {
            says: Arc::new(Mutex::new(Some("the-former-value".to_owned()))),
            asked: Arc::default(),
            holds,
        }
    }

    /// How often it was asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// What it says from here on; nothing is a failure.
    pub fn say(&self, value: Option<&str>) {
        *self.says.lock().unwrap() = value.map(str::to_owned);
    }

    /// The secret `key`, which comes from here.
    pub async fn secrets(&self) -> Secrets {
        self.named("key", Arc::default()).await
    }

    /// The same by another name, in a manifest that is loaded after others.
    pub async fn named(&self, name: &str, history: Arc<History>) -> Secrets {
        let source: Box<dyn SecretSource> = Box::new(self.clone());
        let sources = vec![(name.into(), source)];
        Secrets::load(sources, history).await.0
    }
}

impl SecretSource for Scripted {
    fn holds(&self) -> Option<Duration> {
        Some(self.holds)
    }

    fn place(&self) -> String {
        format!("script {:p}", Arc::as_ptr(&self.says))
    }

    fn read(&self) -> Reading<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let value = self.says.lock().unwrap().clone();
        let value = value.map(|value| Some(value.into_bytes().into()));
        let value = value.ok_or_else(|| SourceError::NotSet("SCRIPT".to_owned()));
        Box::pin(std::future::ready(value))
    }
}
