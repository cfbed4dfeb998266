//! What a component's own documentation says of its functions: the section `package-docs`, in which
//! the tools of WIT keep comments. It is the author's text, bounded and cleaned like all of his words
//! later on.

use serde_json::Value;
use wasmparser::{Parser, Payload};

use crate::sandbox::FunctionOrigin;

/// The section's name, as wit-parser has it.
const SECTION: &str = "package-docs";

/// What is read of all such sections together, in bytes.
const MOST: usize = 1 << 20;

/// The comments of a component's WIT. Empty where it has none, or none that can be read: nothing
/// depends on them.
#[derive(Debug, Default)]
pub struct Docs(Vec<Value>);

impl Docs {
    /// Reads the sections of a component that was found sound.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut found = Vec::new();
        let mut left = MOST;
        for payload in Parser::new(0).parse_all(bytes) {
            let Ok(payload) = payload else { break };
            if let Payload::CustomSection(section) = payload
                && section.name() == SECTION
                && let Some(less) = left.checked_sub(section.data().len())
                // A byte for the format's version, which says only what may be there besides.
                && let Some((_, json)) = section.data().split_first()
                && let Ok(value) = serde_json::from_slice(json)
            {
                left = less;
                found.push(value);
            }
        }
        Self(found)
    }

    /// What is said of a function.
    #[must_use]
    pub fn function<'d>(&'d self, origin: &FunctionOrigin) -> Option<&'d str> {
        self.0.iter().find_map(|package| match &origin.interface {
            Some(interface) => {
                let plain = interface.split('@').next()?;
                let name = plain.rsplit('/').next()?;
                let among = |item: &'d Value| said(item.get("funcs")?.get(&origin.function)?);
                let named = package.get("interfaces").and_then(|all| all.get(name));
                let inline =
                    worlds(package).filter_map(|world| world.get("interface_exports")?.get(name));
                named.into_iter().chain(inline).find_map(among)
            }
            None => worlds(package).find_map(|world| {
                let exports = world.get("func_exports").or_else(|| world.get("funcs"))?;
                said(exports.get(&origin.function)?)
            }),
        })
    }
}

fn worlds(package: &Value) -> impl Iterator<Item = &Value> {
    let worlds = package.get("worlds").and_then(Value::as_object);
    worlds.into_iter().flat_map(|worlds| worlds.values())
}

/// The first format has a text, the second an object with one.
fn said(function: &Value) -> Option<&str> {
    let text = function
        .as_str()
        .or_else(|| function.get("docs")?.as_str())?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with nothing in it but this section.
    fn component(data: &[u8]) -> Vec<u8> {
        let mut section = vec![u8::try_from(SECTION.len()).unwrap_or(0)];
        section.extend_from_slice(SECTION.as_bytes());
        section.extend_from_slice(data);
        let length = u8::try_from(section.len() & 0x7f).unwrap_or(0) | 0x80;
        let more = u8::try_from(section.len() >> 7).unwrap_or(0);
        let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
        bytes.extend_from_slice(&[length, more]);
        bytes.extend_from_slice(&section);
        bytes
    }

    fn said(docs: &Docs, interface: Option<&str>, function: &str) -> Option<String> {
        let origin = FunctionOrigin {
            interface: interface.map(ToOwned::to_owned),
            function: function.to_owned(),
        };
        docs.function(&origin).map(ToOwned::to_owned)
    }

    #[test]
    fn comments_are_found_by_interface_and_function() {
        let json = br#"{"interfaces":{"api":{"docs":"all","funcs":{"get":{"docs":" Gets it.\n"},"bare":{}}}},
            "worlds":{"w":{"func_exports":{"add":{"docs":"Adds."}},"interface_exports":{"inner":{"funcs":{"go":"Goes."}}}}}}"#;
        let docs = Docs::of(&component(&[&[1][..], json].concat()));
        let get = said(&docs, Some("local:forecast/api@1.0.0"), "get");
        assert_eq!(get.as_deref(), Some("Gets it."));
        assert_eq!(said(&docs, None, "add").as_deref(), Some("Adds."));
        assert_eq!(said(&docs, Some("inner"), "go").as_deref(), Some("Goes."));
        assert_eq!(said(&docs, Some("local:forecast/api"), "bare"), None);
        assert_eq!(said(&docs, Some("local:other/api2"), "get"), None);
    }

    #[test]
    fn all_sections_together_are_bounded() {
        let get = |name: &str| {
            format!("\u{1}{{\"worlds\":{{\"w\":{{\"funcs\":{{\"{name}\":\"x\"}}}}}}}}")
        };
        let section = |text: String| component(text.as_bytes()).split_off(8);
        let long = get("a") + &" ".repeat(16_000);
        let mut bytes = component(get("first").as_bytes());
        for _ in 0..70 {
            bytes.extend_from_slice(&section(long.clone()));
        }
        bytes.extend_from_slice(&section(get(&"last".repeat(4_000))));
        let docs = Docs::of(&bytes);
        assert_eq!(said(&docs, None, "first").as_deref(), Some("x"));
        assert!(docs.0.len() < 70, "{}", docs.0.len());
        assert_eq!(said(&docs, None, &"last".repeat(4_000)), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_there() {
        for data in [
            &b""[..],
            b"\x01",
            b"\x01{",
            b"\x01[1]",
            b"\x01{\"interfaces\":3}",
        ] {
            let docs = Docs::of(&component(data));
            assert_eq!(said(&docs, Some("a:b/api"), "get"), None);
            assert_eq!(said(&docs, None, "get"), None);
        }
    }
}
