//! Prices, exact amounts, and the money they become.
//!
//! A [`Price`] is an integer of 10^-12, an [`Amount`] one of 10^-24 in 256 bits: the product of a
//! quantity and a price always fits and is never rounded. [`Money`] is what stands on a document:
//! whole minor units of a currency. Only [`Rounding`] leads from one to the other.

use crate::decimal::{self, DecimalError, Domain};
use crate::quantity::{QUANTITY_SCALE, Quantity};
use crate::rounding::Rounding;
use ethnum::I256;
use std::fmt;

/// Digits after the point that a [`Price`] keeps.
pub const PRICE_SCALE: u32 = 12;
/// Digits after the point that an [`Amount`] keeps: those of a quantity and of a price together.
pub const AMOUNT_SCALE: u32 = QUANTITY_SCALE + PRICE_SCALE;
/// Largest exponent of a currency's minor unit that is supported (ISO 4217 knows up to 4).
const EXPONENT_MAX: u32 = 4;

/// A currency of ISO 4217 that has a minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    /// Finds a currency by its upper-case code; `None` if ISO 4217 does not know it or gives it no
    /// minor unit (gold, testing codes).
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let known = iso_currency::Currency::from_code(code)?;
        let exponent = u8::try_from(known.exponent()?).ok()?;
        (u32::from(exponent) <= EXPONENT_MAX)
            .then_some(Self { code: code.as_bytes().try_into().ok()?, exponent })
    }

    /// The code, such as `EUR`.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }

    /// Digits after the point of an amount of this currency: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub const fn exponent(self) -> u32 {
        self.exponent as u32
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What one unit costs, or another factor of a catalog: up to 12 digits on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Price(i128);

impl Price {
    /// Free of charge.
    pub const ZERO: Self = Self(0);
    /// What a catalog or an order may state.
    pub const DOMAIN: Domain = Domain { integer_digits: 12, fraction_digits: 12 };

    /// Reads a decimal of [`Price::DOMAIN`].
    ///
    /// # Errors
    /// [`DecimalError`] if the text is no decimal or leaves the domain.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        decimal::parse_scaled(text, Self::DOMAIN, PRICE_SCALE).map(Self)
    }

    /// The number of 10^-12 of the major unit.
    #[must_use]
    pub const fn scaled(self) -> i128 {
        self.0
    }

    /// The price of so many 10^-12 of the major unit.
    #[must_use]
    pub(crate) const fn from_scaled(scaled: i128) -> Self {
        Self(scaled)
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// This price once.
    #[must_use]
    pub fn once(self) -> Amount {
        const UNIT: i128 = 10i128.pow(QUANTITY_SCALE);
        Amount(widening_mul(self.0, UNIT))
    }

    /// This price for a number of units. Always exact: 127 bits by 127 bits fit in 255.
    #[must_use]
    pub fn times(self, quantity: Quantity) -> Amount {
        Amount(widening_mul(self.0, quantity.scaled()))
    }

    /// This price for a number of blocks; `None` where the amount leaves its domain.
    #[must_use]
    pub fn times_blocks(self, blocks: i128) -> Option<Amount> {
        let once = self.once().0;
        // 127 bits hold nearly all products; only the others take the long way.
        let short = i128::try_from(once).ok().and_then(|once| once.checked_mul(blocks));
        short.map(I256::new).or_else(|| once.checked_mul(I256::new(blocks))).map(Amount)
    }
}

/// The exact product; takes a shorter way where the factors fit 63 bits, or the product 127, as
/// nearly all do.
fn widening_mul(a: i128, b: i128) -> I256 {
    if let (Ok(a), Ok(b)) = (i64::try_from(a), i64::try_from(b)) {
        // |a|, |b| ≤ 2^63, so |a·b| ≤ 2^126: it never wraps.
        return I256::new(i128::from(a).wrapping_mul(i128::from(b)));
    }
    match a.checked_mul(b) {
        Some(product) => I256::new(product),
        // |a|, |b| ≤ 2^127, so |a·b| ≤ 2^254.
        None => I256::new(a).saturating_mul(I256::new(b)),
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write_scaled(f, I256::new(self.0), PRICE_SCALE as usize)
    }
}

/// An exact amount of money, in 10^-24 of the major unit. Never rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(I256);

impl Default for Amount {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(I256::ZERO);

    /// The amount of so many 10^-24.
    #[must_use]
    pub const fn from_scaled(scaled: I256) -> Self {
        Self(scaled)
    }

    /// The number of 10^-24 of the major unit.
    #[must_use]
    pub const fn scaled(self) -> I256 {
        self.0
    }

    /// The sum, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it leaves the domain.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Whether it can be part of a total: as long as no usage amount leaves 33 digits before the
    /// point, discounts stay exact and money fits its domain.
    #[must_use]
    pub fn fits_a_total(self) -> bool {
        const BOUND: I256 = I256::new(1_000_000_000_000_000_000_000_000_000_000_000);
        const SCALE: I256 = I256::new(1_000_000_000_000_000_000_000_000);
        // Nearly all amounts have half as many bits, and these are fewer than the bound has.
        if i128::try_from(self.0).is_ok() {
            return true;
        }
        match BOUND.checked_mul(SCALE) {
            Some(bound) => self.0.checked_abs().is_some_and(|size| size <= bound),
            None => false,
        }
    }

    /// Whether it is exactly zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == I256::ZERO
    }

    /// What it is as money of `currency`, rounded once; `None` beyond 127 bits of minor units.
    #[must_use]
    pub fn to_money(self, currency: Currency, rounding: Rounding) -> Option<Money> {
        let places = AMOUNT_SCALE.checked_sub(currency.exponent())?;
        let minor = rounding.quotient(self.0, I256::new(10).checked_pow(places)?)?;
        Some(Money { minor: i128::try_from(minor).ok()?, currency })
    }
}

impl Amount {
    /// Appends the amount as [`fmt::Display`] writes it, without its detours.
    ///
    /// # Errors
    /// Whatever `out` refuses; a string refuses nothing.
    pub fn write_to(self, out: &mut impl fmt::Write) -> fmt::Result {
        decimal::write_scaled(out, self.0, AMOUNT_SCALE as usize)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// Money on a document: whole minor units of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i128,
    currency: Currency,
}

impl Money {
    /// So many minor units (cents) of `currency`.
    #[must_use]
    pub const fn from_minor(minor: i128, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn minor(self) -> i128 {
        self.minor
    }

    /// Its currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum; `None` if the currencies differ or it leaves the domain.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, currency: self.currency })
    }

    /// The difference; `None` if the currencies differ or it leaves the domain.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_sub(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, currency: self.currency })
    }

    /// The same money with the other sign; `None` where it leaves the domain.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        Some(Self { minor: self.minor.checked_neg()?, currency: self.currency })
    }
}

/// Written with all digits of the currency's exponent and without its code: `111.01`, `0.00`, `7`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let size = self.minor.unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        if exponent == 0 {
            return write!(f, "{sign}{size}");
        }
        // At least one digit stands before the point.
        let digits = format!("{size:0width$}", width = exponent.saturating_add(1) as usize);
        let point = digits.len().saturating_sub(exponent as usize);
        let (whole, rest) = digits.split_at_checked(point).unwrap_or_default();
        write!(f, "{sign}{whole}.{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(amount: Amount, currency: &str, rounding: Rounding, wanted: &str) {
        let money = amount.to_money(Currency::parse(currency).unwrap(), rounding).unwrap();
        assert_eq!(money.to_string(), wanted, "{amount} {currency}");
    }

    #[test]
    fn amounts_round_once_to_the_exponent() {
        let amount = |price: &str| Price::parse(price).unwrap().once();
        let away = Rounding::HalfAwayFromZero;
        check(amount("41.665"), "USD", away, "41.67");
        check(amount("-41.665"), "USD", away, "-41.67");
        check(amount("41.665"), "USD", Rounding::HalfEven, "41.66");
        check(amount("41.675"), "USD", Rounding::HalfEven, "41.68");
        check(amount("0.5"), "JPY", away, "1");
        check(amount("-0.0004"), "KWD", away, "0.000");
        check(amount("1.0005"), "KWD", away, "1.001");
        check(amount("0"), "USD", away, "0.00");
    }

    #[test]
    fn money_adds_up_within_one_currency() {
        let [usd, eur] = ["USD", "EUR"].map(|code| Currency::parse(code).unwrap());
        let money = |minor| Money::from_minor(minor, usd);
        assert_eq!(money(5).checked_add(money(3)), Some(money(8)));
        assert_eq!(money(5).checked_sub(money(8)), Some(money(-3)));
        assert_eq!(money(5).checked_neg(), Some(money(-5)));
        let other = Money::from_minor(3, eur);
        assert_eq!((money(5).checked_add(other), money(5).checked_sub(other)), (None, None));
        assert_eq!(money(i128::MAX).checked_add(money(1)), None);
        assert_eq!(money(i128::MIN).checked_sub(money(1)), None);
        assert_eq!(money(i128::MIN).checked_neg(), None);
        assert!(Amount::ZERO.is_zero());
        assert!(!Price::parse("0.000000000001").unwrap().once().is_zero());
    }

    #[test]
    fn products_at_the_edge_of_the_domain_are_exact() {
        let price = Price::parse("999999999999.999999999999").unwrap();
        let quantity = Quantity::parse("999999999999999.999999999").unwrap();
        // (10^12 − 10^-12)(10^15 − 10^-9) = 10^27 − 10^3 − 10^3 + 10^-21, to the last digit.
        let exact = "999999999999999999999998000.000000000000000000001";
        assert_eq!(price.times(quantity).to_string(), exact);
    }

    #[test]
    fn products_are_the_same_by_every_way() {
        let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        let near = [least - 1, least, least + 1, -1, 0, 1, most - 1, most, most + 1];
        let far = [i128::MIN, i128::MIN + 1, i128::MAX, 10i128.pow(24)];
        let all = || near.into_iter().chain(far);
        for (a, b) in all().flat_map(|a| all().map(move |b| (a, b))) {
            let exact = I256::new(a).checked_mul(I256::new(b)).unwrap();
            assert_eq!(widening_mul(a, b), exact, "{a} times {b}");
        }
    }

    #[test]
    fn unknown_currencies_are_refused() {
        for code in ["XXX", "XAU", "usd", "US", "", "ZZZ", "DOLLAR"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
        let exponents = [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("ISK", 0), ("UGX", 0)];
        for (code, exponent) in exponents {
            assert_eq!(Currency::parse(code).unwrap().exponent(), exponent, "{code}");
        }
    }
}
