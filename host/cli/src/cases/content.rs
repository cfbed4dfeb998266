//! Values in a file of cases: JSON, texts, and content that may lie in a file of its own. It knows no
//! case.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

use super::super::authoring::beneath;

/// The largest file that content is taken from, in bytes.
const MOST_CONTENT: u64 = 32 << 20;

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "write a text, or a list of texts")]
pub(super) enum Texts {
    One(String),
    All(Vec<String>),
}

impl Texts {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::All(texts) => texts,
        }
    }
}

/// A JSON value: a TOML value, or a text that holds JSON.
#[derive(Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(super) struct Json(pub(super) Value);

/// Bytes: a text, base64, or a file beside the cases.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "content is a text, { base64 = \"...\" } or { file = \"...\" }"
)]
pub(super) enum Content {
    Text(String),
    Base64(Base64),
    File(FromFile),
    /// What a `file` held, once it was read.
    #[serde(skip)]
    Bytes(Vec<u8>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Base64 {
    #[serde(deserialize_with = "base64")]
    base64: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromFile {
    file: PathBuf,
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Base64(one) => &one.base64,
            Self::Bytes(bytes) => bytes,
            // Replaced before anybody asks.
            Self::File(_) => &[],
        }
    }

    /// Takes the content of a file in, where one is named.
    ///
    /// # Errors
    ///
    /// It cannot be read there, or is more than there is `room` for, in bytes.
    pub(super) fn load(&mut self, folder: &Path, room: &mut u64) -> anyhow::Result<()> {
        if let Self::File(named) = self {
            let path = &named.file;
            ensure!(
                stays_below(path),
                "{path:?} is no path below the folder of cases"
            );
            let bytes = beneath(folder, path, MOST_CONTENT.min(*room));
            let bytes = bytes.with_context(|| format!("cannot read {path:?} of the folder of cases, of whose files {room} more bytes are held at once"))?;
            *room = room.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            *self = Self::Bytes(bytes);
        }
        Ok(())
    }
}

fn base64<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(&text);
    decoded.map_err(|error| serde::de::Error::custom(format!("not base64: {error}")))
}

impl TryFrom<toml::Value> for Json {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        if let toml::Value::String(text) = &value {
            let parsed = serde_json::from_str(text);
            return parsed.map(Self).map_err(|error| {
                format!("this text is not JSON ({error}); a JSON text is written '\"...\"'")
            });
        }
        json(value).map(Self)
    }
}

fn json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or("JSON has neither infinity nor NaN")?
            .into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(_) => return Err("JSON has no dates; write it as a text".to_owned()),
        toml::Value::Array(list) => list.into_iter().map(json).collect::<Result<_, _>>()?,
        toml::Value::Table(table) => {
            let members = table
                .into_iter()
                .map(|(key, value)| Ok((key, json(value)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

/// Whether a path stays below the folder it is relative to.
pub(super) fn stays_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
