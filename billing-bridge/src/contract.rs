//! What an order product costs in all, and how much of it each portion bills.
//!
//! A portion is billed as what has come up to its end, rounded, less what had come up before it,
//! rounded. So each date carries its own remainder, parts always sum to the rounded whole, and
//! taking something away again gives back the same cents. The last portion takes what remains of
//! the contract value, whatever the days before it came to.

use crate::error::BillingError;
use crate::months::Months;
use crate::order::PricePeriod;
use crate::order_book::{Ordered, bills_over_time};
use crate::product::RevenueModel;
use crate::schedule::{Portion, Schedule, day_after_term, single};
use ethnum::I256;
use rating::{AMOUNT_SCALE, Amount, Date, Money, ProrationBasis, Quantity};

/// A portion and the money that is billed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Billed {
    pub(crate) portion: Portion,
    pub(crate) amount: Money,
}

/// How far an order product is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The portions billed by the date, in their order.
    pub(crate) billed: Vec<Billed>,
    /// When the next portion is billed; `None` where none is left.
    pub(crate) next_billing_date: Option<Date>,
    /// What all portions sum to; `None` for an evergreen order product and for usage.
    pub(crate) contract_value: Option<Money>,
}

/// Bills the portions of `ordered` whose billing date has come by `as_of`.
pub(crate) fn bill(ordered: &Ordered, as_of: Date) -> Result<Progress, BillingError> {
    let model = ordered.revenue_model;
    if model == RevenueModel::OverageUsage {
        return Ok(Progress { billed: Vec::new(), next_billing_date: None, contract_value: None });
    }
    if !bills_over_time(model, ordered.product.price_period) {
        return bill_at_once(ordered, as_of);
    }
    let price = TermPrice::of(ordered)?;
    let mut billed = Vec::new();
    let mut months = Months::ZERO;
    let mut before = Money::from_minor(0, ordered.terms.currency);
    let mut next_billing_date = None;
    let overflow = || BillingError::overflow(&ordered.product.id);
    for portion in Schedule::new(ordered)? {
        let portion = portion?;
        if portion.bills_on > as_of {
            next_billing_date = Some(portion.bills_on);
            break;
        }
        months = months.checked_add(portion.months).ok_or_else(overflow)?;
        let cumulative = match price.contract_value {
            Some(whole) if portion.is_last => whole,
            Some(_) | None => price.of_months(months, ordered).ok_or_else(overflow)?,
        };
        let amount = cumulative.checked_sub(before).ok_or_else(overflow)?;
        billed.push(Billed { portion, amount });
        before = cumulative;
    }
    Ok(Progress { billed, next_billing_date, contract_value: price.contract_value })
}

fn bill_at_once(ordered: &Ordered, as_of: Date) -> Result<Progress, BillingError> {
    let portion = single(ordered)?;
    let amount = whole_price(ordered).to_money(ordered.terms.currency, ordered.terms.rounding);
    let amount = amount.ok_or_else(|| BillingError::overflow(&ordered.product.id))?;
    let is_due = portion.bills_on <= as_of;
    Ok(Progress {
        billed: if is_due { vec![Billed { portion, amount }] } else { Vec::new() },
        next_billing_date: (!is_due).then_some(portion.bills_on),
        contract_value: Some(amount),
    })
}

/// The agreed total or, without one, the price of all that is not included.
fn whole_price(ordered: &Ordered) -> Amount {
    let bought = &ordered.product;
    bought.total.map_or_else(|| list_price(ordered), rating::Price::once)
}

/// Unit price × what is ordered and not included: for one price period.
fn list_price(ordered: &Ordered) -> Amount {
    let bought = &ordered.product;
    let quantity = bought.quantity.unwrap_or_default().checked_sub(bought.included);
    // Both lie within 24 digits, so their difference fits.
    bought.unit_price.unwrap_or_default().times(quantity.unwrap_or(Quantity::ZERO))
}

/// A price for so many months, and what it makes of the whole term.
struct TermPrice {
    amount: Amount,
    /// The months that `amount` pays.
    per: Months,
    contract_value: Option<Money>,
}

impl TermPrice {
    fn of(ordered: &Ordered) -> Result<Self, BillingError> {
        let bought = &ordered.product;
        let overflow = || BillingError::overflow(&bought.id);
        let listed = list_price(ordered);
        let (amount, per) = match (bought.total, bought.price_period) {
            // A total beside no price of its own is spread over the term.
            (Some(total), _) if listed.is_zero() => (total.once(), months_of_grid(ordered)?),
            (_, Some(PricePeriod::Months(months))) => (listed, Months::whole(months)),
            (_, Some(PricePeriod::Once) | None) => (listed, months_of_grid(ordered)?),
        };
        let mut price = Self { amount, per, contract_value: None };
        if bought.end.is_some() {
            let whole = match (bought.total, bought.price_period) {
                (Some(total), _) => money(total.once(), ordered),
                (None, Some(PricePeriod::Once)) => money(amount, ordered),
                (None, Some(PricePeriod::Months(_)) | None) => {
                    price.of_months(months_of_contract(ordered)?, ordered)
                }
            };
            price.contract_value = Some(whole.ok_or_else(overflow)?);
        }
        Ok(price)
    }

    /// The price of so many months, rounded once.
    fn of_months(&self, months: Months, ordered: &Ordered) -> Option<Money> {
        let currency = ordered.terms.currency;
        let places = AMOUNT_SCALE.checked_sub(currency.exponent())?;
        let numerator = self
            .amount
            .scaled()
            .checked_mul(I256::new(months.numerator()))?
            .checked_mul(I256::new(self.per.denominator()))?;
        let denominator = I256::new(10)
            .checked_pow(places)?
            .checked_mul(I256::new(months.denominator()))?
            .checked_mul(I256::new(self.per.numerator()))?;
        let minor = ordered.terms.rounding.quotient(numerator, denominator)?;
        Some(Money::from_minor(i128::try_from(minor).ok()?, currency))
    }
}

fn money(amount: Amount, ordered: &Ordered) -> Option<Money> {
    amount.to_money(ordered.terms.currency, ordered.terms.rounding)
}

/// The months that the contract counts: whole ones from the term's own start where it is such,
/// else what the portions add up to.
fn months_of_contract(ordered: &Ordered) -> Result<Months, BillingError> {
    if ordered.terms.proration_basis == ProrationBasis::MonthsThenDays
        && let Some(end) = day_after_term(ordered)?
        && let Some(months) = Months::between(ordered.product.start, end)
    {
        return Ok(months);
    }
    months_of_grid(ordered)
}

/// The months of all portions together.
fn months_of_grid(ordered: &Ordered) -> Result<Months, BillingError> {
    let overflow = || BillingError::overflow(&ordered.product.id);
    if ordered.product.end.is_none() {
        // Refused when the order is read: nothing without an end is priced by its whole term.
        return Err(overflow());
    }
    let mut sum = Months::ZERO;
    for portion in Schedule::new(ordered)? {
        sum = sum.checked_add(portion?.months).ok_or_else(overflow)?;
    }
    Ok(sum)
}
