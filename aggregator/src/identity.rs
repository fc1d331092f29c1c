//! Identities: what makes two records the same one.

use crate::keys::shard;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

/// Secrets of one state, drawn once when it is made. With known ones, a tenant could make records
/// whose identities collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// Keys the hash of identities.
    pub identity: [u8; 16],
    /// Keys the digest of contents; see `ingest::Decoder`.
    pub content: u64,
}

impl Seeds {
    pub(crate) fn encode(&self) -> [u8; 24] {
        let mut out = [0; 24];
        let (identity, content) = out.split_at_mut(16);
        identity.copy_from_slice(&self.identity);
        content.copy_from_slice(&self.content.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (identity, content) = bytes.split_first_chunk::<16>()?;
        let content = u64::from_le_bytes(content.try_into().ok()?);
        Some(Self { identity: *identity, content })
    }

    /// The 128-bit identity of a record whose owner has this hash; its leading 12 bits are the
    /// shard.
    pub(crate) fn identity(&self, owner: u128, source: &str, id: &str) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.identity);
        hasher.write(&owner.to_le_bytes());
        hasher.write(&(source.len() as u64).to_le_bytes());
        hasher.write(source.as_bytes());
        hasher.write(id.as_bytes());
        (owner & SHARD_BITS) | (hasher.finish128().as_u128() >> 12)
    }
}

const SHARD_BITS: u128 = 0xFFF << 116;

/// A hash of a customer's id: its shard in the leading 12 bits, then 116 bits of SipHash.
// Frozen, and without a secret: it is the key of the identity's hash that keeps tenants out.
pub(crate) fn owner_hash(customer: &str) -> u128 {
    let mut hasher = SipHasher24::new();
    hasher.write(customer.as_bytes());
    (u128::from(shard(customer)) << 116) | (hasher.finish128().as_u128() >> 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_three_together_are_an_identity() {
        let seeds = Seeds { identity: [7; 16], content: 1 };
        let identity = |customer, source, id| seeds.identity(owner_hash(customer), source, id);
        let base = identity("c", "ab", "cd");
        assert_eq!(base, identity("c", "ab", "cd"));
        for (customer, source, id) in [("d", "ab", "cd"), ("c", "abc", "d"), ("ca", "b", "cd")] {
            assert_ne!(base, identity(customer, source, id));
        }
        let other = Seeds { identity: [8; 16], content: 1 };
        assert_ne!(base, other.identity(owner_hash("c"), "ab", "cd"));
        assert_eq!(base >> 116, u128::from(shard("c")));
    }
}
