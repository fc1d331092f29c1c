//! Resolving: which charges of which subscription take a record, or why none may.
//!
//! Faults are looked for in the frozen order of their codes, so that a record with several is
//! always refused for the same one.

use crate::catalog::{Catalog, CustomerId, MeterId, Subject, SubscriptionId};
use crate::correction::Correction;
use crate::instant::Instant;
use crate::meter::{Measured, QuantityFault};
use crate::record::UsageRecord;
use crate::rejection::{Code, Rejection};

/// One charge that takes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The subscription that used.
    pub subscription: SubscriptionId,
    /// Position of the charge among [`Catalog::timelines_of`] the subscription.
    pub timeline: usize,
    /// What it measured.
    pub measured: Measured,
}

/// Who owns a record: the customer within which its identity is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The customer.
    pub customer: CustomerId,
    /// The subscription, where the record names one.
    pub subscription: Option<SubscriptionId>,
}

/// What a record measures by one meter of its type.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    meter: MeterId,
    quantity: Result<Measured, QuantityFault>,
    /// The subscription whose plan takes it.
    taker: Option<SubscriptionId>,
}

impl Measure {
    /// By which meter.
    #[must_use]
    pub const fn meter(&self) -> MeterId {
        self.meter
    }
}

/// Checks what can be checked without knowing the owner, and gives what the record measures.
///
/// `horizon` is the latest time that a record may state; `None` where there is no clock.
///
/// # Errors
/// [`Rejection`] with the first code that applies, up to `unknown_type`.
pub fn check_measure(
    catalog: &Catalog,
    record: &UsageRecord<'_>,
    horizon: Option<Instant>,
    measures: &mut Vec<Measure>,
) -> Result<(), Rejection> {
    measures.clear();
    let meters = catalog.meters_of(&record.event_type);
    let mut invalid = None;
    for id in meters {
        let Some(meter) = catalog.meter(*id) else { continue };
        let quantity = meter.measure(record.data);
        measures.push(Measure { meter: *id, quantity, taker: None });
        if let Err(fault) = quantity
            && fault != QuantityFault::Missing
        {
            invalid = invalid.or_else(|| Some(fault.reason(meter)));
        }
    }
    if let Some(fault) = &record.time_fault {
        return Err(or_nothing_measured(catalog, measures, || {
            Rejection::new(Code::InvalidTime, fault.clone())
        }));
    }
    if let Some(reason) = invalid {
        return Err(Rejection::new(Code::InvalidQuantity, reason));
    }
    if let Some(horizon) = horizon.filter(|horizon| record.used_at > *horizon) {
        return Err(or_nothing_measured(catalog, measures, || {
            let message = format!("{} is later than {horizon}", record.used_at);
            Rejection::new(Code::InTheFuture, message)
        }));
    }
    let is_correction = Correction::kind_of(record).is_some();
    if meters.is_empty() && catalog.strict_types && !is_correction {
        let message = format!("no meter takes records of type \"{}\"", record.event_type);
        return Err(Rejection::new(Code::UnknownType, message));
    }
    Ok(())
}

/// The refusal of a record in which no meter of its type finds a value, else `other`.
///
/// A missing quantity comes before nearly everything else in the order of codes. Where the owner
/// is known, only what its charges need can be missing; where it is not, all must be.
fn or_nothing_measured(
    catalog: &Catalog,
    measures: &[Measure],
    other: impl FnOnce() -> Rejection,
) -> Rejection {
    let valued = measures.iter().filter_map(|measure| {
        let meter = catalog.meter(measure.meter)?;
        meter.value.is_some().then_some((meter, measure.quantity))
    });
    let missing = |quantity| quantity == Err(QuantityFault::Missing);
    match valued.clone().next() {
        Some((meter, _)) if valued.clone().all(|(_, quantity)| missing(quantity)) => {
            Rejection::new(Code::MissingField, QuantityFault::Missing.reason(meter))
        }
        _ => other(),
    }
}

/// Finds the owner of a record.
///
/// # Errors
/// `missing_field` or `unknown_subject`.
pub fn owner(
    catalog: &Catalog,
    record: &UsageRecord<'_>,
    measures: &[Measure],
) -> Result<Owner, Rejection> {
    let unknown = |message: String| {
        or_nothing_measured(catalog, measures, || Rejection::new(Code::UnknownSubject, message))
    };
    let subject = catalog.subject(&record.subject).ok_or_else(|| {
        unknown(format!("\"{}\" is no customer or subscription of the catalog", record.subject))
    })?;
    let mut owner = match subject {
        Subject::Customer(customer) => Owner { customer, subscription: None },
        Subject::Subscription(id) => {
            let subscription = catalog.subscription_at(id).ok_or_else(|| {
                unknown(format!("\"{}\" is no subscription of the catalog", record.subject))
            })?;
            Owner { customer: subscription.customer, subscription: Some(id) }
        }
    };
    let Some(named) = &record.subscription else { return Ok(owner) };
    let Some(Subject::Subscription(id)) = catalog.subject(named) else {
        return Err(unknown(format!("\"{named}\" is no subscription of the catalog")));
    };
    let same_customer =
        catalog.subscription_at(id).map(|found| found.customer) == Some(owner.customer);
    if !same_customer || owner.subscription.is_some_and(|subject| subject != id) {
        let message = format!("subscription \"{named}\" is not one of \"{}\"", record.subject);
        return Err(unknown(message));
    }
    owner.subscription = Some(id);
    Ok(owner)
}

/// Finds the charges that take a record of `owner`; none where it is unpriced.
///
/// # Errors
/// `missing_field`, `ambiguous_subscription` or `no_active_plan`.
pub fn lines(
    catalog: &Catalog,
    record: &UsageRecord<'_>,
    (owner, measures): (Owner, &mut [Measure]),
    lines: &mut Vec<Line>,
) -> Result<(), Rejection> {
    lines.clear();
    // What nobody measures is unpriced, whether or not a plan is in force.
    if measures.is_empty() {
        return Ok(());
    }
    let mut in_force = false;
    let candidates: &[SubscriptionId] = match &owner.subscription {
        Some(subscription) => catalog.stretches_of(subscription),
        None => catalog.customer_at(owner.customer).map_or(&[], |found| &found.subscriptions),
    };
    let (mut missing, mut ambiguous) = (None, None);
    for id in candidates {
        let Some(subscription) = catalog.subscription_at(*id) else { continue };
        let plan = catalog.plan_of(subscription);
        let version = plan.and_then(|plan| plan.version_at(record.used_at));
        if version.is_none() || !subscription.active.contains(record.used_at) {
            continue;
        }
        in_force = true;
        for (index, timeline) in catalog.timelines_of(subscription).iter().enumerate() {
            let charge = timeline.at(record.used_at).and_then(|terms| terms.charge.as_deref());
            let Some(charge) = charge else { continue };
            let measure = measures.iter_mut().find(|measure| Some(measure.meter) == charge.meter);
            let Some(measure) = measure else { continue };
            let Some(meter) = catalog.meter(measure.meter) else { continue };
            if *measure.taker.get_or_insert(*id) != *id {
                ambiguous = Some(several_take(&record.subject, &meter.key));
            }
            if !charge.takes(meter, record.data) {
                continue;
            }
            match measure.quantity {
                Ok(measured) => {
                    lines.push(Line { subscription: *id, timeline: index, measured });
                }
                Err(fault) => missing = missing.or_else(|| Some(fault.reason(meter))),
            }
        }
    }
    if let Some(reason) = missing {
        return Err(Rejection::new(Code::MissingField, reason));
    }
    if let Some(ambiguous) = ambiguous {
        return Err(or_nothing_measured(catalog, measures, || ambiguous));
    }
    if in_force {
        return Ok(());
    }
    Err(or_nothing_measured(catalog, measures, || {
        let message = format!("\"{}\" has no plan in force on {}", record.subject, record.used_at);
        Rejection::new(Code::NoActivePlan, message)
    }))
}

fn several_take(subject: &str, meter: &str) -> Rejection {
    let message = format!(
        "\"{subject}\" has several subscriptions that take meter {meter}; \
         name one in \"subscription\""
    );
    Rejection::new(Code::AmbiguousSubscription, message)
}
