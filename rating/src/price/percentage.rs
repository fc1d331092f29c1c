//! Percentages: a fee for each record, of which the first in time may be free.

use crate::money::{Amount, Price};
use crate::quantity::Quantity;

/// A share of every record's value, plus a fixed price, within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentage {
    /// The share, as a fraction: 0.029 is 2.9 %.
    pub rate: Price,
    /// Due for every record that is not wholly free.
    pub fixed_price: Price,
    /// How many records are free in each scope.
    pub free_records: Option<u64>,
    /// How much of the value is free in each scope.
    pub free_amount: Option<Quantity>,
    /// What a record that is not wholly free costs at least.
    pub record_minimum: Option<Price>,
    /// What a record costs at most.
    pub record_maximum: Option<Price>,
}

/// How much of the free part earlier records have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Records so far.
    pub records: u64,
    /// Their value, none of them counted below 0.
    pub value: Quantity,
}

impl Percentage {
    /// Whether nothing is free any more behind these records: whichever free part runs out first
    /// ends both.
    #[must_use]
    pub fn has_run_out(&self, before: Freed) -> bool {
        match (self.free_records, self.free_amount) {
            (None, None) => true,
            (records, amount) => {
                records.is_some_and(|records| before.records >= records)
                    || amount.is_some_and(|amount| before.value >= amount)
            }
        }
    }

    /// How much of `value` is not free behind these records; `None` where it leaves its domain.
    #[must_use]
    pub fn billable(&self, before: Freed, value: Quantity) -> Option<Quantity> {
        if self.has_run_out(before) {
            return Some(value);
        }
        let Some(amount) = self.free_amount else { return Some(Quantity::ZERO) };
        let left = amount.checked_sub(before.value)?;
        Some(value.max(Quantity::ZERO).checked_sub(left)?.max(Quantity::ZERO))
    }

    /// What a record of `value` costs behind these records.
    #[must_use]
    pub fn fee(&self, before: Freed, value: Quantity) -> Option<Amount> {
        let billable = self.billable(before, value)?;
        if !self.has_run_out(before) && billable == Quantity::ZERO {
            return Some(Amount::ZERO);
        }
        self.full_fee(billable)
    }

    /// What a record costs that is not free, for so much of its value.
    #[must_use]
    pub fn full_fee(&self, billable: Quantity) -> Option<Amount> {
        let fee = self.rate.times(billable).checked_add(self.fixed_price.once())?;
        let capped = self.record_maximum.map_or(fee, |maximum| fee.min(maximum.once()));
        Some(self.record_minimum.map_or(capped, |minimum| capped.max(minimum.once())))
    }
}

impl Freed {
    /// What two lots of records use together.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let records = self.records.checked_add(other.records)?;
        Some(Self { records, value: self.value.checked_add(other.value)? })
    }

    /// What has been used when a record of `value` is added.
    #[must_use]
    pub fn and(self, value: Quantity) -> Option<Self> {
        let records = self.records.checked_add(1)?;
        Some(Self { records, value: self.value.checked_add(value.max(Quantity::ZERO))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[track_caller]
    fn check(free: (Option<u64>, Option<&str>), values: &[(&str, &str)]) {
        let price = |text| Price::parse(text).unwrap();
        let percentage = Percentage {
            rate: price("0.01"),
            fixed_price: price("0.5"),
            free_records: free.0,
            free_amount: free.1.map(quantity),
            record_minimum: Some(price("0.6")),
            record_maximum: Some(price("2")),
        };
        let mut before = Freed::default();
        for (value, wanted) in values {
            let fee = percentage.fee(before, quantity(value)).unwrap();
            assert_eq!(fee.to_string(), *wanted, "{value} behind {before:?}");
            before = before.and(quantity(value)).unwrap();
        }
    }

    #[test]
    fn every_record_pays_within_its_bounds() {
        check((None, None), &[("100", "1.5"), ("1", "0.6"), ("1000", "2"), ("0", "0.6")]);
    }

    #[test]
    fn whichever_free_part_runs_out_first_ends_both() {
        check((Some(2), None), &[("100", "0"), ("900", "0"), ("100", "1.5")]);
        check((None, Some("150")), &[("100", "0"), ("100", "1"), ("0", "0.6")]);
        check((Some(1), Some("150")), &[("100", "0"), ("50", "1")]);
        check((Some(9), Some("100")), &[("100", "0"), ("0", "0.6")]);
        check((Some(0), Some("100")), &[("100", "1.5")]);
    }
}
