//! What an order product must say about its price, which depends on what the product is.

use super::read::{Line, place};
use crate::customers::Customers;
use crate::order::{Kind, LegibleHead, PricePeriod};
use crate::product::{Product, RevenueModel};
use rating::fault::did_you_mean;
use rating::{Faults, PRICE_SCALE, Price, Quantity, Settings};

/// Notes what is wrong with the price, quantity and plan of one line.
pub(super) fn check(
    line: &Line<'_>,
    (order, product): (&LegibleHead, &Product),
    customers: &dyn Customers,
    faults: &mut Faults<'_>,
) {
    check_plan(line, (&order.settings, product), customers, faults);
    if let Some(plan) = line.read.plan.as_deref() {
        check_start(line, (plan, order.kind), customers, faults);
    }
    check_total(line, faults);
    if product.revenue_model == RevenueModel::OverageUsage {
        // Whether it has a plan is known once the orders before it are.
        return;
    }
    let bought = &line.read;
    if is_absent(line, "quantity") {
        faults.add(line.value, "the field \"quantity\" is missing");
    }
    if is_absent(line, "unit_price") && is_absent(line, "total") {
        faults.add(line.value, "the field \"unit_price\" is missing");
    }
    if let (Some(total), Some(quantity)) = (bought.total, bought.quantity) {
        let price = bought.unit_price.unwrap_or_default();
        let opposite = (total.is_negative() && quantity > Quantity::ZERO)
            || (total > Price::ZERO && quantity < Quantity::ZERO);
        if opposite && !price.is_negative() {
            let at = place(line.value, "total");
            faults.add(at, format!("the sign of total {total} is not that of the quantity"));
        }
    }
    if bills_over_time(product.revenue_model, bought.price_period) {
        check_term(line, faults);
    }
}

/// Whether the price is billed portion by portion rather than at once.
pub(crate) fn bills_over_time(model: RevenueModel, period: Option<PricePeriod>) -> bool {
    match (model, period) {
        (RevenueModel::Recurring, _)
        | (RevenueModel::CreditBurndown, Some(PricePeriod::Months(_))) => true,
        (RevenueModel::OneTime | RevenueModel::OverageUsage, _)
        | (RevenueModel::CreditBurndown, Some(PricePeriod::Once) | None) => false,
    }
}

/// Whether nothing was written; what was written wrongly has its fault already.
pub(super) fn is_absent(line: &Line<'_>, name: &str) -> bool {
    line.value.get(name).is_none_or(|value| value.is_null())
}

fn check_term(line: &Line<'_>, faults: &mut Faults<'_>) {
    let bought = &line.read;
    let evergreen = is_absent(line, "end");
    if !is_absent(line, "unit_price") && is_absent(line, "price_period") {
        faults.add(line.value, "the field \"price_period\" is missing");
    }
    if evergreen && bought.price_period == Some(PricePeriod::Once) {
        let at = place(line.value, "price_period");
        faults.add(at, "a price for the whole term wants an \"end\"");
    }
    if evergreen && bought.total.is_some() {
        faults.add(place(line.value, "total"), "a total wants an \"end\"");
    }
}

/// Whether the line itself names a plan, be it a wrong one.
pub(super) fn has_plan(line: &Line<'_>) -> bool {
    !is_absent(line, "plan")
}

/// Usage from before the plan's first version would be refused. A subscription of the catalog has
/// a start of its own, and what takes away begins nothing.
pub(super) fn check_start(
    line: &Line<'_>,
    (plan, kind): (&str, Option<Kind>),
    customers: &dyn Customers,
    faults: &mut Faults<'_>,
) {
    let takes_away =
        kind == Some(Kind::Cancel) || line.read.quantity.is_some_and(Quantity::is_negative);
    let (Some(start), Some(reference)) = (line.read.start, &line.read.reference) else { return };
    if takes_away || customers.subscription_plan(reference).is_some() {
        return;
    }
    if let Some((_, from)) = customers.plan_start(plan).filter(|(first, _)| start < *first) {
        let text = format!("plan \"{plan}\" has no version in force on {start}");
        let at = place(line.value, "start");
        faults.add(at, format!("{text}; the first takes effect on {from}"));
    }
}

/// A usage product has no price of its own; one that were written would never be billed.
pub(super) fn check_usage(line: &Line<'_>, has_plan: bool, faults: &mut Faults<'_>) {
    if !has_plan {
        faults.add(line.value, "the field \"plan\" is missing: usage is priced by its plan");
        return;
    }
    for (name, price) in [("unit_price", line.read.unit_price), ("total", line.read.total)] {
        if price.is_some_and(|price| price != Price::ZERO) {
            let at = place(line.value, name);
            faults.add(at, format!("usage is priced by its plan, \"{name}\" must be 0 or absent"));
        }
    }
}

/// A total is billed as it stands, so it has to be an amount of money.
fn check_total(line: &Line<'_>, faults: &mut Faults<'_>) {
    let (Some(total), Some(currency)) = (line.read.total, line.currency.known()) else { return };
    let digits = currency.exponent();
    let finest = PRICE_SCALE.checked_sub(digits).and_then(|places| 10i128.checked_pow(places));
    if finest.is_some_and(|finest| total.scaled() % finest != 0) {
        let text = format!("total {total} is finer than {currency}, which has {digits} decimals");
        faults.add(place(line.value, "total"), text);
    }
}

fn check_plan(
    line: &Line<'_>,
    (of_order, product): (&Settings, &Product),
    customers: &dyn Customers,
    faults: &mut Faults<'_>,
) {
    let Some(plan) = &line.read.plan else { return };
    let at = place(line.value, "plan");
    if product.revenue_model == RevenueModel::OneTime {
        faults.add(at, "a one_time product has no usage and so no plan");
    }
    let Some(currency) = customers.plan_currency(plan) else {
        let hint = did_you_mean(plan, customers.plan_keys());
        faults.add(at, format!("unknown plan \"{plan}\"{hint}"));
        return;
    };
    // A currency that comes from further away says nothing about usage, which has its plan's.
    let stated = line.read.settings.or(&product.settings).or(of_order).currency;
    if let Some(stated) = stated.filter(|stated| *stated != currency) {
        faults.add(at, format!("the plan \"{plan}\" is in {currency}, the order in {stated}"));
    }
}
