//! Buckets in memory, for native tests: what a host does, without its bounds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Error;

/// Keys in their order, which stands for the one in which they were made.
type Entries = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;
type Buckets = BTreeMap<String, Entries>;

thread_local! {
    static GRANTED: RefCell<Buckets> = const { RefCell::new(BTreeMap::new()) };
}

/// Puts the buckets before back, also when a test panics.
struct Restore(Buckets);

impl Drop for Restore {
    fn drop(&mut self) {
        GRANTED.set(std::mem::take(&mut self.0));
    }
}

/// Runs `f` with empty buckets of these names, on this thread; for native tests.
pub fn with_buckets<R>(
    names: impl IntoIterator<Item = impl Into<String>>,
    f: impl FnOnce() -> R,
) -> R {
    let buckets = names
        .into_iter()
        .map(|name| (name.into(), Entries::default()));
    let _restore = Restore(GRANTED.replace(buckets.collect()));
    f()
}

#[derive(Debug)]
pub(super) struct Bucket(Entries);

/// A key as it was seen.
pub(super) struct Seen {
    entries: Entries,
    key: String,
    value: Option<Vec<u8>>,
}

pub(super) fn open(name: &str) -> Result<Bucket, Error> {
    let found = GRANTED.with_borrow(|granted| granted.get(name).cloned());
    found.map(Bucket).ok_or_else(Error::no_such_store)
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.borrow().get(key).cloned())
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.borrow().contains_key(key))
    }

    pub(super) fn list(&self, _: Option<&str>) -> Result<(Vec<String>, Option<String>), Error> {
        Ok((self.0.borrow().keys().cloned().collect(), None))
    }

    pub(super) fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let number = |value: Vec<u8>| String::from_utf8(value).ok()?.parse().ok();
        let stands = match self.get(key)? {
            None => Some(0),
            Some(value) => number(value),
        };
        let sum = stands.and_then(|stands: i64| stands.checked_add(delta));
        let sum = sum.ok_or_else(|| Error::other("not a number, or beyond its range"))?;
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    pub(super) fn seen(&self, key: &str) -> Result<Seen, Error> {
        Ok(Seen {
            entries: self.0.clone(),
            key: key.to_owned(),
            value: self.get(key)?,
        })
    }

    pub(super) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    pub(super) fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), Error> {
        pairs
            .iter()
            .try_for_each(|(key, value)| self.set(key, value))
    }

    pub(super) fn delete_many(&self, keys: &[&str]) -> Result<(), Error> {
        keys.iter().try_for_each(|key| self.delete(key))
    }
}

impl Seen {
    pub(super) fn current(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.value = self.entries.borrow().get(&self.key).cloned();
        Ok(self.value.clone())
    }

    /// Nothing where it is done, else the key as it is now.
    pub(super) fn swap(mut self, value: &[u8]) -> Result<Option<Self>, Error> {
        let seen = self.value.clone();
        if self.current()? != seen {
            return Ok(Some(self));
        }
        let mut entries = self.entries.borrow_mut();
        entries.insert(self.key.clone(), value.to_vec());
        Ok(None)
    }
}
