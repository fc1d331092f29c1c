//! Billing settings: what customers, orders, products and the organisation may each set.
//!
//! Every level states some of them; the nearest one that does wins. They live here because a
//! catalog's customers carry them and rating itself needs the cycle and the rounding.

use crate::fault::{Faults, Fields, parse_whole, read_bool, read_currency, read_name, read_whole};
use crate::json::{Kind, Value};
use crate::money::Currency;
use crate::period::PeriodLength;
use crate::rounding::Rounding;
use crate::schema::{Schema, boolean, one_of, whole};

/// On which day of the month billing periods begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleDay {
    /// A day from 1 to 31; the last day of a shorter month.
    Fixed(i8),
    /// The day on which the customer's first subscription starts; fixed once.
    FirstSubscriptionStart,
}

/// How a broken month or period is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProrationBasis {
    /// Whole months as twelfths of a year, the rest in days of the month that they lie in.
    MonthsThenDays,
    /// Days ÷ days of the whole billing period.
    DaysOfPeriod,
}

impl ProrationBasis {
    /// The names of a catalog.
    pub const NAMES: [(&'static str, Self); 2] =
        [("months_then_days", Self::MonthsThenDays), ("days_of_period", Self::DaysOfPeriod)];
}

/// The roundings that a customer may choose.
pub(crate) const ROUNDINGS: [(&str, Rounding); 2] =
    [("half_away_from_zero", Rounding::HalfAwayFromZero), ("half_even", Rounding::HalfEven)];

/// What stands for the day on which the first subscription starts.
const FIRST_SUBSCRIPTION_START: &str = "first_subscription_start";
const CYCLE_DAYS: (u32, u32) = (1, 31);
const MONTHS: (u32, u32) = (1, 12);
const PAYMENT_TERMS: (u32, u32) = (0, 3650);

/// Settings of one level; `None` where the level says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Length of a billing period.
    pub billing_period: Option<PeriodLength>,
    /// Where in the month periods begin.
    pub bill_cycle_day: Option<CycleDay>,
    /// A month in which longer periods begin, 1 to 12.
    pub bill_cycle_month: Option<i8>,
    /// Days from invoice date to due date.
    pub payment_term_days: Option<u32>,
    /// Whether a partial first portion is billed on its own.
    pub proration: Option<bool>,
    /// How broken months are measured.
    pub proration_basis: Option<ProrationBasis>,
    /// Whether the service drafts the first invoice when an order is activated.
    pub first_invoice_on_activation: Option<bool>,
    /// Whether items of amount zero are left out of documents.
    pub hide_zero_items: Option<bool>,
    /// Whether a negative net becomes a credit memo rather than a negative line.
    pub credit_memos: Option<bool>,
    /// Whether documents are activated, and so numbered, as soon as they are made.
    pub auto_activate: Option<bool>,
    /// The currency of order products.
    pub currency: Option<Currency>,
    /// What happens to exact halves when a line becomes money.
    pub rounding: Option<Rounding>,
}

impl Settings {
    /// The names of all settings, for [`Fields::open`].
    pub const NAMES: [&'static str; 12] = [
        "billing_period",
        "bill_cycle_day",
        "bill_cycle_month",
        "payment_term_days",
        "proration",
        "proration_basis",
        "first_invoice_on_activation",
        "hide_zero_items",
        "credit_memos",
        "auto_activate",
        "currency",
        "rounding",
    ];

    /// The schemas of all settings.
    #[must_use]
    pub fn schemas() -> Vec<(&'static str, Schema)> {
        let first = Schema::exactly(FIRST_SUBSCRIPTION_START);
        vec![
            ("billing_period", one_of(&PeriodLength::NAMES)),
            ("bill_cycle_day", Schema::any_of([whole(CYCLE_DAYS), first])),
            ("bill_cycle_month", whole(MONTHS)),
            ("payment_term_days", whole(PAYMENT_TERMS)),
            ("proration", boolean()),
            ("proration_basis", one_of(&ProrationBasis::NAMES)),
            ("first_invoice_on_activation", boolean()),
            ("hide_zero_items", boolean()),
            ("credit_memos", boolean()),
            ("auto_activate", boolean()),
            ("currency", Schema::reference("currency")),
            ("rounding", one_of(&ROUNDINGS)),
        ]
    }

    /// Reads the settings among the members of an object; faults are noted.
    pub fn read(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Self {
        let month = fields.optional("bill_cycle_month", faults, |v, f| read_whole(v, MONTHS, f));
        Self {
            billing_period: fields
                .optional("billing_period", faults, |v, f| read_name(v, &PeriodLength::NAMES, f)),
            bill_cycle_day: fields.optional("bill_cycle_day", faults, read_cycle_day),
            bill_cycle_month: month.and_then(|month| i8::try_from(month).ok()),
            payment_term_days: fields
                .optional("payment_term_days", faults, |v, f| read_whole(v, PAYMENT_TERMS, f)),
            proration: fields.optional("proration", faults, read_bool),
            proration_basis: fields.optional("proration_basis", faults, |v, f| {
                read_name(v, &ProrationBasis::NAMES, f)
            }),
            first_invoice_on_activation: fields.optional(
                "first_invoice_on_activation",
                faults,
                read_bool,
            ),
            hide_zero_items: fields.optional("hide_zero_items", faults, read_bool),
            credit_memos: fields.optional("credit_memos", faults, read_bool),
            auto_activate: fields.optional("auto_activate", faults, read_bool),
            currency: fields.optional("currency", faults, read_currency),
            rounding: fields.optional("rounding", faults, |v, f| read_name(v, &ROUNDINGS, f)),
        }
    }

    /// These settings, and where they say nothing, those of a level further away.
    #[must_use]
    pub fn or(self, further: &Self) -> Self {
        Self {
            billing_period: self.billing_period.or(further.billing_period),
            bill_cycle_day: self.bill_cycle_day.or(further.bill_cycle_day),
            bill_cycle_month: self.bill_cycle_month.or(further.bill_cycle_month),
            payment_term_days: self.payment_term_days.or(further.payment_term_days),
            proration: self.proration.or(further.proration),
            proration_basis: self.proration_basis.or(further.proration_basis),
            first_invoice_on_activation: self
                .first_invoice_on_activation
                .or(further.first_invoice_on_activation),
            hide_zero_items: self.hide_zero_items.or(further.hide_zero_items),
            credit_memos: self.credit_memos.or(further.credit_memos),
            auto_activate: self.auto_activate.or(further.auto_activate),
            currency: self.currency.or(further.currency),
            rounding: self.rounding.or(further.rounding),
        }
    }
}

fn read_cycle_day(value: Value<'_>, faults: &mut Faults<'_>) -> Option<CycleDay> {
    if value.kind() == Kind::String && value.is(FIRST_SUBSCRIPTION_START) {
        return Some(CycleDay::FirstSubscriptionStart);
    }
    let day = value.as_decimal_text().and_then(|text| parse_whole(&text));
    let day = day.filter(|day| (CYCLE_DAYS.0..=CYCLE_DAYS.1).contains(day));
    let day = day.and_then(|day| i8::try_from(day).ok());
    if day.is_none() {
        faults.add(value, "must be a day from 1 to 31 or \"first_subscription_start\"");
    }
    day.map(CycleDay::Fixed)
}
