//! Lineage: a sum from which anyone can prove which records made a total.
//!
//! Each record adds SHA-256 of its source, id, charge and quantity, modulo 2^256. The order of
//! records does not matter, and taking one back is a subtraction. The texts are written as
//! netstrings (`3:abc,`), so that no two different lists of them look alike.

use ethnum::U256;
use sha2::{Digest as _, Sha256};

/// The number that one record adds to the lineage of the total of `charge`. `quantity` is written
/// as in outputs: without exponent or trailing zeros.
// Frozen: published with totals, and recomputed by others.
#[must_use]
pub fn record_hash(source: &str, id: &str, charge: &str, quantity: &str) -> U256 {
    let mut hasher = Sha256::new();
    for part in [source, id, charge, quantity] {
        let mut digits = [0; 20];
        hasher.update(decimal(part.len(), &mut digits));
        hasher.update(b":");
        hasher.update(part.as_bytes());
        hasher.update(b",");
    }
    U256::from_be_bytes(hasher.finalize().into())
}

/// Writes a length as decimal digits to the end of a buffer.
fn decimal(length: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut rest = length;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        used += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.get(digits.len() - used..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_frozen() {
        // printf '1:s,1:i,3:api,4:12.5,' | sha256sum
        let hash = record_hash("s", "i", "api", "12.5");
        assert_eq!(
            format!("{hash:064x}"),
            "6deeabf44db42753e29179ea0bddd786c9cbc5163827a17045dc1e3e72f2e19e"
        );
    }
}
