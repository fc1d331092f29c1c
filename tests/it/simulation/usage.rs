//! Usage of a simulation, and the trivial oracle of what it must come to.

use super::dice::Dice;
use std::collections::BTreeMap;

/// A catalog with a price of 0.01 for the first ten of a customer's month and 0.005 for the rest.
pub(super) fn catalog_text() -> String {
    let customers: Vec<String> =
        (0..CUSTOMERS).map(|n| format!("{{\"id\":\"C{n}\",\"time_zone\":\"UTC\"}}")).collect();
    let subscriptions: Vec<String> = (0..CUSTOMERS)
        .map(|n| {
            format!(
                "{{\"id\":\"S{n}\",\"customer\":\"C{n}\",\"plan\":\"pro\",\
                 \"start\":\"2026-01-01\",\"end\":\"2026-12-31\"}}"
            )
        })
        .collect();
    format!(
        "{{\"meters\":[{{\"key\":\"calls\",\"event_type\":\"t\",\"aggregation\":\"sum\",\
         \"value\":\"$.n\"}}],\"plans\":[{{\"key\":\"pro\",\"version\":1,\
         \"effective_from\":\"2025-01-01T00:00:00Z\",\"currency\":\"USD\",\"charges\":[\
         {{\"key\":\"calls\",\"meter\":\"calls\",\"price\":{{\"model\":\"graduated\",\"tiers\":[\
         {{\"up_to\":\"10\",\"unit_price\":\"0.01\"}},{{\"up_to\":null,\"unit_price\":\"0.005\"}}\
         ]}}}}]}}],\"customers\":[{}],\"subscriptions\":[{}]}}",
        customers.join(","),
        subscriptions.join(",")
    )
}

const CUSTOMERS: u64 = 12;

/// What a producer has sent so far.
#[derive(Debug)]
pub(super) struct Usage {
    dice: Dice,
    /// Records that were sent, by customer and id, with their quantity.
    sent: BTreeMap<(u64, u64), u64>,
    /// Ids of records that a correction takes back.
    cancelled: BTreeMap<(u64, u64), u64>,
    /// Garbage that was sent, doubled or not.
    pub(super) garbage: u64,
    next_id: u64,
}

impl Usage {
    pub(super) const fn new(dice: Dice) -> Self {
        Self { dice, sent: BTreeMap::new(), cancelled: BTreeMap::new(), garbage: 0, next_id: 0 }
    }

    /// The next record and its owner.
    pub(super) fn next(&mut self) -> (String, String) {
        let customer = self.dice.below(CUSTOMERS);
        match self.dice.below(20) {
            0 => {
                self.garbage += 1;
                (format!("C{customer}"), "{\"specversion\":\"1.0\"".to_owned())
            }
            1..4 => self.again(),
            4 => self.cancel(),
            _ => {
                let (id, quantity) = (self.next_id, 1 + self.dice.below(7));
                self.next_id += 1;
                self.sent.insert((customer, id), quantity);
                (format!("C{customer}"), record(customer, id, quantity))
            }
        }
    }

    fn any_sent(&mut self) -> Option<((u64, u64), u64)> {
        let at = usize::try_from(self.dice.below(self.sent.len() as u64)).unwrap();
        self.sent.iter().nth(at).map(|(key, quantity)| (*key, *quantity))
    }

    /// A retry of what was sent before.
    fn again(&mut self) -> (String, String) {
        match self.any_sent() {
            Some(((customer, id), quantity)) => {
                (format!("C{customer}"), record(customer, id, quantity))
            }
            None => self.next(),
        }
    }

    fn cancel(&mut self) -> (String, String) {
        let Some(((customer, id), _)) = self.any_sent() else { return self.next() };
        let fresh = self.next_id;
        let own = *self.cancelled.entry((customer, id)).or_insert(fresh);
        self.next_id += u64::from(own == fresh);
        let text = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"r{own}\",\"source\":\"s\",\
             \"type\":\"usage.cancelled\",\"subject\":\"C{customer}\",\
             \"time\":\"2026-01-09T00:00:00Z\",\
             \"data\":{{\"of\":{{\"source\":\"s\",\"id\":\"r{id}\"}}}}}}"
        );
        (format!("C{customer}"), text)
    }

    /// Σ of the quantities that stand, by customer.
    pub(super) fn quantities(&self) -> BTreeMap<u64, u64> {
        let mut sums = BTreeMap::new();
        for ((customer, id), quantity) in &self.sent {
            if !self.cancelled.contains_key(&(*customer, *id)) {
                *sums.entry(*customer).or_default() += quantity;
            }
        }
        sums
    }

    /// How many different records were sent, corrections included.
    pub(super) fn distinct(&self) -> u64 {
        (self.sent.len() + self.cancelled.len()) as u64
    }
}

fn record(customer: u64, id: u64, quantity: u64) -> String {
    // Ids rise with time, and all lie in one billing period.
    let second = id % 60;
    let minute = id / 60 % 60;
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"r{id}\",\"source\":\"s\",\"type\":\"t\",\
         \"subject\":\"C{customer}\",\"time\":\"2026-01-09T00:{minute:02}:{second:02}Z\",\
         \"data\":{{\"n\":{quantity}}}}}"
    )
}

/// The price of a quantity in thousandths: 0.01 each up to 10, 0.005 each above.
pub(super) fn price(quantity: u64) -> u64 {
    quantity.min(10) * 10 + quantity.saturating_sub(10) * 5
}
