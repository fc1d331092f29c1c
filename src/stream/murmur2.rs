//! The partition of a key as Java clients have it: murmur2 of its bytes.

/// The partition of a key among so many.
pub(super) fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7FFF_FFFF).checked_rem(partitions).unwrap_or(0)
}

const M: u32 = 0x5BD1_E995;

/// Murmur2 in 32 bits with the seed that Kafka's Java client uses.
fn murmur2(key: &[u8]) -> u32 {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_B28C ^ length;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> 24)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, wanted: i32) {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), wanted, "{key}");
    }

    /// The vectors of Kafka's own test of its hash.
    #[test]
    fn hashes_are_those_of_java_clients() {
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }

    #[test]
    fn partitions_are_in_range() {
        assert_eq!(partition_of(b"21", 1), 0);
        assert!((0..1_000u32).all(|key| partition_of(&key.to_le_bytes(), 7) < 7));
        assert_eq!(partition_of(b"x", 0), 0);
    }
}
