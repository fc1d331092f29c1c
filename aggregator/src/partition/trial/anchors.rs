//! A subscription whose start moved once began its years and terms anew: records of later periods
//! found an empty position beside the one that had counted their predecessors. Such a catalog is
//! now told from one that touches no usage.

use super::{Told, Trial, catalog};

const RECORD: Told = Told("a", "2026-03-20", "S", r#"{"n":"4"}"#);

fn with(scope: &str, stretches: &[(&str, &str)]) -> String {
    let charge = format!(
        r#"{{"key":"x","meter":"sum","scope":"{scope}","included":"30","prorate_included":true,
            "price":{{"model":"per_unit","unit_price":"1"}}}}"#
    );
    let stretches = stretches.iter().map(|(start, end)| {
        let end = if end.is_empty() { "null".to_owned() } else { format!("\"{end}\"") };
        format!(r#"{{"id":"S","customer":"C","plan":"p","start":"{start}","end":{end}}}"#)
    });
    catalog(&[("2026-01-01", &charge)], &stretches.collect::<Vec<_>>().join(","))
}

#[track_caller]
fn check(scope: &str, from: &[(&str, &str)], to: &[(&str, &str)], moved_from: Option<&str>) {
    let mut trial = Trial::new(&with(scope, from));
    trial.rate(&[RECORD]);
    trial.take(&with(scope, to)).unwrap();
    let moved = trial.partition().moved_scope().unwrap();
    assert_eq!(moved.map(|moved| moved.start.to_string()).as_deref(), moved_from, "{scope} {to:?}");
    // Where the record was taken back, no usage is touched any more.
    trial.take(&with(scope, from)).unwrap();
    trial.rate(&[Told("no", "2026-03-21", "S", r#"{"of":{"source":"s","id":"a"}}"#)]);
    trial.take(&with(scope, to)).unwrap();
    assert_eq!(trial.partition().moved_scope().unwrap(), None);
}

#[test]
fn years_and_terms_with_usage_stay_where_they_began() {
    let from = &[("2026-02-01", "")][..];
    for scope in ["year", "term"] {
        let moved = Some("2026-02-01T00:00:00Z");
        check(scope, from, &[("2026-01-01", "")], moved);
        check(scope, from, &[("2026-03-01", "")], moved);
        check(scope, from, &[("2026-02-01", "2026-02-28"), ("2026-03-01", "")], moved);
        check(scope, from, from, None);
        check(scope, from, &[("2026-02-01", "2026-12-31")], None);
    }
    for scope in ["day", "calendar_month", "billing_period"] {
        check(scope, from, &[("2026-01-01", "")], None);
        check(scope, from, &[("2026-02-01", "2026-02-28"), ("2026-03-01", "")], None);
    }
}

/// Records that add up to nothing were taken for none.
#[test]
fn a_year_whose_records_add_up_to_nothing_is_not_moved() {
    let (from, to) = (with("year", &[("2026-02-01", "")]), with("year", &[("2026-01-01", "")]));
    let mut trial = Trial::new(&from);
    trial.rate(&[Told("b", "2026-05-20", "S", r#"{"n":"0"}"#)]);
    trial.take(&to).unwrap();
    assert!(trial.partition().moved_scope().unwrap().is_some());
    trial.take(&from).unwrap();
    trial.rate(&[Told("no", "2026-05-21", "S", r#"{"of":{"source":"s","id":"b"}}"#)]);
    trial.take(&to).unwrap();
    assert_eq!(trial.partition().moved_scope().unwrap(), None);
}

#[test]
fn a_month_that_is_cut_otherwise_is_weighed_otherwise() {
    let moved = Some("2026-03-01T00:00:00Z");
    check("calendar_month", &[("2026-02-01", "")], &[("2026-02-01", "2026-03-25")], moved);
    check("calendar_month", &[("2026-02-01", "")], &[("2026-02-01", "2026-04-25")], None);
    check("day", &[("2026-02-01", "")], &[("2026-02-01", "2026-03-25")], None);
}
