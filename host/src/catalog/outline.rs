//! The types of a component's outside, as far as they decide what it needs: which of its imports only
//! name types, so that nobody has to provide them; and what of the component model it uses.
//!
//! It follows the indices that a component gives its types, and knows nothing of what is in them.

use wasmparser::{
    ComponentAlias, ComponentDefinedType, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentType, ComponentTypeDeclaration, ComponentTypeRef, ComponentValType,
    InstanceTypeDeclaration, PrimitiveValType, TypeBounds,
};

/// The types of a component, in the order of their indices.
#[derive(Default)]
pub(super) struct Outline {
    /// Of each whether it is that of an instance with nothing in it but types.
    types_alone: Vec<bool>,
}

impl Outline {
    /// A type is defined.
    pub(super) fn define(&mut self, ty: &ComponentType<'_>) {
        let alone = match ty {
            ComponentType::Instance(parts) => parts.iter().all(is_type),
            _ => false,
        };
        self.types_alone.push(alone);
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

/// What a type has in it of that, the first there is.
pub(super) fn extra(ty: &ComponentType<'_>) -> Option<Extra> {
    match ty {
        ComponentType::Defined(defined) => defined_extra(defined),
        ComponentType::Func(function) if function.async_ => Some(Extra::Async),
        ComponentType::Func(function) => {
            let mut parameters = function.params.iter().map(|(_, ty)| ty);
            parameters
                .find_map(value)
                .or_else(|| function.result.as_ref().and_then(value))
        }
        ComponentType::Instance(parts) => parts.iter().find_map(|part| match part {
            InstanceTypeDeclaration::Type(ty) => extra(ty),
            _ => None,
        }),
        ComponentType::Component(parts) => parts.iter().find_map(|part| match part {
            ComponentTypeDeclaration::Type(ty) => extra(ty),
            _ => None,
        }),
        ComponentType::Resource { .. } => None,
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
