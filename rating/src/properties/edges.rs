//! Prices of any scale and size, one last place to either side of every bound.
//!
//! Prices, bounds and quantities have 0 to 12 decimals and all digits that a catalog may state.
//! Records lead a total from edge to edge: where it costs nothing yet, where a tier, a package or a
//! block ends, where the included units or the domain do, and 10^-9 before and behind each. A
//! minimum and a maximum lie 10^-12 to either side of what is owed, or of half a minor unit.

mod charge;

use super::oracle::{Fee, nearest, nearest_even, ten, wide};
use crate::{
    Amount, Calendar, Catalog, Currency, Cycle, DecimalError, Frame, Freed, Instant, Percentage,
    Period, Price, Quantity, Rounding, Share, Timeline, Total, rate, take_back,
};
use charge::{Charge, charges, fees, number};
use ethnum::I256;
use proptest::prelude::*;
use proptest::sample::Index;

/// The last place of a quantity, in 10^-12.
const LAST_PLACE: i128 = 1_000;
/// More units than this are not used: a few times the largest that a record may state.
const UNITS_MAX: i128 = 4_000_000_000_000_000 * super::oracle::ONE;
/// The largest usage amount that a total may have: 10^33.
const AMOUNT_DIGITS: u32 = 33;

/// Where a bound lies.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// Nowhere.
    None,
    /// At what is owed without it, or so many last places beside it.
    Owed(i128),
    /// At so many halves of a minor unit, or so many last places beside them.
    Halves(i128, i128),
}

#[derive(Debug, Clone)]
struct Case {
    charge: Charge,
    /// Which edges the total is led to, and how many last places beside them.
    targets: Vec<(Index, i128)>,
    minimum: Bound,
    maximum: Bound,
    currency: (&'static str, Rounding),
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        Just(Bound::None),
        (-1..=1i128).prop_map(Bound::Owed),
        (0..2_000i128, -1..=1i128).prop_map(|(halves, beside)| Bound::Halves(halves, beside)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let targets = prop::collection::vec((any::<Index>(), -1..=1i128), 1..12);
    let code = prop::sample::select(vec!["USD", "JPY", "KWD", "CLF"]);
    let rounding = prop::sample::select(vec![Rounding::HalfAwayFromZero, Rounding::HalfEven]);
    (charges(), targets, bound(), bound(), (code, rounding)).prop_map(
        |(charge, targets, minimum, maximum, currency)| Case {
            charge,
            targets,
            minimum,
            maximum,
            currency,
        },
    )
}

impl Case {
    /// Positions of the total, one behind the other.
    fn positions(&self) -> Vec<i128> {
        let edges = self.charge.edges();
        let place = |(index, beside): &(Index, i128)| {
            let edge = index.get(&edges).min(&wide(UNITS_MAX)).as_i128();
            (edge / LAST_PLACE + beside) * LAST_PLACE
        };
        self.targets.iter().map(place).collect()
    }

    /// A bound as a price, in 10^-12; `None` also where no catalog may state it.
    fn price_of(&self, bound: Bound, owed: I256, share: Share) -> Option<i128> {
        let exponent = Currency::parse(self.currency.0).unwrap().exponent();
        let price = match bound {
            Bound::None => return None,
            Bound::Owed(beside) => {
                let whole = owed / ten(26) * I256::from(share.whole) / I256::from(share.active);
                whole + wide(beside)
            }
            Bound::Halves(halves, beside) => wide(halves) * ten(12 - exponent) / 2 + wide(beside),
        };
        (price >= 0 && price < ten(24)).then(|| price.as_i128())
    }
}

fn january() -> Period {
    let instant = |text| Instant::parse(text).unwrap();
    Period { start: instant("2026-01-01T00:00:00Z"), end: instant("2026-02-01T00:00:00Z") }
}

fn read(charge: &str) -> Timeline {
    let catalog = format!(
        r#"{{"meters":[{{"key":"m","event_type":"t","aggregation":"sum","value":"$.n",
        "negative":"accept"}}],"plans":[{{"key":"p","version":1,"currency":"USD",
        "effective_from":"2026-01-01T00:00:00Z","charges":[{charge}]}}]}}"#
    );
    let read = Catalog::parse(catalog.as_bytes());
    read.unwrap_or_else(|faults| panic!("{faults:?}\n{catalog}")).plan("p").unwrap().timelines[0]
        .clone()
}

/// Leads a total to the positions; each record costs what the oracle says it adds, or is refused
/// where no total may become so large. Gives the total and the last of its positions.
fn lead(charge: &Charge, timeline: &Timeline, to: &[i128]) -> Result<(Total, i128), TestCaseError> {
    let at = january().start;
    let by = (timeline, timeline.at(at).unwrap(), charge.share());
    let zero = charge.amount(0).unwrap();
    let fits = |amount: &I256| (*amount - zero).abs() <= ten(AMOUNT_DIGITS + 24);
    let (mut total, mut position, mut cost) = (Total::default(), 0, zero);
    for target in to {
        let quantity = Quantity::from_scaled(target - position);
        let before = total.clone();
        let rated = rate(&mut total, by, quantity, at);
        let Some(wanted) = charge.amount(*target).filter(fits) else {
            prop_assert_eq!(rated, None, "at {} of {:?}", target, charge);
            prop_assert_eq!(&total, &before, "a refused record changes nothing");
            return Ok((before, position));
        };
        let Some(rated) = rated else {
            return Err(TestCaseError::fail(format!("{target} does not fit: {charge:?}")));
        };
        prop_assert_eq!(rated.amount.scaled(), wanted - cost, "from {} to {}", position, target);
        prop_assert_eq!(rated.total_before, Quantity::from_scaled(position));
        // Taken back, it is as if it had never been.
        let mut without = total.clone();
        let back = take_back(&mut without, by, quantity, at).unwrap();
        prop_assert_eq!(back.amount.scaled(), cost - wanted);
        prop_assert_eq!(back.total_before, Quantity::from_scaled(*target));
        prop_assert_eq!((without.rated, without.records), (before.rated, before.records));
        prop_assert_eq!(without.times.first(), before.times.first());
        (position, cost) = (*target, wanted);
    }
    Ok((total, position))
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let charge = &case.charge;
    let timeline = read(&charge.json(None, None));
    let (total, position) = lead(charge, &timeline, &case.positions())?;
    let usage_amount = charge.amount(position).unwrap();
    let owed = usage_amount * (ten(14) - wide(charge.discount));
    let of_minimum = if charge.prorates_minimum { charge.share() } else { Share::WHOLE };
    let minimum = case.price_of(case.minimum, owed, of_minimum);
    let maximum = case.price_of(case.maximum, owed, Share::WHOLE);

    let timeline = read(&charge.json(minimum, maximum));
    let period = january();
    let frame = Frame {
        period,
        share: charge.share(),
        active: period,
        renewals: &[],
        calendar: &Calendar::new(Cycle::default()),
    };
    let (code, rounding) = case.currency;
    let currency = Currency::parse(code).unwrap();
    let settled = total.settle(&timeline, &frame, (currency, rounding)).unwrap();
    prop_assert_eq!(settled.quantity, Quantity::from_scaled(position));
    prop_assert_eq!(wide(settled.billable_quantity.scaled()), charge.billable(position).unwrap());
    prop_assert_eq!(settled.amount_at_zero.scaled(), charge.amount(0).unwrap());
    prop_assert_eq!(settled.usage_amount.scaled(), usage_amount);

    // The maximum, then the minimum, which wins.
    let capped = maximum.map_or(owed, |maximum| owed.min(wide(maximum) * ten(26)));
    let least = minimum.map(|price| {
        let Share { active, whole } = of_minimum;
        nearest(wide(price) * I256::from(active), I256::from(whole)) * ten(26)
    });
    let owed = least.map_or(capped, |least| capped.max(least));
    prop_assert_eq!(settled.amount.to_string(), charge::decimal(owed, 38));
    let minor = ten(38 - currency.exponent());
    let wanted = match rounding {
        Rounding::HalfAwayFromZero => nearest(owed, minor),
        Rounding::HalfEven => nearest_even(owed, minor),
    };
    prop_assert_eq!(wide(settled.rounded.minor()), wanted, "{} of {:?}", owed, case);
    Ok(())
}

/// What records cost that are priced one by one, in the order in which they are freed.
fn check_fees(fee: &Fee, values: &[i128]) -> Result<(), TestCaseError> {
    let price = |text: String| Price::parse(&text).unwrap();
    let percentage = Percentage {
        rate: price(charge::decimal(wide(fee.rate), 12)),
        fixed_price: price(charge::decimal(wide(fee.fixed), 12)),
        free_records: fee.free_records,
        free_amount: fee.free_amount.map(Quantity::from_scaled),
        record_minimum: fee.least.map(|least| price(charge::decimal(wide(least), 12))),
        record_maximum: fee.most.map(|most| price(charge::decimal(wide(most), 12))),
    };
    let mut before = Freed::default();
    for (value, (amount, billable)) in values.iter().zip(fee.of(values)) {
        let quantity = Quantity::from_scaled(*value);
        let found = (percentage.fee(before, quantity), percentage.billable(before, quantity));
        let wanted = (Amount::from_scaled(amount), Quantity::from_scaled(billable.as_i128()));
        prop_assert_eq!(found, (Some(wanted.0), Some(wanted.1)), "{} behind {:?}", value, before);
        before = before.and(quantity).unwrap();
    }
    Ok(())
}

/// A decimal of so many digits before and behind the point is read, or is too long.
fn check_text(whole: &str, fraction: &str, shift: i32) -> Result<(), TestCaseError> {
    let whole = whole.trim_start_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let plain = format!("{}{whole}{point}{fraction}", if whole.is_empty() { "0" } else { "" });
    // The same with its point moved, and an exponent that moves it back.
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let exponent = -i32::try_from(fraction.len()).unwrap() - shift;
    let zeros = "0".repeat(usize::try_from(shift).unwrap());
    let digits = if digits.is_empty() { "0".to_owned() } else { format!("{digits}{zeros}") };
    let moved = format!("{digits}e{exponent}");
    let kept = fraction.trim_end_matches('0');
    let quantity = |text: &str| Quantity::parse(text).map(Quantity::scaled);
    let price = |text: &str| Price::parse(text).map(Price::scaled);
    for (limits, scaled_of) in [((15, 9), &quantity as Scaled<'_>), ((12, 12), &price)] {
        let fits = whole.len() <= limits.0 && kept.len() <= limits.1;
        let wanted = if fits {
            Ok(format!("0{whole}{kept:0<12}").parse::<i128>().unwrap())
        } else {
            Err(DecimalError::OutOfDomain)
        };
        for text in [&plain, &moved] {
            prop_assert_eq!(scaled_of(text), wanted, "{} of {:?}", text, limits);
            let negative = wanted.map(|scaled: i128| -scaled);
            prop_assert_eq!(scaled_of(&format!("-{text}")), negative);
        }
    }
    Ok(())
}

/// Reads a decimal as a whole number of its last place.
type Scaled<'a> = &'a dyn Fn(&str) -> Result<i128, DecimalError>;

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn prices_hold_at_their_edges(case in case()) {
        check(&case)?;
    }

    #[test]
    fn fees_hold_at_their_edges(
        fee in fees(), near in prop::collection::vec((0..3u8, -1..=1i128), 1..9),
    ) {
        // The first records together end where the free part does, or just beside it.
        let (mut values, mut left) = (Vec::new(), fee.free_amount.unwrap_or(super::oracle::ONE));
        for (kind, beside) in near {
            let value = match kind {
                0 => left,
                1 => left / 2 / LAST_PLACE * LAST_PLACE,
                _ => 0,
            };
            let value = (value + beside * LAST_PLACE).max(0);
            values.push(value);
            left = (left - value).max(0);
        }
        check_fees(&fee, &values)?;
    }

    #[test]
    fn domains_end_after_their_last_place(
        whole in "[0-9]{0,17}", fraction in "[0-9]{0,14}", shift in 0..4i32,
    ) {
        check_text(&whole, &fraction, shift)?;
    }

    #[test]
    fn products_are_exact_at_any_scale(price in number(12, 12), quantity in number(15, 9)) {
        let exact = wide(price) * wide(quantity);
        let price = Price::parse(&charge::decimal(wide(price), 12)).unwrap();
        prop_assert_eq!(price.times(Quantity::from_scaled(quantity)).scaled(), exact);
    }
}
