//! What the guest sees of `wasi:keyvalue@0.2.0-draft2`: cursors are texts, counters are signed, and
//! there is compare-and-swap.

use wasmtime::component::{Linker, Resource};

pub(super) use self::bindings::wasi::keyvalue0_2_0_draft2::store;
use self::bindings::wasi::keyvalue0_2_0_draft2::{atomics, batch};
use super::error::KvError;
use super::rules::{Cursor, Range};
use super::state::{Keyed, Stop, View};
use super::store::{Bucket, Seen, Swapped};

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
        Self::open(self, &identifier)
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
        Ok(self.bucket(&bucket)?.get(key).await?)
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Stop> {
        Ok(self.bucket(&bucket)?.set(key, value).await?)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Stop> {
        Ok(self.bucket(&bucket)?.delete(key).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Stop> {
        Ok(self.bucket(&bucket)?.exists(key).await?)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Result<store::KeyResponse, Stop> {
        let from = cursor.map_or(Ok(Cursor::default()), |text| Cursor::parse(&text))?;
        let (keys, next) = self.bucket(&bucket)?.page(from).await?;
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
        let bucket = self.bucket(&bucket)?;
        let sum = bucket.increase(key, delta.into(), Range::S64).await?;
        // Within the range that was asked for.
        Ok(i64::try_from(sum).unwrap_or(i64::MAX))
    }

    async fn swap(
        &mut self,
        cas: Resource<Seen>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let seen = self.release(cas)?;
        Ok(match seen.swap(value).await {
            Ok(Swapped::Done) => Ok(()),
            Ok(Swapped::Lost(now)) => Err(atomics::CasError::CasFailed(self.hold(now)?)),
            Err(KvError::Full(exceeded)) => return Err(exceeded.into()),
            Err(error) => Err(atomics::CasError::StoreError(error.into())),
        })
    }
}

impl atomics::HostCas for View<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Seen>, Stop> {
        let seen = self.bucket(&bucket)?.seen(key).await?;
        self.hold(seen).map_err(Stop::Trap)
    }

    async fn current(&mut self, cas: Resource<Seen>) -> Result<Option<Vec<u8>>, Stop> {
        let mut seen = self.seen(&cas)?;
        let value = seen.current().await?;
        self.renew(&cas, seen)?;
        Ok(value)
    }

    async fn drop(&mut self, cas: Resource<Seen>) -> wasmtime::Result<()> {
        self.release(cas).map(drop)
    }
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Stop> {
        let pairs = self.bucket(&bucket)?.get_many(keys).await?;
        let pairs = pairs.into_iter().map(|(key, value)| Some((key, value?)));
        Ok(pairs.collect())
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Stop> {
        Ok(self.bucket(&bucket)?.set_many(pairs).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Stop> {
        Ok(self.bucket(&bucket)?.delete_many(keys).await?)
    }
}
