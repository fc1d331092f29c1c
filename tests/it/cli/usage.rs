//! A small catalog and as much usage of it as a test wants.

use std::fmt::Write as _;

/// One plan with tiers, three customers with a subscription each.
pub(super) const CATALOG: &str = r#"{
"meters":[{"key":"calls","event_type":"api.request","aggregation":"sum","value":"$.calls"}],
"plans":[{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
"charges":[
  {"key":"api","meter":"calls","included":"10","price":{"model":"graduated","tiers":[
    {"up_to":"1000","unit_price":"0.012"},{"up_to":null,"unit_price":"0.008"}]}}]}],
"customers":[{"id":"CUS-0"},{"id":"CUS-1","time_zone":"Europe/Berlin"},{"id":"CUS-2"}],
"subscriptions":[
  {"id":"SUB-0","customer":"CUS-0","plan":"pro","start":"2026-01-01"},
  {"id":"SUB-1","customer":"CUS-1","plan":"pro","start":"2026-01-01"},
  {"id":"SUB-2","customer":"CUS-2","plan":"pro","start":"2026-01-01"}]}
"#;

/// A good record; its id and time are made from `number`, so that no two are alike.
pub(super) fn record(number: usize) -> String {
    let (day, second) = (number % 58, number % 86_400);
    let (month, day) = (1 + day / 31, 1 + day % 31);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let time = format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{number:09}Z");
    let (subject, calls) = (number % 3, number % 7);
    format!(r#"{{"specversion":"1.0","id":"r{number}","source":"gw","type":"api.request","#,)
        + &format!(r#""subject":"SUB-{subject}","time":"{time}","data":{{"calls":"{calls}.25"}}}}"#)
}

/// Lines `from..to` of a file in which every so often one is a duplicate or not a record at all.
pub(super) fn lines(from: usize, to: usize) -> String {
    let mut text = String::new();
    for number in from..to {
        _ = match number % 1000 {
            500 => writeln!(text, "{}", record(number - 100)),
            999 => writeln!(text, "not a record, line {number}"),
            _ => writeln!(text, "{}", record(number)),
        };
    }
    text
}
