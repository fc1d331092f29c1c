//! Charges that are drawn: as the oracle has them, and as a catalog states them.

use crate::Share;
use crate::properties::oracle::{Fee, Model, ONE, Rate, Tier, nearest, wide};
use ethnum::I256;
use proptest::prelude::*;
use std::fmt::Write as _;

/// A charge without bounds. Numbers are whole ones of 10^-12.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    model: Model,
    included: i128,
    prorates_included: bool,
    /// What a quantity is divided by, and what becomes of the remainder.
    unit: Option<(i128, &'static str)>,
    pub(super) discount: i128,
    pub(super) prorates_minimum: bool,
    /// Days active, and of the whole period.
    days: (u32, u32),
}

/// Numbers of so many digits before and behind the point: of any length, and the longest.
pub(super) fn number(whole: u32, fraction: u32) -> impl Strategy<Value = i128> {
    let drawn = (0..=whole, 0..=fraction).prop_flat_map(move |(digits, scale)| {
        let most = 10i128.pow(digits + scale);
        (0..most).prop_map(move |number| number * 10i128.pow(12 - scale))
    });
    let longest = (10i128.pow(whole + fraction) - 1) * 10i128.pow(12 - fraction);
    prop_oneof![9 => drawn, 1 => Just(longest), 1 => Just(10i128.pow(12 - fraction))]
}

fn price() -> impl Strategy<Value = i128> {
    number(12, 12)
}

fn size() -> impl Strategy<Value = i128> {
    number(15, 9).prop_map(|size| size.max(1_000))
}

fn tiers(blocks: bool) -> impl Strategy<Value = Vec<Tier>> {
    let block = if blocks { prop::option::of(size()).boxed() } else { Just(None).boxed() };
    let tier = (size(), price(), price(), block);
    prop::collection::vec(tier, 1..5).prop_map(|mut drawn| {
        drawn.sort_by_key(|(up_to, ..)| *up_to);
        drawn.dedup_by_key(|(up_to, ..)| *up_to);
        let last = drawn.len() - 1;
        let place = |(index, (up_to, price, flat, block)): (usize, (i128, i128, i128, _))| {
            let rate = match block {
                Some(size) => Rate::Block { size, price },
                None => Rate::Unit(price),
            };
            Tier { up_to: (index < last).then_some(up_to), rate, flat }
        };
        drawn.into_iter().enumerate().map(place).collect()
    })
}

fn model() -> impl Strategy<Value = Model> {
    let at_zero = any::<bool>;
    prop_oneof![
        price().prop_map(Model::PerUnit),
        price().prop_map(Model::Multiplier),
        (size(), price()).prop_map(|(size, price)| Model::Package { size, price }),
        (tiers(true), at_zero()).prop_map(|(tiers, at_zero)| Model::Graduated { tiers, at_zero }),
        (tiers(false), at_zero())
            .prop_map(|(tiers, at_zero)| Model::GraduatedPercentage { tiers, at_zero }),
        (tiers(true), at_zero()).prop_map(|(tiers, at_zero)| Model::Volume { tiers, at_zero }),
        (tiers(false), at_zero()).prop_map(|(tiers, at_zero)| Model::Stairstep { tiers, at_zero }),
    ]
}

pub(super) fn charges() -> impl Strategy<Value = Charge> {
    let rounding = prop::sample::select(vec!["none", "up", "down", "half_up"]);
    let unit = prop::option::weighted(0.3, (price().prop_map(|by| by.max(1)), rounding));
    let included = prop_oneof![Just(0), number(15, 9)];
    let discount = prop_oneof![Just(0), number(2, 12), Just(100 * ONE)];
    let days = (1..=31u32, 28..=31u32).prop_map(|(active, whole)| (active.min(whole), whole));
    (model(), included, unit, discount, (any::<bool>(), any::<bool>(), days)).prop_map(
        |(model, included, unit, discount, (prorates_included, prorates_minimum, days))| Charge {
            model,
            included,
            prorates_included,
            unit,
            discount,
            prorates_minimum,
            days,
        },
    )
}

pub(super) fn fees() -> impl Strategy<Value = Fee> {
    let free = (prop::option::of(0..5u64), prop::option::of(number(14, 9)));
    let bounds = (prop::option::of(price()), prop::option::of(price()));
    (price(), price(), free, bounds).prop_map(
        |(rate, fixed, (free_records, free_amount), (least, most))| {
            // A record whose minimum is above its maximum is refused with its catalog.
            let (least, most) = match least.zip(most) {
                Some((least, most)) => (Some(least.min(most)), Some(least.max(most))),
                None => (least, most),
            };
            Fee { rate, fixed, free_records, free_amount, least, most }
        },
    )
}

impl Charge {
    pub(super) const fn share(&self) -> Share {
        Share { active: self.days.0, whole: self.days.1 }
    }

    fn included(&self) -> I256 {
        let (active, whole) = if self.prorates_included { self.days } else { (1, 1) };
        nearest(wide(self.included) * I256::from(active), I256::from(whole))
    }

    /// What is priced of a position; `None` where that leaves 127 bits.
    pub(super) fn billable(&self, position: i128) -> Option<I256> {
        let metered = wide(position.max(0));
        let units = match self.unit {
            None => metered,
            Some((by, rounding)) => {
                let by = wide(by);
                match rounding {
                    "none" => nearest(metered * wide(ONE), by),
                    "up" => (metered + by - 1) / by * wide(ONE),
                    "down" => metered / by * wide(ONE),
                    _ => nearest(metered, by) * wide(ONE),
                }
            }
        };
        (units <= wide(i128::MAX)).then(|| (units - self.included()).max(I256::ZERO))
    }

    /// P at a position.
    pub(super) fn amount(&self, position: i128) -> Option<I256> {
        self.billable(position).map(|billable| self.model.amount(billable))
    }

    /// The metered quantities at which the price changes its course, and those at which the domain
    /// of a record ends.
    pub(super) fn edges(&self) -> Vec<I256> {
        let mut priced = vec![I256::ZERO];
        if let Model::Package { size, .. } = self.model {
            priced.extend([1, 2, 3].map(|packages| wide(size) * packages));
        }
        let mut lower = I256::ZERO;
        for tier in self.model.tiers() {
            if let Rate::Block { size, .. } = tier.rate {
                priced.extend([1, 2].map(|blocks| lower + wide(size) * blocks));
            }
            lower = tier.up_to.map_or(lower, wide);
            priced.push(lower);
        }
        let metered = priced.into_iter().map(|units| {
            let units = units + self.included();
            self.unit.map_or(units, |(by, _)| units * wide(by) / wide(ONE))
        });
        let ends = [I256::ZERO, wide(10i128.pow(15) * ONE)];
        metered.chain(ends).collect()
    }

    /// The charge with its bounds as a catalog states it.
    pub(super) fn json(&self, minimum: Option<i128>, maximum: Option<i128>) -> String {
        let bound = |bound: Option<i128>| bound.map_or_else(|| "null".to_owned(), text);
        let unit = self.unit.map_or_else(
            || "null".to_owned(),
            |(by, rounding)| format!("{{\"divide_by\":{},\"rounding\":\"{rounding}\"}}", text(by)),
        );
        format!(
            "{{\"key\":\"c\",\"meter\":\"m\",\"included\":{},\"prorate_included\":{},\
             \"unit\":{unit},\"discount_percent\":{},\"minimum\":{},\"prorate_minimum\":{},\
             \"maximum\":{},\"price\":{}}}",
            text(self.included),
            self.prorates_included,
            text(self.discount),
            bound(minimum),
            self.prorates_minimum,
            bound(maximum),
            model_json(&self.model)
        )
    }
}

fn model_json(model: &Model) -> String {
    match model {
        Model::PerUnit(price) => {
            format!("{{\"model\":\"per_unit\",\"unit_price\":{}}}", text(*price))
        }
        Model::Multiplier(price) => {
            format!("{{\"model\":\"multiplier\",\"multiplier\":{}}}", text(*price))
        }
        Model::Package { size, price } => format!(
            "{{\"model\":\"package\",\"package_size\":{},\"package_price\":{}}}",
            text(*size),
            text(*price)
        ),
        Model::Graduated { tiers, at_zero } => tiers_json("graduated", tiers, *at_zero),
        Model::GraduatedPercentage { tiers, at_zero } => {
            tiers_json("graduated_percentage", tiers, *at_zero)
        }
        Model::Volume { tiers, at_zero } => tiers_json("volume", tiers, *at_zero),
        Model::Stairstep { tiers, at_zero } => tiers_json("stairstep", tiers, *at_zero),
    }
}

fn tiers_json(model: &str, tiers: &[Tier], at_zero: bool) -> String {
    let mut out = format!("{{\"model\":\"{model}\",\"flat_price_at_zero\":{at_zero},\"tiers\":[");
    for (index, tier) in tiers.iter().enumerate() {
        let up_to = tier.up_to.map_or_else(|| "null".to_owned(), text);
        let comma = if index > 0 { "," } else { "" };
        _ = write!(out, "{comma}{{\"up_to\":{up_to},\"flat_price\":{}", text(tier.flat));
        _ = match tier.rate {
            _ if model == "stairstep" => Ok(()),
            Rate::Unit(price) if model == "graduated_percentage" => {
                write!(out, ",\"rate\":{}", text(price))
            }
            Rate::Unit(price) => write!(out, ",\"unit_price\":{}", text(price)),
            Rate::Block { size, price } => {
                write!(out, ",\"block_size\":{},\"block_price\":{}", text(size), text(price))
            }
        };
        out.push('}');
    }
    out + "]}"
}

/// A number of 10^-12 as a text of JSON.
fn text(number: i128) -> String {
    format!("\"{}\"", decimal(wide(number), 12))
}

/// A whole number of 10^-`scale` as a decimal without zeros at its end.
pub(super) fn decimal(number: I256, scale: usize) -> String {
    let digits = format!("{:0>width$}", number.abs().to_string(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if number < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}
