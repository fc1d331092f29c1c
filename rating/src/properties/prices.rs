//! Prices by hand: which cell takes a record, and what a model says of itself.

use crate::{
    DEFAULT_CELL, Freed, Matrix, Percentage, Price, PriceModel, Quantity, Tier, TierRate, Tiers,
};

fn per_unit(price: &str) -> PriceModel {
    PriceModel::PerUnit { unit_price: Price::parse(price).unwrap() }
}

fn matched(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn matrix() -> Matrix {
    let cells = vec![
        (matched(&[("size", "l"), ("region", "eu")]), per_unit("1")),
        (matched(&[("region", "eu")]), per_unit("2")),
        (matched(&[("region", "eu")]), per_unit("3")),
        (matched(&[("size", "a,b=c#\\")]), per_unit("4")),
    ];
    Matrix::new(vec!["region".to_owned(), "size".to_owned()], cells, per_unit("9"))
}

#[test]
fn the_first_cell_that_matches_is_taken() {
    let matrix = matrix();
    for (region, size, wanted) in [
        (Some("eu"), Some("l"), 0),
        (Some("eu"), Some("s"), 1),
        (Some("eu"), None, 1),
        (Some("us"), Some("l"), 4),
        (None, Some("a,b=c#\\"), 3),
        (None, None, 4),
    ] {
        let found = matrix.cell_of(|name| if name == "region" { region } else { size });
        assert_eq!(found, wanted, "{region:?} {size:?}");
    }
    assert_eq!(matrix.dimensions(), ["region", "size"]);
}

/// States keep positions by these labels.
#[test]
fn cells_are_told_apart_by_their_labels() {
    let matrix = matrix();
    let labels =
        ["region=eu,size=l", "region=eu", "region=eu#2", "size=a\\,b\\=c\\#\\\\", "default"];
    let found: Vec<&str> = matrix.prices().map(|(label, _)| label).collect();
    assert_eq!(found, labels);
    for (index, (label, price)) in labels.into_iter().zip(["1", "2", "3", "4", "9"]).enumerate() {
        assert_eq!(matrix.label(index), label);
        assert_eq!(matrix.price(label), Some(&per_unit(price)));
    }
    assert_eq!(matrix.label(5), DEFAULT_CELL);
    assert_eq!(matrix.price("region=us"), None);
    let third =
        Matrix::new(Vec::new(), vec![(matched(&[("r", "x")]), per_unit("1")); 3], per_unit("9"));
    let found: Vec<&str> = third.prices().map(|(label, _)| label).collect();
    assert_eq!(found, ["r=x", "r=x#2", "r=x#3", "default"]);
}

#[test]
fn models_know_what_they_are() {
    let tier = Tier { up_to: None, rate: TierRate::Unit(Price::ZERO), flat_price: Price::ZERO };
    let tiers = || Tiers::new(&[tier], false).unwrap();
    let fee = Percentage {
        rate: Price::ZERO,
        fixed_price: Price::ZERO,
        free_records: None,
        free_amount: None,
        record_minimum: None,
        record_maximum: None,
    };
    let (size, price) = (Quantity::from_units(1).unwrap(), Price::ZERO);
    for (model, is_plain, needs_meter) in [
        (per_unit("1"), true, true),
        (PriceModel::Package { package_size: size, package_price: price }, true, true),
        (PriceModel::Graduated(tiers()), true, true),
        (PriceModel::Volume(tiers()), true, true),
        (PriceModel::Stairstep(tiers()), true, true),
        (PriceModel::Flat { amount: price }, true, false),
        (PriceModel::Percentage(fee), false, true),
    ] {
        assert_eq!((model.is_plain(), model.needs_meter()), (is_plain, needs_meter), "{model:?}");
        assert_eq!(model.cells(), [""]);
        assert_eq!(model.of_cell(""), Some(&model));
        assert_eq!(model.of_cell("default"), None);
        assert_eq!(model.amount(Quantity::ZERO).is_some(), is_plain);
    }
    let model = PriceModel::Matrix(matrix());
    assert_eq!((model.is_plain(), model.needs_meter()), (false, true));
    assert_eq!(model.cells()[3..], ["size=a\\,b\\=c\\#\\\\", "default"]);
    assert_eq!(model.of_cell("default"), Some(&per_unit("9")));
    assert_eq!(model.of_cell(""), None);
    assert_eq!(model.amount(Quantity::ZERO), None);
}

#[test]
fn what_was_freed_adds_up() {
    let freed = |records, value| Freed { records, value: Quantity::from_units(value).unwrap() };
    assert_eq!(freed(2, 5).plus(freed(3, 7)), Some(freed(5, 12)));
    assert_eq!(freed(2, 5).and(Quantity::from_units(4).unwrap()), Some(freed(3, 9)));
    assert_eq!(freed(2, 5).and(Quantity::from_units(-4).unwrap()), Some(freed(3, 5)));
    assert_eq!(freed(u64::MAX, 0).and(Quantity::ZERO), None);
    assert_eq!(freed(u64::MAX, 0).plus(freed(1, 0)), None);
}
