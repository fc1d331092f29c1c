//! Positions against a recount.
//!
//! Records are added to a position and some are taken back, in any order, over two billing periods
//! and three stretches of terms. After every step each part must add what its records say when all
//! of them are looked at anew: the aggregate up to its end less that up to its start, priced by its
//! own terms; or fee by fee, where the price is due on every record. Some terms have another grid
//! and price nothing of it, but what was used under them counts for those that come after.

use super::oracle::{Fee, ONE, nearest, wide};
use crate::{
    Aggregation, Amount, Charge, Contribution, Direction, Filter, Instant, Matrix, MeterId,
    Percentage, Percentile, Period, Place, Position, Price, PriceModel, Pricing, Prorated,
    Quantity, Scope, Share, Terms, Timeline, Usage,
};
use ethnum::I256;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Where terms or billing periods begin, in days of the position.
const CUTS: [i64; 4] = [0, 10, 31, 45];
/// Where the second billing period begins and ends.
const PERIODS: [i64; 3] = [0, 31, 59];
/// A day of this world; few instants make many of one time.
const DAY: i128 = 1_000;
/// What values are whole numbers of, in 10^-12: from the last place of a record's value to values
/// of 15 digits.
const STEPS: [i128; 4] = [1_000, 1_000_000, ONE, 100_000_000_000_000 * ONE / 12];

fn at(days: i128) -> Instant {
    Instant::from_nanos(days * DAY)
}

fn period_of(at: Instant) -> Period {
    let [first, second, end] = PERIODS.map(|day| self::at(day.into()));
    if at < second { Period { start: first, end: second } } else { Period { start: second, end } }
}

fn start_of(at: Instant) -> Instant {
    CUTS.map(|day| self::at(day.into())).into_iter().rfind(|cut| *cut <= at).unwrap()
}

/// A record; several may have one value, and one time.
#[derive(Debug, Clone)]
struct Record {
    at: Instant,
    id: String,
    value: i64,
}

/// How a stretch of terms is priced; free amounts, and what is included, in steps.
#[derive(Debug, Clone, Copy)]
enum Priced {
    Units {
        included: i128,
        price: i128,
    },
    Records(Fee),
    /// By the cells of another grid.
    Elsewhere,
}

/// A world: an aggregation, and the prices of its three stretches of terms.
#[derive(Debug, Clone)]
struct World {
    aggregation: Aggregation,
    terms: [Priced; 3],
    step: i128,
}

/// The days on which terms begin.
const TERMS: [i64; 3] = [0, 10, 45];

fn price(scaled: i128) -> Price {
    Price::from_scaled(scaled)
}

impl World {
    fn charge(&self, priced: Priced) -> Charge {
        let (included, model) = match priced {
            Priced::Units { included, price: unit } => {
                (included * self.step, PriceModel::PerUnit { unit_price: price(unit) })
            }
            Priced::Elsewhere => (0, PriceModel::Matrix(other_grid())),
            Priced::Records(fee) => (
                0,
                PriceModel::Percentage(Percentage {
                    rate: price(fee.rate),
                    fixed_price: price(fee.fixed),
                    free_records: fee.free_records,
                    free_amount: fee.free_amount.map(|it| Quantity::from_scaled(it * self.step)),
                    record_minimum: fee.least.map(price),
                    record_maximum: fee.most.map(price),
                }),
            ),
        };
        Charge {
            key: "c".to_owned(),
            meter: Some(MeterId(0)),
            aggregation: self.aggregation,
            filter: Filter::new(),
            scope: Scope::Year,
            unit: None,
            included: Quantity::from_scaled(included),
            model,
            discount_percent: Price::ZERO,
            minimum: None,
            maximum: None,
            prorated: Prorated::default(),
        }
    }

    fn timeline(&self) -> Timeline {
        let terms = TERMS.into_iter().zip(self.terms).map(|(day, priced)| Terms {
            from: at(day.into()),
            plan_version: 1,
            override_from: None,
            digest: 0,
            charge: Some(Arc::new(self.charge(priced))),
        });
        Timeline::new("c".to_owned(), terms.collect())
    }

    fn priced_at(&self, start: Instant) -> Priced {
        let days = TERMS.into_iter().zip(self.terms);
        days.rev().find(|(day, _)| at((*day).into()) <= start).unwrap().1
    }
}

fn by_record() -> impl Strategy<Value = Priced> {
    let free = (prop::option::of(0..4u64), prop::option::of(0..30i128));
    let bounds = (prop::option::of(0..8i128), prop::option::of(0..20i128));
    (0..3i128, 0..3i128, free, bounds).prop_map(|(rate, fixed, free, bounds)| {
        let (least, most) = (bounds.0.map(|it| it * ONE), bounds.1.map(|it| it * ONE));
        let (free_records, free_amount) = free;
        let (rate, fixed) = (rate * ONE, fixed * ONE);
        Priced::Records(Fee { rate, fixed, free_records, free_amount, least, most })
    })
}

fn by_unit() -> impl Strategy<Value = Priced> {
    let price = prop_oneof![1..5i128, Just(999_999_999_999_999_999_999_999)];
    (0..15i128, price).prop_map(|(included, price)| Priced::Units { included, price })
}

/// A grid without the cell of a plain price.
fn other_grid() -> Matrix {
    Matrix::new(Vec::new(), Vec::new(), PriceModel::PerUnit { unit_price: price(7) })
}

fn worlds() -> impl Strategy<Value = World> {
    let rank = |text| Aggregation::Percentile(Percentile::parse(text).unwrap());
    let aggregations = vec![
        Aggregation::Sum,
        Aggregation::Count,
        Aggregation::Max,
        Aggregation::Min,
        Aggregation::Average,
        Aggregation::UniqueCount,
        Aggregation::Latest,
        Aggregation::TimeWeightedSum,
        rank("50"),
        rank("90"),
        rank("100"),
    ];
    let plain = (prop::sample::select(aggregations), prop::array::uniform3(by_unit()));
    let fees = prop::array::uniform3(by_record()).prop_map(|terms| (Aggregation::Sum, terms));
    let mixed = (by_record(), by_unit(), by_record());
    let mixed = mixed.prop_map(|(first, second, third)| (Aggregation::Sum, [first, second, third]));
    let drawn = prop_oneof![4 => plain, 3 => fees, 1 => mixed];
    let elsewhere = prop::array::uniform3(prop::bool::weighted(0.2));
    (drawn, elsewhere, prop::sample::select(&STEPS[..])).prop_map(|(drawn, elsewhere, step)| {
        let (aggregation, mut terms) = drawn;
        let weighted = aggregation == Aggregation::TimeWeightedSum;
        for (priced, _) in terms.iter_mut().zip(elsewhere).filter(|(_, it)| *it && !weighted) {
            *priced = Priced::Elsewhere;
        }
        World { aggregation, terms, step }
    })
}

/// Records, and for each step the record that is added, or taken back if it is there.
fn steps() -> impl Strategy<Value = Vec<Record>> {
    let record = (0..59 * 1_000i64, 0..40i64, 0..12i64);
    let records = prop::collection::vec(record, 1..30);
    (records, prop::collection::vec(any::<prop::sample::Index>(), 1..60)).prop_map(
        |(drawn, picks)| {
            let record = |(index, (nanos, day, value)): (usize, (i64, i64, i64))| {
                // Half of them lie exactly on a day, so that cuts and ties are met.
                let exact = i128::from(day) * DAY;
                let at = if index % 2 == 0 { exact } else { nanos.into() };
                Record { at: Instant::from_nanos(at), id: format!("r{index:02}"), value }
            };
            let records: Vec<Record> = drawn.into_iter().enumerate().map(record).collect();
            picks.into_iter().map(|pick| pick.get(&records).clone()).collect()
        },
    )
}

impl World {
    fn prices_fees(&self) -> bool {
        self.terms.iter().any(|priced| matches!(priced, Priced::Records(_)))
    }

    fn usage<'a>(&self, record: &'a Record) -> Usage<'a> {
        // Of a count, the value of every record is 1.
        let is_count = self.aggregation == Aggregation::Count;
        let value = if is_count { ONE } else { i128::from(record.value) * self.step };
        Usage {
            value: Quantity::from_scaled(value),
            distinct: u128::try_from(record.value).unwrap(),
            at: record.at,
            source: "s",
            id: &record.id,
        }
    }

    /// The aggregate of the records before a cut, measured as of the period that ends there.
    fn aggregate(&self, standing: &[Record], period: Period, cut: Instant) -> i128 {
        let before = || standing.iter().filter(|record| record.at < cut);
        let mut values: Vec<i64> = before().map(|record| record.value).collect();
        values.sort_unstable();
        let count = i64::try_from(values.len()).unwrap();
        let steps = |number: i64| i128::from(number) * self.step;
        let quotient = |whole: i128, by: i128| nearest(wide(whole), wide(by)).as_i128();
        match self.aggregation {
            Aggregation::Sum => steps(values.iter().sum()),
            Aggregation::Count => i128::from(count) * ONE,
            Aggregation::Max => steps(values.last().copied().unwrap_or(0)),
            Aggregation::Min => steps(values.first().copied().unwrap_or(0)),
            Aggregation::Average => quotient(steps(values.iter().sum()), count.max(1).into()),
            Aggregation::UniqueCount => {
                values.dedup();
                i128::try_from(values.len()).unwrap() * ONE
            }
            Aggregation::Latest => {
                let last = before().max_by_key(|record| (record.at, record.id.clone()));
                steps(last.map_or(0, |record| record.value))
            }
            Aggregation::Percentile(rank) => {
                let rank = usize::try_from(rank.rank(values.len().try_into().unwrap())).unwrap();
                steps(rank.checked_sub(1).map_or(0, |index| values[index]))
            }
            Aggregation::TimeWeightedSum => {
                let length = period.end.nanos() - period.start.nanos();
                let left = |record: &Record| {
                    let from = record.at.max(period.start);
                    steps(record.value) * (period.end.nanos() - from.nanos())
                };
                quotient(before().map(left).sum(), length)
            }
        }
    }

    /// What the part that starts at a cut should add.
    fn recount(&self, standing: &[Record], start: Instant) -> Contribution {
        let index = CUTS.iter().position(|day| at((*day).into()) == start).unwrap();
        let end = CUTS.get(index + 1).map_or_else(|| at(59), |day| at((*day).into()));
        let period = period_of(start);
        let before = self.aggregate(standing, period, start);
        let after = self.aggregate(standing, period, end);
        let contribution = |billable: I256, amount| Contribution {
            quantity: Quantity::from_scaled(after - before),
            billable: Quantity::from_scaled(billable.as_i128()),
            amount: Amount::from_scaled(amount),
        };
        match self.priced_at(start) {
            Priced::Units { included, price } => {
                let over = |scaled: i128| (scaled - included * self.step).max(0);
                let billable = wide(over(after) - over(before));
                contribution(billable, billable * wide(price))
            }
            Priced::Records(fee) => {
                let (amount, billable) = self.fees(fee, standing, start..end);
                contribution(billable, amount)
            }
            Priced::Elsewhere => Contribution::default(),
        }
    }

    /// The fees of the records of a part, of which those in front use up the free part first.
    fn fees(&self, fee: Fee, standing: &[Record], part: Range<Instant>) -> (I256, I256) {
        let mut records: Vec<&Record> = standing.iter().filter(|one| one.at < part.end).collect();
        records.sort_by_key(|record| (record.at, &record.id));
        let values: Vec<i128> =
            records.iter().map(|record| i128::from(record.value) * self.step).collect();
        let fee = Fee { free_amount: fee.free_amount.map(|free| free * self.step), ..fee };
        let fees = records.iter().zip(fee.of(&values));
        let of_part = fees.filter(|(record, _)| part.start <= record.at).map(|(_, fee)| fee);
        of_part.fold((I256::ZERO, I256::ZERO), |(amounts, billable), (amount, priced)| {
            (amounts + amount, billable + priced)
        })
    }
}

fn check(world: &World, steps: &[Record]) -> Result<(), TestCaseError> {
    let timeline = world.timeline();
    let pricing = Pricing { timeline: &timeline, cell: "", aggregation: world.aggregation };
    let mut position = Position::new(world.aggregation, world.prices_fees());
    let mut standing: Vec<Record> = Vec::new();
    let mut sums: BTreeMap<Period, Contribution> = BTreeMap::new();
    for (number, record) in steps.iter().enumerate() {
        let place =
            Place { start: start_of(record.at), period: period_of(record.at), share: Share::WHOLE };
        let known = standing.iter().position(|other| other.id == record.id);
        let direction = known.map_or(Direction::Add, |_| Direction::TakeBack);
        // One that is refused for another reason leaves no trace.
        let other = steps.get(number + 1).filter(|other| {
            !standing.iter().any(|one| one.id == other.id) && other.id != record.id
        });
        if let Some(other) = other {
            let place = Place { start: start_of(other.at), period: period_of(other.at), ..place };
            let change = position.change(&pricing, place, &world.usage(other), Direction::Add);
            position.undo(change.unwrap().undo);
        }
        let usage = world.usage(record);
        let shifts = position.change(&pricing, place, &usage, direction).unwrap().shifts;
        match known {
            Some(index) => _ = standing.remove(index),
            None => standing.push(record.clone()),
        }
        prop_assert_eq!(shifts.first().map(|shift| shift.period), Some(place.period));
        for shift in shifts {
            let sum = sums.entry(shift.period).or_default();
            sum.quantity = sum.quantity.checked_add(shift.by.quantity).unwrap();
            sum.billable = sum.billable.checked_add(shift.by.billable).unwrap();
            sum.amount = sum.amount.checked_add(shift.by.amount).unwrap();
        }
        let mut wanted: BTreeMap<Period, Contribution> = BTreeMap::new();
        for part in &position.parts {
            let adds = world.recount(&standing, part.start);
            prop_assert_eq!(part.adds, adds, "{} of {:?}", part.start, standing);
            let sum = wanted.entry(part.period).or_default();
            sum.quantity = sum.quantity.checked_add(adds.quantity).unwrap();
            sum.billable = sum.billable.checked_add(adds.billable).unwrap();
            sum.amount = sum.amount.checked_add(adds.amount).unwrap();
        }
        prop_assert_eq!(&sums, &wanted, "the shifts make the sums of the periods");
        // A sum of nothing but zeros is as good as none.
        if standing.is_empty() || standing.iter().any(|record| record.value > 0) {
            prop_assert_eq!(position.is_empty(), standing.is_empty());
        }
    }
    Ok(())
}

/// A level lasts into periods in which it does not change.
#[test]
fn a_period_begins_with_the_level_that_earlier_ones_left() {
    let world = World {
        aggregation: Aggregation::TimeWeightedSum,
        terms: [Priced::Units { included: 0, price: ONE }; 3],
        step: ONE,
    };
    let timeline = world.timeline();
    let pricing = Pricing { timeline: &timeline, cell: "", aggregation: world.aggregation };
    let mut position = Position::new(world.aggregation, false);
    let place = |day: i128| {
        let at = at(day);
        Place { start: start_of(at), period: period_of(at), share: Share::WHOLE }
    };
    for (day, value, id) in [(31, 7, "later"), (0, 3, "first"), (12, 2, "second")] {
        let record = Record { at: at(day), id: id.to_owned(), value };
        let usage = world.usage(&record);
        position.change(&pricing, place(day), &usage, Direction::Add).unwrap();
    }
    for (day, wanted) in [(0, 0), (10, 0), (31, 5), (45, 5)] {
        let (level, undo) = position.ensure(world.aggregation, place(day)).unwrap();
        assert_eq!(level, Quantity::from_scaled(wanted * ONE), "on day {day}");
        position.undo(undo);
    }
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn positions_agree_with_a_recount(world in worlds(), steps in steps()) {
        check(&world, &steps)?;
    }
}
