//! Order products in one canonical text, by which a later run knows whether one was changed.
//!
//! The text lies in stores. Frozen: names, their order, and that what is absent is left out, so
//! that a field of a later program says nothing about the order products of an earlier one.

use super::{Kind, Order, OrderProduct, PricePeriod};
use crate::terms::BillingTiming;
use rating::{CycleDay, Date, ProrationBasis, Rounding, Settings};
use serde::Serialize;

#[derive(Serialize)]
struct Canonical<'a> {
    customer: &'a str,
    kind: &'static str,
    activated_on: Date,
    sku: &'a str,
    reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<String>,
    included_quantity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<String>,
    /// In months, 0 for once.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_period: Option<i32>,
    start: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_timing: Option<&'static str>,
    settings: CanonicalSettings,
}

#[derive(Serialize)]
struct CanonicalSettings {
    /// In months.
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_period: Option<i32>,
    /// 0 for that of the first subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    bill_cycle_day: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bill_cycle_month: Option<i8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_term_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proration: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proration_basis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_invoice_on_activation: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hide_zero_items: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_memos: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_activate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<&'static str>,
}

impl OrderProduct {
    /// The canonical text of this line of `order`. Two lines with the same text bill the same.
    pub(crate) fn canonical(&self, order: &Order) -> String {
        let canonical = Canonical {
            customer: &order.customer,
            kind: Kind::name(order.kind),
            activated_on: order.activated_on,
            sku: &self.sku,
            reference: &self.reference,
            quantity: self.quantity.map(|quantity| quantity.to_string()),
            included_quantity: self.included.to_string(),
            unit_price: self.unit_price.map(|price| price.to_string()),
            price_period: self.price_period.map(|period| match period {
                PricePeriod::Months(months) => months,
                PricePeriod::Once => 0,
            }),
            start: self.start,
            end: self.end,
            total: self.total.map(|total| total.to_string()),
            plan: self.plan.as_deref(),
            billing_timing: self.billing_timing.map(|timing| match timing {
                BillingTiming::InAdvance => "in_advance",
                BillingTiming::InArrears => "in_arrears",
            }),
            settings: canonical_settings(&self.settings),
        };
        // Texts, numbers and dates: JSON has a form for each of them.
        serde_json::to_string(&canonical).unwrap_or_default()
    }
}

fn canonical_settings(settings: &Settings) -> CanonicalSettings {
    CanonicalSettings {
        billing_period: settings.billing_period.map(rating::PeriodLength::months),
        bill_cycle_day: settings.bill_cycle_day.map(|day| match day {
            CycleDay::Fixed(day) => day,
            CycleDay::FirstSubscriptionStart => 0,
        }),
        bill_cycle_month: settings.bill_cycle_month,
        payment_term_days: settings.payment_term_days,
        proration: settings.proration,
        proration_basis: settings.proration_basis.map(|basis| match basis {
            ProrationBasis::MonthsThenDays => "months_then_days",
            ProrationBasis::DaysOfPeriod => "days_of_period",
        }),
        first_invoice_on_activation: settings.first_invoice_on_activation,
        hide_zero_items: settings.hide_zero_items,
        credit_memos: settings.credit_memos,
        auto_activate: settings.auto_activate,
        currency: settings.currency.map(|currency| currency.to_string()),
        rounding: settings.rounding.map(|rounding| match rounding {
            Rounding::HalfAwayFromZero => "half_away_from_zero",
            Rounding::HalfEven => "half_even",
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::test_support::{book, date};

    const LINE: &str = r#""id":"P","sku":"X","reference":"S","quantity":"1","unit_price":"2",
        "price_period":"month","start":"2026-01-01","end":"2026-12-31""#;

    fn canonical(line: &str) -> String {
        let document = format!(
            r#"{{"products":[{{"sku":"X","provisions":"subscription","revenue_model":"recurring"}},
            {{"sku":"Y","provisions":"subscription","revenue_model":"recurring"}}],
            "orders":[{{"id":"O","customer":"CUS-1","kind":"new","activated_on":"2026-01-01",
            "order_products":[{{{line}}}]}}]}}"#
        );
        book(&document).contents(date("2026-01-01"))[0].text.clone()
    }

    #[test]
    fn every_field_shows_and_the_spelling_of_none_does() {
        assert_eq!(
            canonical(LINE),
            "{\"customer\":\"CUS-1\",\"kind\":\"new\",\"activated_on\":\"2026-01-01\",\
             \"sku\":\"X\",\"reference\":\"S\",\"quantity\":\"1\",\"included_quantity\":\"0\",\
             \"unit_price\":\"2\",\"price_period\":1,\"start\":\"2026-01-01\",\
             \"end\":\"2026-12-31\",\"settings\":{}}"
        );
        assert_eq!(
            canonical(&LINE.replace("\"2\"", "2.00").replace("\"1\"", "1.0")),
            canonical(LINE)
        );
        let changed = |from, to| LINE.replace(from, to);
        let added = |field| format!("{LINE},{field}");
        let mut all = vec![
            canonical(LINE),
            canonical(&changed("\"X\"", "\"Y\"")),
            canonical(&changed("\"S\"", "\"T\"")),
            canonical(&changed("\"1\"", "\"2\"")),
            canonical(&changed("\"2\"", "\"3\"")),
            canonical(&changed("\"month\"", "\"once\"")),
            canonical(&changed("2026-01-01", "2026-01-02")),
            canonical(&changed("\"2026-12-31\"", "null")),
        ];
        for field in [
            "\"included_quantity\":1",
            "\"total\":5",
            "\"plan\":\"USD-pro\"",
            "\"billing_timing\":\"in_arrears\"",
            "\"billing_period\":\"year\"",
            "\"bill_cycle_day\":3",
            "\"bill_cycle_day\":\"first_subscription_start\"",
            "\"bill_cycle_month\":3",
            "\"payment_term_days\":3",
            "\"proration\":false",
            "\"proration_basis\":\"days_of_period\"",
            "\"first_invoice_on_activation\":true",
            "\"hide_zero_items\":true",
            "\"credit_memos\":false",
            "\"auto_activate\":true",
            "\"currency\":\"EUR\"",
            "\"rounding\":\"half_even\"",
        ] {
            all.push(canonical(&added(field)));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
