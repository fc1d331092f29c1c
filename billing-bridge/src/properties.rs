//! What holds for every order product, whatever its term, price and settings.

use crate::test_support::{bill, date};
use crate::{Documents, Series};
use proptest::prelude::*;

/// An order product as the fields of its JSON, and the settings it is billed by.
#[derive(Debug, Clone)]
struct Bought {
    settings: String,
    start: String,
    last: String,
    price: String,
    timing: &'static str,
}

impl Bought {
    fn line(&self, (id, quantity): (&str, i64), (start, total): (&str, Option<i64>)) -> String {
        let total = total.map_or_else(String::new, |total| format!(r#","total":"{total}""#));
        format!(
            r#"{{"id":"{id}","sku":"X","reference":"S","quantity":"{quantity}",
            {},"start":"{start}","end":"{}"{total}}}"#,
            self.price, self.last
        )
    }

    fn orders(&self, lines: &[(&str, String)]) -> String {
        let orders: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, (kind, line))| {
                let head = format!(r#""id":"O{at}","customer":"CUS-1","kind":"{kind}""#);
                format!(r#"{{{head},"activated_on":"2020-01-01","order_products":[{line}]}}"#)
            })
            .collect();
        format!(
            r#"{{"settings":{{{}}},"products":[{{"sku":"X","provisions":"subscription",
            "revenue_model":"recurring","billing_timing":"{}"}}],"orders":[{}]}}"#,
            self.settings,
            self.timing,
            orders.join(",")
        )
    }
}

fn bought() -> impl Strategy<Value = Bought> {
    let lengths = prop::sample::select(vec!["month", "quarter", "half_year", "year"]);
    let bases = prop::sample::select(vec!["months_then_days", "days_of_period"]);
    let roundings = prop::sample::select(vec!["half_away_from_zero", "half_even"]);
    let settings = (lengths, 1..32, 1..13, any::<bool>(), bases, roundings).prop_map(
        |(length, day, month, proration, basis, rounding)| {
            format!(
                r#""billing_period":"{length}","bill_cycle_day":{day},"bill_cycle_month":{month},
                "proration":{proration},"proration_basis":"{basis}","rounding":"{rounding}""#
            )
        },
    );
    let term = (0i64..1500, 0i64..1200);
    let periods = prop::sample::select(vec!["month", "quarter", "half_year", "year", "once"]);
    let price = (0u64..100_000_000, periods).prop_map(|(price, period)| {
        format!(r#""unit_price":"{price}e-5","price_period":"{period}""#)
    });
    let timing = prop::sample::select(vec!["in_advance", "in_arrears"]);
    (settings, term, price, timing).prop_map(|(settings, (from, days), price, timing)| {
        let start = date("2021-01-01").checked_add(jiff::Span::new().days(from)).unwrap();
        let last = start.checked_add(jiff::Span::new().days(days)).unwrap();
        Bought { settings, start: start.to_string(), last: last.to_string(), price, timing }
    })
}

/// The sum of all documents, credit memos taken off.
fn sum(documents: &Documents) -> i128 {
    let signed = documents.filed().iter().map(|filed| {
        let total = filed.content().total.minor();
        if filed.content().series == Series::Invoice { total } else { -total }
    });
    signed.sum()
}

const FOR_EVER: &str = "2099-01-01";

proptest! {
    #[test]
    fn portions_cover_the_term_and_sum_to_the_contract_value(
        bought in bought(),
        quantity in 1i64..200,
        total in prop::option::of(1i64..1_000_000),
    ) {
        let line = bought.line(("P", quantity), (&bought.start, total));
        let documents = bill(&bought.orders(&[("new", line)]), &[], FOR_EVER);
        let billing = &documents.order_products()[0];
        prop_assert_eq!(Some(billing.billed_amount), billing.contract_value);
        prop_assert_eq!(sum(&documents), billing.billed_amount.minor());
        if let Some(total) = total {
            prop_assert_eq!(sum(&documents), i128::from(total) * 100);
        }
        prop_assert_eq!(billing.next_billing_date, None);
        let mut next = date(&bought.start);
        let items = documents.filed().iter().flat_map(|filed| &filed.content().items);
        for detail in items.flat_map(|item| &item.details) {
            prop_assert_eq!(detail.start, next);
            next = detail.end.tomorrow().unwrap();
        }
        prop_assert_eq!(next.yesterday().unwrap(), date(&bought.last));
    }

    #[test]
    fn a_later_run_keeps_what_an_earlier_one_billed(bought in bought(), days in 0i64..1500) {
        let line = bought.line(("P", 3), (&bought.start, None));
        let orders = bought.orders(&[("new", line)]);
        let as_of = date("2021-01-01").checked_add(jiff::Span::new().days(days)).unwrap();
        let early = bill(&orders, &[], &as_of.to_string());
        let late = bill(&orders, &[], FOR_EVER);
        prop_assert_eq!(early.filed(), &late.filed()[..early.filed().len()]);
        let next = late.filed().get(early.filed().len()).map(|filed| filed.content().invoice_date);
        prop_assert_eq!(early.order_products()[0].next_billing_date, next);
    }

    #[test]
    fn taking_everything_back_leaves_nothing(bought in bought(), quantity in 1i64..200) {
        let lines = [
            ("new", bought.line(("P", quantity), (&bought.start, None))),
            ("cancel", bought.line(("N", -quantity), (&bought.start, None))),
        ];
        let documents = bill(&bought.orders(&lines), &[], FOR_EVER);
        for filed in documents.filed() {
            prop_assert_eq!(filed.content().total.minor(), 0);
            prop_assert_eq!(filed.content().series, Series::Invoice);
        }
    }

    #[test]
    fn taking_the_rest_back_bills_the_difference(
        bought in bought(),
        quantity in 1i64..200,
        later in 0i64..400,
    ) {
        let start = date(&bought.start).checked_add(jiff::Span::new().days(later)).unwrap();
        let start = start.min(date(&bought.last)).to_string();
        let lines = [
            ("new", bought.line(("P", quantity), (&bought.start, None))),
            ("cancel", bought.line(("N", -quantity), (&start, None))),
        ];
        let documents = bill(&bought.orders(&lines), &[], FOR_EVER);
        let values = documents.order_products().iter();
        let contract: i128 = values.map(|one| one.contract_value.unwrap().minor()).sum();
        prop_assert_eq!(sum(&documents), contract);
    }
}
