//! What the documented formats say a quantity costs, found by walking from step to step.

use std::fmt::Write as _;

/// Digits after the point of an amount here: 9 of a quantity and 4 of a price.
pub(super) const AMOUNT_DIGITS: usize = 13;
/// 0.01 of the currency, in its last place here.
pub(super) const CENT: i128 = 100_000_000_000;
/// Steps of 10^-9 in a unit.
const UNIT: i64 = 1_000_000_000;

/// A tier; bounds and blocks in steps, prices in 10^-4 for a unit or a block.
#[derive(Debug, Clone)]
pub(super) struct Tier {
    pub(super) up_to: Option<i64>,
    pub(super) price: i64,
    pub(super) flat: i64,
    pub(super) block: Option<i64>,
}

#[derive(Debug, Clone)]
pub(super) enum Model {
    PerUnit { price: i64 },
    Package { size: i64, price: i64 },
    Graduated { tiers: Vec<Tier>, at_zero: bool },
    Volume { tiers: Vec<Tier>, at_zero: bool },
    Stairstep { tiers: Vec<Tier>, at_zero: bool },
}

/// A price, and the step that its quantities are whole numbers of.
#[derive(Debug, Clone)]
pub(super) struct Oracle {
    pub(super) model: Model,
    /// In 10^-9 units.
    pub(super) step: i64,
    /// In steps.
    pub(super) included: i64,
}

impl Oracle {
    /// Steps that are priced when the total stands at `position`.
    pub(super) fn billable(&self, position: i64) -> i64 {
        (position - self.included).max(0)
    }

    /// P at a position, in 10^-13 of the currency.
    pub(super) fn amount(&self, position: i64) -> i128 {
        let billable = self.billable(position);
        match &self.model {
            Model::PerUnit { price } => (0..billable).map(|_| self.step_price(*price)).sum(),
            Model::Package { size, price } => blocks(billable, *size, *price),
            Model::Graduated { tiers, at_zero } => {
                let mut amount = if *at_zero && billable == 0 { once(tiers[0].flat) } else { 0 };
                let mut lower = 0;
                for tier in tiers {
                    let inside = (1..=billable)
                        .filter(|step| *step > lower && tier.up_to.is_none_or(|end| *step <= end));
                    let inside = i64::try_from(inside.count()).unwrap();
                    if inside > 0 {
                        amount += once(tier.flat) + self.units(tier, inside);
                    }
                    lower = tier.up_to.unwrap_or(lower);
                }
                amount
            }
            Model::Volume { tiers, at_zero } => {
                let tier = ending(tiers, billable);
                self.units(tier, billable) + flat(tier, billable, *at_zero)
            }
            Model::Stairstep { tiers, at_zero } => {
                flat(ending(tiers, billable), billable, *at_zero)
            }
        }
    }

    /// Where a tier or a package ends, in billable steps.
    pub(super) fn bounds(&self) -> Vec<i64> {
        let tiers = match &self.model {
            Model::PerUnit { .. } => return vec![0],
            Model::Package { size, .. } => return vec![0, *size, 2 * size],
            Model::Graduated { tiers, .. }
            | Model::Volume { tiers, .. }
            | Model::Stairstep { tiers, .. } => tiers,
        };
        std::iter::once(0).chain(tiers.iter().filter_map(|tier| tier.up_to)).collect()
    }

    /// What one step costs at a price for a unit.
    fn step_price(&self, price: i64) -> i128 {
        i128::from(price) * i128::from(self.step)
    }

    fn units(&self, tier: &Tier, steps: i64) -> i128 {
        match tier.block {
            Some(size) => blocks(steps, size, tier.price),
            None => (0..steps).map(|_| self.step_price(tier.price)).sum(),
        }
    }

    /// Steps as a quantity of the catalog.
    pub(super) fn quantity(&self, steps: i64) -> String {
        let scaled = steps * self.step;
        format!("\"{}.{:09}\"", scaled / UNIT, scaled % UNIT)
    }

    /// The price as a catalog states it.
    pub(super) fn price_json(&self) -> String {
        match &self.model {
            Model::PerUnit { price } => {
                format!("{{\"model\":\"per_unit\",\"unit_price\":{}}}", text(*price))
            }
            Model::Package { size, price } => format!(
                "{{\"model\":\"package\",\"package_size\":{},\"package_price\":{}}}",
                self.quantity(*size),
                text(*price)
            ),
            Model::Graduated { tiers, at_zero } => self.tiers("graduated", tiers, *at_zero),
            Model::Volume { tiers, at_zero } => self.tiers("volume", tiers, *at_zero),
            Model::Stairstep { tiers, at_zero } => self.tiers("stairstep", tiers, *at_zero),
        }
    }

    fn tiers(&self, model: &str, tiers: &[Tier], at_zero: bool) -> String {
        let mut out =
            format!("{{\"model\":\"{model}\",\"flat_price_at_zero\":{at_zero},\"tiers\":[");
        for (index, tier) in tiers.iter().enumerate() {
            let up_to = tier.up_to.map_or_else(|| "null".to_owned(), |steps| self.quantity(steps));
            let comma = if index > 0 { "," } else { "" };
            _ = write!(out, "{comma}{{\"up_to\":{up_to},\"flat_price\":{}", text(tier.flat));
            _ = match tier.block {
                _ if model == "stairstep" => Ok(()),
                None => write!(out, ",\"unit_price\":{}", text(tier.price)),
                Some(size) => write!(
                    out,
                    ",\"block_size\":{},\"block_price\":{}",
                    self.quantity(size),
                    text(tier.price)
                ),
            };
            out.push('}');
        }
        out + "]}"
    }
}

/// The tier that a quantity ends in: a bound belongs to the tier below it.
fn ending(tiers: &[Tier], billable: i64) -> &Tier {
    tiers.iter().find(|tier| tier.up_to.is_none_or(|end| billable <= end)).unwrap()
}

fn flat(tier: &Tier, billable: i64, at_zero: bool) -> i128 {
    if billable > 0 || at_zero { once(tier.flat) } else { 0 }
}

/// Blocks are begun one by one until they cover all steps.
fn blocks(steps: i64, size: i64, price: i64) -> i128 {
    let (mut covered, mut amount) = (0, 0);
    while covered < steps {
        covered += size;
        amount += once(price);
    }
    amount
}

/// A price once, whatever the quantity.
fn once(price: i64) -> i128 {
    i128::from(price) * i128::from(UNIT)
}

fn text(price: i64) -> String {
    format!("\"{}.{:04}\"", price / 10_000, price % 10_000)
}
