//! The two worked examples of the documentation, to the cent and in every variant.

use crate::test_support::{QUARTERLY, VROOM, bill, rows};

/// Only documents and items: what each reference costs on each date.
#[track_caller]
fn check(orders: &str, as_of: &str, wanted: &[&str]) {
    let rows = rows(bill(orders, &[], as_of).filed());
    let shown: Vec<&str> =
        rows.iter().map(String::as_str).filter(|row| !row.starts_with("    ")).collect();
    assert_eq!(shown, wanted);
}

#[track_caller]
fn check_order_product(orders: &str, as_of: &str, id: &str, wanted: [&str; 4]) {
    let documents = bill(orders, &[], as_of);
    let billing = documents.order_products().iter().find(|billing| billing.id == id).unwrap();
    let shown = [
        billing.contract_value.unwrap().to_string(),
        billing.billed_amount.to_string(),
        billing.invoiced_until.map_or_else(|| "-".to_owned(), |date| date.to_string()),
        billing.next_billing_date.map_or_else(|| "-".to_owned(), |date| date.to_string()),
    ];
    assert_eq!(shown, wanted, "{id} as of {as_of}");
}

#[test]
fn quarterly_without_proration_joins_broken_first_quarters() {
    check(QUARTERLY, "2022-03-31", &[]);
    check(
        QUARTERLY,
        "2023-03-01",
        &[
            "invoice CUS-Q 2022-04-01 USD 400.00",
            "  SUB-Q 2022-03-01..2022-06-30 400.00",
            "invoice CUS-Q 2022-07-01 USD 500.00",
            "  SUB-Q 2022-06-01..2022-09-30 500.00",
            "invoice CUS-Q 2022-10-01 USD 450.00",
            "  SUB-Q 2022-10-01..2022-12-31 450.00",
            "invoice CUS-Q 2023-01-01 USD 300.00",
            "  SUB-Q 2023-01-01..2023-02-28 300.00",
        ],
    );
    check_order_product(
        QUARTERLY,
        "2023-03-01",
        "OP-001",
        ["1200.00", "1200.00", "2023-02-28", "-"],
    );
    check_order_product(QUARTERLY, "2022-03-01", "OP-001", ["1200.00", "0.00", "-", "2022-04-01"]);
    check_order_product(
        QUARTERLY,
        "2022-09-30",
        "OP-002",
        ["450.00", "200.00", "2022-09-30", "2022-10-01"],
    );
}

#[test]
fn quarterly_with_proration_bills_broken_first_quarters_alone() {
    let orders = QUARTERLY.replace("\"proration\": false", "\"proration\": true");
    check(
        &orders,
        "2023-03-01",
        &[
            "invoice CUS-Q 2022-03-01 USD 100.00",
            "  SUB-Q 2022-03-01..2022-03-31 100.00",
            "invoice CUS-Q 2022-04-01 USD 300.00",
            "  SUB-Q 2022-04-01..2022-06-30 300.00",
            "invoice CUS-Q 2022-06-01 USD 50.00",
            "  SUB-Q 2022-06-01..2022-06-30 50.00",
            "invoice CUS-Q 2022-07-01 USD 450.00",
            "  SUB-Q 2022-07-01..2022-09-30 450.00",
            "invoice CUS-Q 2022-10-01 USD 450.00",
            "  SUB-Q 2022-10-01..2022-12-31 450.00",
            "invoice CUS-Q 2023-01-01 USD 300.00",
            "  SUB-Q 2023-01-01..2023-02-28 300.00",
        ],
    );
}

const FIRST_INVOICE: [&str; 6] = [
    "invoice CUS-V 2023-05-18 USD 47.66",
    "  SUB-BUS 2023-05-18..2023-06-17 41.67",
    "  AST-PHONE 2023-05-18..2023-05-18 5.99",
    "  SUB-CLOUD 2023-05-18..2023-06-17 0.00",
    "  SUB-CHAT 2023-05-18..2023-06-17 0.00",
    "  ENT-CARE 2023-05-18..2023-06-17 0.00",
];

#[test]
fn vroom_first_invoice_has_three_items_of_nothing() {
    check(VROOM, "2023-05-18", &FIRST_INVOICE);
    let documents = bill(VROOM, &[], "2023-05-18");
    assert_eq!(documents.filed()[0].content().due_date.to_string(), "2023-06-17");
    check_order_product(
        VROOM,
        "2023-05-18",
        "OP-BUS",
        ["500.00", "41.67", "2023-06-17", "2023-06-18"],
    );
    check_order_product(VROOM, "2023-05-18", "OP-PHONE", ["5.99", "5.99", "2023-05-18", "-"]);
    check_order_product(VROOM, "2023-05-18", "OP-PRO", ["2000.00", "0.00", "-", "2024-05-18"]);
}

#[test]
fn vroom_items_of_nothing_are_hidden_on_request() {
    let orders = VROOM.replace("\"hide_zero_items\": false", "\"hide_zero_items\": true");
    check(&orders, "2023-05-18", &FIRST_INVOICE[..3]);
}

#[test]
fn vroom_sums_to_its_contract_value() {
    let documents = bill(VROOM, &[], "2024-05-18");
    let contract: i128 =
        documents.order_products().iter().map(|one| one.contract_value.unwrap().minor()).sum();
    assert_eq!(contract, 250_599);
    let billed: i128 = documents.invoices().map(|filed| filed.content().total.minor()).sum();
    assert_eq!(billed, contract);
    let items = documents.invoices().flat_map(|filed| &filed.content().items);
    let months: Vec<i128> =
        items.filter(|item| item.reference == "SUB-BUS").map(|item| item.amount.minor()).collect();
    assert_eq!(months, [4167, 4166, 4167, 4167, 4166, 4167, 4167, 4166, 4167, 4167, 4166, 4167]);
    let last = documents.invoices().last().unwrap().content();
    assert_eq!((last.invoice_date.to_string(), last.total.minor()), ("2024-05-18".into(), 200_000));
}
