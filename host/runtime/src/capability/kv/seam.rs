//! What the buckets answer a guest, through the seam, whichever draft it speaks.

use wasmtime::component::{Resource, ResourceTable};

use super::error::KvError;
use super::rules::{Cursor, Range};
use super::state::{Stop, View};
use super::store::{Bucket, Seen, Swapped};
use crate::capability::seam::{Bulk, Fails, Hollow, Told, pass, told_as, unfit};
use crate::terms::{KvAnswer, Stopped};

/// A page of keys, and where the next one begins.
pub(super) type Page = (Vec<String>, Option<Cursor>);

/// The values of keys.
pub(super) type Values = Vec<(String, Option<Vec<u8>>)>;

/// What came of a compare-and-swap.
pub(super) enum Swap {
    Done,
    /// As it is now.
    Lost(Resource<Seen>),
}

/// Keys with values among a function's arguments.
struct Pairs<'a>(&'a [(String, Vec<u8>)]);

impl std::fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.0.iter().map(|(key, value)| (key, Bulk(value)));
        f.debug_list().entries(each).finish()
    }
}

/// A function, through the seam; what it is live may use `?`.
macro_rules! through {
    ($self:ident, $name:literal, $arguments:expr, $live:block) => {
        pass!(
            $self.seam,
            $self.table,
            concat!("wasi:keyvalue/", $name),
            $arguments,
            KvAnswer,
            async { $live }.await
        )
    };
}

impl View<'_> {
    pub(super) async fn open(&mut self, identifier: &str) -> Result<Resource<Bucket>, Stop> {
        through!(self, "store.open", identifier, {
            let bucket = self.state.bucket(identifier)?;
            Ok(self.table.push(bucket)?)
        })
    }

    pub(super) async fn get(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Stop> {
        through!(self, "store.get", (bucket.rep(), &key), {
            Ok(self.bucket(bucket)?.get(key).await?)
        })
    }

    pub(super) async fn set(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Stop> {
        through!(self, "store.set", (bucket.rep(), &key, Bulk(&value)), {
            Ok(self.bucket(bucket)?.set(key, value).await?)
        })
    }

    pub(super) async fn delete(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<(), Stop> {
        through!(self, "store.delete", (bucket.rep(), &key), {
            Ok(self.bucket(bucket)?.delete(key).await?)
        })
    }

    pub(super) async fn exists(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<bool, Stop> {
        through!(self, "store.exists", (bucket.rep(), &key), {
            Ok(self.bucket(bucket)?.exists(key).await?)
        })
    }

    pub(super) async fn page(
        &mut self,
        bucket: &Resource<Bucket>,
        from: Cursor,
    ) -> Result<Page, Stop> {
        through!(self, "store.list-keys", (bucket.rep(), from), {
            Ok(self.bucket(bucket)?.page(from).await?)
        })
    }

    pub(super) async fn increase(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
        delta: i128,
        range: Range,
    ) -> Result<i128, Stop> {
        through!(self, "atomics.increment", (bucket.rep(), &key, delta), {
            Ok(self.bucket(bucket)?.increase(key, delta, range).await?)
        })
    }

    pub(super) async fn see(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<Resource<Seen>, Stop> {
        through!(self, "atomics.cas.new", (bucket.rep(), &key), {
            let seen = self.bucket(bucket)?.seen(key).await?;
            Ok(self.table.push(seen)?)
        })
    }

    pub(super) async fn current(&mut self, held: &Resource<Seen>) -> Result<Option<Vec<u8>>, Stop> {
        through!(self, "atomics.cas.current", held.rep(), {
            let mut seen = self.table.get(held)?.clone();
            let value = seen.current().await?;
            *self.table.get_mut(held)? = seen;
            Ok(value)
        })
    }

    pub(super) async fn swap(
        &mut self,
        held: Resource<Seen>,
        value: Vec<u8>,
    ) -> Result<Swap, Stop> {
        let number = held.rep();
        let seen = self.seam.release(self.table, held)?;
        through!(self, "atomics.swap", (number, Bulk(&value)), {
            // Where it is hollow the recording answers.
            let Some(seen) = seen else {
                return Ok(Swap::Done);
            };
            Ok(match seen.swap(value).await? {
                Swapped::Done => Swap::Done,
                Swapped::Lost(now) => Swap::Lost(self.table.push(now)?),
            })
        })
    }

    pub(super) async fn get_many(
        &mut self,
        bucket: &Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Values, Stop> {
        through!(self, "batch.get-many", (bucket.rep(), &keys), {
            Ok(self.bucket(bucket)?.get_many(keys).await?)
        })
    }

    pub(super) async fn set_many(
        &mut self,
        bucket: &Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Stop> {
        through!(self, "batch.set-many", (bucket.rep(), Pairs(&pairs)), {
            Ok(self.bucket(bucket)?.set_many(pairs).await?)
        })
    }

    pub(super) async fn delete_many(
        &mut self,
        bucket: &Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Stop> {
        through!(self, "batch.delete-many", (bucket.rep(), &keys), {
            Ok(self.bucket(bucket)?.delete_many(keys).await?)
        })
    }

    /// The guest lets go of a bucket, or of a key as it was seen.
    pub(super) fn close<R: 'static>(&mut self, held: Resource<R>) -> wasmtime::Result<()> {
        self.seam.release(self.table, held)?;
        Ok(())
    }
}

impl Fails<KvAnswer> for Stop {
    fn tell(self) -> (Result<KvAnswer, Stopped>, Self) {
        match self {
            Self::Error(error) => {
                let answer = match &error {
                    KvError::NoSuchStore => KvAnswer::NoSuchStore,
                    other => KvAnswer::Failed(other.to_string()),
                };
                (Ok(answer), Self::Error(error))
            }
            Self::Trap(error) => {
                let (answer, error) = error.tell();
                (answer, Self::Trap(error))
            }
        }
    }

    fn told(answer: KvAnswer) -> Result<Self, KvAnswer> {
        match answer {
            KvAnswer::NoSuchStore => Ok(Self::Error(KvError::NoSuchStore)),
            KvAnswer::Failed(words) => Ok(Self::Error(KvError::Refused(words))),
            other => Err(other),
        }
    }

    fn stop(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl<R: 'static> Told<KvAnswer> for Resource<R> {
    fn tell(&self) -> KvAnswer {
        KvAnswer::Held
    }

    fn told(answer: KvAnswer, table: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            KvAnswer::Held => Ok(Hollow::hold(table)?),
            _ => Err(unfit()),
        }
    }
}

impl Told<KvAnswer> for Page {
    fn tell(&self) -> KvAnswer {
        KvAnswer::Keys(self.0.clone(), self.1.map(|next| next.to_string()))
    }

    fn told(answer: KvAnswer, _: &mut ResourceTable) -> wasmtime::Result<Self> {
        let KvAnswer::Keys(keys, next) = answer else {
            return Err(unfit());
        };
        let next = next.map(|next| Cursor::parse(&next)).transpose();
        Ok((keys, next.map_err(|_| unfit())?))
    }
}

impl Told<KvAnswer> for Swap {
    fn tell(&self) -> KvAnswer {
        match self {
            Self::Done => KvAnswer::Done,
            Self::Lost(_) => KvAnswer::Lost,
        }
    }

    fn told(answer: KvAnswer, table: &mut ResourceTable) -> wasmtime::Result<Self> {
        match answer {
            KvAnswer::Done => Ok(Self::Done),
            KvAnswer::Lost => Ok(Self::Lost(Hollow::hold(table)?)),
            _ => Err(unfit()),
        }
    }
}

told_as! {
    KvAnswer: nothing = Done,
    Option<Vec<u8>> = Value,
    bool = Exists,
    i128 = Count,
    Values = Pairs,
}
