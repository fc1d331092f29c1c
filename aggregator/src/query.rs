//! The read side: committed totals and outputs.

use crate::codec::decode_total;
use crate::error::Error;
use crate::keys::{TotalKey, shard, subscription_prefix};
use crate::partition::{FoundByKey, FoundTimes, Partition};
use crate::store::Store;
use crate::tables::Table;
use rating::{
    Catalog, Currency, Frame, Period, Quantity, Settled, Share, Subscription, Timeline, Total, json,
};
use std::fmt::Write as _;

/// Reads what the last commit made true.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    catalog: &'a Catalog,
    store: &'a Store,
    /// Who finds times that totals do not know.
    partition: Option<&'a Partition>,
}

/// One total, settled by the terms of its period.
#[derive(Debug, Clone, PartialEq)]
pub struct PeriodTotal<'a> {
    /// Whose it is.
    pub customer: &'a str,
    /// Which subscription.
    pub subscription: &'a str,
    /// Which charge of its plan.
    pub charge: &'a str,
    /// The plan.
    pub plan: &'a str,
    /// Which meter; `None` for a flat price.
    pub meter: Option<&'a str>,
    /// The period, within the subscription's time.
    pub period: Period,
    /// In what it is owed.
    pub currency: Currency,
    /// What it comes to.
    pub settled: Settled,
    /// The running sum itself.
    pub total: Total,
    /// Whether the catalog's terms are those that it was rated by.
    pub has_its_terms: bool,
    /// Whether nothing in it depends on where its period ends.
    pub may_end_otherwise: bool,
}

impl<'a> Query<'a> {
    pub(crate) const fn new(catalog: &'a Catalog, store: &'a Store) -> Self {
        Self { catalog, store, partition: None }
    }

    pub(crate) const fn of(
        partition: &'a Partition,
        catalog: &'a Catalog,
        store: &'a Store,
    ) -> Self {
        Self { catalog, store, partition: Some(partition) }
    }

    /// Calls `each` with every total, in the order of customer, subscription, charge and period.
    /// Nothing may have been taken since the last commit.
    ///
    /// # Errors
    /// [`Error::Orphaned`] for a total whose subscription or charge the catalog lacks, and
    /// whatever `each` returns.
    pub fn totals<E: From<Error>>(
        &self,
        each: impl FnMut(&PeriodTotal<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let found = self.found_times(|_| true)?;
        self.each_total(found, each)
    }

    /// As [`Query::totals`], but for times that a total does not know: they are not looked for.
    ///
    /// # Errors
    /// As [`Query::totals`].
    pub fn totals_as_kept<E: From<Error>>(
        &self,
        each: impl FnMut(&PeriodTotal<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_total(FoundByKey::new(), each)
    }

    pub(crate) fn found_times(&self, wants: impl Fn(&[u8]) -> bool) -> Result<FoundByKey, Error> {
        self.partition.map_or(Ok(FoundByKey::new()), |partition| partition.found_times(wants))
    }

    fn each_total<E: From<Error>>(
        &self,
        mut found: FoundByKey,
        mut each: impl FnMut(&PeriodTotal<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Keys begin with a hash; people want names in order. Keys are short enough to sort.
        let mut keys: Vec<(&'a str, Box<[u8]>)> = Vec::new();
        self.store.scan(Table::Totals, |key, _| {
            let names = TotalKey::read(key).ok_or(Error::Damaged { what: "key of a total" })?;
            let customer = self.customer(&names)?;
            keys.push((customer, key.into()));
            Ok(())
        })?;
        // Behind the two bytes of the shard, a key sorts by names and time.
        keys.sort_unstable_by(|(a, left), (b, right)| (a, left.get(2..)).cmp(&(b, right.get(2..))));
        for (_, key) in keys {
            let value = self.store.get(Table::Totals, &key)?.unwrap_or_default();
            let total = self.total(&key, &value)?.timed(found.remove(&key))?;
            if total.is_there() {
                each(&total)?;
            }
        }
        Ok(())
    }

    /// Calls `each` with every total of a subscription, in the order of charge and period.
    ///
    /// # Errors
    /// As [`Query::totals`].
    pub fn totals_of<E: From<Error>>(
        &self,
        subscription: &str,
        each: impl FnMut(&PeriodTotal<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(found) = self.catalog.subscription(subscription) else { return Ok(()) };
        let customer = self.catalog.customer_at(found.customer).map_or("", |found| &found.id);
        let prefix = subscription_prefix(customer, subscription);
        let mut totals = Vec::new();
        let mut found = self.found_times(|key| key.starts_with(&prefix))?;
        self.store.scan_prefix(Table::Totals, &prefix, |key, value| {
            let total = self.total(key, value)?.timed(found.remove(key))?;
            totals.extend(Some(total).filter(PeriodTotal::is_there));
            Ok(())
        })?;
        totals.iter().try_for_each(each)
    }

    fn subscription(&self, key: &TotalKey<'_>) -> Result<&'a Subscription, Error> {
        let found = self.catalog.stretch_at(key.subscription, key.plan, key.period_start);
        found.ok_or_else(|| orphaned(key))
    }

    fn customer(&self, key: &TotalKey<'_>) -> Result<&'a str, Error> {
        let customer = self.subscription(key)?.customer;
        Ok(self.catalog.customer_at(customer).map_or("", |found| &found.id))
    }

    pub(crate) fn total(&self, key: &[u8], value: &[u8]) -> Result<PeriodTotal<'a>, Error> {
        let key = TotalKey::read(key).ok_or(Error::Damaged { what: "key of a total" })?;
        let stored = decode_total(value).ok_or(Error::Damaged { what: "total" })?;
        let customer = self.customer(&key)?;
        let subscription = self.subscription(&key)?;
        let timelines = self.catalog.timelines_of(subscription);
        let timeline: &Timeline = timelines
            .iter()
            .find(|timeline| timeline.key == key.charge)
            .ok_or_else(|| orphaned(&key))?;
        let plan = self.catalog.plan_of(subscription).ok_or_else(|| orphaned(&key))?;
        let period = Period { start: key.period_start, end: stored.period_end };
        let rounding = self.catalog.rounding_of(subscription.customer);
        let share = self.catalog.share_of(subscription, period).unwrap_or(Share::WHOLE);
        let calendar = self.catalog.calendar_of(subscription).ok_or_else(|| orphaned(&key))?;
        let Subscription { active, renewals, .. } = subscription;
        let frame = Frame { period, share, active: *active, renewals, calendar };
        let settled = stored
            .total
            .settle(timeline, &frame, (plan.currency, rounding))
            .ok_or_else(|| overflow(&key))?;
        let charge = timeline.at_end(period.start, period.end);
        let meter = charge
            .and_then(|terms| terms.charge.as_deref()?.meter)
            .and_then(|meter| self.catalog.meter(meter))
            .map(|meter| meter.key.as_str());
        let prorates = timeline.within(period).any(|(_, charge)| charge.prorated.included);
        let sums = stored.total.sums;
        let is_counted =
            sums.is_some_and(|sums| stored.total.records > 0 || sums.carried != Quantity::ZERO);
        let has_its_terms = stored.total.was_rated_by(timeline, period)
            && key.shard == shard(customer)
            && stored.total.times.until().is_none_or(|last| last < subscription.active.end);
        Ok(PeriodTotal {
            has_its_terms,
            may_end_otherwise: !(is_counted || prorates && stored.total.records > 0),
            customer,
            subscription: &subscription.id,
            charge: &timeline.key,
            plan: &plan.key,
            meter,
            period,
            currency: plan.currency,
            settled,
            total: stored.total,
        })
    }

    /// Calls `each` with the rated lines, chunk by chunk, in order of admission.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a chunk cannot be unpacked, and whatever `each` returns.
    pub fn rated<E: From<Error>>(&self, each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.chunks(Table::Rated, each)
    }

    /// Calls `each` with the dead letters, chunk by chunk, in order of refusal.
    ///
    /// # Errors
    /// As [`Query::rated`].
    pub fn rejected<E: From<Error>>(
        &self,
        each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.chunks(Table::Rejected, each)
    }

    fn chunks<E: From<Error>>(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let scanned = self.store.scan(table, |_, packed| {
            let lines = lz4_flex::decompress_size_prepended(packed)
                .map_err(|_| Error::Damaged { what: "chunk of output" })?;
            if failed.is_none() {
                failed = each(&lines).err();
            }
            Ok(())
        });
        scanned?;
        failed.map_or(Ok(()), Err)
    }
}

fn orphaned(key: &TotalKey<'_>) -> Error {
    let (subscription, charge) = (key.subscription.to_owned(), key.charge.to_owned());
    Error::Orphaned { subscription, charge, start: key.period_start }
}

fn overflow(key: &TotalKey<'_>) -> Error {
    Error::Overflow { subscription: key.subscription.to_owned(), charge: key.charge.to_owned() }
}

impl PeriodTotal<'_> {
    /// The total with the times that its records say, if they were looked for.
    pub(crate) fn timed(mut self, found: Option<FoundTimes>) -> Result<Self, Error> {
        if let Some(found) = found {
            if !found.is_all_of(self.total.records) {
                return Err(Error::Damaged { what: "total, or record of it" });
            }
            self.total.times = found.times;
        }
        Ok(self)
    }

    /// Whether there is something to show: records, or a closed period. Where all records were
    /// taken back before the close, it is as if they had never come.
    fn is_there(&self) -> bool {
        self.total.records > 0 || self.total.closed
    }

    /// What tells the total from all others: customer, subscription, charge, plan, cell (none) and
    /// the period's start, with everything but letters, digits, `.`, `_` and `-` escaped.
    #[must_use]
    pub fn key(&self) -> String {
        let start = self.period.start.to_string();
        let mut key = String::new();
        for name in [self.customer, self.subscription, self.charge, self.plan, "", &start] {
            if !key.is_empty() {
                key.push('/');
            }
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                    key.push(char::from(byte));
                } else {
                    // Writing to a string cannot fail.
                    _ = write!(key, "%{byte:02X}");
                }
            }
        }
        key
    }

    /// Appends the total as one line of JSON, with its end.
    pub fn write_line(&self, out: &mut String) {
        let names = [
            ("{\"customer\":", self.customer),
            (",\"subscription\":", self.subscription),
            (",\"charge\":", self.charge),
        ];
        for (label, name) in names {
            out.push_str(label);
            json::write_string(out, name);
        }
        out.push_str(",\"meter\":");
        match self.meter {
            Some(meter) => json::write_string(out, meter),
            None => out.push_str("null"),
        }
        let Settled { quantity, billable_quantity, amount_at_zero, usage_amount, amount, rounded } =
            self.settled;
        // Writing to a string cannot fail.
        _ = write!(
            out,
            ",\"period_start\":\"{}\",\"period_end\":\"{}\",\"quantity\":\"{quantity}\",\
             \"billable_quantity\":\"{billable_quantity}\",\"amount_at_zero\":\"{amount_at_zero}\",\
             \"usage_amount\":\"{usage_amount}\",\"amount\":\"{amount}\",\
             \"rounded_amount\":\"{rounded}\",\"currency\":\"{}\",\"records\":{}",
            self.period.start, self.period.end, self.currency, self.total.records
        );
        let times = [
            (",\"first_used_at\":", self.total.times.first()),
            (",\"last_used_at\":", self.total.times.last()),
        ];
        for (label, time) in times {
            out.push_str(label);
            match time {
                Some(time) => _ = write!(out, "\"{time}\""),
                None => out.push_str("null"),
            }
        }
        let status = if self.total.closed { "closed" } else { "open" };
        _ = write!(
            out,
            ",\"status\":\"{status}\",\"revision\":{},\
             \"lineage\":{{\"records\":{},\"digest\":\"",
            self.total.revision, self.total.records
        );
        for word in self.total.lineage.to_be_bytes().chunks_exact(8) {
            let word = u64::from_be_bytes(word.try_into().unwrap_or_default());
            _ = write!(out, "{word:016x}");
        }
        out.push_str("\"}}");
        out.push('\n');
    }
}
