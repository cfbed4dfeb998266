//! Finds forms in bytes, in a time that depends on how many bytes there are and not on how close any
//! of them come to a form.
//!
//! A hash of the last bytes rolls over the text, under a key of this process. Only where it is the hash
//! of a form's own end are the two compared, to the last byte whatever the first ones are. So a guess
//! that has all but the end of a secret costs what any other text does. (A machine that walks along
//! the forms takes other steps, or touches other memory, the further a text follows one of them.)
//!
//! It does not know what the forms are forms of.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;

use super::forms::Form;

/// So much of a form's end is hashed, in bytes. Of a shorter form it is all.
const END: usize = 16;

/// Buckets of a filter: in most places of a text nothing more is looked at.
const BUCKETS: usize = 1 << 16;

/// The most forms that can be sought at once: with more, the filter would let too much through.
pub(super) const MOST_FORMS: usize = BUCKETS / 4;

/// One random number for each byte.
static KEY: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let state = RandomState::new();
    std::array::from_fn(|byte| state.hash_one(byte))
});

/// Forms, ready to be sought.
pub(super) struct Search {
    forms: Vec<Form>,
    windows: Vec<Window>,
}

/// The forms whose ends are hashed over the same number of bytes.
struct Window {
    length: usize,
    /// The hash of each end, in order, and whose it is.
    ends: Vec<(u64, usize)>,
    filter: Box<[u64]>,
}

impl Search {
    pub(super) fn new(forms: Vec<Form>) -> Self {
        let end = |form: &Form| form.bytes.len().min(END);
        let mut lengths: Vec<usize> = forms.iter().map(end).filter(|end| *end > 0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let windows = lengths.into_iter().map(|length| {
            let mut ends: Vec<(u64, usize)> = forms
                .iter()
                .enumerate()
                .filter(|(_, form)| end(form) == length)
                .map(|(at, form)| {
                    let begin = form.bytes.len() - length;
                    (hash(form.bytes.get(begin..).unwrap_or_default()), at)
                })
                .collect();
            ends.sort_unstable();
            let mut filter = vec![0; BUCKETS / 64].into_boxed_slice();
            for (hash, _) in &ends {
                let (word, bit) = bucket(*hash);
                if let Some(word) = filter.get_mut(word) {
                    *word |= bit;
                }
            }
            Window {
                length,
                ends,
                filter,
            }
        });
        Self {
            windows: windows.collect(),
            forms,
        }
    }

    /// Gives each place where a form is, until `each` says that it is enough.
    pub(super) fn places(&self, text: &[u8], each: &mut impl FnMut(Range<usize>) -> bool) {
        for window in &self.windows {
            let (key, mut rolling) = (&*KEY, 0_u64);
            let mut leaving = text.iter();
            for (at, &byte) in text.iter().enumerate() {
                rolling = rolling.rotate_left(1) ^ of(key, byte);
                if at >= window.length {
                    let byte = leaving.next().copied().unwrap_or_default();
                    rolling ^= of(key, byte).rotate_left(u32::try_from(window.length).unwrap_or(0));
                }
                if window.may_hold(rolling) && at + 1 >= window.length {
                    let found = self.ending(window, rolling, text.get(..=at).unwrap_or(text));
                    for place in found.filter_map(|(form, place)| form.around(text, place)) {
                        if !each(place) {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// The forms that end where `text` does.
    fn ending<'s>(
        &'s self,
        window: &'s Window,
        hash: u64,
        text: &'s [u8],
    ) -> impl Iterator<Item = (&'s Form, Range<usize>)> {
        let first = window.ends.partition_point(|(end, _)| *end < hash);
        let ends = window.ends.iter().skip(first);
        let same = ends.take_while(move |(end, _)| *end == hash);
        same.filter_map(move |(_, at)| {
            let form = self.forms.get(*at)?;
            let begin = text.len().checked_sub(form.bytes.len())?;
            let same = is_same(text.get(begin..)?, &form.bytes);
            same.then_some((form, begin..text.len()))
        })
    }
}

impl Window {
    fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = bucket(hash);
        self.filter.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn bucket(hash: u64) -> (usize, u64) {
    let bucket = usize::try_from(hash).unwrap_or(0) % BUCKETS;
    (bucket / 64, 1 << (bucket % 64))
}

fn of(key: &[u64; 256], byte: u8) -> u64 {
    key.get(usize::from(byte)).copied().unwrap_or_default()
}

fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |hash: u64, byte| hash.rotate_left(1) ^ of(&KEY, *byte))
}

/// Compares all bytes, whatever the first ones are.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let different = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && different == 0
}
