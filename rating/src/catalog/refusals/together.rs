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

/// The maximum comes before the minimum, so a minimum above it wins; that is no fault.
#[test]
fn bounds_may_cross() {
    check_charge(&format!("\"meter\":\"calls\",\"minimum\":3,\"maximum\":2,{UNIT_PRICE}"), &[]);
}

/// Fields that cannot be read used to hide what the others make together.
#[test]
fn a_faulty_charge_is_still_looked_at_as_a_whole() {
    let daily = "\"meter\":\"level\",\"scope\":‸\"day\"";
    let price = "\"price\":{\"model\":\"per_unit\",\"unit_price\":‸\"x\"}";
    let (above, decimal) = ("a \"time_weighted_sum\" is measured", "\"x\" is not a decimal number");
    check_charge(&format!("{daily},{price}"), &[above, decimal]);
    let unknown = "\"price\":{\"model\":‸\"per_piece\"}";
    check_charge(&format!("{daily},{unknown}"), &[above, "\"per_piece\""]);
    let free = PERCENTAGE.replace("\"0.01\"", "‸\"x\"");
    let charge = format!("\"meter\":\"calls\",\"included\":‸1,\"price\":{free}");
    check_charge(&charge, &["\"included\" does not go with a percentage", decimal]);
    let cell = matrix(PERCENTAGE).replace("\"unit_price\":1", "\"unit_price\":‸\"x\"");
    let charge = format!("\"meter\":\"calls\",\"unit\":‸{{\"divide_by\":2}},\"price\":{cell}");
    check_charge(&charge, &["\"unit\" does not go with a percentage", decimal]);
    let named = catalog(&format!("{daily},{UNIT_PRICE}"), "");
    let named = named.replace("\"key\":\"api\"", "\"key\":‸\"\"");
    check(&named, &["must not be empty", above]);
    // A new price that cannot be read is not the old one.
    let change = "\"included\":5,\"price\":{\"model\":\"per_unit\",\"unit_price\":‸\"x\"}";
    check_override(&format!("\"meter\":\"calls\",\"price\":{PERCENTAGE}"), change, &[decimal]);
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

/// A version dated before an earlier one used to be accepted, and to be overtaken by it.
#[test]
fn versions_take_effect_in_the_order_of_their_numbers() {
    let first = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let before = "version 2 takes effect on 2025-12-01T00:00:00Z, before version 1 on 2026-01-01T";
    let after = "version 2 takes effect on 2026-04-01T00:00:00Z, after version 3 on 2026-03-01T";
    let at = |number: u32, from: &str| version(number, &format!("{from}T00:00:00Z\""), "");
    check_versions(&first, &[at(2, "‸\"2025-12-01")], &[before]);
    check_versions(&first, &[at(3, "\"2026-03-01"), at(2, "‸\"2026-04-01")], &[after]);
    // However they are listed, and one that is dated wrongly is one fault.
    check_versions(&first, &[at(3, "\"2026-03-01"), at(2, "\"2026-02-01")], &[]);
    check_versions(&first, &[at(2, "‸\"2025-12-01"), at(3, "\"2025-12-15")], &[before]);
}

/// What is wrong with a version used to hide how it differs from the others.
#[test]
fn a_faulty_version_is_still_held_against_the_others() {
    let first = format!("\"meter\":\"calls\",\"scope\":\"day\",{UNIT_PRICE}");
    let scope = "charge \"api\" changes its scope from day to year";
    let api = |scope: &str| {
        format!("{{\"key\":\"api\",\"meter\":\"calls\",\"scope\":{scope},{UNIT_PRICE}}}")
    };
    for (number, from, message) in [
        (2, "‸\"2026-02\"", "\"2026-02\" is not an RFC 3339 instant"),
        (0, "\"2026-02-01T00:00:00Z\"", "must be a whole number from 1"),
        (1, "\"2026-02-01T00:00:00Z\"", "version 1 of plan \"pro\" stands twice"),
    ] {
        let other = version(number, from, &api("‸\"year\"")).replace("\"USD\"", "‸\"EUR\"");
        let other = other.replace("\"version\":0", "\"version\":‸0");
        let other = if number == 1 { format!("‸{other}") } else { other };
        check_versions(&first, &[other], &[message, "plan \"pro\" changes its currency", scope]);
    }
    // A scope that nobody knows is not another one.
    let unknown = version(2, "\"2026-02-01T00:00:00Z\"", &api("‸\"dya\""));
    let third = version(3, "\"2026-03-01T00:00:00Z\"", &api("\"day\""));
    check_versions(&first, &[unknown, third], &["\"dya\" is not known here; did you mean \"day\""]);
}

/// A plan without a currency, or one of whose versions the date is not known.
#[test]
fn a_faulty_plan_is_still_held_against_its_subscriptions() {
    let charge = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let from = "\"effective_from\":\"2026-02-01T00:00:00Z\"";
    let change = format!("\"api\":[{{{from},\"included\":‸5,\"price\":{PERCENTAGE}}}]");
    let text = catalog(&charge, &change).replace("\"USD\"", "‸\"usd\"");
    let early = text.replace("\"start\":\"2026-01-01\"", "\"start\":‸\"2025-01-01\"");
    let (currency, bounds) = ("\"usd\" is not a currency", "\"included\" does not go with");
    check(&early, &[currency, "plan \"pro\" has no version in force on 2025-01-01", bounds]);
    let undated = version(1, "‸\"2026-01\"", "");
    let text = catalog(&charge, "").replace("\"version\":1", "\"version\":2");
    let text = text.replace("2026-01-01T00", "2026-03-01T00");
    let further = format!("]}},\n{undated}],\n\"customers\"");
    check(&text.replace("]}],\n\"customers\"", &further), &["\"2026-01\" is not an RFC 3339"]);
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
        ("{\"id\":\"C\"}", "{\"id\":\"C\",\"aliases\":[\"c\",‸\"c\"]}", "\"c\" already names"),
        (
            "{\"id\":\"C\"}",
            "{\"id\":\"C\"},{\"id\":\"D\",\"aliases\":[‸\"C\"]}",
            "\"C\" already names",
        ),
        ("\"id\":\"S\",", "\"id\":\"S\",\"aliases\":[\"s\",‸\"C\"],", "\"C\" already names"),
        ("\"id\":\"S\",", "\"id\":\"S\",\"aliases\":[‸\"S\"],", "\"S\" already names"),
        ("\"id\":\"S\",", "\"id\":\"S\",\"aliases\":[\"s\",‸\"s\"],", "\"s\" already names"),
        ("{\"id\":\"C\"}", "{\"id\":\"C\"},{‸\"ide\":\"E\",\"id\":\"D\"}", "unknown field \"ide\""),
    ] {
        check(&replaced(from, to), &[message]);
    }
}

/// A subscription that cannot be added keeps its names all the same.
#[test]
fn names_of_a_faulty_subscription_are_taken() {
    let calls = format!("\"meter\":\"calls\",{UNIT_PRICE}");
    let text = catalog(&calls, "");
    let with = |first: &str, second: &str| {
        let entries = format!("\"subscriptions\":[{{{first}}},{{{second}}},{{\"id\":\"S\"");
        text.replace("\"subscriptions\":[{\"id\":\"S\"", &entries)
    };
    let entry = |id: &str, customer: &str, start: &str, alias: &str| {
        format!(
            "\"id\":\"{id}\",\"customer\":{customer},\"plan\":\"pro\",\"start\":\"{start}\",\
             \"end\":\"2026-12-31\",\"aliases\":[{alias}]"
        )
    };
    let unknown = entry("T", "‸\"D\"", "2026-01-01", "\"t\"");
    let unnamed = entry("", "\"C\"", "2026-01-01", "\"u\"").replace("\"\"", "‸\"\"");
    let wanted = ["\"D\" is not a customer", "\"t\" already names", "\"T\" already names"];
    let other = entry("V", "\"C\"", "2026-01-01", "‸\"t\",‸\"T\"");
    check(&with(&unknown, &other), &wanted);
    let other = entry("V", "\"C\"", "2026-01-01", "‸\"u\"");
    check(&with(&unnamed, &other), &["must not be empty", "\"u\" already names"]);
    // Whether an entry may follow one that could not be read, nobody knows.
    let other = entry("T", "\"C\"", "2027-01-01", "").replace("2026-12", "2027-12");
    check(&with(&unknown, &other), &wanted[..1]);
    let taken = entry("T", "\"C\"", "2026-01-01", "\"t\"");
    let again = entry("T", "\"C\"", "2026-06-01", "");
    let twice = with(&taken, &again).replace(&format!("{{{again}"), &format!("‸{{{again}"));
    check(&twice, &["subscription \"T\" stands twice; to change its plan"]);
}
