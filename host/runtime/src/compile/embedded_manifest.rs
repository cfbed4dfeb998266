//! What a tool asks for, carried by its component: the text of its `tool.toml` in a custom section
//! at the end. `toolhost build` writes it, `toolhost add` reads it.
//!
//! It knows nothing of what the text means. Nothing is granted by it: it is a wish.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{BinaryReader, BinaryReaderError};

use super::bounded::utf8;
use crate::terms::{Code, Fault};

/// How a component begins.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// The section's name.
pub const SECTION: &str = "toolhost:tool.toml";

/// The longest text, in bytes.
pub const MOST: usize = 64 << 10;

/// The component with this text in place of any that it had.
///
/// # Errors
///
/// `bad-component` where the text is too long, or the bytes are no component.
pub fn embed(component: &[u8], text: &str) -> Result<Vec<u8>, Fault> {
    if text.len() > MOST {
        return Err(too_long(text.len()));
    }
    let mut bytes = Vec::with_capacity(component.len() + text.len() + 64);
    let mut kept = 0;
    for one in sections(component)? {
        bytes.extend_from_slice(component.get(kept..one.whole.start).unwrap_or_default());
        kept = one.whole.end;
    }
    bytes.extend_from_slice(component.get(kept..).unwrap_or_default());
    let section = CustomSection {
        name: Cow::Borrowed(SECTION),
        data: Cow::Borrowed(text.as_bytes()),
    };
    section.append_to_component(&mut bytes);
    Ok(bytes)
}

/// The text that a component carries, where it carries one.
///
/// # Errors
///
/// `bad-component` where it carries several, one that is too long, or one that is no UTF-8.
pub fn embedded(component: &[u8]) -> Result<Option<String>, Fault> {
    let sections = sections(component)?;
    let [one] = sections.as_slice() else {
        return match sections.len() {
            0 => Ok(None),
            count => Err(bad(format!("it has {count} sections `{SECTION}`"))),
        };
    };
    if one.data.len() > MOST {
        return Err(too_long(one.data.len()));
    }
    let text = utf8(one.data.to_vec());
    text.map(Some)
        .map_err(|error| bad(format!("its section `{SECTION}`: {error}")))
}

fn bad(why: String) -> Fault {
    let say = format!("what the component says it asks for cannot be read: {why}");
    Fault::new(Code::BadComponent, say)
}

fn too_long(bytes: usize) -> Fault {
    bad(format!(
        "its `tool.toml` has {bytes} bytes; {MOST} are allowed"
    ))
}

/// One section of that name.
struct Found<'a> {
    /// With its id and length.
    whole: Range<usize>,
    data: &'a [u8],
}

/// The component's own sections of that name; those of modules and components within it are theirs.
fn sections(component: &[u8]) -> Result<Vec<Found<'_>>, Fault> {
    let damaged = |error: BinaryReaderError| bad(error.to_string());
    let Some(rest) = component.strip_prefix(HEADER) else {
        return Err(bad("it is no component".to_owned()));
    };
    let mut reader = BinaryReader::new(rest, HEADER.len());
    let mut found = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let (custom, content) = section(&mut reader).map_err(damaged)?;
        if !custom {
            continue;
        }
        let mut content = BinaryReader::new(content, 0);
        if content.read_string().map_err(damaged)? == SECTION {
            let whole = start..reader.original_position();
            let rest = content.bytes_remaining();
            let data = content.read_bytes(rest).map_err(damaged)?;
            found.push(Found { whole, data });
        }
    }
    Ok(found)
}

/// The next section: whether it is a custom one, and its bytes.
fn section<'a>(reader: &mut BinaryReader<'a>) -> Result<(bool, &'a [u8]), BinaryReaderError> {
    let custom = reader.read_u8()? == 0;
    let size = reader.read_var_u32()?;
    let content = reader.read_bytes(usize::try_from(size).unwrap_or(usize::MAX))?;
    Ok((custom, content))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A component with a section of its own, a module with one of the same name as ours, and ours
    /// before both where there is a text.
    fn component(text: Option<&str>) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        let mut custom = |name: &str, data: &[u8]| {
            let section = CustomSection {
                name: name.into(),
                data: data.into(),
            };
            section.append_to_component(&mut bytes);
        };
        if let Some(text) = text {
            custom(SECTION, text.as_bytes());
        }
        custom("package-docs", &[0; 200]);
        let mut module = wasm_encoder::Module::new();
        module.section(&CustomSection {
            name: SECTION.into(),
            data: b"a module's own".into(),
        });
        wasm_encoder::ModuleSection(&module).append_to_component(&mut bytes);
        bytes
    }

    fn said<T>(result: Result<T, Fault>) -> String {
        result.map_or_else(|fault| fault.say.into_owned(), |_| String::new())
    }

    #[test]
    fn what_is_embedded_is_read_and_replaced() {
        let bare = component(None);
        assert_eq!(embedded(&bare), Ok(None));
        let first = embed(&bare, "[tool.a]\n").unwrap();
        assert!(first.starts_with(&bare));
        assert_eq!(embedded(&first), Ok(Some("[tool.a]\n".to_owned())));
        for before in [first, component(Some("older"))] {
            let second = embed(&before, "é").unwrap();
            assert_eq!(second, embed(&bare, "é").unwrap());
            assert!(wasmparser::validate(&second).is_ok());
        }
    }

    #[test]
    fn it_is_bounded_and_one() {
        let bare = component(None);
        let longest = "a".repeat(MOST);
        assert_eq!(
            embedded(&embed(&bare, &longest).unwrap()),
            Ok(Some(longest))
        );
        assert!(said(embed(&bare, &"a".repeat(MOST + 1))).contains("65537 bytes"));
        let mut twice = component(Some("a"));
        twice.extend_from_slice(component(Some("b")).get(HEADER.len()..).unwrap());
        assert!(said(embedded(&twice)).contains("2 sections"));
        assert_eq!(
            embedded(&embed(&twice, "c").unwrap()),
            Ok(Some("c".to_owned()))
        );
        let mut long = component(None);
        let section = CustomSection {
            name: SECTION.into(),
            data: vec![b'a'; MOST + 1].into(),
        };
        section.append_to_component(&mut long);
        assert!(said(embedded(&long)).contains("65537 bytes"));
        let mut binary = component(None);
        let section = CustomSection {
            name: SECTION.into(),
            data: b"\xff"[..].into(),
        };
        section.append_to_component(&mut binary);
        assert!(said(embedded(&binary)).contains("UTF-8"));
    }

    #[test]
    fn what_is_cut_off_is_said() {
        let whole = component(Some("text"));
        for end in 0..whole.len() {
            // At the end of a section it is whole, with less in it.
            let part = whole.get(..end).unwrap();
            assert_eq!(embedded(part).is_err(), embed(part, "").is_err(), "{end}");
        }
        assert!(said(embedded(b"\0asm\x01\0\0\0")).contains("no component"));
        let mut endless = HEADER.to_vec();
        endless.extend_from_slice(b"\0\xff\xff\xff\xff\x0f");
        assert!(!said(embedded(&endless)).is_empty());
    }
}
