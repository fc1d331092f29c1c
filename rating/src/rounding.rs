//! Rounding: the only place that rounds, and only where a quotient or a line becomes money.

use ethnum::I256;

/// What happens to a remainder of exactly one half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// 0.5 becomes 1 and −0.5 becomes −1: what finance expects unless told otherwise.
    #[default]
    HalfAwayFromZero,
    /// 0.5 becomes 0 and 1.5 becomes 2.
    HalfEven,
}

impl Rounding {
    /// `numerator` ÷ `denominator`, the next whole number that is not below it.
    #[must_use]
    pub fn quotient_up(numerator: I256, denominator: I256) -> Option<I256> {
        let down = Self::quotient_down(numerator, denominator)?;
        let exact = down.checked_mul(denominator)? == numerator;
        if exact { Some(down) } else { down.checked_add(I256::ONE) }
    }

    /// `numerator` ÷ `denominator`, the next whole number that is not above it.
    #[must_use]
    pub fn quotient_down(numerator: I256, denominator: I256) -> Option<I256> {
        (denominator > I256::ZERO).then(|| numerator.checked_div_euclid(denominator)).flatten()
    }

    /// `numerator` ÷ `denominator` as the nearest whole number; `None` if the denominator is not
    /// positive or the result does not fit.
    #[must_use]
    pub fn quotient(self, numerator: I256, denominator: I256) -> Option<I256> {
        if denominator <= I256::ZERO {
            return None;
        }
        let whole = numerator.checked_div(denominator)?;
        let rest = numerator.checked_rem(denominator)?;
        let size = rest.unsigned_abs();
        // Compared without doubling, so that the largest denominators do not overflow.
        let complement = denominator.unsigned_abs().checked_sub(size)?;
        let up = match self {
            Self::HalfAwayFromZero => size >= complement,
            Self::HalfEven => {
                size > complement || (size == complement && whole & I256::ONE == I256::ONE)
            }
        };
        if !up || rest == I256::ZERO {
            return Some(whole);
        }
        whole.checked_add(if numerator < I256::ZERO { I256::MINUS_ONE } else { I256::ONE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_where_the_mode_says() {
        for (n, d, away, even) in [
            (5, 10, 1, 0),
            (-5, 10, -1, 0),
            (15, 10, 2, 2),
            (-15, 10, -2, -2),
            (25, 10, 3, 2),
            (24, 10, 2, 2),
            (26, 10, 3, 3),
            (-4, 10, 0, 0),
            (1, 3, 0, 0),
            (2, 3, 1, 1),
            (7, 1, 7, 7),
        ] {
            let quotient = |mode: Rounding| mode.quotient(I256::new(n), I256::new(d)).unwrap();
            assert_eq!(quotient(Rounding::HalfAwayFromZero), I256::new(away), "{n}/{d}");
            assert_eq!(quotient(Rounding::HalfEven), I256::new(even), "{n}/{d}");
        }
        assert_eq!(Rounding::HalfEven.quotient(I256::ONE, I256::ZERO), None);
        assert_eq!(
            Rounding::HalfAwayFromZero.quotient(I256::MAX, I256::MAX.wrapping_sub(I256::ONE)),
            Some(I256::ONE)
        );
    }
}
