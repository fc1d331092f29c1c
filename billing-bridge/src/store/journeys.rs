//! What becomes of documents in a store: run again, activated, canceled, corrected, refused.

use super::{DocumentStore, SqliteStore, StoreError};
use crate::document::{Filed, Series, State};
use crate::merge::Documents;
use crate::test_support::{QUARTERLY, VROOM, bill, rows, usage};
use proptest::prelude::*;
use std::path::Path;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn memory() -> SqliteStore {
    block_on(SqliteStore::in_memory()).unwrap()
}

fn save(store: &mut SqliteStore, run: Documents) -> Documents {
    block_on(store.save(run)).unwrap()
}

fn all(store: &mut SqliteStore) -> Vec<Filed> {
    block_on(store.documents(None)).unwrap()
}

/// What customers owe by all documents that are not canceled.
fn owed(documents: &[Filed]) -> i128 {
    let standing = documents.iter().filter(|filed| filed.state() != State::Canceled);
    let signed = standing.map(|filed| {
        let total = filed.content().total.minor();
        if filed.content().series == Series::Invoice { total } else { -total }
    });
    signed.sum()
}

#[test]
fn the_same_run_twice_makes_the_same_documents() {
    let mut store = memory();
    let once = save(&mut store, bill(VROOM, &[], "2023-08-01"));
    let twice = save(&mut store, bill(VROOM, &[], "2023-08-01"));
    assert_eq!(once.filed(), twice.filed());
    assert_eq!(once.filed(), bill(VROOM, &[], "2023-08-01").filed());
    assert_eq!(all(&mut store), twice.filed());
}

/// A run of an earlier day gave back the drafts of later days beside order products that were not
/// billed that far. Now a run gives what is of its day, and no other drafts are left.
#[test]
fn an_earlier_run_has_no_documents_of_later_days() {
    let mut store = memory();
    let late = save(&mut store, bill(QUARTERLY, &[], "2022-10-01"));
    let ids: Vec<String> = late.filed().iter().map(|filed| filed.content().id()).collect();
    let early = save(&mut store, bill(QUARTERLY, &[], "2022-05-01"));
    assert_eq!(early.filed(), bill(QUARTERLY, &[], "2022-05-01").filed());
    assert_eq!(all(&mut store), early.filed());
    save(&mut store, bill(QUARTERLY, &[], "2022-10-01"));
    block_on(store.activate(&ids[2])).unwrap();
    let early = save(&mut store, bill(QUARTERLY, &[], "2022-05-01"));
    assert_eq!(early.filed(), bill(QUARTERLY, &[], "2022-05-01").filed());
    // What is active is kept, and not billed again.
    assert_eq!(all(&mut store).len(), 2);
    let late = save(&mut store, bill(QUARTERLY, &[], "2023-03-01"));
    assert_eq!((late.filed().len(), owed(late.filed())), (4, 165_000));
}

/// An order product could be given another price between two runs, and its drafts with it.
#[test]
fn an_order_product_never_changes_between_runs() {
    let mut store = memory();
    let before = save(&mut store, bill(VROOM, &[], "2023-05-18"));
    let dearer = VROOM.replace("\"5.99\"", "\"6.99\"");
    let text = |error: StoreError| error.to_string();
    let refused = text(block_on(store.save(bill(&dearer, &[], "2023-06-18"))).unwrap_err());
    assert!(
        refused.starts_with("the order product \"OP-PHONE\" was saved with other content"),
        "{refused}"
    );
    assert_eq!(all(&mut store), before.filed());
    // Other days of activation are other content, also where that is still to come.
    let later =
        VROOM.replace("\"activated_on\": \"2023-05-18\"", "\"activated_on\": \"2023-09-01\"");
    let refused = text(block_on(store.save(bill(&later, &[], "2023-06-18"))).unwrap_err());
    assert!(refused.starts_with("the order products \"OP-BUS\", \"OP-CARE\""), "{refused}");
    // The same in other words is the same.
    let same = VROOM.replace("\"5.99\"", "5.990");
    assert_eq!(save(&mut store, bill(&same, &[], "2023-05-18")).filed(), before.filed());
    // What is not activated yet may change.
    let mut store = memory();
    save(&mut store, bill(&later, &[], "2023-06-18"));
    save(&mut store, bill(&dearer, &[], "2023-06-18"));
}

#[test]
fn usage_billed_before_its_cancellation_is_not_billed_again() {
    let orders = |more: &str| {
        format!(
            r#"{{"settings":{{"auto_activate":true}},
            "products":[{{"sku":"U","provisions":"subscription","revenue_model":"overage_usage"}}],
            "orders":[{{"id":"O1","customer":"CUS-1","kind":"new","activated_on":"2026-01-01",
            "order_products":[{{"id":"P1","sku":"U","reference":"S","quantity":"1",
            "plan":"USD-pro","start":"2026-01-01"}}]}}{more}]}}"#
        )
    };
    let cancel = r#",{"id":"O2","customer":"CUS-1","kind":"cancel","activated_on":"2026-03-15",
        "order_products":[{"id":"P2","sku":"U","reference":"S","quantity":"-1",
        "start":"2026-02-10"}]}"#;
    let february = usage("S", "calls", ("2026-02-01", "2026-03-01"), "15");
    let march = usage("S", "calls", ("2026-03-01", "2026-03-15"), "9");
    let mut store = memory();
    let before = save(&mut store, bill(&orders(""), std::slice::from_ref(&february), "2026-03-14"));
    let after = save(&mut store, bill(&orders(cancel), &[february, march], "2026-04-30"));
    assert_eq!(before.filed(), &after.filed()[..1]);
    assert_eq!(rows(&after.filed()[1..])[0], "invoice CUS-1 2026-03-15 USD 9.00");
    assert_eq!(owed(after.filed()), 2_400);
}

#[test]
fn what_is_active_is_not_billed_again() {
    let mut store = memory();
    let first = save(&mut store, bill(QUARTERLY, &[], "2022-07-01"));
    let id = first.filed()[0].content().id();
    let active = block_on(store.activate(&id)).unwrap();
    assert_eq!(active.number().to_string(), "INV-000001");
    let second = save(&mut store, bill(QUARTERLY, &[], "2023-03-01"));
    assert_eq!(second.filed().len(), 4);
    assert_eq!(second.filed()[0], Filed::Active(active));
    assert_eq!(owed(second.filed()), 165_000);
    let again = block_on(store.activate(&id)).unwrap_err();
    assert_eq!(again.to_string(), format!("the document \"{id}\" is active, not draft"));
    let unknown = block_on(store.cancel("invoice/X")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no document \"invoice/X\"");
}

#[test]
fn what_is_canceled_is_billed_anew_with_the_same_cents() {
    let mut store = memory();
    save(&mut store, bill(VROOM, &[], "2023-05-18"));
    let id = all(&mut store)[0].content().id();
    block_on(store.activate(&id)).unwrap();
    block_on(store.cancel(&id)).unwrap();
    let run = save(&mut store, bill(VROOM, &[], "2023-05-18"));
    let [canceled, draft] = run.filed() else { panic!("{:?}", rows(run.filed())) };
    assert_eq!((canceled.state(), draft.state()), (State::Canceled, State::Draft));
    assert_eq!(canceled.content().items, draft.content().items);
    assert_eq!(draft.content().id(), format!("{id}/2"));
    let number = block_on(store.activate(&draft.content().id())).unwrap().number();
    assert_eq!(number.to_string(), "INV-000002");
}

#[test]
fn usage_that_changes_after_activation_goes_to_a_further_document() {
    let orders = r#"{"orders":[]}"#;
    let total = |amount| usage("CAT-SUB", "calls", ("2026-01-01", "2026-02-01"), amount);
    let mut store = memory();
    let mut run = |amount| {
        let run = save(&mut store, bill(orders, &[total(amount)], "2026-02-01"));
        for filed in run.filed().iter().filter(|filed| filed.state() == State::Draft) {
            block_on(store.activate(&filed.content().id())).unwrap();
        }
        let shown = run.filed().iter().map(|filed| (filed.content().id(), filed.content().total));
        shown.map(|(id, total)| format!("{id} {total}")).collect::<Vec<String>>()
    };
    let first = "invoice/CUS-1/USD/2026-02-01 12.00".to_owned();
    let more = "invoice/CUS-1/USD/2026-02-01/2 0.50".to_owned();
    let less = "credit_memo/CUS-1/USD/2026-02-01 2.50".to_owned();
    assert_eq!(run("12"), [&*first]);
    assert_eq!(run("12.5"), [&*first, &*more]);
    assert_eq!(run("12.5"), [&*first, &*more]);
    assert_eq!(run("10"), [first, more, less]);
}

#[test]
fn settings_that_change_later_bill_nothing_twice() {
    let mut store = memory();
    let run = save(&mut store, bill(QUARTERLY, &[], "2022-04-01"));
    block_on(store.activate(&run.filed()[0].content().id())).unwrap();
    let monthly = QUARTERLY.replace("\"quarter\"", "\"month\"");
    let run = save(&mut store, bill(&monthly, &[], "2023-03-01"));
    assert_eq!(owed(run.filed()), 165_000);
    let rows = rows(run.filed());
    // April to June are paid; in June only the ten further licences are due.
    assert_eq!(rows[3], "invoice CUS-Q 2022-06-01 USD 50.00", "{rows:?}");
}

#[test]
fn automatic_activation_goes_on_after_the_numbers_given() {
    let automatic =
        VROOM.replace("\"hide_zero_items\"", "\"auto_activate\": true, \"hide_zero_items\"");
    let mut store = memory();
    save(&mut store, bill(&automatic, &[], "2023-06-30"));
    let run = save(&mut store, bill(&automatic, &[], "2023-07-30"));
    let numbers: Vec<String> =
        run.filed().iter().map(|filed| filed.number().unwrap().to_string()).collect();
    assert_eq!(numbers, ["INV-000001", "INV-000002", "INV-000003"]);
}

#[test]
fn a_file_keeps_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("documents.sqlite");
    let saved =
        save(&mut block_on(SqliteStore::open(&path)).unwrap(), bill(VROOM, &[], "2024-06-01"));
    assert_eq!(all(&mut block_on(SqliteStore::open(&path)).unwrap()), saved.filed());
}

/// Runs SQL on a file as another program would.
fn meddle(path: &Path, sql: &'static str) {
    use sqlx::{ConnectOptions, Executor};
    block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = options.create_if_missing(true).connect().await.unwrap();
        connection.execute(sql).await.unwrap();
    });
}

#[test]
fn files_of_others_and_of_newer_programs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str| block_on(SqliteStore::open(&dir.path().join(name))).unwrap_err();
    std::fs::write(
        dir.path().join("text"),
        "no database, but long enough to be read as one".repeat(9),
    )
    .unwrap();
    assert!(matches!(refused("text"), StoreError::NotAStore(_)));
    meddle(&dir.path().join("foreign"), "CREATE TABLE theirs (id TEXT)");
    assert!(matches!(refused("foreign"), StoreError::NotAStore(_)));
    for name in ["newer", "other"] {
        block_on(SqliteStore::open(&dir.path().join(name))).unwrap();
    }
    meddle(
        &dir.path().join("newer"),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (7, 'later', true, x'00', 0)",
    );
    assert!(matches!(refused("newer"), StoreError::Newer { found: 7, known: 2, .. }));
    meddle(&dir.path().join("other"), "UPDATE _sqlx_migrations SET checksum = x'00'");
    assert!(matches!(refused("other"), StoreError::OtherSchema { version: 1, .. }));
    let nowhere = refused("no/such/directory");
    assert!(matches!(nowhere, StoreError::ReadOnly(_)), "{nowhere}");
}

#[test]
fn a_full_or_locked_store_says_so_and_keeps_what_it_had() {
    use sqlx::Executor;
    let mut store = memory();
    save(&mut store, bill(VROOM, &[], "2023-05-18"));
    let before = all(&mut store);
    block_on(store.connection().execute("PRAGMA max_page_count = 12")).unwrap();
    let full = block_on(store.save(bill(VROOM, &[], "2033-01-01"))).unwrap_err();
    assert!(matches!(full, StoreError::Full(_)), "{full}");
    block_on(store.connection().execute("PRAGMA query_only = 1")).unwrap();
    let locked = block_on(store.save(bill(VROOM, &[], "2023-07-01"))).unwrap_err();
    assert!(matches!(locked, StoreError::ReadOnly(_)), "{locked}");
    assert_eq!(all(&mut store), before);
}

#[derive(Debug, Clone)]
enum Step {
    Run(i64),
    Activate(prop::sample::Index),
    Cancel(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0i64..500).prop_map(Step::Run),
        any::<prop::sample::Index>().prop_map(Step::Activate),
        any::<prop::sample::Index>().prop_map(Step::Cancel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was activated and canceled in between, in the end everything is billed once.
    #[test]
    fn every_journey_ends_in_the_contract_value(steps in prop::collection::vec(step(), 0..12)) {
        let mut store = memory();
        for step in steps {
            let filed = all(&mut store);
            match step {
                Step::Run(days) => {
                    let first = crate::test_support::date("2023-05-18");
                    let as_of = first.checked_add(jiff::Span::new().days(days)).unwrap();
                    save(&mut store, bill(VROOM, &[], &as_of.to_string()));
                }
                Step::Activate(_) | Step::Cancel(_) if filed.is_empty() => {}
                // Not every document is in the state for it; the others refuse.
                Step::Activate(at) => {
                    let id = at.get(&filed).content().id();
                    let _refused = block_on(store.activate(&id)).is_err();
                }
                Step::Cancel(at) => {
                    let _refused = block_on(store.cancel(&at.get(&filed).content().id())).is_err();
                }
            }
        }
        let run = save(&mut store, bill(VROOM, &[], "2024-06-01"));
        prop_assert_eq!(owed(run.filed()), 250_599);
        let mut numbers: Vec<u64> =
            run.filed().iter().filter_map(|filed| Some(filed.number()?.value())).collect();
        numbers.sort_unstable();
        prop_assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{:?}", numbers);
    }
}
