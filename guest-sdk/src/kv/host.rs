//! Buckets of the host: `wasi:keyvalue`. It does not know who else uses them.

use super::{Error, ErrorCode};
use crate::wasm::bindings::wasi::keyvalue0_2_0_draft2::{atomics, batch, store};

#[derive(Debug)]
pub(super) struct Bucket(store::Bucket);

/// A key as it was seen.
pub(super) struct Seen(atomics::Cas);

pub(super) fn open(name: &str) -> Result<Bucket, Error> {
    Ok(Bucket(store::open(name)?))
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::no_such_store(),
            store::Error::AccessDenied => Self {
                code: ErrorCode::Denied,
                message: "this bucket may not be used".to_owned(),
            },
            store::Error::Other(message) => Self::other(message),
        }
    }
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key)?)
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        Ok(self.0.set(key, value)?)
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
        Ok(self.0.delete(key)?)
    }

    pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.exists(key)?)
    }

    pub(super) fn list(
        &self,
        cursor: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let page = self.0.list_keys(cursor)?;
        Ok((page.keys, page.cursor))
    }

    pub(super) fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        Ok(atomics::increment(&self.0, key, delta)?)
    }

    pub(super) fn seen(&self, key: &str) -> Result<Seen, Error> {
        Ok(Seen(atomics::Cas::new(&self.0, key)?))
    }

    pub(super) fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let pairs = batch::get_many(&self.0, &keys)?;
        let values = pairs.into_iter().map(|pair| pair.map(|(_, value)| value));
        Ok(values.collect())
    }

    pub(super) fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), Error> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()))
            .collect();
        Ok(batch::set_many(&self.0, &pairs)?)
    }

    pub(super) fn delete_many(&self, keys: &[&str]) -> Result<(), Error> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Ok(batch::delete_many(&self.0, &keys)?)
    }
}

impl Seen {
    pub(super) fn current(&mut self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.current()?)
    }

    /// Nothing where it is done, else the key as it is now.
    pub(super) fn swap(self, value: &[u8]) -> Result<Option<Self>, Error> {
        match atomics::swap(self.0, value) {
            Ok(()) => Ok(None),
            Err(atomics::CasError::CasFailed(now)) => Ok(Some(Self(now))),
            Err(atomics::CasError::StoreError(error)) => Err(error.into()),
        }
    }
}
