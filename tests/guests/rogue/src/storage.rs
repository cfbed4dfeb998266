//! What a guest does with storage and configuration: ordinary use of every operation, floods, and
//! what no bucket takes.

#[cfg(target_arch = "wasm32")]
mod draft;

use toolhost_sdk::kv::{self, Error};
use toolhost_sdk::{JsonSchema, ToolError, config, tool};

/// Gives a key a value.
#[tool]
pub(crate) fn kv_set(
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The value.
    value: String,
) -> Result<(), ToolError> {
    Ok(kv::open(&bucket)?.set(&key, value)?)
}

/// What is there under a key.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Found {
    /// The value.
    value: Option<String>,
    /// What `exists` says.
    exists: bool,
}

/// Looks a key up.
#[tool]
pub(crate) fn kv_get(
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
) -> Result<Found, ToolError> {
    let bucket = kv::open(&bucket)?;
    Ok(Found {
        value: bucket.get_text(&key)?,
        exists: bucket.exists(&key)?,
    })
}

/// Deletes a key.
#[tool]
pub(crate) fn kv_delete(
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
) -> Result<(), ToolError> {
    Ok(kv::open(&bucket)?.delete(&key)?)
}

/// All keys, page by page.
#[tool]
pub(crate) fn kv_keys(
    /// The bucket.
    bucket: String,
) -> Result<Vec<String>, ToolError> {
    Ok(kv::open(&bucket)?.keys()?)
}

/// How a counter is counted up.
#[derive(Debug, Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum How {
    /// By the operation that is there for it.
    Increment,
    /// By compare-and-swap.
    Swap,
    /// By reading and writing, which loses what others write between the two.
    Set,
}

/// Counts a key up, again and again, and gives the last number.
#[tool]
pub(crate) fn kv_count(
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// How often.
    times: u32,
    /// By which means.
    how: How,
) -> Result<i64, ToolError> {
    let bucket = kv::open(&bucket)?;
    let mut last = 0;
    for _ in 0..times {
        last = match how {
            How::Increment => bucket.increment(&key, 1)?,
            How::Swap => number(Some(bucket.update(&key, plus_one)?)),
            How::Set => {
                let value = plus_one(bucket.get(&key)?);
                bucket.set(&key, &value)?;
                number(Some(value))
            }
        };
    }
    Ok(last)
}

fn number(value: Option<Vec<u8>>) -> i64 {
    let text = value.and_then(|value| String::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn plus_one(value: Option<Vec<u8>>) -> Vec<u8> {
    (number(value) + 1).to_string().into_bytes()
}

/// How far a flood came.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Flood {
    /// Writes that were taken.
    taken: u32,
    /// Why the next one was not.
    stopped: Option<String>,
}

/// Writes keys until one is refused, or for ever.
#[tool]
pub(crate) fn kv_flood(
    /// The bucket.
    bucket: String,
    /// What each key begins with.
    prefix: String,
    /// Bytes of each value.
    size: u32,
    /// How many at the most.
    most: u32,
    /// Writes the same key over and over.
    #[serde(default)]
    same: bool,
) -> Result<Flood, ToolError> {
    let bucket = kv::open(&bucket)?;
    let value = vec![b'x'; usize::try_from(size).map_err(ToolError::failed)?];
    for n in 0..most {
        let key = if same {
            prefix.clone()
        } else {
            format!("{prefix}{n}")
        };
        if let Err(error) = bucket.set(&key, &value) {
            return Ok(Flood {
                taken: n,
                stopped: Some(error.message),
            });
        }
    }
    Ok(Flood {
        taken: most,
        stopped: None,
    })
}

/// Tries what no bucket takes, and says what each came to.
#[tool]
pub(crate) fn kv_odd(
    /// A bucket that is granted.
    bucket: String,
) -> Result<Vec<String>, ToolError> {
    let bucket = kv::open(&bucket)?;
    let too_many: Vec<&str> = vec!["a"; 1_001];
    let too_many_pairs: Vec<(&str, &[u8])> = vec![("a", b"1"); 1_001];
    let mut tried = vec![
        said(bucket.set("", "x")),
        said(bucket.set("a\0b", "x")),
        said(bucket.set(&"k".repeat(1_025), "x")),
        said(bucket.set("large", vec![0; (1 << 20) + 1])),
        said(bucket.get_many(&too_many)),
        said(bucket.set_many(&too_many_pairs)),
        said(bucket.delete_many(&too_many)),
        said(bucket.set_many(&[("half", b"x"), ("", b"x")])),
        said(
            bucket
                .set("text", "no number")
                .and_then(|()| bucket.increment("text", 1)),
        ),
        said(
            bucket
                .set("most", i64::MAX.to_string())
                .and_then(|()| bucket.increment("most", 1)),
        ),
    ];
    for name in [
        "",
        "other",
        "Odd",
        "../odd",
        "odd\0",
        "rogue.kv_odd",
        "%",
        "odd' OR 1=1 --",
    ] {
        tried.push(said(kv::open(name)));
    }
    tried.extend(wild_cursors());
    bucket.delete_many(&["text", "most"])?;
    Ok(tried)
}

fn said<T>(tried: Result<T, Error>) -> String {
    match tried {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.message,
    }
}

fn wild_cursors() -> Vec<String> {
    #[cfg(target_arch = "wasm32")]
    return draft::wild_cursors();
    #[cfg(not(target_arch = "wasm32"))]
    Vec::new()
}

/// Opens a bucket again and again, and keeps every handle.
#[tool]
pub(crate) fn kv_hold(
    /// The bucket.
    bucket: String,
    /// How often.
    times: u32,
) -> Result<u32, ToolError> {
    let mut held = Vec::new();
    for _ in 0..times {
        held.push(kv::open(&bucket)?);
    }
    u32::try_from(held.len()).map_err(ToolError::failed)
}

/// The same through the first draft of the interface: sets, counts, lists and reads back.
#[tool]
pub(crate) fn kv_draft(
    /// The bucket.
    bucket: String,
    /// Keys to make.
    keys: u32,
) -> Result<Vec<String>, ToolError> {
    #[cfg(target_arch = "wasm32")]
    return draft::round(&bucket, keys).map_err(ToolError::failed);
    #[cfg(not(target_arch = "wasm32"))]
    Err(ToolError::failed(format_args!(
        "no {bucket} with {keys} keys outside a component"
    )))
}

/// What is configured.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Configured {
    /// The value of the key.
    value: Option<String>,
    /// Everything.
    all: Vec<(String, String)>,
}

/// Reads the configuration.
#[tool(name = "config")]
pub(crate) fn configured(
    /// The key.
    key: String,
) -> Configured {
    Configured {
        value: config::get(&key),
        all: config::all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolhost_sdk::Code;

    #[test]
    fn every_way_of_counting_counts() {
        kv::with_buckets(["n"], || {
            for (how, sum) in [(How::Increment, 3), (How::Swap, 6), (How::Set, 9)] {
                let last = kv_count("n".to_owned(), "k".to_owned(), 3, how);
                assert_eq!(last, Ok(sum));
            }
        });
    }

    #[test]
    fn without_a_grant_there_is_no_bucket() {
        let denied = kv_keys("n".to_owned()).map_err(|error| error.code);
        assert_eq!(denied, Err(Code::Denied));
    }
}
