//! What a function's result takes of the host's memory, before it is taken over.
//!
//! The engine takes a result over as a whole, as a tree in which a flag is a text and a field has
//! its name. It counts what it makes of a result as it goes, and stops at a bound; but it counts less
//! than it allocates, and how much less depends on the type: for one flag with a short name one byte
//! instead of some fifty. So for each type the worst ratio of the two is worked out here, and the
//! bound is what may be allocated, divided by it.
//!
//! Costs are those of `wasmtime::component::Val` as the engine builds it: vectors that double as they
//! grow, four elements at least, and an allocator with size classes.

use wasmtime::component::Val;

use super::shape::{Payload, Shape};

/// A value where it stands.
pub(super) const SLOT: u64 = size_of::<Val>() as u64;
/// A field with its name's text, which is elsewhere.
pub(super) const FIELD: u64 = size_of::<(String, Val)>() as u64;
/// A text, which is elsewhere.
const TEXT: u64 = size_of::<String>() as u64;
/// A value that stands alone.
pub(super) const BOX: u64 = heap(SLOT);

/// Ratios are in eighths.
const ONE: u64 = 8;
/// More than the worst type needs.
const MOST: u64 = 4_096 * ONE;

/// What an allocation of so many bytes takes.
pub(super) const fn heap(bytes: u64) -> u64 {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => bytes + bytes / 4,
    }
}

/// So many elements that were pushed one by one have room for so many.
const fn room(elements: u64) -> u64 {
    match elements {
        0 => 0,
        1..=4 => 4,
        _ => elements.next_power_of_two(),
    }
}

/// How what is allocated for the values of one type follows from what the engine counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    /// Bytes that are allocated for one that is counted, in eighths.
    each: u64,
    /// What is allocated beyond it, in eighths of a byte.
    rest: u64,
}

impl Ratio {
    /// The worst of the values of this type.
    pub(super) fn of(shape: &Shape) -> Self {
        let (mut below, mut each) = (ONE - 1, MOST);
        while each - below > 1 {
            let middle = below + (each - below) / 2;
            match excess(shape, middle) {
                Some(_) => each = middle,
                None => below = middle,
            }
        }
        let rest = excess(shape, each).unwrap_or(0);
        Self {
            each,
            rest: u64::try_from(rest).unwrap_or(0),
        }
    }

    /// The most that the engine may count, so that no more than so many bytes are allocated.
    pub(super) fn counted(self, allocated: u64) -> u64 {
        let eighths = allocated.saturating_mul(ONE);
        eighths.saturating_sub(self.rest) / self.each
    }
}

/// How much more can be allocated for a value than `each` times what is counted, beyond the place
/// where it stands, in eighths of a byte; none where there is no bound to it.
fn excess(shape: &Shape, each: u64) -> Option<i64> {
    let gap = |allocated: u64, counted: u64| signed(allocated * ONE) - signed(each * counted);
    match shape {
        Shape::Bool | Shape::Int(_) | Shape::F32 | Shape::F64 | Shape::Char => Some(0),
        // Two bytes that are counted may be three, in a text that doubled as it grew.
        Shape::String => (each >= 3 * ONE).then(|| gap(8 + 3, 1).max(0)),
        Shape::Bytes => list(0, each),
        Shape::List(element) => list(excess(element, each)?, each),
        Shape::Map(entry) => {
            let inner = excess(&entry.0, each)? + excess(&entry.1, each)?;
            (inner + gap(2 * SLOT, 2 * SLOT) <= 0).then_some(0)
        }
        Shape::Record(fields) => {
            let mut all = gap(FIELD * room(count(fields)), SLOT * count(fields));
            for field in &**fields {
                all += name(&field.name, each) + excess(&field.shape, each)?;
            }
            Some(all)
        }
        Shape::Tuple(elements) => {
            let mut all = gap(SLOT * room(count(elements)), SLOT * count(elements));
            for element in elements {
                all += excess(element, each)?;
            }
            Some(all)
        }
        Shape::Variant(cases) => {
            let mut most = i64::MIN;
            for case in &**cases {
                most = most.max(name(&case.name, each) + payload(&case.payload, each)?);
            }
            Some(most)
        }
        // The engine walks along the names to the one that it is: a step is time, not memory, and
        // counts like a byte, which takes about as long.
        Shape::Enum(names) => {
            let costs = (0..).zip(&**names);
            costs
                .map(|(step, one)| name(one, each) + gap(step, 0))
                .max()
        }
        Shape::Flags(names) => {
            let mut names: Vec<i64> = names.iter().map(|one| name(one, each)).collect();
            names.sort_unstable_by(|a, b| b.cmp(a));
            let (mut most, mut texts) = (0, 0);
            for (set, name) in (1..).zip(names) {
                texts += name;
                most = most.max(texts + gap(TEXT * room(set), 0));
            }
            Some(most)
        }
        Shape::Option(inner) => Some((gap(BOX, SLOT) + excess(inner, each)?).max(0)),
        Shape::Result(ok, error) => Some(payload(ok, each)?.max(payload(error, each)?)),
    }
}

/// A list of any length: what is allocated for each element, the room that it grew out of included,
/// must not be more than what is counted for it.
fn list(element: i64, each: u64) -> Option<i64> {
    let counted = signed(each * SLOT);
    let many = signed(3 * SLOT * ONE) - counted + element;
    let one = signed(room(1) * SLOT * ONE) - counted + element;
    (many <= 0).then_some(one.max(0))
}

fn name(name: &str, each: u64) -> i64 {
    let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
    signed(heap(length) * ONE) - signed(each * length)
}

fn payload(payload: &Payload, each: u64) -> Option<i64> {
    match payload {
        Some(inner) => Some(signed(BOX * ONE) - signed(each * SLOT) + excess(inner, each)?),
        None => Some(0),
    }
}

fn count<T>(all: &[T]) -> u64 {
    u64::try_from(all.len()).unwrap_or(u64::MAX)
}

/// Sizes of types are far from what this could not hold.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::typed::shape::Named;

    fn ratio(shape: Shape) -> u64 {
        Ratio::of(&Shape::List(Box::new(shape))).each
    }

    #[test]
    fn the_ratio_is_that_of_the_type() {
        let field = Named {
            name: "a".into(),
            shape: Shape::Bool,
        };
        let flags = |count: usize| {
            let names = (0..count).map(|index| format!("f{index}").into());
            Shape::Flags(names.collect())
        };
        assert_eq!(ratio(Shape::Bool), 3 * ONE);
        assert!(ratio(flags(32)) > 9 * ONE);
        assert!(ratio(flags(32)) > ratio(flags(2)));
        assert!(ratio(Shape::Record([field].into_iter().collect())) > 4 * ONE);
        let nested = |levels: u32| {
            let tuple = |inner, _| Shape::Tuple(vec![inner]);
            (0..levels).fold(Shape::Bool, tuple)
        };
        assert!(ratio(nested(40)) >= ratio(nested(1)) && ratio(nested(40)) <= 5 * ONE);
        let flat = Ratio::of(&flags(32));
        assert!(flat.counted(1 << 20) > 900_000, "{flat:?}");
    }
}
