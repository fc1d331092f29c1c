//! Fingerprints: 128 bits of SHA-256 in place of texts, so that a record costs a few words of
//! memory, however long its names are, and nobody can make two of them collide.

use sha2::{Digest as _, Sha256};

/// Stands for a list of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint([u64; 2]);

impl Fingerprint {
    /// Different lists have different fingerprints, also where their texts run together alike.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        Self::cut(&sha256(parts))
    }

    pub(super) fn cut(hash: &[u8; 32]) -> Self {
        let word = |at: usize| {
            let bytes = hash.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        Self([word(0), word(8)])
    }
}

/// Texts by SHA-256, each written as a netstring.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_string());
        hasher.update(b":");
        hasher.update(part);
        hasher.update(b",");
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_run_together() {
        let of = |parts: &[&str]| {
            Fingerprint::of(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", ""]), of(&["a"]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
