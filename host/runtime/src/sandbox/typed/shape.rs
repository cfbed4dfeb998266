//! The types of a component's functions as far as they can cross JSON, copied out of the engine into
//! a plain tree. Everything else about typed functions works on this tree alone.
//!
//! WIT types do not recurse, but they share: a few lines can name a tree of astronomical size. So
//! the tree is built under a budget.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use wasmtime::component::types::{self, Field, Type};

/// How deep types may be nested: what a schema validator, a JSON reader and a model still follow.
const DEPTH: u32 = 48;

/// Types, fields and cases of one function.
const NODES: u32 = 4_000;

/// A type that can cross JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// `true` and `false`.
    Bool,
    /// Whole numbers of at most 64 bits.
    Int(Int),
    /// 32 bits of floating point.
    F32,
    /// 64 bits of floating point.
    F64,
    /// One Unicode scalar value.
    Char,
    /// Text.
    String,
    /// `list<u8>`.
    Bytes,
    /// Any other list.
    List(Box<Shape>),
    /// Values by key.
    Map(Box<(Shape, Shape)>),
    /// Fields by name, in the type's order.
    Record(ByName<Named>),
    /// Values by place.
    Tuple(Vec<Shape>),
    /// One of several cases, each with or without a value.
    Variant(ByName<Case>),
    /// One of several names.
    Enum(ByName<Arc<str>>),
    /// Any of several names.
    Flags(ByName<Arc<str>>),
    /// A value or none.
    Option(Box<Shape>),
    /// A value or an error, either of which may be empty.
    Result(Payload, Payload),
}

/// What a case carries.
pub(super) type Payload = Option<Box<Shape>>;

/// A field or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) shape: Shape,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: Arc<str>,
    pub(super) payload: Payload,
}

/// What has a name.
pub(super) trait Name {
    fn name(&self) -> &Arc<str>;
}

impl Name for Named {
    fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Name for Case {
    fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Name for Arc<str> {
    fn name(&self) -> &Arc<str> {
        self
    }
}

/// Fields, cases or names in the type's order, each found by its name at the same cost however many
/// there are: every value of the type asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByName<T> {
    all: Vec<T>,
    /// Where each is; nothing where there are so few that looking through them is faster.
    places: HashMap<Arc<str>, usize>,
}

/// So many names are looked through.
const FEW: usize = 8;

impl<T: Name> ByName<T> {
    /// Where the one of this name is.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        if self.all.len() <= FEW {
            return self.all.iter().position(|one| **one.name() == *name);
        }
        self.places.get(name).copied()
    }

    /// The one of this name.
    pub(super) fn find(&self, name: &str) -> Option<&T> {
        self.all.get(self.place(name)?)
    }
}

impl<T: Name> FromIterator<T> for ByName<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let all: Vec<T> = all.into_iter().collect();
        let names = all.iter().map(|one| Arc::clone(one.name()));
        let places = match all.len() {
            ..=FEW => HashMap::new(),
            _ => names
                .enumerate()
                .map(|(place, name)| (name, place))
                .collect(),
        };
        Self { all, places }
    }
}

impl<T> Deref for ByName<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

/// The integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Int {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// The largest integer that every JSON reader keeps: 2^53 - 1 (RFC 8259, section 6).
pub(super) const SAFE: i128 = (1 << 53) - 1;

impl Int {
    /// Its smallest and largest value.
    pub(super) fn bounds(self) -> (i128, i128) {
        match self {
            Self::S8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
        }
    }

    /// Whether it has values that not every JSON reader keeps: those travel as decimal strings.
    pub(super) const fn is_wide(self) -> bool {
        matches!(self, Self::S64 | Self::U64)
    }
}

/// Why a type cannot cross JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Uncrossable {
    #[error("it has a {0}, which cannot be written as JSON")]
    Kind(&'static str),
    #[error("its types are nested more than {DEPTH} deep")]
    Deep,
    #[error("its types have more than {NODES} parts")]
    Large,
    #[error("the schema of its {0} would have {1} bytes; {SCHEMA} are allowed")]
    Long(&'static str, usize),
}

/// The longest schema, in bytes of JSON: a model reads it with every list.
pub(super) const SCHEMA: usize = 64 << 10;

/// Builds shapes under one budget.
pub(super) struct Builder {
    left: u32,
}

impl Builder {
    pub(super) const fn new() -> Self {
        Self { left: NODES }
    }

    /// The shape of a type.
    pub(super) fn shape(&mut self, ty: &Type) -> Result<Shape, Uncrossable> {
        self.nested(ty, 0)
    }

    /// Whether what was built is so small that no schema of it is too long: a part has three hundred
    /// bytes there at the most, and a name that is counted as one part its length, twice.
    pub(super) const fn is_small(&self) -> bool {
        NODES - self.left < 100
    }

    fn spend(&mut self) -> Result<(), Uncrossable> {
        self.left = self.left.checked_sub(1).ok_or(Uncrossable::Large)?;
        Ok(())
    }

    /// A name counts as one part, a long one as several.
    fn spend_name(&mut self, name: &str) -> Result<(), Uncrossable> {
        let parts = u32::try_from(name.len() / 64).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(parts).ok_or(Uncrossable::Large)?;
        self.spend()
    }

    fn nested(&mut self, ty: &Type, depth: u32) -> Result<Shape, Uncrossable> {
        self.spend()?;
        if depth > DEPTH {
            return Err(Uncrossable::Deep);
        }
        let inner = depth + 1;
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Int(Int::S8),
            Type::U8 => Shape::Int(Int::U8),
            Type::S16 => Shape::Int(Int::S16),
            Type::U16 => Shape::Int(Int::U16),
            Type::S32 => Shape::Int(Int::S32),
            Type::U32 => Shape::Int(Int::U32),
            Type::S64 => Shape::Int(Int::S64),
            Type::U64 => Shape::Int(Int::U64),
            Type::Float32 => Shape::F32,
            Type::Float64 => Shape::F64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match list.ty() {
                Type::U8 => Shape::Bytes,
                element => Shape::List(Box::new(self.nested(&element, inner)?)),
            },
            Type::Record(record) => {
                let field = |Field { name, ty }: Field<'_>| self.named(name, &ty, inner);
                Shape::Record(record.fields().map(field).collect::<Result<_, _>>()?)
            }
            Type::Tuple(tuple) => {
                let element = |ty: Type| self.nested(&ty, inner);
                Shape::Tuple(tuple.types().map(element).collect::<Result<_, _>>()?)
            }
            Type::Variant(variant) => {
                let case = |case: types::Case<'_>| {
                    self.spend_name(case.name)?;
                    Ok(Case {
                        name: case.name.into(),
                        payload: self.payload(case.ty, inner)?,
                    })
                };
                Shape::Variant(variant.cases().map(case).collect::<Result<_, _>>()?)
            }
            Type::Enum(names) => Shape::Enum(self.names(names.names())?),
            Type::Flags(names) => Shape::Flags(self.names(names.names())?),
            Type::Option(option) => Shape::Option(Box::new(self.nested(&option.ty(), inner)?)),
            Type::Result(result) => Shape::Result(
                self.payload(result.ok(), inner)?,
                self.payload(result.err(), inner)?,
            ),
            Type::Own(_) | Type::Borrow(_) => return Err(Uncrossable::Kind("resource")),
            Type::Future(_) => return Err(Uncrossable::Kind("future")),
            Type::Stream(_) => return Err(Uncrossable::Kind("stream")),
            Type::ErrorContext => return Err(Uncrossable::Kind("error-context")),
            Type::Map(map) => Shape::Map(Box::new((
                self.nested(&map.key(), inner)?,
                self.nested(&map.value(), inner)?,
            ))),
            Type::FixedLengthList(_) => return Err(Uncrossable::Kind("list of fixed length")),
        })
    }

    /// A parameter, or a field.
    fn named(&mut self, name: &str, ty: &Type, depth: u32) -> Result<Named, Uncrossable> {
        self.spend_name(name)?;
        Ok(Named {
            name: name.into(),
            shape: self.nested(ty, depth)?,
        })
    }

    /// The parameters of a function, as a record.
    pub(super) fn parameters<'a>(
        &mut self,
        parameters: impl Iterator<Item = (&'a str, Type)>,
    ) -> Result<ByName<Named>, Uncrossable> {
        parameters
            .map(|(name, ty)| self.named(name, &ty, 0))
            .collect()
    }

    fn payload(&mut self, ty: Option<Type>, depth: u32) -> Result<Payload, Uncrossable> {
        ty.map(|ty| self.nested(&ty, depth).map(Box::new))
            .transpose()
    }

    fn names<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<ByName<Arc<str>>, Uncrossable> {
        names
            .map(|name| {
                self.spend_name(name)?;
                Ok(name.into())
            })
            .collect()
    }
}

impl Shape {
    /// Whether `null` is one of its values, so that an option of it has to say which of the two it
    /// means.
    pub(super) const fn takes_null(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}
