//! The types of a component's outside, as far as they decide what it needs: which of its imports only
//! name types, so that nobody has to provide them; and what of the component model it uses.
//!
//! It follows the indices that a component gives its types, and knows nothing of what is in them.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentDefinedType, ComponentExternalKind, ComponentImport,
    ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType,
    InstanceTypeDeclaration, PrimitiveValType, TypeBounds,
};

use super::complexity::Oversize;

/// How deep types may be written within types. They are read by recursion, and what nests them is a
/// toolchain: an instance within a component's world within a package is three deep.
const DEPTH: u64 = 32;

/// What is to be known of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    /// It is that of an instance with nothing in it but types.
    types_alone: bool,
    /// What it has in it that not every engine runs, the first there is.
    pub(super) extra: Option<Extra>,
    /// How many fields, cases or elements the widest of its types has.
    pub(super) parts: usize,
}

/// Reads the types of a section, from behind its length.
pub(super) fn types(section: &[u8]) -> Result<Vec<Type>, Oversize> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32()?;
    (0..count).map(|_| one(&mut reader, 0)).collect()
}

fn one(reader: &mut BinaryReader<'_>, depth: u64) -> Result<Type, Oversize> {
    if depth > DEPTH {
        return Err(Oversize::Count("levels of types within types", DEPTH));
    }
    let lead = reader.clone().read_u8()?;
    let mut found = Type {
        types_alone: lead == INSTANCE,
        extra: None,
        parts: 0,
    };
    if !matches!(lead, INSTANCE | COMPONENT) {
        let ty = reader.read()?;
        found.extra = extra(&ty);
        found.parts = parts(&ty);
        return Ok(found);
    }
    reader.read_u8()?;
    for _ in 0..reader.read_var_u32()? {
        match reader.clone().read_u8()? {
            TYPE => {
                reader.read_u8()?;
                let inner = one(reader, depth + 1)?;
                found.extra = found.extra.or(inner.extra);
                found.parts = found.parts.max(inner.parts);
            }
            IMPORT => {
                reader.read_u8()?;
                reader.read::<ComponentImport<'_>>()?;
            }
            _ => found.types_alone &= is_type(&reader.read()?),
        }
    }
    Ok(found)
}

/// How the type of a component begins, and that of an instance.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
/// How a type begins that is declared in one of these, and an import.
const TYPE: u8 = 0x01;
const IMPORT: u8 = 0x03;

/// The types of a component, in the order of their indices.
#[derive(Default)]
pub(super) struct Outline {
    /// Of each whether it is that of an instance with nothing in it but types.
    types_alone: Vec<bool>,
}

impl Outline {
    /// A type is defined.
    pub(super) fn define(&mut self, ty: Type) {
        self.types_alone.push(ty.types_alone);
    }

    /// Something is imported; whether it only names a type, or several.
    pub(super) fn import(&mut self, ty: ComponentTypeRef) -> bool {
        match ty {
            ComponentTypeRef::Instance(index) => {
                let known = usize::try_from(index).ok();
                let known = known.and_then(|index| self.types_alone.get(index));
                known.copied().unwrap_or(false)
            }
            ComponentTypeRef::Type(bounds) => {
                self.types_alone.push(false);
                matches!(bounds, TypeBounds::Eq(_))
            }
            _ => false,
        }
    }

    /// Something gets another name, which is an index more where it is a type.
    pub(super) fn alias(&mut self, alias: &ComponentAlias<'_>) {
        if let ComponentAlias::InstanceExport {
            kind: ComponentExternalKind::Type,
            ..
        }
        | ComponentAlias::Outer {
            kind: ComponentOuterAliasKind::Type,
            ..
        } = alias
        {
            self.types_alone.push(false);
        }
    }

    /// Something is exported: the same.
    pub(super) fn export(&mut self, kind: ComponentExternalKind) {
        if kind == ComponentExternalKind::Type {
            self.types_alone.push(false);
        }
    }
}

/// Whether a part of an instance is a type that nobody has to make. A resource somebody has to.
fn is_type(part: &InstanceTypeDeclaration<'_>) -> bool {
    match part {
        InstanceTypeDeclaration::Export { ty, .. } => {
            matches!(ty, ComponentTypeRef::Type(TypeBounds::Eq(_)))
        }
        _ => true,
    }
}

/// What a type has in it that not every engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// An async function, a stream or a future.
    Async,
    /// What no engine of this host runs.
    Off(&'static str),
}

/// Of a type with no types written in it.
fn extra(ty: &ComponentType<'_>) -> Option<Extra> {
    match ty {
        ComponentType::Defined(defined) => defined_extra(defined),
        ComponentType::Func(function) if function.async_ => Some(Extra::Async),
        ComponentType::Func(function) => {
            let mut parameters = function.params.iter().map(|(_, ty)| ty);
            parameters
                .find_map(value)
                .or_else(|| function.result.as_ref().and_then(value))
        }
        ComponentType::Instance(_)
        | ComponentType::Component(_)
        | ComponentType::Resource { .. } => None,
    }
}

fn defined_extra(ty: &ComponentDefinedType<'_>) -> Option<Extra> {
    match ty {
        ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_) => Some(Extra::Async),
        ComponentDefinedType::FixedLengthList(..) => Some(Extra::Off("lists of fixed length")),
        ComponentDefinedType::Map(key, item) => value(key).or_else(|| value(item)),
        ComponentDefinedType::Primitive(ty) => primitive(*ty),
        ComponentDefinedType::Record(fields) => fields.iter().find_map(|(_, ty)| value(ty)),
        ComponentDefinedType::Variant(cases) => cases
            .iter()
            .find_map(|case| case.ty.as_ref().and_then(value)),
        ComponentDefinedType::Tuple(types) => types.iter().find_map(value),
        ComponentDefinedType::List(ty) | ComponentDefinedType::Option(ty) => value(ty),
        ComponentDefinedType::Result { ok, err } => {
            let side = |ty: &Option<ComponentValType>| ty.as_ref().and_then(value);
            side(ok).or_else(|| side(err))
        }
        ComponentDefinedType::Flags(_)
        | ComponentDefinedType::Enum(_)
        | ComponentDefinedType::Own(_)
        | ComponentDefinedType::Borrow(_) => None,
    }
}

/// How many parts a type with no types written in it has.
fn parts(ty: &ComponentType<'_>) -> usize {
    match ty {
        ComponentType::Defined(ComponentDefinedType::Record(fields)) => fields.len(),
        ComponentType::Defined(ComponentDefinedType::Variant(cases)) => cases.len(),
        ComponentType::Defined(ComponentDefinedType::Tuple(types)) => types.len(),
        ComponentType::Defined(ComponentDefinedType::Enum(names)) => names.len(),
        _ => 0,
    }
}

/// What is behind an index was looked at when it was defined.
fn value(ty: &ComponentValType) -> Option<Extra> {
    match ty {
        ComponentValType::Primitive(ty) => primitive(*ty),
        ComponentValType::Type(_) => None,
    }
}

fn primitive(ty: PrimitiveValType) -> Option<Extra> {
    (ty == PrimitiveValType::ErrorContext).then_some(Extra::Off("error contexts"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Vec<Type> {
        let bytes = wat::parse_str(format!("(component {text})")).unwrap();
        let mut found = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
            if let wasmparser::Payload::ComponentTypeSection(section) = payload.unwrap() {
                found.extend(types(bytes.get(section.range()).unwrap()).unwrap_or_default());
            }
        }
        found
    }

    #[test]
    fn instances_of_types_alone_are_told_from_others() {
        for (text, alone) in [
            ("(type (instance))", true),
            (
                "(type (instance (type $t u8) (export \"t\" (type (eq $t)))))",
                true,
            ),
            (
                "(type (instance (export \"r\" (type (sub resource)))))",
                false,
            ),
            ("(type (instance (export \"f\" (func))))", false),
            ("(type (instance (export \"i\" (instance))))", false),
            ("(type (component))", false),
            ("(type (record (field \"a\" u8)))", false),
        ] {
            let all = read(text);
            assert_eq!(all.last().map(|ty| ty.types_alone), Some(alone), "{text}");
        }
    }

    #[test]
    fn what_not_every_engine_runs_is_found_however_deep() {
        for (text, extra) in [
            ("(type (record (field \"a\" (list u8))))", None),
            ("(type (future))", Some(Extra::Async)),
            ("(type (func async (result u8)))", Some(Extra::Async)),
            (
                "(type (component (import \"f\" (func)) (type (instance (type (stream u8))))))",
                Some(Extra::Async),
            ),
            ("(type (map string u8))", None),
            (
                "(type (option (list u8 4)))",
                Some(Extra::Off("lists of fixed length")),
            ),
            (
                "(type (func (param \"x\" error-context)))",
                Some(Extra::Off("error contexts")),
            ),
        ] {
            let all = read(text);
            assert_eq!(all.iter().find_map(|ty| ty.extra), extra, "{text}");
        }
    }

    #[test]
    fn the_widest_type_is_found_however_deep() {
        for (text, parts) in [
            ("(type (list u8))", 0),
            ("(type (flags \"a\" \"b\"))", 0),
            ("(type (tuple u8 u8 u8))", 3),
            ("(type (enum \"a\" \"b\"))", 2),
            ("(type (record (field \"a\" u8)))", 1),
            (
                "(type (component (type (instance (type (variant (case \"a\") (case \"b\")))))))",
                2,
            ),
        ] {
            let all = read(text);
            assert_eq!(all.iter().map(|ty| ty.parts).max(), Some(parts), "{text}");
        }
    }

    #[test]
    fn types_within_types_are_counted_before_they_are_read() {
        let nested = |levels: usize| {
            let mut section = vec![1];
            for _ in 0..levels {
                section.extend([INSTANCE, 1, TYPE]);
            }
            section.extend([INSTANCE, 0]);
            types(&section)
        };
        assert_eq!(nested(32).map_err(drop).map(|all| all.len()), Ok(1));
        for levels in [33, 1_000_000] {
            assert!(matches!(
                nested(levels),
                Err(Oversize::Count("levels of types within types", 32))
            ));
        }
    }
}
