//! Catalogs that are refused, each fault at its place.
//!
//! A mark `‸` stands before every place at which a fault is expected; it is taken out of the text
//! before the text is read.

mod odd;
mod together;

use super::Catalog;

/// Compares the faults of a text with its marks, and the messages with the beginnings wanted.
#[track_caller]
fn check(marked: &str, wanted: &[&str]) {
    let mut places = Vec::new();
    for (line, text) in marked.lines().enumerate() {
        let marks = text.chars().enumerate().filter(|(_, character)| *character == '‸');
        for (before, (column, _)) in marks.enumerate() {
            let column = column - before + 1;
            places.push(format!("{}:{column}: ", line + 1));
        }
    }
    let text = marked.replace('‸', "");
    let faults = Catalog::parse(text.as_bytes()).err().unwrap_or_default();
    let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let wanted: Vec<String> =
        places.iter().zip(wanted).map(|(at, text)| format!("{at}{text}")).collect();
    let all_are_there = found.len() == wanted.len() && places.len() == wanted.len();
    let same = found.iter().zip(&wanted).all(|(found, wanted)| found.starts_with(wanted));
    assert!(all_are_there && same, "{text}\nfound: {found:#?}\nwanted: {wanted:#?}");
}

/// Meters of several aggregations, and a plan with one charge, to which the subscription `S` has
/// the overrides.
fn catalog(charge: &str, overrides: &str) -> String {
    format!(
        r#"{{"meters":[
{{"key":"calls","event_type":"t","aggregation":"sum","value":"$.n",
 "group_by":{{"region":"$.r","size":"$.s"}}}},
{{"key":"peak","event_type":"t","aggregation":"max","value":"$.n"}},
{{"key":"level","event_type":"t","aggregation":"time_weighted_sum","value":"$.n",
 "group_by":{{"region":"$.r"}}}}],
"plans":[{{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
 "charges":[
{{"key":"api",{charge}}}]}}],
"customers":[{{"id":"C"}}],
"subscriptions":[{{"id":"S","customer":"C","plan":"pro","start":"2026-01-01","overrides":{{
{overrides}}}}}]}}"#
    )
}

#[track_caller]
fn check_charge(charge: &str, wanted: &[&str]) {
    check(&catalog(charge, ""), wanted);
}

/// A charge of the meter `calls` with a price.
#[track_caller]
fn check_price(price: &str, wanted: &[&str]) {
    check_charge(&format!(r#""meter":"calls","price":{price}"#), wanted);
}

/// A meter between a good one and nothing.
#[track_caller]
fn check_meter(meter: &str, wanted: &[&str]) {
    check(&format!("{{\"meters\":[\n{meter}]}}"), wanted);
}

const UNIT_PRICE: &str = r#""price":{"model":"per_unit","unit_price":"1"}"#;

#[test]
fn meters() {
    let with = |aggregation: &str, more: &str| {
        format!(r#"{{"key":"m","event_type":"t","aggregation":{aggregation}{more}}}"#)
    };
    let value = r#","value":"$.n""#;
    check_meter(&with("‸\"summ\"", value), &["\"summ\" is not known here; did you mean \"sum\"?"]);
    check_meter(&with("‸\"uniq\"", value), &["\"uniq\" is not known here; known are sum, count"]);
    check_meter(&with("‸\"percentile\"", value), &["a percentile is written as an object"]);
    check_meter(&with("‸95", value), &["must be a string, not a number"]);
    check_meter(&with("‸{}", value), &["the field \"percentile\" is missing"]);
    let typo = with("‸{‸\"percentil\":95}", value);
    check_meter(
        &typo,
        &["the field \"percentile\" is missing", "unknown field \"percentil\"; did"],
    );
    for rank in ["0", "-1", "100.5", "\"x\"", "true", "1e-13"] {
        check_meter(
            &with(&format!("{{\"percentile\":‸{rank}}}"), value),
            &["a percentile lies above 0"],
        );
    }
    for name in ["sum", "max", "min", "average", "unique_count", "latest", "time_weighted_sum"] {
        let meter = format!("‸{}", with(&format!("\"{name}\""), ""));
        check_meter(&meter, &["the field \"value\" is missing: a path such as $.calls"]);
    }
    check_meter(&with("\"count\"", ",\"value\":‸\"$.n\""), &["a count has no \"value\""]);
    check_meter(&with("\"sum\"", ",\"value\":‸\"n\""), &["\"n\" is not a path into data"]);
    check_meter(&with("\"count\"", ",\"group_by\":‸[]"), &["\"group_by\" must be an object"]);
    let two = with("\"count\"", ",\"group_by\":{\"a\":‸\"x\",\"b\":‸7}");
    check_meter(&two, &["\"x\" is not a path into data", "must be a string, not a number"]);
    check_meter(
        &with("\"count\"", ",\"negative\":‸\"acept\""),
        &["\"acept\" is not known here; did"],
    );
    let count = with("\"count\"", "");
    check_meter(&format!("{count},\n‸{count}"), &["meter \"m\" stands twice"]);
    let own = count.replace("\"t\"", "‸\"usage.cancelled\"");
    check_meter(&own, &["\"usage.cancelled\" is a type of the system's own"]);
}

#[test]
fn fields_of_a_charge() {
    let with = |field: &str| format!(r#""meter":"calls",{field},{UNIT_PRICE}"#);
    for (field, message) in [
        ("\"scope\":‸\"dya\"", "\"dya\" is not known here; did you mean \"day\"?"),
        ("\"unit\":‸5", "must be an object, not a number"),
        ("\"unit\":‸{}", "the field \"divide_by\" is missing"),
        ("\"unit\":{\"divide_by\":‸0}", "must be above 0"),
        ("\"unit\":{\"divide_by\":‸\"-2\"}", "must be above 0"),
        (
            "\"unit\":{\"divide_by\":1,\"rounding\":‸\"half\"}",
            "\"half\" is not known here; known are none, up",
        ),
        ("\"unit\":{\"divide_by\":1,‸\"round\":\"up\"}", "unknown field \"round\""),
        ("\"discount_percent\":‸\"100.01\"", "must lie between 0 and 100"),
        ("\"discount_percent\":‸-1", "must lie between 0 and 100"),
        ("\"included\":‸\"-1\"", "must not be below 0"),
        ("\"minimum\":‸\"-1\"", "must not be below 0"),
        ("\"maximum\":‸\"1,5\"", "\"1,5\" is not a decimal number"),
        ("\"included\":‸\"1e15\"", "1e15 has more than 15 digits before and 9 after the point"),
        ("\"minimum\":‸0.1234567890123", "0.1234567890123 has more than 12 digits before"),
        ("\"prorate_included\":‸\"yes\"", "must be true or false"),
        ("\"prorate_minimum\":‸1", "must be true or false"),
        ("\"prorate_flat\":‸[]", "must be true or false"),
        ("\"prorate_commitment\":‸true", "\"prorate_commitment\" is not supported yet"),
        ("\"rollover\":‸{}", "\"rollover\" is not supported yet"),
        ("\"pool\":‸\"x\"", "\"pool\" is not supported yet"),
        ("\"commitment\":‸{}", "\"commitment\" is not supported yet"),
        ("‸\"inclded\":1", "unknown field \"inclded\"; did you mean \"included\"?"),
        ("\"filter\":‸[]", "\"filter\" must be an object"),
        (
            "\"filter\":{‸\"regoin\":[\"eu\"]}",
            "the meter does not group by \"regoin\"; did you mean",
        ),
        ("\"filter\":{\"region\":‸[]}", "the values of a filter must be a list that is not empty"),
        (
            "\"filter\":{\"region\":[1,‸{}]}",
            "must be a string, a number or a boolean, not an object",
        ),
    ] {
        check_charge(&with(field), &[message]);
    }
    check_charge(
        "\"meter\":‸\"cals\",\"price\":{\"model\":\"per_unit\",\"unit_price\":1}",
        &["\"cals\" is not a meter of this catalog; did you mean \"calls\"?"],
    );
    let without = catalog("\"price\":{\"model\":\"per_unit\",\"unit_price\":1}", "");
    check(&without.replace("{\"key\":\"api\"", "‸{\"key\":\"api\""), &["the charge has no meter"]);
}

#[test]
fn prices() {
    check_price("‸7", &["a price must be an object, not a number"]);
    check_price("‸{}", &["the field \"model\" is missing"]);
    check_price(
        "{\"model\":‸\"per_unt\"}",
        &["\"per_unt\" is not known here; did you mean \"per_unit\"?"],
    );
    check_price("‸{\"model\":\"per_unit\"}", &["the field \"unit_price\" is missing"]);
    check_price("‸{\"model\":\"multiplier\"}", &["the field \"multiplier\" is missing"]);
    check_price("{\"model\":\"multiplier\",\"multiplier\":‸-1}", &["must not be below 0"]);
    check_price(
        "{\"model\":\"package\",\"package_size\":‸0,\"package_price\":1}",
        &["must be above 0"],
    );
    let percentage = |more: &str| format!("{{\"model\":\"percentage\",\"rate\":\"0.01\",{more}}}");
    check_price("‸{\"model\":\"percentage\"}", &["the field \"rate\" is missing"]);
    check_price(&percentage("\"free_records\":‸\"1.5\""), &["must be a whole number from 0"]);
    check_price(&percentage("\"free_records\":‸-1"), &["must be a whole number from 0"]);
    check_price(&percentage("\"free_records\":‸\"+1\""), &["must be a whole number from 0"]);
    check_price(&percentage("\"free_amount\":‸-1"), &["must not be below 0"]);
    check_price(&percentage("\"fixed_price\":‸true"), &["must be a decimal, not a boolean"]);
    check_price(
        &percentage("\"record_minimum\":‸2,\"record_maximum\":\"1.99\""),
        &["\"record_minimum\" 2 is above \"record_maximum\" 1.99"],
    );
    check_price(
        &percentage("‸\"free_record\":1"),
        &["unknown field \"free_record\"; did you mean"],
    );
}

#[test]
fn tiers() {
    let of = |model: &str, tiers: &str| format!("{{\"model\":\"{model}\",\"tiers\":{tiers}}}");
    let graduated = |tiers: &str| of("graduated", tiers);
    check_price("‸{\"model\":\"volume\"}", &["the field \"tiers\" is missing"]);
    check_price(&graduated("‸{}"), &["\"tiers\" must be a list"]);
    check_price(&graduated("‸[]"), &["at least one tier is needed"]);
    let open = "{\"up_to\":null,\"unit_price\":1}";
    check_price(&graduated("[{\"up_to\":‸\"5\",\"unit_price\":1}]"), &["the last tier must have"]);
    check_price(
        &graduated(&format!(
            "[{{\"up_to\":5,\"unit_price\":1}},{{\"up_to\":‸5,\"unit_price\":1}},{open}]"
        )),
        &["`up_to` must rise"],
    );
    check_price(
        &graduated(&format!("[{{\"up_to\":‸null,\"unit_price\":1}},{open}]")),
        &["only the last"],
    );
    // A fault at one tier does not hide that of another; what a bound that cannot be read would
    // have been, nobody knows.
    check_price(
        &graduated(
            "[{\"up_to\":5,\"unit_price\":1},{\"up_to\":‸5,\"unit_price\":1},\
             {\"up_to\":‸4,\"unit_price\":1},{\"up_to\":‸9,\"unit_price\":1}]",
        ),
        &["`up_to` must rise", "`up_to` must rise", "the last tier must have"],
    );
    check_price(
        &graduated(
            "[{\"up_to\":‸\"x\",\"unit_price\":1},{\"up_to\":‸null,\"unit_price\":1},\
             {\"up_to\":‸0,\"unit_price\":1},{\"up_to\":‸9,\"unit_price\":1}]",
        ),
        &["\"x\" is not a decimal", "only the last", "`up_to` must rise", "the last tier must"],
    );
    check_price(
        &graduated(&format!(
            "[{{\"up_to\":9,\"unit_price\":‸-1}},{{\"up_to\":‸8,\"unit_price\":1}},{open}]"
        )),
        &["must not be below 0", "`up_to` must rise"],
    );
    check_price(
        &graduated(
            "[{\"up_to\":null,\"unit_price\":‸\"x\",\"block_size\":‸‸0,\"block_price\":‸-1}]",
        ),
        &[
            "\"x\" is not a decimal",
            "a tier is priced by unit or by block",
            "must be above 0",
            "must not be below 0",
        ],
    );
    check_price(&graduated("[‸{\"unit_price\":1}]"), &["the field \"up_to\" is missing"]);
    check_price(&graduated("[‸{\"up_to\":null}]"), &["the tier has no price: \"unit_price\""]);
    check_price(
        &graduated("[{\"up_to\":null,\"unit_price\":1,\"block_size\":‸2,\"block_price\":1}]"),
        &["a tier is priced by unit or by block"],
    );
    check_price(
        &graduated("[{\"up_to\":null,\"block_size\":‸0,\"block_price\":1}]"),
        &["must be above 0"],
    );
    let rates = |tiers: &str| of("graduated_percentage", tiers);
    check_price(&rates("[‸{\"up_to\":null}]"), &["the tier has no price: \"rate\" is missing"]);
    check_price(&rates("[{\"up_to\":null,\"rate\":‸-0.1}]"), &["must not be below 0"]);
    check_price(
        &rates("[‸{\"up_to\":null,‸\"unit_price\":1}]"),
        &["the tier has no price", "unknown field \"unit_price\""],
    );
    check_price(
        &graduated("[{\"up_to\":null,\"unit_price\":1,‸\"rate\":1}]"),
        &["unknown field \"rate\""],
    );
    check_price(&of("stairstep", "[‸{\"up_to\":null}]"), &["the field \"flat_price\" is missing"]);
}

#[test]
fn matrices() {
    let price = "{\"model\":\"per_unit\",\"unit_price\":1}";
    let with = |dimensions: &str, cells: &str, default: &str| {
        format!(
            "{{\"model\":\"matrix\",\"dimensions\":{dimensions},\"cells\":{cells},\
             \"default\":{default}}}"
        )
    };
    let cell = |wanted: &str| format!("{{\"match\":{wanted},\"price\":{price}}}");
    let cells = |wanted: &str| with("[\"region\",\"size\"]", &format!("[{}]", cell(wanted)), price);
    let missing = ["cells", "default", "dimensions"].map(|name| format!("the field \"{name}\" is"));
    check_price("‸‸‸{\"model\":\"matrix\"}", &missing.each_ref().map(String::as_str));
    check_price(&with("‸[]", "[]", price), &["a matrix has at least one dimension"]);
    check_price(
        &with("[‸\"regoin\"]", "[]", price),
        &["the meter does not group by \"regoin\"; did"],
    );
    check_price(
        &with("[\"size\",‸\"size\"]", "[]", price),
        &["the dimension \"size\" stands twice"],
    );
    check_price(&with("[‸1]", "[]", price), &["must be a string, not a number"]);
    check_price(&with("[\"size\"]", "‸{}", price), &["\"cells\" must be a list"]);
    check_price(&with("[\"size\"]", "[‸7]", price), &["must be an object, not a number"]);
    check_price(&cells("‸{}"), &["a match names at least one dimension"]);
    check_price(&cells("‸[]"), &["\"match\" must be an object"]);
    check_price(
        &cells("{‸\"regions\":\"eu\"}"),
        &["\"regions\" is not a dimension of this matrix; did"],
    );
    check_price(
        &cells("{\"region\":‸null}"),
        &["must be a string, a number or a boolean, not null"],
    );
    let nested = with("[\"size\"]", "[]", "{\"model\":‸\"matrix\"}");
    check_price(&nested, &["a matrix may not stand within a matrix"]);
    let typo = with(
        "[\"size\"]",
        &format!("[{}]", cell("{\"size\":1}").replace("unit_price", "‸unit_prise")),
        price,
    );
    let typo =
        typo.replace("\"‸unit_prise", "‸\"unit_prise").replace("\"price\":{", "\"price\":‸{");
    check_price(&typo, &["the field \"unit_price\" is missing", "unknown field \"unit_prise\""]);
}
