//! Terms: the settings of one order product once the nearest level has won and defaults are in.

use rating::{Currency, Cycle, CycleDay, Date, ProrationBasis, Rounding, Settings, TimeZone};

/// Days from invoice date to due date where no level says otherwise.
const PAYMENT_TERM_DAYS: u32 = 30;

/// When a portion is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingTiming {
    /// At its start.
    InAdvance,
    /// On the day after its end.
    InArrears,
}

impl BillingTiming {
    /// The names in orders.
    pub(crate) const NAMES: [(&'static str, Self); 2] =
        [("in_advance", Self::InAdvance), ("in_arrears", Self::InArrears)];
}

/// How something is billed, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Billing periods of the customer's calendar.
    pub cycle: Cycle,
    /// What its amounts are in.
    pub currency: Currency,
    /// What becomes of halves.
    pub rounding: Rounding,
    /// Whether a partial first portion is billed on its own.
    pub proration: bool,
    /// How broken months are measured.
    pub proration_basis: ProrationBasis,
    /// Whether the service drafts the first invoice as soon as the order is activated.
    pub first_invoice_on_activation: bool,
    /// What documents do with it.
    pub on_documents: OnDocuments,
}

/// The part of the terms that decides how documents look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDocuments {
    /// Days from invoice date to due date.
    pub payment_term_days: u32,
    /// Whether an item of amount zero is left out.
    pub hide_zero_items: bool,
    /// Whether a negative net becomes a credit memo rather than a negative line.
    pub credit_memos: bool,
    /// Whether the document is activated as soon as it is made.
    pub auto_activate: bool,
}

impl OnDocuments {
    /// The terms of what gathers two: paid by the earlier date, and hidden, credited or activated
    /// only where both want it.
    pub(crate) fn both(self, other: Self) -> Self {
        Self {
            payment_term_days: self.payment_term_days.min(other.payment_term_days),
            hide_zero_items: self.hide_zero_items && other.hide_zero_items,
            credit_memos: self.credit_memos && other.credit_memos,
            auto_activate: self.auto_activate && other.auto_activate,
        }
    }
}

impl Terms {
    /// Fills in what `settings` leave open; `anchor` is the start of the first subscription.
    ///
    /// `None` only if the default currency is unknown to the currency table.
    pub(crate) fn settle(
        settings: &Settings,
        zone: &TimeZone,
        anchor: Option<Date>,
    ) -> Option<Self> {
        Some(Self {
            cycle: cycle(settings, zone, anchor),
            currency: settings.currency.or_else(|| Currency::parse("USD"))?,
            rounding: settings.rounding.unwrap_or_default(),
            proration: settings.proration.unwrap_or(false),
            proration_basis: settings.proration_basis.unwrap_or(ProrationBasis::MonthsThenDays),
            first_invoice_on_activation: settings.first_invoice_on_activation.unwrap_or(true),
            on_documents: OnDocuments {
                payment_term_days: settings.payment_term_days.unwrap_or(PAYMENT_TERM_DAYS),
                hide_zero_items: settings.hide_zero_items.unwrap_or(false),
                credit_memos: settings.credit_memos.unwrap_or(true),
                auto_activate: settings.auto_activate.unwrap_or(false),
            },
        })
    }
}

/// The billing periods that `settings` mean; the first subscription fixes day and month together.
pub(crate) fn cycle(settings: &Settings, zone: &TimeZone, anchor: Option<Date>) -> Cycle {
    let length = settings.billing_period.unwrap_or_default();
    let month = settings.bill_cycle_month.unwrap_or(1);
    let (day, month) = match (settings.bill_cycle_day, anchor) {
        (Some(CycleDay::Fixed(day)), _) => (day, month),
        (Some(CycleDay::FirstSubscriptionStart), Some(anchor)) => (anchor.day(), anchor.month()),
        (Some(CycleDay::FirstSubscriptionStart), None) | (None, _) => (1, month),
    };
    Cycle { length, day, month, zone: zone.clone() }
}
