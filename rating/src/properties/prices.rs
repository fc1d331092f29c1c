//! Prices by hand: which cell takes a record, and what a model says of itself.

use crate::{
    DimensionHash, Freed, Matrix, Percentage, Price, PriceModel, Quantity, Tier, TierRate, Tiers,
    cell_label,
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
        (Some("eu"), Some("l"), "region=eu,size=l"),
        (Some("eu"), Some("s"), "region=eu"),
        (Some("eu"), None, "region=eu"),
        (Some("us"), Some("l"), "default"),
        (None, Some("a,b=c#\\"), "size=a\\,b\\=c\\#\\\\"),
        (None, None, "default"),
    ] {
        let found = [("region", region), ("size", size)];
        let found = found.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let dimensions: Vec<_> =
            found.map(|(name, value)| DimensionHash::of(name, value)).collect();
        assert_eq!(cell_label(matrix.cell_of(&dimensions)), wanted, "{region:?} {size:?}");
    }
    assert_eq!(matrix.dimensions(), ["region", "size"]);
}

/// States keep positions by these names.
#[test]
fn cells_are_told_apart_by_label_and_grid() {
    let matrix = matrix();
    let labels =
        ["region=eu,size=l", "region=eu", "region=eu#2", "size=a\\,b\\=c\\#\\\\", "default"];
    let grid = matrix.grid();
    for (index, (name, price)) in matrix.prices().enumerate() {
        assert_eq!(name, format!("{}@{grid:016x}", labels[index]));
        assert_eq!(cell_label(name), labels[index]);
        assert_eq!(price, &per_unit(["1", "2", "3", "4", "9"][index]));
        assert_eq!(matrix.price(name), Some(price));
    }
    assert_eq!(matrix.prices().count(), labels.len());
    assert_eq!(matrix.price("region=eu"), None);
    assert_eq!(cell_label(""), "");
    let third =
        Matrix::new(Vec::new(), vec![(matched(&[("r", "x")]), per_unit("1")); 3], per_unit("9"));
    let found: Vec<&str> = third.prices().map(|(name, _)| cell_label(name)).collect();
    assert_eq!(found, ["r=x", "r=x#2", "r=x#3", "default"]);
}

/// Prices do not make a grid, matches and their order do.
#[test]
fn a_grid_is_how_records_are_sorted() {
    let matrix = |cells: &[(&str, &str)], default: &str| {
        let cells = cells.iter().map(|(region, price)| {
            let matches = matched(&[("region", region)]);
            (matches, per_unit(price))
        });
        Matrix::new(vec!["region".to_owned()], cells.collect(), per_unit(default))
    };
    let one = matrix(&[("eu", "1"), ("us", "2")], "3");
    // Frozen: states keep it.
    assert_eq!(one.grid(), 14_976_954_103_451_804_187);
    assert_eq!(one.grid(), matrix(&[("eu", "7"), ("us", "8")], "9").grid());
    let others = [
        matrix(&[("us", "2"), ("eu", "1")], "3"),
        matrix(&[("eu", "1")], "3"),
        matrix(&[("eu", "1"), ("us", "2"), ("us", "2")], "3"),
        matrix(&[], "3"),
    ];
    for other in others {
        assert_ne!(one.grid(), other.grid(), "{other:?}");
        assert_ne!(other.grid(), 0, "which is that of all other prices");
    }
    assert_eq!(DimensionHash::of("region", "eu").bits(), 17_719_055_429_737_767_710, "frozen");
    assert_ne!(DimensionHash::of("region", "eu"), DimensionHash::of("regio", "neu"));
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
        assert_eq!((model.grid(), model.cell_of(&[DimensionHash::of("a", "b")])), (0, ""));
        assert_eq!(model.amount(Quantity::ZERO).is_some(), is_plain);
    }
    let model = PriceModel::Matrix(matrix());
    assert_eq!((model.is_plain(), model.needs_meter()), (false, true));
    let labels: Vec<&str> = model.cells().into_iter().map(cell_label).collect();
    assert_eq!(labels[3..], ["size=a\\,b\\=c\\#\\\\", "default"]);
    assert_eq!(model.of_cell(model.cell_of(&[])), Some(&per_unit("9")));
    assert_eq!(model.grid(), matrix().grid());
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
