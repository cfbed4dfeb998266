//! What the guest sees of `wasi:keyvalue@0.2.0-draft2`: cursors are texts, counters are signed, and
//! there is compare-and-swap.

use wasmtime::component::{Linker, Resource};

pub(super) use self::bindings::wasi::keyvalue0_2_0_draft2::store;
use self::bindings::wasi::keyvalue0_2_0_draft2::{atomics, batch};
use super::error::KvError;
use super::rules::{Cursor, Range};
use super::seam::Swap;
use super::state::{Keyed, Stop, View};
use super::store::{Bucket, Seen};

mod bindings {
    #![allow(
        missing_docs,
        reason = "the interface's own documentation is in `wit/`"
    )]

    wasmtime::component::bindgen!({
        inline: "
            package toolhost:keyvalue-draft2;
            world imports {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        path: "../../wit",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store@0.2.0-draft2.bucket": crate::capability::kv::store::Bucket,
            "wasi:keyvalue/atomics@0.2.0-draft2.cas": crate::capability::kv::store::Seen,
        },
        trappable_error_type: {
            "wasi:keyvalue/store@0.2.0-draft2.error" => crate::capability::kv::state::Stop,
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
        cursor: Option<String>,
    ) -> Result<store::KeyResponse, Stop> {
        let from = cursor.map_or(Ok(Cursor::default()), |text| Cursor::parse(&text))?;
        let (keys, next) = self.page(&bucket, from).await?;
        let cursor = next.map(|next| next.to_string());
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
        delta: i64,
    ) -> Result<i64, Stop> {
        let sum = self
            .increase(&bucket, key, delta.into(), Range::S64)
            .await?;
        // Within the range that was asked for.
        Ok(i64::try_from(sum).unwrap_or(i64::MAX))
    }

    async fn swap(
        &mut self,
        cas: Resource<Seen>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        Ok(match Self::swap(self, cas, value).await {
            Ok(Swap::Done) => Ok(()),
            Ok(Swap::Lost(now)) => Err(atomics::CasError::CasFailed(now)),
            Err(Stop::Trap(error)) => return Err(error),
            Err(Stop::Error(error)) => Err(atomics::CasError::StoreError(error.into())),
        })
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Seen>, Stop> {
        self.see(&bucket, key).await
    }

    async fn current(&mut self, cas: Resource<Seen>) -> Result<Option<Vec<u8>>, Stop> {
        Self::current(self, &cas).await
    }

    async fn drop(&mut self, cas: Resource<Seen>) -> wasmtime::Result<()> {
        self.close(cas)
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
