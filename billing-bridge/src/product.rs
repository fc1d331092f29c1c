//! Products: what is sold under a stock-keeping unit, and how it is billed.

use crate::terms::BillingTiming;
use rating::fault::{read_name, read_text};
use rating::json::Value;
use rating::{Faults, Fields, Settings};

/// What an order product creates or changes under its reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provision {
    /// Something used over time.
    Subscription,
    /// Something owned.
    Asset,
    /// A right to something.
    Entitlement,
}

impl Provision {
    /// The names in orders and on documents.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("subscription", Self::Subscription),
        ("asset", Self::Asset),
        ("entitlement", Self::Entitlement),
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Asset => "asset",
            Self::Entitlement => "entitlement",
        }
    }
}

/// What a product's price buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevenueModel {
    /// A stretch of time, billed portion by portion.
    Recurring,
    /// The thing itself, billed once.
    OneTime,
    /// Nothing by itself: what is used is billed by its plan.
    OverageUsage,
    /// Credits in advance: billed once if priced `once`, else portion by portion.
    CreditBurndown,
}

impl RevenueModel {
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("recurring", Self::Recurring),
        ("one_time", Self::OneTime),
        ("overage_usage", Self::OverageUsage),
        ("credit_burndown", Self::CreditBurndown),
    ];

    /// When it is billed where nobody says otherwise.
    #[must_use]
    pub const fn default_timing(self) -> BillingTiming {
        match self {
            Self::Recurring | Self::OneTime | Self::CreditBurndown => BillingTiming::InAdvance,
            Self::OverageUsage => BillingTiming::InArrears,
        }
    }
}

/// One product of the price list.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The stock-keeping unit that order products name.
    pub sku: String,
    /// What people call it.
    pub name: Option<String>,
    /// What an order of it creates or changes.
    pub provision: Provision,
    /// What its price buys.
    pub revenue_model: RevenueModel,
    /// When it is billed, unless the order product says otherwise.
    pub billing_timing: Option<BillingTiming>,
    /// The settings that stand on the product.
    pub settings: Settings,
}

impl Product {
    /// The fields of a product beside its settings.
    pub(crate) const FIELDS: [&'static str; 5] =
        ["sku", "name", "provisions", "revenue_model", "billing_timing"];

    /// Reads a product; whatever is wrong with it is noted.
    pub(crate) fn read(value: Value<'_>, faults: &mut Faults<'_>) -> Option<Self> {
        let fields = open_with_settings(value, &Self::FIELDS, faults)?;
        let sku = fields.required_text("sku", faults);
        let name = fields.optional("name", faults, read_text);
        let provision = fields.required("provisions", faults);
        let provision = provision.and_then(|v| read_name(v, &Provision::NAMES, faults));
        let revenue_model = fields.required("revenue_model", faults);
        let revenue_model = revenue_model.and_then(|v| read_name(v, &RevenueModel::NAMES, faults));
        let billing_timing = fields.optional("billing_timing", faults, |value, faults| {
            read_name(value, &BillingTiming::NAMES, faults)
        });
        let settings = read_settings(fields, faults);
        Some(Self {
            sku: sku?.into_owned(),
            name: name.map(std::borrow::Cow::into_owned),
            provision: provision?,
            revenue_model: revenue_model?,
            billing_timing,
            settings,
        })
    }
}

/// Opens an object that may carry settings among its own fields.
pub(crate) fn open_with_settings<'a>(
    value: Value<'a>,
    own: &[&'static str],
    faults: &mut Faults<'_>,
) -> Option<Fields<'a>> {
    Fields::open(value, &with_settings(own), faults)
}

/// Fields, and those of the settings that may stand beside them.
pub(crate) fn with_settings(own: &[&'static str]) -> Vec<&'static str> {
    [own, &["settings"], &Settings::NAMES].concat()
}

/// The settings among the fields of an object, and those it has under `settings`.
pub(crate) fn read_settings(fields: Fields<'_>, faults: &mut Faults<'_>) -> Settings {
    let beside = Settings::read(&fields, faults);
    let inside = fields.get("settings").and_then(|value| {
        let inner = Fields::open(value, &Settings::NAMES, faults)?;
        Some(Settings::read(&inner, faults))
    });
    beside.or(&inside.unwrap_or_default())
}
