//! Faults that show only when several things stand together: fields of one charge, versions of one
//! plan, a plan and what a subscription overrides of it.

use super::{UNIT_PRICE, catalog, check, check_charge};

const PERCENTAGE: &str = r#"{"model":"percentage","rate":"0.01"}"#;

fn matrix(cell: &str) -> String {
    let unit = r#"{"model":"per_unit","unit_price":1}"#;
    let cells = format!(r#"[{{"match":{{"region":"eu"}},"price":{cell}}}]"#);
    format!(r#"{{"model":"matrix","dimensions":["region"],"cells":{cells},"default":{unit}}}"#)
}

#[test]
fn fields_of_one_charge() {
    let flat = matrix(r#"{"model":"flat","amount":1}"#);
    let by_record = matrix(PERCENTAGE);
    for (meter, fields, price, message) in [
        (
            "calls",
            "\"included\":‸1,\"price\":",
            PERCENTAGE,
            "\"included\" does not go with a percentage",
        ),
        ("calls", "\"included\":‸1,\"price\":", &flat, "\"included\" does not go with a matrix"),
        (
            "calls",
            "\"unit\":‸{\"divide_by\":2},\"price\":",
            PERCENTAGE,
            "\"unit\" does not go with",
        ),
        (
            "calls",
            "\"unit\":‸{\"divide_by\":2},\"price\":",
            &by_record,
            "\"unit\" does not go with",
        ),
        ("peak", "\"price\":‸", PERCENTAGE, "a percentage is due for each record"),
        ("level", "\"price\":‸", PERCENTAGE, "a percentage is due for each record"),
        ("level", "\"price\":‸", &flat, "a matrix does not go with"),
    ] {
        check_charge(&format!("\"meter\":\"{meter}\",{fields}{price}"), &[message]);
    }
    for scope in ["day", "calendar_month", "year", "term"] {
        let charge = format!("\"meter\":\"level\",\"scope\":‸\"{scope}\",{UNIT_PRICE}");
        check_charge(&charge, &["a \"time_weighted_sum\" is measured over billing periods"]);
    }
    for good in [
        format!("\"meter\":\"calls\",\"included\":0,\"price\":{PERCENTAGE}"),
        format!(
            "\"meter\":\"calls\",\"included\":\"0.0\",\"unit\":{{\"divide_by\":2}},\"price\":{flat}"
        ),
        format!("\"meter\":\"level\",\"scope\":\"billing_period\",{UNIT_PRICE}"),
        format!("\"meter\":\"peak\",\"scope\":\"day\",\"included\":1,{UNIT_PRICE}"),
    ] {
        check_charge(&good, &[]);
    }
}

/// A further version of the plan `pro`, with one charge.
fn version(number: u32, from: &str, charge: &str) -> String {
    format!(
        r#"{{"key":"pro","version":{number},"effective_from":{from},"currency":"USD",
        "charges":[{charge}]}}"#
    )
}

#[track_caller]
fn check_versions(charge: &str, further: &[String], wanted: &[&str]) {
    let text = catalog(charge, "");
    let further = format!("]}},\n{}],\n\"customers\"", further.join(",\n"));
    check(&text.replace("]}],\n\"customers\"", &further), wanted);
}

#[test]
fn versions_of_a_plan() {
    let first = format!("\"meter\":\"calls\",\"scope\":\"day\",{UNIT_PRICE}");
    let api = |fields: &str| format!("{{\"key\":\"api\",{fields}{UNIT_PRICE}}}");
    let second = |charge: &str| version(2, "\"2026-02-01T00:00:00Z\"", charge);
    check_versions(&first, &[second(&api("\"meter\":\"calls\",\"scope\":\"day\","))], &[]);
    check_versions(
        &first,
        &[second(&api("\"meter\":\"calls\",\"scope\":‸\"year\","))],
        &["charge \"api\" changes its scope from day to year; give it another key"],
    );
    check_versions(
        &first,
        &[second(&format!("‸{}", api("\"meter\":\"calls\",")))],
        &["charge \"api\" changes its scope from day to billing_period"],
    );
    check_versions(
        &first,
        &[second(&api("\"meter\":‸\"peak\",\"scope\":\"day\","))],
        &["charge \"api\" changes its meter"],
    );
    let same = version(2, "‸\"2025-12-31T19:00:00-05:00\"", "");
    check_versions(
        &first,
        &[same],
        &["versions 1 and 2 of plan \"pro\" overlap: both take effect"],
    );
    let twice = format!("‸{}", version(1, "\"2026-02-01T00:00:00Z\"", ""));
    check_versions(&first, &[twice], &["version 1 of plan \"pro\" stands twice"]);
    let yen = second("").replace("\"USD\"", "‸\"JPY\"");
    check_versions(&first, &[yen], &["plan \"pro\" changes its currency from USD to JPY"]);
    let zoneless = version(2, "‸\"2026-02-01T00:00:00\"", "");
    check_versions(&first, &[zoneless], &["\"2026-02-01T00:00:00\" is not an RFC 3339 instant"]);
    let currency = second("").replace("\"USD\"", "‸\"usd\"");
    check_versions(&first, &[currency], &["\"usd\" is not a currency of ISO 4217; did you mean"]);
}

/// A meter that changed behind a flat price without one used to be found only next to each other.
#[test]
fn a_meter_stays_the_same_across_a_flat_price() {
    let flat = r#"{"key":"api","price":{"model":"flat","amount":1}}"#;
    let last = format!("{{\"key\":\"api\",\"meter\":‸\"peak\",{UNIT_PRICE}}}");
    let versions = [
        version(2, "\"2026-02-01T00:00:00Z\"", flat),
        version(3, "\"2026-03-01T00:00:00Z\"", &last),
    ];
    let first = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    check_versions(&first, &versions, &["charge \"api\" changes its meter"]);
    let good = versions.map(|version| version.replace('‸', ""));
    check_versions("\"price\":{\"model\":\"flat\",\"amount\":2}", &good, &[]);
}

/// One override of the charge `api`, which is priced by the unit.
#[track_caller]
fn check_override(charge: &str, change: &str, wanted: &[&str]) {
    let change = format!(r#""api":[{{"effective_from":"2026-02-01T00:00:00Z",{change}}}]"#);
    check(&catalog(charge, &change), wanted);
}

#[test]
fn overrides_of_a_charge() {
    let calls = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let including = format!("\"included\":5,{calls}");
    let level = format!("\"meter\":\"level\",{UNIT_PRICE}");
    let flat = matrix(r#"{"model":"flat","amount":1}"#);
    let unknown =
        flat.replace("\"region\"]", "‸\"regoin\"]").replace("{\"region\"", "{‸\"region\"");
    let price = |price: &str| format!("\"price\":{price}");
    for (charge, change, message) in [
        (&calls, "‸\"meter\":\"peak\"", "\"meter\" may not be overridden"),
        (&calls, "‸\"scope\":\"day\"", "\"scope\" may not be overridden"),
        (&calls, "‸\"key\":\"other\"", "\"key\" may not be overridden"),
        (&calls, "‸\"includd\":1", "unknown field \"includd\"; did you mean \"included\"?"),
        (&calls, "\"pool\":‸\"p\"", "\"pool\" is not supported yet"),
        (&calls, "\"price\":‸null", "a charge cannot be without a price"),
        (&calls, "\"discount_percent\":‸101", "must lie between 0 and 100"),
        (&calls, "\"unit\":{\"divide_by\":‸0}", "must be above 0"),
        (&calls, "\"filter\":{‸\"regoin\":[\"eu\"]}", "the meter does not group by \"regoin\""),
        (&calls, "\"prorate_flat\":‸7", "must be true or false"),
        (
            &including,
            &price(&format!("‸{PERCENTAGE}")),
            "\"included\" does not go with a percentage",
        ),
        (&including, &price(&format!("‸{flat}")), "\"included\" does not go with a matrix"),
        (&level, &price(&format!("‸{flat}")), "a matrix does not go with"),
        (&level, &price(&format!("‸{PERCENTAGE}")), "a percentage is due for each record"),
    ] {
        check_override(charge, change, &[message]);
    }
    let messages =
        ["the meter does not group by \"regoin\"", "\"region\" is not a dimension of this"];
    check_override(&calls, &price(&unknown), &messages);
    check_override(&including, &format!("\"included\":0,{}", price(&flat)), &[]);
    let plain = "\"price\":{\"model\":\"flat\",\"amount\":1}";
    check_override(plain, &UNIT_PRICE.replace("{", "‸{"), &["the charge has no meter"]);
}

#[test]
fn overrides_of_a_plan() {
    let calls = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let at = |day: u32, change: &str| {
        format!("{{\"effective_from\":\"2026-02-0{day}T00:00:00Z\",{change}}}")
    };
    let check_list = |text: String, wanted: &[&str]| check(&catalog(&calls, &text), wanted);
    check_list("‸\"apo\":[]".into(), &["\"apo\" is not a charge of plan \"pro\"; did you mean"]);
    check_list("\"api\":‸{}".into(), &["the overrides of a charge must be a list"]);
    check_list("\"api\":[‸{}]".into(), &["the field \"effective_from\" is missing"]);
    let twice = at(1, "\"minimum\":2").replace(":\"2026", ":‸\"2026");
    let twice = format!("\"api\":[{},{twice}]", at(1, "\"included\":1"));
    check_list(twice, &["two overrides of \"api\" take effect on 2026-02-01T00:00:00Z"]);
    // The later override finds what the earlier one made of the charge.
    let both = |included: &str| {
        let price = format!("\"price\":{PERCENTAGE}").replace("{", "‸{");
        format!("\"api\":[{},{}]", at(2, &price), at(1, &format!("\"included\":{included}")))
    };
    check_list(both("3"), &["\"included\" does not go with a percentage"]);
    check_list(both("0").replace('‸', ""), &[]);
    // What is wrong with a plan that nobody knows is not held against its overrides, but what is
    // wrong with them is said.
    let text = catalog(&calls, &format!("\"api\":[{}]", at(1, "\"included\":‸-1")));
    let text = text.replace("\"plan\":\"pro\"", "\"plan\":‸\"prp\"");
    check(&text, &["\"prp\" is not a plan of this catalog", "must not be below 0"]);
}

/// A later version of the plan may not go with an earlier override.
#[test]
fn an_override_is_checked_under_every_version() {
    let first = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let second = version(
        2,
        "\"2026-03-01T00:00:00Z\"",
        &format!("{{\"key\":\"api\",\"meter\":\"calls\",\"price\":{PERCENTAGE}}}"),
    );
    let text =
        catalog(&first, r#""api":[{"effective_from":"2026-02-01T00:00:00Z","included":‸5}]"#);
    let further = format!("]}},\n{second}],\n\"customers\"");
    let text = text.replace("]}],\n\"customers\"", &further);
    check(&text, &["\"included\" does not go with a percentage"]);
}

/// A subscription whose plan begins later used to be accepted, and its first records refused.
#[test]
fn a_subscription_begins_with_its_plan() {
    let calls = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let started = |start: &str, from: &str| {
        let text =
            catalog(&calls, "").replace("\"start\":\"2026-01-01\"", &format!("\"start\":{start}"));
        text.replace("2026-01-01T00:00:00Z", from)
    };
    check(
        &started("‸\"2025-12-30\"", "2026-01-01T00:00:00Z"),
        &["plan \"pro\" has no version in force on 2025-12-30; the first takes effect on 2026"],
    );
    // The same day, if only somewhere on Earth.
    for from in ["2026-01-01T00:00:00Z", "2026-01-01T23:59:59-12:00", "2026-01-01T00:00:00+14:00"] {
        check(&started("\"2026-01-01\"", from), &[]);
    }
    check(
        &started("‸\"2026-01-01\"", "2026-01-02T00:00:00-12:00"),
        &["plan \"pro\" has no version"],
    );
}

#[test]
fn subscriptions_and_customers() {
    let calls = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let replaced = |from: &str, to: &str| catalog(&calls, "").replace(from, to);
    for (from, to, message) in [
        ("\"customer\":\"C\"", "\"customer\":‸\"D\"", "\"D\" is not a customer of this catalog"),
        (
            "\"2026-01-01\",",
            "\"2026-01-05\",\"end\":‸\"2026-01-04\",",
            "the end 2026-01-04 lies before",
        ),
        ("\"start\":\"2026-01-01\",", "\"start\":‸\"2026-01-32\",", "\"2026-01-32\" is not a date"),
        (
            "{\"id\":\"C\"}",
            "{\"id\":\"C\",\"time_zone\":‸\"Europe/Berln\"}",
            "\"Europe/Berln\" is not a time zone; did you mean \"Europe/Berlin\"?",
        ),
        ("{\"id\":\"C\"}", "{\"id\":\"C\",\"bill_cycle_day\":‸32}", "must be a day from 1 to 31"),
        ("{\"id\":\"C\"}", "{\"id\":\"C\"},‸{\"id\":\"C\"}", "\"C\" already names a customer"),
        ("{\"id\":\"C\"}", "{\"id\":\"C\"},{‸\"ide\":\"E\",\"id\":\"D\"}", "unknown field \"ide\""),
    ] {
        check(&replaced(from, to), &[message]);
    }
}
