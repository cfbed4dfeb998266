//! What the guest sees of `wasi:keyvalue@0.2.0-draft`, the tagged one: cursors are numbers, counters
//! are unsigned, and there is no compare-and-swap.

use wasmtime::component::{Linker, Resource};

use self::bindings::wasi::keyvalue0_2_0_draft::{atomics, batch, store};
use super::error::KvError;
use super::rules::{Cursor, Range};
use super::state::{Keyed, Stop, View};
use super::store::Bucket;

mod bindings {
    #![allow(
        missing_docs,
        reason = "the interface's own documentation is in `wit/`"
    )]

    wasmtime::component::bindgen!({
        inline: "
            package toolhost:keyvalue-draft;
            world imports {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
            }
        ",
        path: "../../wit",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store@0.2.0-draft.bucket": crate::capability::kv::store::Bucket },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft.error" => crate::capability::kv::state::Stop,
        },
    });
}

pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    store::add_to_linker::<T, Keyed>(linker, get)?;
    atomics::add_to_linker::<T, Keyed>(linker, get)?;
    batch::add_to_linker::<T, Keyed>(linker, get)
}

impl From<KvError> for store::Error {
    fn from(error: KvError) -> Self {
        match error {
            KvError::NoSuchStore => Self::NoSuchStore,
            other => Self::Other(other.to_string()),
        }
    }
}

impl store::Host for View<'_> {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Stop> {
        Self::open(self, &identifier).await
    }

    fn convert_error(&mut self, stop: Stop) -> wasmtime::Result<store::Error> {
        match stop {
            Stop::Error(error) => Ok(error.into()),
            Stop::Trap(error) => Err(error),
        }
    }
}

impl store::HostBucket for View<'_> {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Stop> {
        Self::get(self, &bucket, key).await
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Stop> {
        Self::set(self, &bucket, key, value).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Stop> {
        Self::delete(self, &bucket, key).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Stop> {
        Self::exists(self, &bucket, key).await
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, Stop> {
        let from = cursor.map(Cursor::from_number).unwrap_or_default();
        let (keys, next) = self.page(&bucket, from).await?;
        let cursor = next.map(Cursor::number);
        Ok(store::KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close(bucket)
    }
}

impl atomics::Host for View<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Stop> {
        let sum = self
            .increase(&bucket, key, delta.into(), Range::U64)
            .await?;
        // Within the range that was asked for.
        Ok(u64::try_from(sum).unwrap_or(u64::MAX))
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Stop> {
        let pairs = Self::get_many(self, &bucket, keys).await?;
        let pairs = pairs.into_iter().map(|(key, value)| Some((key, value?)));
        Ok(pairs.collect())
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Stop> {
        Self::set_many(self, &bucket, pairs).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Stop> {
        Self::delete_many(self, &bucket, keys).await
    }
}
