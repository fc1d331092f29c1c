//! What the rated lines of a state say: which record moved which total, and by how much.

use super::Partition;
use crate::error::Error;
use ethnum::I256;
use rating::json::{Tape, Value};
use rating::{Amount, Quantity};

/// Which totals a line is about: those of a charge of a subscription, over all periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChargeNames<'a> {
    pub(super) subscription: &'a str,
    pub(super) charge: &'a str,
    pub(super) plan: &'a str,
}

/// A rated line.
#[derive(Clone, Copy)]
pub(super) struct Said<'l> {
    line: Value<'l>,
    data: Value<'l>,
}

impl Partition {
    /// Calls `each` with every rated line that was committed, in order of admission.
    pub(super) fn for_each_said(
        &self,
        mut each: impl FnMut(&Said<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tape = Tape::default();
        self.query().rated(|chunk: &[u8]| {
            for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line = tape.parse(line).map_err(|_| damaged_line())?;
                if let Some(data) = line.get("data") {
                    each(&Said { line, data })?;
                }
            }
            Ok(())
        })
    }
}

/// The error of a line that does not say what it must.
pub(super) const fn damaged_line() -> Error {
    Error::Damaged { what: "rated line" }
}

impl Said<'_> {
    pub(super) fn is_of(&self, names: &ChargeNames<'_>) -> bool {
        is(self.line.get("subject"), names.subscription)
            && is(self.data.get("charge"), names.charge)
            && is(self.data.get("plan"), names.plan)
    }

    /// Calls `look` with the names of its charge.
    pub(super) fn with_names<T>(&self, look: impl FnOnce(&ChargeNames<'_>) -> T) -> Option<T> {
        let subscription = self.line.get("subject")?.as_text()?;
        let (charge, plan) =
            (self.data.get("charge")?.as_text()?, self.data.get("plan")?.as_text()?);
        Some(look(&ChargeNames { subscription: &subscription, charge: &charge, plan: &plan }))
    }

    /// Whether it is about the period that starts at an instant, as that is written.
    pub(super) fn is_of_period(&self, start: &str) -> bool {
        is(self.data.get("period_start"), start)
    }

    /// Whether a record of an earlier period shifted this one.
    pub(super) fn is_shift(&self) -> bool {
        self.data.get("shift").is_some()
    }

    pub(super) fn is_taken_back(&self) -> bool {
        self.data.get("taken_back").is_some()
    }

    /// Whether a correction wrote it.
    pub(super) fn is_corrected(&self) -> bool {
        self.data.get("corrects").is_some()
    }

    pub(super) fn amount(&self) -> Option<Amount> {
        let text = self.data.get("amount")?.as_text()?;
        let (sign, digits) = text.strip_prefix('-').map_or((1, &*text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let width = rating::AMOUNT_SCALE as usize;
        let scaled: I256 = format!("{whole}{fraction:0<width$}").parse().ok()?;
        Some(Amount::from_scaled(scaled.checked_mul(I256::new(sign))?))
    }

    pub(super) fn quantity(&self) -> Option<Quantity> {
        Quantity::parse(&self.data.get("quantity")?.as_text()?).ok()
    }

    /// Source and id of the record at whose place it works.
    pub(super) fn place(&self) -> Option<(String, String)> {
        if let Some(corrects) = self.data.get("corrects") {
            let (source, id) = (corrects.get("source")?.as_text()?, corrects.get("id")?.as_text()?);
            return Some((source.into_owned(), id.into_owned()));
        }
        let (source, id) = (self.line.get("source")?.as_text()?, self.line.get("id")?.as_text()?);
        let charge = self.data.get("charge")?.as_text()?;
        let source = source.strip_suffix(&*charge)?.strip_suffix('#')?;
        Some((source.to_owned(), id.into_owned()))
    }
}

fn is(value: Option<Value<'_>>, text: &str) -> bool {
    value.is_some_and(|value| value.is(text))
}
