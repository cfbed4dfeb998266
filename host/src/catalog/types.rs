//! A component's types, read one level after the other: types within types would make a reader that
//! follows them use up its stack. It says whether the component model's async is among them.

use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentDefinedType, ComponentImport, ComponentType,
    InstanceTypeDeclaration,
};

use super::shape::Oversize;

/// Types of components and instances within each other. Those of imported interfaces are one level.
const DEPTH: usize = 32;

/// Whether a section of types, which begins at this place of the file, has async functions, streams or
/// futures in it. An engine without async refuses those, whoever uses them.
pub(super) fn have_async(content: &[u8], start: usize) -> Result<bool, Oversize> {
    let mut reader = BinaryReader::new(content, start);
    let mut found = false;
    // What is still to come on each level: types on the first, declarations on all others.
    let mut levels = vec![reader.read_var_u32()?];
    while let Some(left) = levels.last_mut() {
        let Some(less) = left.checked_sub(1) else {
            levels.pop();
            continue;
        };
        *left = less;
        if levels.len() > 1 && !is_type(&mut reader)? {
            continue;
        }
        match reader.clone().read_u8()? {
            // The type of a component, or of an instance.
            0x41 | 0x42 => {
                reader.read_u8()?;
                if levels.len() >= DEPTH {
                    let most = u64::try_from(DEPTH).unwrap_or(u64::MAX);
                    return Err(Oversize::Count("levels of types within each other", most));
                }
                levels.push(reader.read_var_u32()?);
            }
            _ => found |= is_async(&reader.read()?),
        }
    }
    Ok(found)
}

/// Whether a declaration is that of a type, which comes next; any other one is read.
fn is_type(reader: &mut BinaryReader<'_>) -> Result<bool, BinaryReaderError> {
    let mut ahead = reader.clone();
    match ahead.read_u8()? {
        0x01 => {
            *reader = ahead;
            return Ok(true);
        }
        // The one that only a component's type has.
        0x03 => {
            ahead.read::<ComponentImport<'_>>()?;
            *reader = ahead;
        }
        // No type, so nothing that this could follow.
        _ => {
            reader.read::<InstanceTypeDeclaration<'_>>()?;
        }
    }
    Ok(false)
}

const fn is_async(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Func(function) => function.async_,
        ComponentType::Defined(ty) => matches!(
            ty,
            ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_)
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::inspect::sections;
    use super::*;

    /// Whether a component's types have async in them, and what else is said of it.
    fn of(bytes: &[u8]) -> Result<bool, &'static str> {
        match sections(bytes) {
            Ok(inspected) => Ok(inspected.has_async),
            Err(Oversize::Count(what, _)) => Err(what),
            Err(Oversize::Damaged(_)) => Err("damaged"),
        }
    }

    #[test]
    fn async_is_found_wherever_it_is_written() {
        for (text, found) in [
            ("(type (func))", false),
            ("(type (func async))", true),
            ("(type (stream u8))", true),
            ("(type (future))", true),
            ("(type (record (field \"a\" u8)))", false),
            ("(type (instance (type (func async))))", true),
            (
                "(type (component (import \"a\" (func)) (type (instance
                    (type $r (record (field \"a\" u8))) (export \"r\" (type (eq $r)))
                    (export \"s\" (type (sub resource)))
                    (type (list string)))) (core type (module)) (type (func async))))",
                true,
            ),
            (
                "(type $t (func)) (type (component (alias outer 1 $t (type $u))
                    (export \"f\" (func (type $u)))))",
                false,
            ),
        ] {
            let whole = wat::parse_str(format!("(component {text})")).unwrap();
            assert_eq!(of(&whole), Ok(found), "{text}");
            for end in 9..whole.len() {
                // At the end of a section it is whole, with less in it.
                let part = of(whole.get(..end).unwrap());
                assert!(matches!(part, Ok(_) | Err("damaged")), "{text}: {part:?}");
            }
        }
    }

    /// So many types of instances within each other.
    fn nested(levels: usize) -> Vec<u8> {
        let mut section = vec![1];
        for _ in 1..levels {
            section.extend_from_slice(&[0x42, 1, 1]);
        }
        section.extend_from_slice(&[0x42, 0]);
        let length = u32::try_from(section.len()).unwrap();
        let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
        for at in 0..4 {
            bytes.push((length >> (7 * at) & 0x7f) as u8 | 0x80);
        }
        bytes.push((length >> 28) as u8);
        bytes.extend_from_slice(&section);
        bytes
    }

    #[test]
    fn types_within_types_are_measured_and_not_followed() {
        assert_eq!(of(&nested(DEPTH - 1)), Ok(false));
        let deep = Err("levels of types within each other");
        assert_eq!(of(&nested(DEPTH)), deep);
        assert_eq!(of(&nested(5_000_000)), deep);
    }
}
