//! The buckets by their functions, without Wasm: quotas, isolation, order, and what calls at once do to
//! each other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::rules::Range;
use super::space::{Name, Quota};
use super::store::{Bucket, Swapped};
use super::tally::Tally;
use super::*;
use crate::grants::KvGrant;
use crate::shares::Account;
use crate::terms::{AttemptSink, Clock, Target, Usage};
use toolhost_outbound::{AttemptLog, Noted, Unrecordable};
use toolhost_store::{JobOwner, Store};

struct House {
    _folder: tempfile::TempDir,
    store: Store,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path(), Clock::SYSTEM);
        Self {
            _folder: folder,
            store,
        }
    }

    fn bucket(&self, owner: &str, name: &str, caller: &str) -> Bucket {
        self.limited(owner, name, caller, (1 << 20, 1_000))
    }

    fn limited(&self, owner: &str, name: &str, caller: &str, (bytes, keys): (i64, i64)) -> Bucket {
        self.recorded(owner, name, caller, (bytes, keys)).0
    }

    fn recorded(
        &self,
        owner: &str,
        name: &str,
        caller: &str,
        (bytes, keys): (i64, i64),
    ) -> (Bucket, Arc<Noted>) {
        let record = Arc::new(Noted::default());
        let bucket = self.writing(owner, name, caller, (bytes, keys), record.clone());
        (bucket, record)
    }

    fn writing(
        &self,
        owner: &str,
        name: &str,
        caller: &str,
        (bytes, keys): (i64, i64),
        record: Arc<dyn AttemptSink>,
    ) -> Bucket {
        let attempts = AttemptLog::new(record, None);
        let grant = KvGrant {
            name: name.into(),
            line: 3,
            owner: owner.into(),
            bytes: 0,
            keys: 0,
            per_caller: false,
        };
        Bucket {
            database: self.store.database().expect("a database"),
            name: Arc::new(Name {
                owner: owner.into(),
                name: name.into(),
                caller: caller.into(),
            }),
            owner: JobOwner {
                caller: caller.into(),
                tool: owner.into(),
            },
            quota: Quota { bytes, keys },
            grant: 0,
            deadline: Instant::now() + Duration::from_secs(60),
            account: Account::new(16 << 20),
            tally: Arc::new(Tally::new(&[grant], &attempts)),
        }
    }
}

async fn put(bucket: &Bucket, key: &str, value: &str) -> Result<(), KvError> {
    bucket.set(key.to_owned(), value.as_bytes().to_vec()).await
}

async fn at(bucket: &Bucket, key: &str) -> Option<String> {
    let value = bucket.get(key.to_owned()).await.expect("an answer");
    value.map(|value| String::from_utf8(value).expect("text"))
}

async fn keys(bucket: &Bucket) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), Cursor::default());
    loop {
        let (keys, next) = bucket.page(from).await.expect("a page");
        assert!(keys.len() <= PAGE);
        all.extend(keys);
        match next {
            Some(next) => from = next,
            None => return all,
        }
    }
}

#[tokio::test]
async fn what_is_set_is_there_until_it_is_deleted() {
    let house = House::new();
    let bucket = house.bucket("t", "b", "");
    assert_eq!(at(&bucket, "a").await, None);
    put(&bucket, "a", "1").await.expect("a write");
    put(&bucket, "a", "2").await.expect("a write");
    assert_eq!(at(&bucket, "a").await.as_deref(), Some("2"));
    assert!(bucket.exists("a".to_owned()).await.expect("an answer"));
    bucket.delete("a".to_owned()).await.expect("a deletion");
    bucket.delete("a".to_owned()).await.expect("a deletion");
    assert_eq!(at(&bucket, "a").await, None);
    assert_eq!(keys(&bucket).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_bucket_is_its_owners_its_names_and_its_callers() {
    let house = House::new();
    let names = [
        ("t", "b", ""),
        ("t", "c", ""),
        ("u", "b", ""),
        ("t.f", "b", ""),
        ("t", "b", "ann"),
        ("t", "b", "ann/b"),
        ("t", "b", "ann/"),
    ];
    for (owner, name, caller) in names {
        let bucket = house.bucket(owner, name, caller);
        let own = format!("{owner} {name} {caller}");
        assert_eq!(keys(&bucket).await, Vec::<String>::new(), "{own}");
        put(&bucket, "k", &own).await.expect("a write");
    }
    for (owner, name, caller) in names {
        let bucket = house.bucket(owner, name, caller);
        assert_eq!(
            at(&bucket, "k").await,
            Some(format!("{owner} {name} {caller}"))
        );
        bucket.delete("k".to_owned()).await.expect("a deletion");
    }
}

#[tokio::test]
async fn the_quota_is_exact_to_the_byte_and_the_key() {
    let house = House::new();
    let bucket = house.limited("t", "b", "", (10, 3));
    put(&bucket, "a", "123456789").await.expect("ten bytes");
    let full = put(&bucket, "b", "").await.expect_err("an eleventh byte");
    assert!(full.to_string().contains("10 bytes"), "{full}");
    put(&bucket, "a", "").await.expect("one byte");
    for key in ["b", "c"] {
        put(&bucket, key, "1").await.expect("a key");
    }
    let full = put(&bucket, "d", "").await.expect_err("a fourth key");
    assert!(full.to_string().contains("3 keys"), "{full}");
    assert_eq!(
        keys(&bucket).await,
        ["a", "b", "c"],
        "nothing of what was refused"
    );
    bucket.delete("b".to_owned()).await.expect("a deletion");
    put(&bucket, "d", "").await.expect("a key in its place");

    // The operator makes it smaller: it can shrink, and not grow.
    let smaller = house.limited("t", "b", "", (2, 1));
    put(&smaller, "c", "1").await.expect("as large as before");
    put(&smaller, "c", "").await.expect("smaller than before");
    put(&smaller, "c", "1")
        .await
        .expect_err("larger than before");
}

/// A batch is refused as a whole, and so is what a batch would leave behind.
#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let house = House::new();
    let bucket = house.limited("t", "b", "", (1_000, 3));
    let pair = |key: &str| (key.to_owned(), b"1".to_vec());
    let refused = bucket
        .set_many(vec![pair("a"), pair("b"), pair("c"), pair("d")])
        .await;
    refused.expect_err("four keys");
    assert_eq!(keys(&bucket).await, Vec::<String>::new());
    let again = vec![pair("a"), pair("b"), pair("a")];
    bucket.set_many(again).await.expect("two keys, one twice");
    let wanted = ["b", "x", "a"].map(str::to_owned).to_vec();
    let got = bucket.get_many(wanted).await.expect("values");
    let got: Vec<_> = got
        .iter()
        .map(|(key, value)| (key.as_str(), value.is_some()))
        .collect();
    assert_eq!(got, [("b", true), ("x", false), ("a", true)]);
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_whatever_happens_meanwhile() {
    let house = House::new();
    let bucket = house.limited("t", "b", "", (1 << 20, 5_000));
    let make = |from: usize, to: usize| {
        let pairs = (from..to).map(|n| (format!("k{n}"), Vec::new()));
        bucket.set_many(pairs.collect())
    };
    make(0, 900).await.expect("keys");
    make(900, 1_700).await.expect("keys");
    let (first, next) = bucket.page(Cursor::default()).await.expect("a page");
    assert_eq!(first.len(), PAGE);
    // Before the place, behind it, and at it.
    for gone in ["k0", "k499", "k500", "k1699"] {
        bucket.delete(gone.to_owned()).await.expect("a deletion");
    }
    put(&bucket, "k0", "back").await.expect("a key");
    put(&bucket, "k700", "changed").await.expect("a key");
    let (mut rest, mut from) = (Vec::new(), next);
    while let Some(cursor) = from {
        let (keys, next) = bucket.page(cursor).await.expect("a page");
        rest.extend(keys);
        from = next;
    }
    let distinct: BTreeSet<&String> = rest.iter().collect();
    assert_eq!(distinct.len(), rest.len(), "no key twice");
    assert_eq!(rest.len(), 1_200 - 2 + 1);
    assert_eq!(rest.last().map(String::as_str), Some("k0"));
    let beyond = bucket
        .page(Cursor::from_number(u64::MAX))
        .await
        .expect("a page");
    assert_eq!(beyond, (Vec::new(), None));
}

#[tokio::test]
async fn a_swap_wins_only_over_what_was_seen() {
    let house = House::new();
    let bucket = house.bucket("t", "b", "");
    let key = || "k".to_owned();
    let seen = bucket.seen(key()).await.expect("a key");
    put(&bucket, "k", "other").await.expect("a write");
    let Ok(Swapped::Lost(mut now)) = seen.swap(b"mine".to_vec()).await else {
        panic!("the key had come into being")
    };
    assert_eq!(
        now.current().await.expect("a value").as_deref(),
        Some(&b"other"[..])
    );
    assert!(matches!(
        now.swap(b"mine".to_vec()).await,
        Ok(Swapped::Done)
    ));
    assert_eq!(at(&bucket, "k").await.as_deref(), Some("mine"));

    // Back to the same value by way of another is not the same.
    let seen = bucket.seen(key()).await.expect("a key");
    put(&bucket, "k", "x").await.expect("a write");
    put(&bucket, "k", "mine").await.expect("a write");
    assert!(matches!(
        seen.swap(b"late".to_vec()).await,
        Ok(Swapped::Lost(_))
    ));
    let seen = bucket.seen(key()).await.expect("a key");
    bucket.delete(key()).await.expect("a deletion");
    put(&bucket, "k", "mine").await.expect("a write");
    assert!(matches!(
        seen.swap(b"late".to_vec()).await,
        Ok(Swapped::Lost(_))
    ));
}

/// Many tasks: the sum is exact, and so is the quota.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_nothing_and_pass_no_quota() {
    let house = House::new();
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let bucket = house.limited("t", "b", "", (1 << 20, 50));
        tasks.spawn(async move {
            let mut taken = 0;
            for turn in 0..20 {
                let sum = bucket.increase("sum".to_owned(), 1, Range::U64).await;
                sum.expect("a sum");
                taken += usize::from(put(&bucket, &format!("k{n}-{turn}"), "").await.is_ok());
            }
            taken
        });
    }
    let taken: usize = tasks.join_all().await.into_iter().sum();
    let bucket = house.bucket("t", "b", "");
    assert_eq!(at(&bucket, "sum").await.as_deref(), Some("160"));
    assert_eq!(taken, 49, "beside the sum");
    assert_eq!(keys(&bucket).await.len(), 50);
}

#[tokio::test]
async fn values_that_do_not_fit_one_answer_are_refused() {
    let house = House::new();
    let bucket = house.limited("t", "b", "", (16 << 20, 10));
    for n in 0..5 {
        let value = vec![b'x'; MOST_VALUE];
        bucket.set(n.to_string(), value).await.expect("a value");
    }
    let ask = |n: usize| bucket.get_many((0..n).map(|n| n.to_string()).collect());
    assert_eq!(ask(4).await.expect("four of them").len(), 4);
    let refused = ask(5).await.expect_err("five of them");
    assert!(refused.to_string().contains("fewer keys"), "{refused}");
    // Asking in vain costs as much as an answer.
    for _ in 0..13 {
        let refused = ask(5).await.expect_err("five of them");
        assert!(refused.to_string().contains("fewer keys"), "{refused}");
    }
    let spent = ask(1).await.expect_err("enough was carried");
    assert!(spent.to_string().contains("used up"), "{spent}");
}

#[tokio::test]
async fn a_call_has_its_share_and_one_line_in_the_record() {
    let house = House::new();
    let (bucket, record) = house.recorded("t", "b", "", (3, 10));
    put(&bucket, "k", "12").await.expect("a write");
    put(&bucket, "k", "123")
        .await
        .expect_err("beyond the quota");
    for _ in 0..MOST_WISHES - 2 {
        bucket
            .tally
            .begin(0, super::tally::Kind::Read, (1, 0))
            .expect("a wish");
    }
    let spent = bucket.get("k".to_owned()).await.expect_err("one too many");
    assert!(spent.to_string().contains("10000 wishes"), "{spent}");
    drop(bucket);
    let usage = record.usage.lock().expect("whole").clone();
    let expected = Usage {
        of: "kv".into(),
        grant: Some("b".into()),
        reads: 9_998,
        writes: 2,
        refused: 2,
        read: 0,
        written: 7,
    };
    assert_eq!(usage, [expected]);
    // On record before the first write, and once.
    let attempts = record.all();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert!(matches!(attempts[0].0.to, Target::Kv(_)), "{attempts:?}");

    let (bucket, _record) = house.recorded("t", "c", "", (1 << 30, 10));
    let most = usize::try_from(MOST_CARRIED).expect("fits");
    bucket.tally.carried(0, most);
    put(&bucket, "k", "").await.expect_err("enough was carried");
}

#[tokio::test]
async fn a_write_that_cannot_be_recorded_is_not_made() {
    let house = House::new();
    let bucket = house.writing("t", "b", "", (1 << 20, 10), Arc::new(Unrecordable));
    let refused = put(&bucket, "k", "v").await.expect_err("a refusal");
    assert!(refused.to_string().contains("cannot record"), "{refused}");
    assert_eq!(at(&bucket, "k").await, None);
}
