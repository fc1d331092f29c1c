//! Different values: what tells one from another where a meter counts how many there are.

use super::plain::plain;
use crate::json::{Kind, Value};
use sha2::{Digest as _, Sha256};

/// A hash of a text, number or boolean; `None` of anything else.
///
/// A text counts by its characters, a number by its value, and it is the same as the text that
/// spells it plainly: producers do not agree on which of the two an id is. It is a cryptographic
/// hash because whoever could make two values look the same would be billed for one.
// Frozen: states remember these hashes.
pub(super) fn hash_of(value: Value<'_>) -> Option<u128> {
    let digest = match value.kind() {
        Kind::String => Sha256::digest(value.as_text()?.as_bytes()),
        Kind::Number => Sha256::digest(plain(value.raw())?.as_bytes()),
        Kind::True | Kind::False => Sha256::digest(value.raw().as_bytes()),
        Kind::Object | Kind::Array | Kind::Null => return None,
    };
    digest.first_chunk().map(|bytes| u128::from_be_bytes(*bytes))
}
