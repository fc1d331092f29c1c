//! Numbers of documents: without a gap in each series, given when a document is activated.

use super::content::Series;
use std::fmt;

/// The number of an active document, such as `INV-000001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    series: Series,
    value: u64,
}

impl Number {
    /// Its place in the series, from 1.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.value
    }

    /// Reads what is displayed, as a number of `series`.
    #[must_use]
    pub fn parse(text: &str, series: Series) -> Option<Self> {
        let value = text.strip_prefix(prefix(series))?.parse().ok()?;
        Some(Self { series, value }).filter(|number| number.to_string() == text)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:06}", prefix(self.series), self.value)
    }
}

const fn prefix(series: Series) -> &'static str {
    match series {
        Series::Invoice => "INV-",
        Series::CreditMemo => "CM-",
    }
}

/// The last number given in each series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    invoices: u64,
    credit_memos: u64,
}

impl Numbers {
    /// Goes on after the numbers that were given already.
    #[must_use]
    pub const fn after(invoices: u64, credit_memos: u64) -> Self {
        Self { invoices, credit_memos }
    }

    /// The last number given in a series, 0 if none was.
    #[must_use]
    pub const fn last(&self, series: Series) -> u64 {
        match series {
            Series::Invoice => self.invoices,
            Series::CreditMemo => self.credit_memos,
        }
    }

    /// Gives the next number of a series; `None` after 2^63 − 1 of them, which is what stores keep.
    #[must_use]
    pub fn give(&mut self, series: Series) -> Option<Number> {
        let last = match series {
            Series::Invoice => &mut self.invoices,
            Series::CreditMemo => &mut self.credit_memos,
        };
        let value = last.checked_add(1).filter(|value| i64::try_from(*value).is_ok())?;
        *last = value;
        Some(Number { series, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_counts_for_itself_and_reads_back() {
        let mut numbers = Numbers::after(999_999, 0);
        for (series, wanted) in [
            (Series::Invoice, "INV-1000000"),
            (Series::CreditMemo, "CM-000001"),
            (Series::Invoice, "INV-1000001"),
        ] {
            let number = numbers.give(series).unwrap();
            assert_eq!(number.to_string(), wanted);
            assert_eq!(Number::parse(wanted, series), Some(number));
        }
        for wrong in ["INV-1", "CM-000001", "INV-", "INV-00000x", "000001"] {
            assert_eq!(Number::parse(wrong, Series::Invoice), None, "{wrong}");
        }
    }
}
