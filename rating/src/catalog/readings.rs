//! Catalogs that are good, and what is read of them.

use super::Catalog;
use crate::aggregation::Aggregation;
use crate::charge::{Charge, Prorated};
use crate::instant::Instant;
use crate::price::PriceModel;
use crate::scope::Scope;
use crate::unit::UnitRounding;
use crate::{DimensionHash, cell_label};

#[track_caller]
fn catalog(meters: &str, charge: &str, overrides: &str) -> Catalog {
    let text = format!(
        r#"{{"meters":[{meters}],"plans":[{{"key":"pro","version":1,"currency":"USD",
        "effective_from":"2026-01-01T00:00:00Z","charges":[{{"key":"api",{charge}}}]}}],
        "customers":[{{"id":"C"}}],"subscriptions":[{{"id":"S","customer":"C","plan":"pro",
        "start":"2026-01-01","overrides":{{{overrides}}}}}]}}"#
    );
    Catalog::parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{text}\n{faults:#?}"))
}

const CALLS: &str = r#"{"key":"calls","event_type":"t","aggregation":"sum","value":"$.n",
    "group_by":{"region":"$.r","size":"$.s"}}"#;
const UNIT_PRICE: &str = r#""price":{"model":"per_unit","unit_price":"1"}"#;

/// The charge of the subscription in force on a day of February 2026.
#[track_caller]
fn charge_on(catalog: &Catalog, day: u32) -> Charge {
    let at = Instant::parse(&format!("2026-02-{day:02}T00:00:00Z")).unwrap();
    let timeline = &catalog.timelines_of(&catalog.subscriptions()[0])[0];
    Charge::clone(timeline.at(at).unwrap().charge.as_deref().unwrap())
}

#[track_caller]
fn charge(fields: &str) -> Charge {
    charge_on(&catalog(CALLS, &format!("\"meter\":\"calls\",{fields}"), ""), 1)
}

#[track_caller]
fn model(price: &str) -> PriceModel {
    charge(&format!("\"price\":{price}")).model
}

#[test]
fn every_aggregation_is_read_and_reaches_the_charge() {
    for (name, wanted) in [
        ("\"sum\"", Aggregation::Sum),
        ("\"max\"", Aggregation::Max),
        ("\"min\"", Aggregation::Min),
        ("\"average\"", Aggregation::Average),
        ("\"unique_count\"", Aggregation::UniqueCount),
        ("\"latest\"", Aggregation::Latest),
        ("\"time_weighted_sum\"", Aggregation::TimeWeightedSum),
    ] {
        let meter = CALLS.replace("\"sum\"", name);
        let catalog = catalog(&meter, &format!("\"meter\":\"calls\",{UNIT_PRICE}"), "");
        assert_eq!(charge_on(&catalog, 1).aggregation, wanted, "{name}");
    }
    let count = r#"{"key":"calls","event_type":"t","aggregation":"count"}"#;
    let counted = catalog(count, &format!("\"meter\":\"calls\",{UNIT_PRICE}"), "");
    assert_eq!(charge_on(&counted, 1).aggregation, Aggregation::Count);
    for percentile in ["95", "\"99.9\"", "100", "9.5e1"] {
        let meter = CALLS.replace("\"sum\"", &format!("{{\"percentile\":{percentile}}}"));
        let catalog = catalog(&meter, &format!("\"meter\":\"calls\",{UNIT_PRICE}"), "");
        let found = charge_on(&catalog, 1).aggregation;
        assert!(matches!(found, Aggregation::Percentile(_)), "{found:?}");
    }
}

#[test]
fn fields_of_a_charge_are_read() {
    let plain = charge(UNIT_PRICE);
    assert_eq!((plain.scope, plain.unit, plain.minimum), (Scope::BillingPeriod, None, None));
    assert_eq!(
        (plain.discount_percent.to_string(), plain.prorated),
        ("0".into(), Prorated::default())
    );
    for (name, scope) in Scope::NAMES {
        assert_eq!(charge(&format!("\"scope\":\"{name}\",{UNIT_PRICE}")).scope, scope);
    }
    for (name, rounding) in UnitRounding::NAMES {
        let unit =
            format!("\"unit\":{{\"divide_by\":\"1e6\",\"rounding\":\"{name}\"}},{UNIT_PRICE}");
        let unit = charge(&unit).unit.unwrap();
        assert_eq!((unit.divide_by.to_string().as_str(), unit.rounding), ("1000000", rounding));
    }
    let unit = charge(&format!("\"unit\":{{\"divide_by\":60}},{UNIT_PRICE}")).unit.unwrap();
    assert_eq!(unit.rounding, UnitRounding::None);
    for percent in ["0", "100", "12.5"] {
        let read = charge(&format!("\"discount_percent\":\"{percent}\",{UNIT_PRICE}"));
        assert_eq!(read.discount_percent.to_string(), percent);
    }
    let all = "\"prorate_included\":true,\"prorate_minimum\":true,\"prorate_flat\":true";
    let prorated = charge(&format!("{all},\"prorate_commitment\":false,{UNIT_PRICE}")).prorated;
    assert_eq!(prorated, Prorated { included: true, minimum: true, flat: true });
    let filter = charge(&format!("\"filter\":{{\"size\":[1,\"\",1.0,true]}},{UNIT_PRICE}")).filter;
    let values = ["1", "", "1", "true"].map(String::from).to_vec();
    assert_eq!(filter, [("size".to_owned(), values)]);
    let nulls = ["unit", "scope", "rollover", "pool", "commitment", "discount_percent", "filter"];
    let nulls = nulls.map(|name| format!("\"{name}\":null,")).concat();
    assert_eq!(charge(&format!("{nulls}{UNIT_PRICE}")), plain);
}

#[test]
fn models_that_are_others_to_the_engine() {
    let unit = model(r#"{"model":"per_unit","unit_price":"0.5"}"#);
    assert_eq!(model(r#"{"model":"multiplier","multiplier":"0.5"}"#), unit);
    let graduated = model(
        r#"{"model":"graduated","tiers":[{"up_to":5,"unit_price":"0.1"},
        {"up_to":null,"unit_price":"0.05","flat_price":2}]}"#,
    );
    let rates = r#"{"model":"graduated_percentage","tiers":[{"up_to":5,"rate":"0.1"},
        {"up_to":null,"rate":"0.05","flat_price":2}]}"#;
    assert_eq!(model(rates), graduated);
    let PriceModel::Graduated(tiers) =
        model(&rates.replace("}]}", "}],\"flat_price_at_zero\":true}"))
    else {
        panic!("not graduated");
    };
    assert!(tiers.costs_unused());
}

#[test]
fn percentages() {
    let PriceModel::Percentage(plain) = model(r#"{"model":"percentage","rate":"0.029"}"#) else {
        panic!("not a percentage");
    };
    assert_eq!(
        (plain.rate.to_string(), plain.fixed_price.to_string()),
        ("0.029".into(), "0".into())
    );
    assert_eq!((plain.free_records, plain.free_amount), (None, None));
    assert_eq!((plain.record_minimum, plain.record_maximum), (None, None));
    let full = r#"{"model":"percentage","rate":0,"fixed_price":"0.3","free_records":"10",
        "free_amount":0,"record_minimum":1,"record_maximum":1}"#;
    let PriceModel::Percentage(full) = model(full) else { panic!("not a percentage") };
    assert_eq!((full.free_records, full.free_amount), (Some(10), Some(Default::default())));
    assert_eq!(full.record_minimum, full.record_maximum);
}

#[test]
fn matrices() {
    let text = r#"{"model":"matrix","dimensions":["region","size"],"cells":[
        {"match":{"size":5,"region":"a,b=c"},"price":{"model":"flat","amount":1}},
        {"match":{"region":"a","size":false},"price":{"model":"percentage","rate":1}},
        {"match":{"region":""},"price":{"model":"volume","tiers":[{"up_to":null,"unit_price":1}]}}],
        "default":{"model":"per_unit","unit_price":0}}"#;
    let PriceModel::Matrix(matrix) = model(text) else { panic!("not a matrix") };
    let labels: Vec<&str> = matrix.prices().map(|(name, _)| cell_label(name)).collect();
    let wanted = [r"region=a\,b\=c,size=5", "region=a,size=false", "region=", "default"];
    assert_eq!(labels, wanted);
    let cell = |region, size| {
        let dimensions = [DimensionHash::of("region", region), DimensionHash::of("size", size)];
        cell_label(matrix.cell_of(&dimensions))
    };
    let found = [cell("a,b=c", "5"), cell("a", "false"), cell("", "7"), cell("a", "5")];
    assert_eq!(found, wanted);
    let only = r#"{"model":"matrix","dimensions":["size"],"cells":[],
        "default":{"model":"flat","amount":1}}"#;
    assert!(matches!(model(only), PriceModel::Matrix(_)));
}

#[test]
fn an_override_replaces_what_it_states_and_nothing_else() {
    let plain = format!(
        r#""meter":"calls","included":5,"minimum":1,"maximum":9,"discount_percent":10,
        "unit":{{"divide_by":2}},"filter":{{"region":["eu"]}},"prorate_included":true,{UNIT_PRICE}"#
    );
    let at = |day: u32, change: &str| {
        format!(r#"{{"effective_from":"2026-02-{day:02}T00:00:00Z",{change}}}"#)
    };
    let list = [
        at(2, r#""included":7,"unit":{"divide_by":3,"rounding":"up"}"#),
        at(3, r#""discount_percent":20,"prorate_minimum":true,"filter":{"size":[1]}"#),
        at(
            4,
            r#""minimum":2,"maximum":null,"price":{"model":"flat","amount":4},"prorate_flat":true"#,
        ),
        at(
            5,
            r#""included":null,"unit":null,"discount_percent":null,"filter":null,
            "prorate_included":null"#,
        ),
    ];
    let overrides = format!("\"api\":[{}]", list.join(","));
    let catalog = catalog(CALLS, &plain, &overrides);
    let [before, units, discount, price, nothing] =
        [1, 2, 3, 4, 5].map(|day| charge_on(&catalog, day));
    assert_eq!(units.included.to_string(), "7");
    assert_eq!(units.unit.unwrap().rounding, UnitRounding::Up);
    assert_eq!(
        (&units.filter, units.minimum, &units.model),
        (&before.filter, before.minimum, &before.model)
    );
    assert_eq!(
        (discount.discount_percent.to_string(), discount.included),
        ("20".into(), units.included)
    );
    assert_eq!(discount.filter, [("size".to_owned(), vec!["1".to_owned()])]);
    assert_eq!(discount.prorated, Prorated { included: true, minimum: true, flat: false });
    assert_eq!((price.minimum.unwrap().to_string(), price.maximum), ("2".into(), None));
    assert!(matches!(price.model, PriceModel::Flat { .. }) && price.prorated.flat);
    assert_eq!((nothing.included.to_string(), nothing.unit), ("0".into(), None));
    assert_eq!((nothing.discount_percent.to_string(), nothing.filter.len()), ("0".into(), 0));
    assert_eq!(nothing.prorated, Prorated { included: false, minimum: true, flat: true });
}

#[test]
fn every_version_says_which_charges_there_are() {
    let version = |number: u32, charges: &str| {
        let charges = charges.chars().map(|key| {
            format!("{{\"key\":\"{key}\",\"price\":{{\"model\":\"flat\",\"amount\":{number}}}}}")
        });
        format!(
            r#"{{"key":"p","version":{number},"effective_from":"2026-0{number}-01T00:00:00Z",
            "currency":"USD","charges":[{}]}}"#,
            charges.collect::<Vec<_>>().join(",")
        )
    };
    // In whatever order versions are written, keys come in that of time.
    let versions = [version(3, "cbd"), version(1, "ab"), version(2, "ca")];
    let text = format!("{{\"plans\":[{}]}}", versions.join(","));
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let found: Vec<(&str, Vec<String>)> = catalog
        .plan("p")
        .unwrap()
        .timelines
        .iter()
        .map(|timeline| {
            let terms = timeline.terms.iter().map(|terms| match &terms.charge {
                None => "-".to_owned(),
                Some(charge) => {
                    assert_eq!(charge.key, timeline.key);
                    charge.model.amount(crate::Quantity::ZERO).unwrap().to_string()
                }
            });
            (timeline.key.as_str(), terms.collect())
        })
        .collect();
    let wanted = [("a", "12-"), ("b", "1-3"), ("c", "-23"), ("d", "--3")];
    let wanted = wanted.map(|(key, terms)| (key, terms.chars().map(String::from).collect()));
    assert_eq!(found, wanted);
}
