//! The catalogs of a simulation: the topic grows from one to the next, by customers and by plan
//! versions that take effect later.

use rating::Catalog;
use std::sync::Arc;
use usage_rater::stream::InForce;

/// What a catalog of the topic adds to the one before.
struct Step {
    customers: u64,
    versions: usize,
    /// By when it must be known, in nanoseconds: before its plan version takes effect.
    deadline: i128,
}

const ANY_TIME: i128 = i128::MAX;
/// 2026-01-24 and 2026-02-19.
const BEFORE_FEBRUARY: i128 = 1_769_212_800_000_000_000;
const BEFORE_MARCH: i128 = 1_771_459_200_000_000_000;

const STEPS: [Step; 6] = [
    Step { customers: 8, versions: 1, deadline: ANY_TIME },
    Step { customers: 9, versions: 1, deadline: BEFORE_FEBRUARY },
    Step { customers: 9, versions: 2, deadline: BEFORE_FEBRUARY },
    Step { customers: 10, versions: 2, deadline: BEFORE_MARCH },
    Step { customers: 11, versions: 3, deadline: BEFORE_MARCH },
    Step { customers: 12, versions: 3, deadline: ANY_TIME },
];

/// From when on a version holds, and what it takes for each of the first ten units of a month and
/// for each one above, in thousandths.
pub(super) const VERSIONS: [(&str, u64, u64); 3] =
    [("2025-01", 10, 5), ("2026-02", 12, 6), ("2026-03", 20, 8)];

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Catalogs {
    /// Those of the topic, in order.
    steps: Vec<Arc<Catalog>>,
    /// One of other customers in the same places.
    foreign: Arc<Catalog>,
}

impl Catalogs {
    pub(super) fn new() -> Self {
        let parse = |step: &Step, names: [&str; 2]| {
            Arc::new(Catalog::parse(text(step, names).as_bytes()).unwrap())
        };
        let steps = STEPS.iter().map(|step| parse(step, ["C", "S"])).collect();
        Self { steps, foreign: parse(&STEPS[0], ["X", "Y"]) }
    }

    /// A catalog that contradicts whatever was rated.
    pub(super) fn foreign(&self) -> Arc<Catalog> {
        Arc::clone(&self.foreign)
    }

    /// The catalog of so many steps, one at least; not known as long as none was read.
    pub(super) fn of(&self, steps: usize) -> InForce {
        let catalog = Arc::clone(&self.steps[steps.saturating_sub(1)]);
        InForce { catalog, position: Some(position(steps)), is_known: steps > 0 }
    }
}

/// How much of the topic makes the catalog of so many steps.
pub(super) fn position(steps: usize) -> u64 {
    steps as u64 * 3
}

pub(super) const fn count() -> usize {
    STEPS.len()
}

/// How many customers there are after so many steps.
pub(super) fn customers(steps: usize) -> u64 {
    STEPS[steps.min(STEPS.len()) - 1].customers
}

/// Whether another step must be known by a time.
pub(super) fn is_due(steps: usize, by: i128) -> bool {
    STEPS.get(steps).is_some_and(|step| step.deadline <= by)
}

/// The text of a step, with what the ids of customers and subscriptions begin with.
fn text(step: &Step, [customer, subscription]: [&str; 2]) -> String {
    let customers: Vec<String> = (0..step.customers)
        .map(|n| format!("{{\"id\":\"{customer}{n}\",\"time_zone\":\"UTC\"}}"))
        .collect();
    let subscriptions: Vec<String> = (0..step.customers)
        .map(|n| {
            format!(
                "{{\"id\":\"{subscription}{n}\",\"customer\":\"{customer}{n}\",\
                 \"plan\":\"pro\",\"start\":\"2026-01-01\",\"end\":\"2026-12-31\"}}"
            )
        })
        .collect();
    let plans: Vec<String> = VERSIONS
        .iter()
        .zip(1..=step.versions)
        .map(|((from, first, rest), version)| {
            format!(
                "{{\"key\":\"pro\",\"version\":{version},\
                 \"effective_from\":\"{from}-01T00:00:00Z\",\"currency\":\"USD\",\"charges\":[\
                 {{\"key\":\"calls\",\"meter\":\"calls\",\"price\":{{\"model\":\"graduated\",\
                 \"tiers\":[{{\"up_to\":\"10\",\"unit_price\":\"0.{first:03}\"}},\
                 {{\"up_to\":null,\"unit_price\":\"0.{rest:03}\"}}]}}}}]}}"
            )
        })
        .collect();
    format!(
        "{{\"meters\":[{{\"key\":\"calls\",\"event_type\":\"t\",\"aggregation\":\"sum\",\
         \"value\":\"$.n\"}}],\"plans\":[{}],\"customers\":[{}],\"subscriptions\":[{}]}}",
        plans.join(","),
        customers.join(","),
        subscriptions.join(",")
    )
}
