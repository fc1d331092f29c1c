//! A small catalog and short ways to book orders, for the tests of this crate.

use crate::{CustomerFacts, Customers, Documents, Filed, OrderBook, UsageTotal, documents};
use rating::{Currency, Date, Instant, Owed, PeriodDates, Price, Quantity, Settings, TimeZone};

pub(crate) const QUARTERLY: &str =
    include_str!("../../tests/it/scenarios/data/quarterly.orders.json");
pub(crate) const VROOM: &str = include_str!("../../tests/it/scenarios/data/vroom.orders.json");

/// Customers whose ids begin with `CUS`, plans in the currency they are named after, and the
/// subscription `CAT-SUB` of `CUS-1`. Plans named after a day begin with it.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) settings: Settings,
}

impl Customers for Catalog {
    fn customer(&self, id: &str) -> Option<CustomerFacts> {
        id.starts_with("CUS").then_some(CustomerFacts {
            zone: TimeZone::UTC,
            settings: self.settings,
            first_subscription_start: None,
        })
    }

    fn plan_currency(&self, key: &str) -> Option<Currency> {
        Currency::parse(key.get(..3)?)
    }

    fn plan_start(&self, key: &str) -> Option<(Date, Instant)> {
        let day = key.get(4..).unwrap_or_default();
        let start = if day.starts_with("2026-") { day } else { "2020-01-01" };
        Some((date(start), Instant::parse(&format!("{start}T00:00:00Z")).unwrap()))
    }

    fn subscription_customer(&self, id: &str) -> Option<String> {
        (id == "CAT-SUB").then(|| "CUS-1".to_owned())
    }

    fn subscription_plan(&self, id: &str) -> Option<String> {
        (id == "CAT-SUB").then(|| "USD-pro".to_owned())
    }

    fn is_taken(&self, name: &str) -> bool {
        name.starts_with("CUS")
    }

    fn customer_ids(&self) -> Vec<&str> {
        vec!["CUS-1", "CUS-2"]
    }

    fn plan_keys(&self) -> Vec<&str> {
        vec!["USD-pro", "EUR-pro"]
    }
}

pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[track_caller]
pub(crate) fn book(orders: &str) -> OrderBook {
    OrderBook::parse(orders.as_bytes(), &Catalog::default()).unwrap_or_else(|faults| {
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n"))
    })
}

#[track_caller]
pub(crate) fn bill(orders: &str, totals: &[UsageTotal], as_of: &str) -> Documents {
    documents(&book(orders), &Catalog::default(), totals, date(as_of)).unwrap()
}

pub(crate) fn usage(
    subscription: &str,
    charge: &str,
    period: (&str, &str),
    amount: &str,
) -> UsageTotal {
    UsageTotal {
        customer: "CUS-1".to_owned(),
        subscription: subscription.to_owned(),
        charge: charge.to_owned(),
        period: PeriodDates { start: date(period.0), end: date(period.1) },
        quantity: Quantity::parse("1700.5").unwrap(),
        billable_quantity: Quantity::parse("700.5").unwrap(),
        amount: Owed::of(Price::parse(amount).unwrap().once()).unwrap(),
        currency: Currency::parse("USD").unwrap(),
    }
}

/// Documents as rows: kind, date and total, then each item and what it is made of.
pub(crate) fn rows(documents: &[Filed]) -> Vec<String> {
    let mut rows = Vec::new();
    for filed in documents {
        let content = filed.content();
        rows.push(format!(
            "{} {} {} {} {}",
            content.series.name(),
            content.customer,
            content.invoice_date,
            content.currency,
            content.total
        ));
        for item in &content.items {
            rows.push(format!("  {} {}..{} {}", item.reference, item.start, item.end, item.amount));
            for detail in &item.details {
                let (id, days) =
                    (&detail.order_product, format!("{}..{}", detail.start, detail.end));
                rows.push(format!("    {id} {days} {} {}", detail.quantity, detail.amount));
            }
            for line in &item.usage {
                let days = format!("{}..{}", line.period_start, line.period_end);
                let id = line.order_product.as_deref().unwrap_or("-");
                rows.push(format!("    {id} {} {days} {}", line.charge, line.amount));
            }
        }
    }
    rows
}
