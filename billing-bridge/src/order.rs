//! Orders and their order products, as they were activated.

mod canonical;

use crate::product::{open_with_settings, read_settings};
use crate::terms::BillingTiming;
use rating::fault::{read_date, read_name, read_price, read_quantity, read_text};
use rating::json::Value;
use rating::{Date, Faults, Fields, Price, Quantity, Settings};

/// What an order does to the references it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Creates them.
    New,
    /// Changes them; quantities are deltas.
    Change,
    /// Lets them go on.
    Renewal,
    /// Takes from them; quantities are not above zero.
    Cancel,
}

impl Kind {
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("new", Self::New),
        ("change", Self::Change),
        ("renewal", Self::Renewal),
        ("cancel", Self::Cancel),
    ];

    /// Its name in orders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Change => "change",
            Self::Renewal => "renewal",
            Self::Cancel => "cancel",
        }
    }
}

/// How long the time is that a unit price buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PricePeriod {
    /// So many months.
    Months(i32),
    /// The whole term, or the thing itself.
    Once,
}

impl PricePeriod {
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("month", Self::Months(1)),
        ("quarter", Self::Months(3)),
        ("half_year", Self::Months(6)),
        ("year", Self::Months(12)),
        ("once", Self::Once),
    ];
}

/// One line of an order. Once activated it never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderProduct {
    /// Unique among all orders.
    pub id: String,
    /// The product that was ordered.
    pub sku: String,
    /// The subscription, asset or entitlement that it creates or changes.
    pub reference: String,
    /// How many, or how many more; below zero: how many fewer.
    pub quantity: Option<Quantity>,
    /// How many of them are free of charge.
    pub included: Quantity,
    /// What one costs for the price period.
    pub unit_price: Option<Price>,
    /// What time the unit price buys.
    pub price_period: Option<PricePeriod>,
    /// First day.
    pub start: Date,
    /// Last day; `None` is evergreen.
    pub end: Option<Date>,
    /// The agreed contract value, where it is not the price times the term.
    pub total: Option<Price>,
    /// The plan that prices what is used.
    pub plan: Option<String>,
    /// When it is billed.
    pub billing_timing: Option<BillingTiming>,
    /// The settings that stand on the order product.
    pub settings: Settings,
}

/// An order, with what could be read of its products.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Unique among orders.
    pub id: String,
    /// Whom it bills.
    pub customer: String,
    /// What it does.
    pub kind: Kind,
    /// The day from which it counts; nothing of it is billed before.
    pub activated_on: Date,
    /// Its lines.
    pub order_products: Vec<OrderProduct>,
    /// The settings that stand on the order.
    pub settings: Settings,
}

/// What could be read of an order product; what is absent or has a fault is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LegibleProduct {
    pub(crate) id: Option<String>,
    pub(crate) sku: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) quantity: Option<Quantity>,
    pub(crate) included: Quantity,
    pub(crate) unit_price: Option<Price>,
    pub(crate) price_period: Option<PricePeriod>,
    pub(crate) start: Option<Date>,
    pub(crate) end: Option<Date>,
    pub(crate) total: Option<Price>,
    pub(crate) plan: Option<String>,
    pub(crate) billing_timing: Option<BillingTiming>,
    pub(crate) settings: Settings,
    /// Whether everything that was written could be read.
    is_whole: bool,
}

impl LegibleProduct {
    /// The fields of an order product beside its settings.
    pub(crate) const FIELDS: [&'static str; 12] = [
        "id",
        "sku",
        "reference",
        "quantity",
        "included_quantity",
        "unit_price",
        "price_period",
        "start",
        "end",
        "total",
        "plan",
        "billing_timing",
    ];

    /// Reads an order product; whatever is wrong with it is noted.
    pub(crate) fn read(value: Value<'_>, faults: &mut Faults<'_>) -> Self {
        let Some(fields) = open_with_settings(value, &Self::FIELDS, faults) else {
            return Self::default();
        };
        let text = |name, faults: &mut Faults<'_>| {
            fields.required_text(name, faults).map(std::borrow::Cow::into_owned)
        };
        let included = fields.optional("included_quantity", faults, read_quantity);
        let mut read = Self {
            id: text("id", faults),
            sku: text("sku", faults),
            reference: text("reference", faults),
            quantity: fields.optional("quantity", faults, read_quantity),
            included: included.unwrap_or_default(),
            unit_price: fields.optional("unit_price", faults, read_price),
            price_period: fields
                .optional("price_period", faults, |v, f| read_name(v, &PricePeriod::NAMES, f)),
            start: fields.required("start", faults).and_then(|v| read_date(v, faults)),
            end: fields.optional("end", faults, read_date),
            total: fields.optional("total", faults, read_price),
            plan: fields.optional("plan", faults, read_text).map(std::borrow::Cow::into_owned),
            billing_timing: fields
                .optional("billing_timing", faults, |v, f| read_name(v, &BillingTiming::NAMES, f)),
            settings: read_settings(fields, faults),
            is_whole: false,
        };
        check_included(fields, read.quantity, read.included, faults);
        check_dates(fields, read.start, read.end, faults);
        read.is_whole = read.has_all_of(fields)
            && included.is_some() == fields.get("included_quantity").is_some();
        read
    }

    fn has_all_of(&self, fields: Fields<'_>) -> bool {
        let is_read = [
            ("quantity", self.quantity.is_some()),
            ("unit_price", self.unit_price.is_some()),
            ("price_period", self.price_period.is_some()),
            ("end", self.end.is_some()),
            ("total", self.total.is_some()),
            ("plan", self.plan.is_some()),
            ("billing_timing", self.billing_timing.is_some()),
        ];
        is_read.into_iter().all(|(name, is_read)| is_read == fields.get(name).is_some())
    }

    /// The order product, if it could be read.
    pub(crate) fn whole(&self) -> Option<OrderProduct> {
        if !self.is_whole {
            return None;
        }
        Some(OrderProduct {
            id: self.id.clone()?,
            sku: self.sku.clone()?,
            reference: self.reference.clone()?,
            quantity: self.quantity,
            included: self.included,
            unit_price: self.unit_price,
            price_period: self.price_period,
            start: self.start?,
            end: self.end,
            total: self.total,
            plan: self.plan.clone(),
            billing_timing: self.billing_timing,
            settings: self.settings,
        })
    }
}

/// What could be read of an order beside its products.
#[derive(Debug, Clone)]
pub(crate) struct LegibleHead {
    pub(crate) id: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) activated_on: Option<Date>,
    pub(crate) settings: Settings,
}

impl LegibleHead {
    /// The fields of an order beside its settings.
    pub(crate) const FIELDS: [&'static str; 5] =
        ["id", "customer", "kind", "activated_on", "order_products"];

    /// Reads the head of an order; its products are read by whoever keeps their places.
    pub(crate) fn read(fields: Fields<'_>, faults: &mut Faults<'_>) -> Self {
        let text = |name, faults: &mut Faults<'_>| {
            fields.required_text(name, faults).map(std::borrow::Cow::into_owned)
        };
        let (id, customer) = (text("id", faults), text("customer", faults));
        let kind = fields.required("kind", faults);
        let kind = kind.and_then(|v| read_name(v, &Kind::NAMES, faults));
        let activated_on = fields.required("activated_on", faults);
        let activated_on = activated_on.and_then(|v| read_date(v, faults));
        let settings = read_settings(fields, faults);
        Self { id, customer, kind, activated_on, settings }
    }

    /// The order, if its head could be read.
    pub(crate) fn whole(&self, order_products: Vec<OrderProduct>) -> Option<Order> {
        Some(Order {
            id: self.id.clone()?,
            customer: self.customer.clone()?,
            kind: self.kind?,
            activated_on: self.activated_on?,
            order_products,
            settings: self.settings,
        })
    }
}

/// Included units lie between none and all of those ordered, also where units are taken away.
fn check_included(
    fields: Fields<'_>,
    quantity: Option<Quantity>,
    included: Quantity,
    faults: &mut Faults<'_>,
) {
    let (Some(quantity), Some(at)) = (quantity, fields.get("included_quantity")) else { return };
    let (least, most) = (quantity.min(Quantity::ZERO), quantity.max(Quantity::ZERO));
    if included < least || most < included {
        let text = "must lie between 0 and \"quantity\"";
        faults.add(at, format!("included_quantity {included} {text} {quantity}"));
    }
}

fn check_dates(
    fields: Fields<'_>,
    start: Option<Date>,
    end: Option<Date>,
    faults: &mut Faults<'_>,
) {
    if let (Some(start), Some(end), Some(at)) = (start, end, fields.get("end"))
        && end < start
    {
        faults.add(at, format!("the last day {end} lies before the first, {start}"));
    }
}
