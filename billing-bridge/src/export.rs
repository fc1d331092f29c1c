//! The form in which documents leave: one JSON object each, amounts as decimal text.
//!
//! The same form lies in stores, so that what was sent out can be read back to the letter. Field
//! names and their order are frozen.

use crate::document::{Content, Detail, Filed, Item, Number, Series, State, UsageLine};
use crate::merge::{Billing, Documents, of_series};
use crate::product::Provision;
use rating::{Currency, Date, Money, QUANTITY_SCALE, Quantity};
use serde::{Deserialize, Serialize};

/// Names and contents of the files of a run: `invoices.json`, `credit_memos.json` and
/// `order_products.json`, each a list in date order.
///
/// # Errors
/// Only where the list does not fit into memory.
pub fn files(documents: &Documents) -> Result<[(&'static str, Vec<u8>); 3], serde_json::Error> {
    let of = |series| -> Vec<Exported> {
        of_series(&documents.filed, series).map(Exported::from).collect()
    };
    let order_products: Vec<ExportedBilling> =
        documents.order_products().iter().map(ExportedBilling::from).collect();
    Ok([
        ("invoices.json", pretty(&of(Series::Invoice))?),
        ("credit_memos.json", pretty(&of(Series::CreditMemo))?),
        ("order_products.json", pretty(&order_products)?),
    ])
}

fn pretty(list: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(list)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A document as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The document's identity.
    pub id: String,
    /// Its number, once it is active.
    pub number: Option<String>,
    /// `invoice` or `credit_memo`.
    pub kind: String,
    /// Whom it bills.
    pub customer: String,
    /// `draft`, `active` or `canceled`.
    pub status: String,
    /// `not_due` until payments are known.
    pub payment_status: String,
    /// Its billing date.
    pub invoice_date: Date,
    /// When it is to be paid.
    pub due_date: Date,
    /// What all amounts are in.
    pub currency: String,
    /// The sum of the items.
    pub subtotal: String,
    /// Taxes are not computed here.
    pub tax_amount: String,
    /// Subtotal and taxes.
    pub total: String,
    /// What is still open; nothing unless active.
    pub balance: String,
    /// 1, or more where documents of this identity are active already.
    pub sequence: u32,
    /// One for each reference.
    pub items: Vec<ExportedItem>,
}

/// An item as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedItem {
    /// The subscription, asset or entitlement.
    pub reference: String,
    /// Which of the three it is.
    pub provisions: String,
    /// The product it was first ordered as.
    pub product: Option<String>,
    /// First day.
    pub start: Date,
    /// Last day.
    pub end: Date,
    /// The sum of details and usage.
    pub amount: String,
    /// What its order products cost.
    pub details: Vec<ExportedDetail>,
    /// What its usage costs.
    pub usage: Vec<ExportedUsage>,
}

/// A detail as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedDetail {
    /// The order product.
    pub order_product: String,
    /// First day.
    pub start: Date,
    /// Last day.
    pub end: Date,
    /// How many were ordered.
    pub quantity: String,
    /// What it costs.
    pub amount: String,
}

/// A line of usage as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedUsage {
    /// The order product whose plan has the charge.
    pub order_product: Option<String>,
    /// The charge.
    pub charge: String,
    /// First day of the period.
    pub period_start: Date,
    /// Last day of the period.
    pub period_end: Date,
    /// What was used.
    pub quantity: String,
    /// What of it is priced.
    pub billable_quantity: String,
    /// What it costs.
    pub amount: String,
}

/// How far an order product is billed, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedBilling {
    /// The order product.
    pub id: String,
    /// What all its portions sum to; null for an evergreen one.
    pub contract_value: Option<String>,
    /// What is billed so far.
    pub billed_amount: String,
    /// The last day that is billed.
    pub invoiced_until: Option<Date>,
    /// When more is billed.
    pub next_billing_date: Option<Date>,
}

impl From<&Billing> for ExportedBilling {
    fn from(billing: &Billing) -> Self {
        Self {
            id: billing.id.clone(),
            contract_value: billing.contract_value.map(|value| value.to_string()),
            billed_amount: billing.billed_amount.to_string(),
            invoiced_until: billing.invoiced_until,
            next_billing_date: billing.next_billing_date,
        }
    }
}

impl From<&Filed> for Exported {
    fn from(filed: &Filed) -> Self {
        let content = filed.content();
        let zero = Money::from_minor(0, content.currency);
        Self {
            id: content.id(),
            number: filed.number().map(|number| number.to_string()),
            kind: content.series.name().to_owned(),
            customer: content.customer.clone(),
            status: filed.state().name().to_owned(),
            payment_status: "not_due".to_owned(),
            invoice_date: content.invoice_date,
            due_date: content.due_date,
            currency: content.currency.to_string(),
            subtotal: content.total.to_string(),
            tax_amount: zero.to_string(),
            total: content.total.to_string(),
            balance: filed.balance().to_string(),
            sequence: content.sequence,
            items: content.items.iter().map(ExportedItem::from).collect(),
        }
    }
}

impl From<&Item> for ExportedItem {
    fn from(item: &Item) -> Self {
        let detail = |detail: &Detail| ExportedDetail {
            order_product: detail.order_product.clone(),
            start: detail.start,
            end: detail.end,
            quantity: detail.quantity.to_string(),
            amount: detail.amount.to_string(),
        };
        let usage = |line: &UsageLine| ExportedUsage {
            order_product: line.order_product.clone(),
            charge: line.charge.clone(),
            period_start: line.period_start,
            period_end: line.period_end,
            quantity: line.quantity.to_string(),
            billable_quantity: line.billable_quantity.to_string(),
            amount: line.amount.to_string(),
        };
        Self {
            reference: item.reference.clone(),
            provisions: item.provision.name().to_owned(),
            product: item.product.clone(),
            start: item.start,
            end: item.end,
            amount: item.amount.to_string(),
            details: item.details.iter().map(detail).collect(),
            usage: item.usage.iter().map(usage).collect(),
        }
    }
}

impl Exported {
    /// The document it was made of; `None` if it is none that was ever exported.
    #[must_use]
    pub fn into_filed(self) -> Option<Filed> {
        let series = Series::parse(&self.kind)?;
        let currency = Currency::parse(&self.currency)?;
        let number = match &self.number {
            Some(text) => Some(Number::parse(text, series)?),
            None => None,
        };
        let items: Option<Vec<Item>> =
            self.items.into_iter().map(|item| item.into_item(currency)).collect();
        let content = Content {
            series,
            customer: self.customer,
            currency,
            invoice_date: self.invoice_date,
            due_date: self.due_date,
            sequence: self.sequence,
            items: items?,
            total: money(&self.total, currency)?,
        };
        Filed::restore(content, State::parse(&self.status)?, number)
    }
}

impl ExportedItem {
    fn into_item(self, currency: Currency) -> Option<Item> {
        let provisions = Provision::NAMES.into_iter();
        let provision = { provisions }.find(|(name, _)| *name == self.provisions)?.1;
        let detail = |detail: ExportedDetail| {
            Some(Detail {
                order_product: detail.order_product,
                start: detail.start,
                end: detail.end,
                quantity: quantity(&detail.quantity)?,
                amount: money(&detail.amount, currency)?,
            })
        };
        let usage = |line: ExportedUsage| {
            Some(UsageLine {
                order_product: line.order_product,
                charge: line.charge,
                period_start: line.period_start,
                period_end: line.period_end,
                quantity: quantity(&line.quantity)?,
                billable_quantity: quantity(&line.billable_quantity)?,
                amount: money(&line.amount, currency)?,
            })
        };
        Some(Item {
            reference: self.reference,
            provision,
            product: self.product,
            start: self.start,
            end: self.end,
            amount: money(&self.amount, currency)?,
            details: self.details.into_iter().map(detail).collect::<Option<_>>()?,
            usage: self.usage.into_iter().map(usage).collect::<Option<_>>()?,
        })
    }
}

fn money(text: &str, currency: Currency) -> Option<Money> {
    Some(Money::from_minor(scaled(text, currency.exponent())?, currency))
}

fn quantity(text: &str) -> Option<Quantity> {
    scaled(text, QUANTITY_SCALE).map(Quantity::from_scaled)
}

/// A decimal as written by this crate, in 10^-`scale`. Sums may be wider than what orders state.
fn scaled(text: &str, scale: u32) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_decimal = is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction);
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    is_decimal.then(|| digits.parse().ok()).flatten()
}
