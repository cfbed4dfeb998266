//! Keys and values that outlive the call, in buckets that the manifest grants.
//!
//! A bucket has a quota; where the manifest says so, every caller has one of its own. Calls run at the
//! same time: what depends on what was read belongs into [`Bucket::update`] or [`Bucket::increment`].
//!
//! ```
//! use toolhost_sdk::{ToolError, kv};
//!
//! fn visits(page: &str) -> Result<i64, ToolError> {
//!     Ok(kv::open("visits")?.increment(page, 1)?)
//! }
//!
//! // Natively a test says which buckets there are:
//! kv::with_buckets(["visits"], || {
//!     assert_eq!(visits("home"), Ok(1));
//!     assert_eq!(visits("home"), Ok(2));
//! });
//! ```

#[cfg(target_arch = "wasm32")]
#[path = "host.rs"]
mod backend;
#[cfg(not(target_arch = "wasm32"))]
#[path = "memory.rs"]
mod backend;
mod error;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(not(target_arch = "wasm32"))]
pub use backend::with_buckets;
pub use error::{Error, ErrorCode};

/// How often [`Bucket::update`] tries before it gives up: somebody else was first every time.
const TRIES: u32 = 100;

/// A bucket of keys and values.
#[derive(Debug)]
pub struct Bucket(backend::Bucket);

/// Opens a bucket by the name that the manifest gives it.
///
/// # Errors
/// [`ErrorCode::NoSuchStore`] where it is not granted.
pub fn open(name: &str) -> Result<Bucket, Error> {
    backend::open(name).map(Bucket)
}

impl Bucket {
    /// A key's value, where it has one.
    ///
    /// # Errors
    /// [`ErrorCode::Other`]: the key is no key, or the store cannot be used now.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// A key's value as text, where it has one.
    ///
    /// # Errors
    /// As [`Bucket::get`], and where it is not UTF-8.
    pub fn get_text(&self, key: &str) -> Result<Option<String>, Error> {
        let text = self.get(key)?.map(String::from_utf8).transpose();
        text.map_err(|_| Error::other(format_args!("the value of {key:?} is no text")))
    }

    /// A key's value, read from JSON, where it has one.
    ///
    /// # Errors
    /// As [`Bucket::get`], and where it is not such a value.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&value);
        read.map(Some)
            .map_err(|error| Error::other(format_args!("the value of {key:?}: {error}")))
    }

    /// Gives a key a value.
    ///
    /// # Errors
    /// [`ErrorCode::Other`]: the key or the value is too large, the quota is used up, or the store
    /// cannot be used now.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.0.set(key, value.as_ref())
    }

    /// Gives a key a value, written as JSON.
    ///
    /// # Errors
    /// As [`Bucket::set`], and where it cannot be written as JSON.
    pub fn set_json(&self, key: &str, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec(value).map_err(Error::other)?;
        self.set(key, text)
    }

    /// Deletes a key; one that is not there is as good as deleted.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key)
    }

    /// Whether a key is there.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key)
    }

    /// All keys, in the order in which they were made. What is made or deleted meanwhile may or may
    /// not be among them.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (keys, next) = self.0.list(cursor.as_deref())?;
            all.extend(keys);
            cursor = next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Adds to a key's number, which is 0 where it is not there yet, and gives what it is then.
    ///
    /// # Errors
    /// As [`Bucket::set`], and where the value is no number or would leave its range.
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.0.increment(key, delta)
    }

    /// Sets a key to what `change` makes of its value, unless somebody else changes it meanwhile:
    /// then `change` is asked again. It gives what was set.
    ///
    /// # Errors
    /// As [`Bucket::set`], and where somebody else was first a hundred times.
    pub fn update(
        &self,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let mut seen = self.0.seen(key)?;
        for _ in 0..TRIES {
            let value = change(seen.current()?);
            match seen.swap(&value)? {
                None => return Ok(value),
                Some(again) => seen = again,
            }
        }
        Err(Error::other(format_args!("{key:?} changes too often")))
    }

    /// The values of several keys, in their order.
    ///
    /// # Errors
    /// As [`Bucket::get`], and where they are too many or too large for one answer.
    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.0.get_many(keys)
    }

    /// Gives several keys their values: all of them, or none.
    ///
    /// # Errors
    /// As [`Bucket::set`], and where they are too many.
    pub fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), Error> {
        self.0.set_many(pairs)
    }

    /// Deletes several keys.
    ///
    /// # Errors
    /// As [`Bucket::get`], and where they are too many.
    pub fn delete_many(&self, keys: &[&str]) -> Result<(), Error> {
        self.0.delete_many(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_what_it_is_given() -> Result<(), Error> {
        with_buckets(["notes"], || {
            let bucket = open("notes")?;
            bucket.set("a", "one")?;
            bucket.set_json("b", &[1, 2])?;
            assert_eq!(bucket.get_text("a")?.as_deref(), Some("one"));
            assert_eq!(bucket.get_json::<Vec<i32>>("b")?, Some(vec![1, 2]));
            assert_eq!(bucket.get("c")?, None);
            assert!(bucket.exists("a")? && !bucket.exists("c")?);
            assert_eq!(bucket.keys()?, ["a", "b"]);
            bucket.delete("a")?;
            assert_eq!(open("notes")?.keys()?, ["b"]);
            assert!(bucket.get_json::<bool>("b").is_err());
            Ok(())
        })
    }

    #[test]
    fn what_is_not_granted_is_denied() {
        let code = |opened: Result<Bucket, Error>| opened.map_err(|error| error.code).err();
        assert_eq!(code(open("notes")), Some(ErrorCode::NoSuchStore));
        let other = with_buckets(["notes"], || code(open("other")));
        assert_eq!(other, Some(ErrorCode::NoSuchStore));
    }

    #[test]
    fn numbers_add_up_and_updates_see_what_is_there() -> Result<(), Error> {
        with_buckets(["n"], || {
            let bucket = open("n")?;
            assert_eq!(bucket.increment("a", 5)?, 5);
            assert_eq!(bucket.increment("a", -7)?, -2);
            bucket.set("b", "x")?;
            assert!(bucket.increment("b", 1).is_err());
            let longer = |value: Option<Vec<u8>>| [value.unwrap_or_default(), vec![b'y']].concat();
            assert_eq!(bucket.update("b", longer)?, b"xy");
            assert_eq!(bucket.update("c", longer)?, b"y");
            // Somebody else is first, once.
            let mut first = true;
            let raced = bucket.update("b", |value| {
                if std::mem::take(&mut first) {
                    assert_eq!(bucket.set("b", "z"), Ok(()));
                }
                longer(value)
            })?;
            assert_eq!(raced, b"zy");
            Ok(())
        })
    }

    #[test]
    fn batches_keep_their_order() -> Result<(), Error> {
        with_buckets(["n"], || {
            let bucket = open("n")?;
            bucket.set_many(&[("a", b"1"), ("b", b"2")])?;
            let values = bucket.get_many(&["b", "c", "a"])?;
            assert_eq!(values, [Some(b"2".to_vec()), None, Some(b"1".to_vec())]);
            bucket.delete_many(&["a", "c"])?;
            assert_eq!(bucket.keys()?, ["b"]);
            Ok(())
        })
    }
}
