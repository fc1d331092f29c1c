//! The names that tell a total or a position from others.

use super::said::ChargeNames;
use crate::admitted::Named;
use crate::keys::{NO_CELL, TotalKey, shard};
use crate::slots::SlotKey;
use rating::resolve::{Line, Owner};
use rating::{Catalog, Instant};
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

/// Whom the owner of a record with these lines was named by.
pub(super) fn named_by(catalog: &Catalog, owner: Owner, lines: &[Line]) -> Named {
    let subscription = owner.subscription.and_then(|id| catalog.subscription_at(id));
    match subscription {
        None => Named::Customer,
        Some(_) if !lines.is_empty() => Named::SubscriptionOfLines,
        Some(subscription) => Named::Subscription(subscription_hash(&subscription.id)),
    }
}

/// A hash by which a subscription is found again among those of its customer.
// Frozen.
pub(super) fn subscription_hash(id: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(id.as_bytes());
    hasher.finish()
}

/// Customer, subscription, charge and plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    customer: &'a str,
    pub(super) subscription: &'a str,
    pub(super) charge: &'a str,
    plan: &'a str,
}

impl<'a> Names<'a> {
    pub(super) fn of(catalog: &'a Catalog, key: &SlotKey) -> Option<Self> {
        let subscription = catalog.subscription_at(key.subscription)?;
        let timelines = catalog.timelines_of(subscription);
        Some(Self {
            customer: &catalog.customer_at(subscription.customer)?.id,
            subscription: &subscription.id,
            charge: &timelines.get(key.timeline as usize)?.key,
            plan: &catalog.plan_of(subscription)?.key,
        })
    }

    /// Those by which rated lines name the charge.
    pub(super) fn of_charge(&self) -> ChargeNames<'a> {
        let Self { subscription, charge, plan, .. } = *self;
        ChargeNames { subscription, charge, plan }
    }

    /// The key of the total that begins at an instant.
    pub(super) fn key(&self, period_start: Instant) -> TotalKey<'a> {
        self.key_of_cell(NO_CELL, period_start)
    }

    /// The key of a cell's position in the scope that begins at an instant.
    pub(super) fn key_of_cell<'c>(&self, cell: &'c str, start: Instant) -> TotalKey<'c>
    where
        'a: 'c,
    {
        let Self { customer, subscription, charge, plan } = *self;
        TotalKey { shard: shard(customer), subscription, charge, plan, cell, period_start: start }
    }

    /// A hash by which the charge of an admitted record is found again among those of its owner.
    // Frozen.
    pub(super) fn charge_hash(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        for name in [self.subscription, self.charge, self.plan] {
            hasher.write(name.as_bytes());
            hasher.write_u8(0);
        }
        hasher.finish()
    }
}
