//! Rating against an oracle that walks from unit to unit.
//!
//! Random charges rate random quantities in random order. Quantities, bounds and sizes are whole
//! numbers of a random step, from the last place of a quantity up, so that the oracle can walk the
//! line of units step by step and ask of each what the documented formats say it costs: in whole
//! numbers, with no rule about sums, records or order.

mod oracle;

use oracle::{Model, Oracle, Tier};
use proptest::prelude::*;
use rating::{
    Calendar, Catalog, Cycle, Frame, Instant, Period, Quantity, Rated, Rounding, Share, Timeline,
    Total, rate,
};

/// The place of a step's last digit: 10^-9 of a unit, a thousandth, a whole unit.
const STEPS: [i64; 4] = [1, 1_000_000, 500_000_000, 1_000_000_000];

/// A charge and what is used of it, all quantities in steps.
#[derive(Debug, Clone)]
struct Case {
    oracle: Oracle,
    minimum: Option<i64>,
    maximum: Option<i64>,
    quantities: Vec<i64>,
    shuffled: Vec<i64>,
}

fn tiers() -> impl Strategy<Value = Vec<Tier>> {
    let tier = (1..15i64, 0..2_000i64, 0..5_000i64, prop::option::weighted(0.3, 1..6i64));
    prop::collection::vec(tier, 1..5).prop_map(|drawn| {
        let (last, mut up_to) = (drawn.len() - 1, 0);
        let place = |(index, (width, price, flat, block)): (usize, _)| {
            up_to += width;
            Tier { up_to: (index < last).then_some(up_to), price, flat, block }
        };
        drawn.into_iter().enumerate().map(place).collect()
    })
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        (0..2_000i64).prop_map(|price| Model::PerUnit { price }),
        (1..9i64, 0..5_000i64).prop_map(|(size, price)| Model::Package { size, price }),
        (tiers(), any::<bool>()).prop_map(|(tiers, at_zero)| Model::Graduated { tiers, at_zero }),
        (tiers(), any::<bool>()).prop_map(|(tiers, at_zero)| Model::Volume { tiers, at_zero }),
        (tiers(), any::<bool>()).prop_map(|(tiers, at_zero)| Model::Stairstep { tiers, at_zero }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let bound = || prop::option::weighted(0.3, 0..60_000i64);
    let charge = (model(), prop::sample::select(&STEPS[..]), 0..12i64);
    let used = prop::collection::vec(-6..14i64, 0..24);
    let shuffled = used.prop_flat_map(|used| (Just(used.clone()), Just(used).prop_shuffle()));
    (charge, bound(), bound(), shuffled).prop_map(
        |((model, step, included), minimum, maximum, (quantities, shuffled))| {
            let oracle = Oracle { model, step, included };
            Case { oracle, minimum, maximum, quantities, shuffled }
        },
    )
}

impl Case {
    /// The charge as the program reads it from a catalog.
    fn timeline(&self) -> Timeline {
        let cents = |bound: Option<i64>| {
            bound.map_or_else(
                || "null".to_owned(),
                |bound| format!("\"{}.{:02}\"", bound / 100, bound % 100),
            )
        };
        let charge = format!(
            r#"{{"key":"c","meter":"m","included":{},"minimum":{},"maximum":{},"price":{}}}"#,
            self.oracle.quantity(self.oracle.included),
            cents(self.minimum),
            cents(self.maximum),
            self.oracle.price_json()
        );
        let catalog = format!(
            r#"{{"meters":[{{"key":"m","event_type":"t","aggregation":"sum","value":"$.n",
            "negative":"accept"}}],"plans":[{{"key":"p","version":1,"currency":"USD",
            "effective_from":"2026-01-01T00:00:00Z","charges":[{charge}]}}]}}"#
        );
        let read = Catalog::parse(catalog.as_bytes());
        read.unwrap_or_else(|faults| panic!("{faults:?}\n{catalog}")).plan("p").unwrap().timelines
            [0]
        .clone()
    }

    fn in_steps(&self, steps: i64) -> Quantity {
        // A quantity counts in 10^-12, a step in 10^-9.
        Quantity::from_scaled(i128::from(steps * self.oracle.step) * 1_000)
    }
}

/// Rates quantities one after the other.
fn rate_all(case: &Case, timeline: &Timeline, quantities: &[i64]) -> (Total, Vec<Rated>) {
    let (mut total, mut rated) = (Total::default(), Vec::new());
    let at = Instant::parse("2026-01-15T00:00:00Z").unwrap();
    for steps in quantities {
        let terms = timeline.at(at).unwrap();
        rated.push(
            rate(&mut total, (timeline, terms, Share::WHOLE), case.in_steps(*steps), at).unwrap(),
        );
    }
    (total, rated)
}

/// An amount in the oracle's unit; it must not have any finer digit.
fn scaled(amount: impl std::fmt::Display) -> i128 {
    let text = amount.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    sign * format!("{whole}{fraction:0<width$}", width = oracle::AMOUNT_DIGITS)
        .parse::<i128>()
        .unwrap()
}

fn january() -> Period {
    let instant = |text| Instant::parse(text).unwrap();
    Period { start: instant("2026-01-01T00:00:00Z"), end: instant("2026-02-01T00:00:00Z") }
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let timeline = case.timeline();
    let usd = (rating::Currency::parse("USD").unwrap(), Rounding::default());
    let (total, rated) = rate_all(case, &timeline, &case.quantities);
    let (period, share, calendar) = (january(), Share::WHOLE, Calendar::new(Cycle::default()));
    let frame = Frame { period, share, active: period, renewals: &[], calendar: &calendar };
    let settled = total.settle(&timeline, &frame, usd).unwrap();

    // Each record costs what the oracle says the total costs with it, less what it cost without.
    let mut position = 0;
    for (steps, rated) in case.quantities.iter().zip(&rated) {
        let wanted = case.oracle.amount(position + steps) - case.oracle.amount(position);
        prop_assert_eq!(scaled(rated.amount), wanted, "{} at {}", steps, position);
        prop_assert_eq!(rated.total_before, case.in_steps(position));
        position += steps;
    }
    prop_assert_eq!(settled.quantity, case.in_steps(position));
    prop_assert_eq!(settled.billable_quantity, case.in_steps(case.oracle.billable(position)));

    // usage_amount = P(0) + Σ rated = P(total), and the bounds follow: maximum, then minimum.
    let sum: i128 = rated.iter().map(|rated| scaled(rated.amount)).sum();
    let usage_amount = scaled(settled.usage_amount);
    prop_assert_eq!(usage_amount, case.oracle.amount(0) + sum);
    prop_assert_eq!(usage_amount, case.oracle.amount(position));
    let cents = |bound: i64| i128::from(bound) * oracle::CENT;
    let capped = case.maximum.map_or(usage_amount, |maximum| usage_amount.min(cents(maximum)));
    let bounded = case.minimum.map_or(capped, |minimum| capped.max(cents(minimum)));
    prop_assert_eq!(scaled(settled.amount), bounded);

    // Rounded once, half up: amounts of these charges are never below zero.
    let half = cents(1) / 2;
    prop_assert_eq!(settled.rounded.minor(), (bounded + half) / cents(1));

    // Another order splits the sum otherwise, and that is all it does.
    let (other, other_rated) = rate_all(case, &timeline, &case.shuffled);
    prop_assert_eq!(&other, &total);
    prop_assert_eq!(other_rated.iter().map(|rated| scaled(rated.amount)).sum::<i128>(), sum);
    Ok(())
}

/// Failing cases are printed, which is enough to keep them: as a scenario.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rating_agrees_with_a_walk_over_units(case in case()) {
        check(&case)?;
    }

    /// One record that ends on a bound, a last place before it or a last place behind it.
    #[test]
    fn bounds_hold_to_the_last_place(case in case(), near in -1..=1i64) {
        let bounds = case.oracle.bounds();
        for bound in bounds {
            let steps = bound + case.oracle.included + near;
            check(&Case { quantities: vec![steps], shuffled: vec![steps], ..case.clone() })?;
        }
    }
}
