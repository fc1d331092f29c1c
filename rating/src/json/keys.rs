//! The keys of an object, which must differ.
//!
//! Nearly all objects are proven free of duplicates without comparing any two keys: equal keys
//! leave equal marks, and marks of different keys rarely meet. Only where they do are keys looked
//! at again, first by a number for each, and only where two of these are equal by their texts.
#![expect(clippy::arithmetic_side_effects, reason = "offsets and counts are bounded by the input")]

use super::scan::key_end;
use super::text::unescape;
use super::{Node, offset};
use std::borrow::Cow;

/// Objects with more keys than this are checked for duplicates by sorting.
const SMALL_OBJECT_KEYS: usize = 24;

/// Two bits for each key of an object.
#[derive(Default)]
pub(super) struct KeyMarks {
    first: u64,
    second: u64,
    suspect: bool,
}

impl KeyMarks {
    /// Notes a key by a number that is equal for equal keys unless they have escapes.
    #[inline(always)]
    pub(super) const fn note(&mut self, print: u64, escaped: bool) {
        let mixed = print.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (first, second) = (mixed >> 58, mixed >> 52 & 63);
        let met = self.first >> first & self.second >> second & 1;
        self.suspect |= escaped | (met != 0);
        self.first |= 1 << first;
        self.second |= 1 << second;
    }

    /// Whether two keys may be equal.
    pub(super) const fn suspect(&self) -> bool {
        self.suspect
    }
}

/// The place of a key of `object`, the last on the tape, that another one equals, if there is one.
/// `prints` is memory to work in.
#[cold]
pub(super) fn twice(
    bytes: &[u8],
    nodes: &[Node],
    object: usize,
    prints: &mut Vec<u64>,
) -> Option<u32> {
    prints.clear();
    let mut escaped = false;
    for key in keys(nodes, object).filter_map(|key| nodes.get(key as usize)) {
        prints.push(key_end(bytes, key.start).1);
        escaped |= key.escaped;
    }
    prints.sort_unstable();
    if !escaped && prints.windows(2).all(|pair| pair.first() != pair.last()) {
        return None;
    }
    let keys: Vec<_> = keys(nodes, object).collect();
    let key = equal_texts(bytes, nodes, &keys)?;
    nodes.get(key as usize).map(|node| node.start.saturating_sub(1))
}

/// Where the keys of `object` stand on the tape.
fn keys(nodes: &[Node], object: usize) -> impl Iterator<Item = u32> {
    let mut next = object + 1;
    std::iter::from_fn(move || {
        let key = next;
        next += 2 + nodes.get(key + 1)?.inside as usize;
        Some(offset(key))
    })
}

/// The key among `keys` that another one equals.
fn equal_texts(bytes: &[u8], nodes: &[Node], keys: &[u32]) -> Option<u32> {
    let text = |index: u32| -> Cow<'_, [u8]> {
        let Some(node) = nodes.get(index as usize) else { return Cow::Borrowed(b"") };
        let raw = bytes.get(node.start as usize..node.end as usize).unwrap_or_default();
        if node.escaped { Cow::Owned(unescape(raw).into_bytes()) } else { Cow::Borrowed(raw) }
    };
    if keys.len() <= SMALL_OBJECT_KEYS {
        return keys.iter().enumerate().find_map(|(position, &key)| {
            keys.iter().take(position).any(|&other| text(other) == text(key)).then_some(key)
        });
    }
    // Unescaped once each, not once a comparison.
    let mut texts: Vec<_> = keys.iter().map(|&key| (text(key), key)).collect();
    texts.sort_unstable();
    texts.windows(2).find_map(|pair| match pair {
        [(a, _), (b, key)] if a == b => Some(*key),
        _ => None,
    })
}
