//! The partitioner: which partition a customer's records belong to.

use super::murmur2;
use crc::{CRC_32_ISO_HDLC, Crc};

/// How keys are spread over partitions, as the producers of raw usage do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioner {
    /// As Java clients do.
    #[default]
    Murmur2,
    /// As librdkafka does unless it is told otherwise.
    Crc32,
    /// As Sarama, a client in Go, does.
    Fnv1a,
}

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

impl Partitioner {
    /// All of them by their names in the settings.
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("murmur2", Self::Murmur2), ("crc32", Self::Crc32), ("fnv1a", Self::Fnv1a)];

    /// Its name in the settings.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
            Self::Fnv1a => "fnv1a",
        }
    }

    /// The partition of a key among so many.
    #[must_use]
    pub fn partition_of(self, key: &[u8], partitions: u32) -> u32 {
        let hash = match self {
            Self::Murmur2 => return murmur2::partition_of(key, partitions),
            Self::Crc32 => CRC32.checksum(key),
            Self::Fnv1a => fnv1a(key),
        };
        hash.checked_rem(partitions).unwrap_or(0)
    }
}

/// FNV-1a in 32 bits, without its sign: Sarama takes the hash for a signed number.
fn fnv1a(key: &[u8]) -> u32 {
    let hash = key
        .iter()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.cast_signed().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the algorithm's catalogue, and those that librdkafka took from Go.
    #[test]
    fn hashes_are_those_of_other_clients() {
        assert_eq!(CRC32.checksum(b"123456789"), 0xCBF4_3926);
        for (key, hash) in
            [("kafka", 0x0D33_C4E1), ("giberish123456789", 0x77A5_8295), ("", 0x7EE3_623B)]
        {
            assert_eq!(fnv1a(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn each_has_its_names() {
        for (name, partitioner) in Partitioner::ALL {
            assert_eq!(partitioner.name(), name);
            assert!(partitioner.partition_of(b"C-1", 4) < 4);
            assert_eq!(partitioner.partition_of(b"C-1", 0), 0);
        }
    }
}
