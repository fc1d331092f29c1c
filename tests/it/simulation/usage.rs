//! Usage of a simulation: what producers send, in time and too late, again and again, before its
//! customer is known and before what it corrects.

use super::dice::Dice;
use rating::Instant;

pub(super) const HOUR: i128 = 3_600_000_000_000;
pub(super) const DAY: i128 = 24 * HOUR;
/// A record whose own time is older is too late.
pub(super) const WINDOW: i128 = 20 * DAY;
/// How late usage may be sent that is to count, and may be corrected. The world sees to it that
/// nothing is left unread for so long that it would be too late after all.
const LATE: i128 = 5 * DAY;
/// 2026-01-01, when all subscriptions start.
const FIRST: i128 = 1_767_225_600_000_000_000;
/// The beginnings of the months of 2026 from January on.
pub(super) const MONTHS: [i128; 7] = [
    FIRST,
    1_769_904_000_000_000_000,
    1_772_323_200_000_000_000,
    1_775_001_600_000_000_000,
    1_777_593_600_000_000_000,
    1_780_272_000_000_000_000,
    1_782_864_000_000_000_000,
];

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Usage that counts; no charge takes it if it is not priced.
    Usage { quantity: u64, is_priced: bool },
    /// Usage that is older than the window when it is sent for the first time.
    Old,
    /// Usage of somebody who never comes into the catalog.
    Nobody,
    /// A cancellation of something that never comes.
    Orphan,
    /// A cancellation of a record, in time or not.
    Cancels { target: usize, is_in_time: bool },
}

/// A record that was sent, or is about to be.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) customer: u64,
    pub(super) used_at: i128,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// How often it was sent.
    pub(super) times: u64,
    /// The cancellation that takes it back.
    pub(super) cancelled_by: Option<usize>,
}

impl Sent {
    /// The key under which it is sent.
    pub(super) fn key(&self) -> String {
        let kind = if self.kind == Kind::Nobody { 'N' } else { 'C' };
        format!("{kind}{}", self.customer)
    }

    const fn is_usage(&self) -> bool {
        matches!(self.kind, Kind::Usage { .. })
    }
}

/// All that producers have sent.
#[derive(Debug)]
pub(super) struct Usage {
    dice: Dice,
    /// By the number that is in their ids.
    pub(super) sent: Vec<Sent>,
    /// Those that were corrected before they came.
    owed: Vec<usize>,
    /// Garbage that was sent.
    pub(super) garbage: u64,
    /// How many of the customers have used something.
    pub(super) customers: u64,
}

impl Usage {
    pub(super) const fn new(dice: Dice) -> Self {
        Self { dice, sent: Vec::new(), owed: Vec::new(), garbage: 0, customers: 0 }
    }

    /// The next record, of one of so many customers, with its key.
    pub(super) fn next(&mut self, now: i128, customers: u64) -> (String, String) {
        let customer = self.dice.below(customers);
        let number = match self.dice.below(40) {
            0 => {
                self.garbage += 1;
                return (format!("C{customer}"), "{\"specversion\":\"1.0\"".to_owned());
            }
            1..8 => self.again(),
            8..11 => self.cancel(now),
            11 => self.cancel_before(now, customer),
            12 => self.cancel_too_late(now),
            13..15 => self.old(now, customer),
            15 => self.in_vain(now, customer),
            16..19 => self.owed.pop(),
            _ => None,
        };
        let number = number.unwrap_or_else(|| self.usage(now, customer));
        self.send(number)
    }

    /// What was corrected and has not come yet.
    pub(super) fn next_owed(&mut self) -> Option<(String, String)> {
        let number = self.owed.pop()?;
        Some(self.send(number))
    }

    fn send(&mut self, number: usize) -> (String, String) {
        let sent = &mut self.sent[number];
        sent.times += 1;
        if sent.kind != Kind::Nobody {
            self.customers = self.customers.max(sent.customer + 1);
        }
        (sent.key(), sent.text.clone())
    }

    fn add(&mut self, (customer, used_at): (u64, i128), kind: Kind) -> usize {
        let number = self.sent.len();
        let text = match kind {
            Kind::Usage { quantity, is_priced } => {
                usage_text(number, &format!("C{customer}"), used_at, (quantity, is_priced))
            }
            Kind::Old => usage_text(number, &format!("C{customer}"), used_at, (7, true)),
            Kind::Nobody => usage_text(number, &format!("N{customer}"), used_at, (7, true)),
            Kind::Orphan => cancel_text(number, customer, used_at, &format!("x{number}")),
            Kind::Cancels { target, .. } => {
                cancel_text(number, customer, used_at, &format!("r{target}"))
            }
        };
        let (times, cancelled_by) = (0, None);
        self.sent.push(Sent { customer, used_at, kind, text, times, cancelled_by });
        number
    }

    fn usage(&mut self, now: i128, customer: u64) -> usize {
        let quantity = 1 + self.dice.below(7);
        let is_priced = !self.dice.one_in(10);
        let used_at = match self.dice.below(12) {
            // Exactly on the boundary of two periods, if one was just passed.
            0 => MONTHS.into_iter().rfind(|month| *month <= now && now - LATE <= *month),
            1..3 => Some(now - self.random(LATE)),
            3..6 => Some(now - self.random(6 * HOUR)),
            _ => None,
        };
        let used_at = used_at.unwrap_or_else(|| now - self.random(HOUR / 360));
        self.add((customer, used_at), Kind::Usage { quantity, is_priced })
    }

    /// A stretch of time up to so long, in whole milliseconds.
    fn random(&mut self, nanos: i128) -> i128 {
        let millis = self.dice.below(u64::try_from(nanos / 1_000_000).unwrap());
        i128::from(millis) * 1_000_000
    }

    /// One of the records for which something holds, if a few looks find one.
    fn any(&mut self, holds: impl Fn(&Sent) -> bool) -> Option<usize> {
        let length = self.sent.len() as u64;
        (0..8)
            .map(|_| usize::try_from(self.dice.below(length)).unwrap())
            .find(|number| self.sent.get(*number).is_some_and(&holds))
    }

    /// A retry of what was sent before, however long ago.
    fn again(&mut self) -> Option<usize> {
        self.any(|sent| sent.times > 0)
    }

    /// A cancellation of what is not too old, or the one that it has again.
    fn cancel(&mut self, now: i128) -> Option<usize> {
        let target = self.any(|sent| sent.is_usage() && sent.used_at >= now - LATE)?;
        Some(self.cancel_of(target, now, true))
    }

    fn cancel_of(&mut self, target: usize, now: i128, is_in_time: bool) -> usize {
        if let Some(before) = self.sent[target].cancelled_by {
            return before;
        }
        let customer = self.sent[target].customer;
        let number = self.add((customer, now), Kind::Cancels { target, is_in_time });
        self.sent[target].cancelled_by = is_in_time.then_some(number);
        number
    }

    /// A cancellation whose target is sent later.
    fn cancel_before(&mut self, now: i128, customer: u64) -> Option<usize> {
        let target = self.usage(now, customer);
        self.owed.push(target);
        Some(self.cancel_of(target, now, true))
    }

    /// A cancellation of what nobody may correct any more.
    fn cancel_too_late(&mut self, now: i128) -> Option<usize> {
        let old = now - WINDOW - DAY;
        let target = self.any(|sent| sent.is_usage() && sent.times > 0 && sent.used_at < old)?;
        Some(self.cancel_of(target, now, false))
    }

    /// Usage that is too late the first time already.
    fn old(&mut self, now: i128, customer: u64) -> Option<usize> {
        let used_at = now - WINDOW - DAY - self.random(20 * DAY);
        (used_at >= FIRST).then(|| self.add((customer, used_at), Kind::Old))
    }

    /// What waits for somebody who never comes.
    fn in_vain(&mut self, now: i128, customer: u64) -> Option<usize> {
        let kind = if self.dice.one_in(2) { Kind::Nobody } else { Kind::Orphan };
        Some(self.add((customer, now), kind))
    }
}

fn usage_text(
    number: usize,
    subject: &str,
    used_at: i128,
    (quantity, is_priced): (u64, bool),
) -> String {
    let event_type = if is_priced { "t" } else { "u" };
    let time = Instant::from_nanos(used_at);
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"r{number}\",\"source\":\"s\",\"type\":\"{event_type}\",\
         \"subject\":\"{subject}\",\"time\":\"{time}\",\"data\":{{\"n\":{quantity}}}}}"
    )
}

fn cancel_text(number: usize, customer: u64, used_at: i128, of: &str) -> String {
    let time = Instant::from_nanos(used_at);
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"r{number}\",\"source\":\"s\",\
         \"type\":\"usage.cancelled\",\"subject\":\"C{customer}\",\"time\":\"{time}\",\
         \"data\":{{\"of\":{{\"source\":\"s\",\"id\":\"{of}\"}}}}}}"
    )
}
