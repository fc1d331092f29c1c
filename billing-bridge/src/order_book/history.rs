//! What orders must add up to, one after the other: references that exist before they are
//! changed, quantities that never fall below zero, ids that are never used for something else.

use super::OrderBook;
use super::read::{Line, Placed, place};
use crate::customers::Customers;
use crate::order::{Kind, Order, OrderProduct};
use crate::product::{Product, Provision, RevenueModel};
use rating::fault::did_you_mean;
use rating::{Currency, Date, Faults, Quantity};
use std::collections::{BTreeMap, BTreeSet};

/// Notes what does not fit together in `placed`, which are in the order of their activation.
pub(super) fn check(
    book: &OrderBook,
    placed: &[Placed<'_>],
    (customers, broken): (&dyn Customers, &BTreeSet<String>),
    faults: &mut Faults<'_>,
) {
    let mut history =
        History { book, customers, broken, ids: BTreeMap::new(), references: BTreeMap::new() };
    for ordered in &book.ordered {
        history
            .ids
            .insert(&ordered.product.id, (book.orders.get(&ordered.order), &ordered.product));
    }
    // Old and new orders take turns by the day of their activation.
    let mut old = book.ordered.iter().peekable();
    for order in placed {
        while let Some(ordered) = old.next_if(|old| old.activated_on <= order.order.activated_on) {
            history.enter_known(&ordered.order, &ordered.product);
        }
        for line in &order.lines {
            history.check_line(order, line, faults);
        }
    }
    for ordered in old {
        history.enter_known(&ordered.order, &ordered.product);
    }
}

struct History<'a> {
    book: &'a OrderBook,
    customers: &'a dyn Customers,
    broken: &'a BTreeSet<String>,
    ids: BTreeMap<&'a str, (Option<&'a Order>, &'a OrderProduct)>,
    references: BTreeMap<&'a str, Reference<'a>>,
}

/// What is known of a subscription, asset or entitlement by the orders so far.
struct Reference<'a> {
    order: &'a str,
    customer: &'a str,
    provision: Provision,
    plan_currency: Option<Currency>,
    /// Changes of the quantity by day: of what is charged, and of what meters usage. The two are
    /// not units of one thing.
    changes: [BTreeMap<Date, i128>; 2],
    is_short: bool,
}

impl<'a> History<'a> {
    fn enter_known(&mut self, order: &str, line: &'a OrderProduct) {
        let Some(order) = self.book.orders.get(order) else { return };
        let Some(product) = self.book.products.get(&line.sku) else { return };
        let reference = self.enter(order, line, product);
        reference.add(line, product);
    }

    fn enter(
        &mut self,
        order: &'a Order,
        line: &'a OrderProduct,
        product: &Product,
    ) -> &mut Reference<'a> {
        let currency = line.plan.as_ref().and_then(|plan| self.customers.plan_currency(plan));
        let reference = self.references.entry(&line.reference).or_insert_with(|| Reference {
            order: &order.id,
            customer: &order.customer,
            provision: product.provision,
            plan_currency: None,
            changes: Default::default(),
            is_short: false,
        });
        reference.plan_currency = reference.plan_currency.or(currency);
        reference
    }

    fn check_line(&mut self, placed: &'a Placed<'_>, line: &'a Line<'_>, faults: &mut Faults<'_>) {
        let order = &placed.order;
        if self.is_repeated(order, line, faults) {
            return;
        }
        let book = self.book;
        let Some(product) = book.products.get(&line.product.sku) else { return };
        let broken = self.broken.contains(&line.product.reference);
        if !broken {
            self.check_exists(placed, line, faults);
        }
        self.check_owner(order, (line, product), faults);
        let reference = self.enter(order, &line.product, product);
        reference.add(&line.product, product);
        let quantity = line.product.quantity.unwrap_or_default();
        let at = place(line.value, "quantity");
        if quantity > Quantity::ZERO && order.kind == Kind::Cancel {
            faults.add(at, "a cancellation takes away: its quantity must not be above 0");
        }
        // Once is enough: what comes later on this reference is short because of it.
        if quantity < Quantity::ZERO
            && !broken
            && !reference.is_short
            && let Some((date, left)) = reference.shortage(product)
        {
            reference.is_short = true;
            let name = &line.product.reference;
            let text = format!("leaves \"{name}\" with a quantity of {left} on {date}");
            faults.add(at, format!("{quantity} {text}, below 0"));
        }
    }

    /// Whether the order product is there already; with other content that is a fault.
    fn is_repeated(
        &mut self,
        order: &'a Order,
        line: &'a Line<'_>,
        faults: &mut Faults<'_>,
    ) -> bool {
        let id = line.product.id.as_str();
        let Some((known_in, known)) = self.ids.get(id) else {
            self.ids.insert(id, (Some(order), &line.product));
            return false;
        };
        let same_order = known_in.is_some_and(|known| {
            (&known.customer, known.kind, known.activated_on)
                == (&order.customer, order.kind, order.activated_on)
        });
        if !same_order || **known != line.product {
            let text = "is activated already, with other content";
            faults.add(place(line.value, "id"), format!("the order product \"{id}\" {text}"));
        }
        true
    }

    /// Only a new order may name a reference that no order before it and no catalog has.
    fn check_exists(&self, placed: &Placed<'_>, line: &Line<'_>, faults: &mut Faults<'_>) {
        let (order, name) = (&placed.order, line.product.reference.as_str());
        let ordered = self.references.get(name).is_some_and(|known| known.order != order.id);
        if order.kind == Kind::New
            || ordered
            || self.customers.subscription_customer(name).is_some()
        {
            return;
        }
        let hint = did_you_mean(name, self.references.keys().copied());
        let (kind, date) = (order.kind.name(), order.activated_on);
        let text = format!("a {kind} of \"{name}\", which does not exist before {date}{hint}");
        faults.add(place(line.value, "reference"), text);
    }

    /// A reference belongs to one customer, is one kind of thing and has one currency of usage.
    fn check_owner(
        &self,
        order: &Order,
        (line, product): (&Line<'_>, &Product),
        faults: &mut Faults<'_>,
    ) {
        let name = line.product.reference.as_str();
        let at = place(line.value, "reference");
        let known = self.references.get(name);
        let owner = known.map(|known| known.customer.to_owned());
        let owner = owner.or_else(|| self.customers.subscription_customer(name));
        if let Some(owner) = owner.filter(|owner| *owner != order.customer) {
            faults.add(at, format!("\"{name}\" belongs to the customer \"{owner}\""));
        }
        let Some(known) = known else { return };
        if known.provision != product.provision {
            let (was, is) = (known.provision.name(), product.provision.name());
            faults.add(at, format!("\"{name}\" is of kind {was}, this product provisions {is}"));
        }
        let currency = line.product.plan.as_ref();
        let currency = currency.and_then(|plan| self.customers.plan_currency(plan));
        if let (Some(was), Some(is)) = (known.plan_currency, currency)
            && was != is
        {
            let at = place(line.value, "plan");
            faults.add(at, format!("the usage of \"{name}\" is billed in {was}, not in {is}"));
        }
    }
}

impl Reference<'_> {
    fn add(&mut self, line: &OrderProduct, product: &Product) {
        let quantity = line.quantity.unwrap_or_default().scaled();
        let changes = self.changes_mut(product);
        *changes.entry(line.start).or_default() += quantity;
        if let Some(after) = line.end.and_then(|end| end.tomorrow().ok()) {
            *changes.entry(after).or_default() -= quantity;
        }
    }

    fn changes_mut(&mut self, product: &Product) -> &mut BTreeMap<Date, i128> {
        let [charged, metered] = &mut self.changes;
        if product.revenue_model == RevenueModel::OverageUsage { metered } else { charged }
    }

    /// The first day on which less than nothing would be left.
    fn shortage(&mut self, product: &Product) -> Option<(Date, Quantity)> {
        let mut left = 0i128;
        for (date, change) in self.changes_mut(product) {
            left += *change;
            if left < 0 {
                return Some((*date, Quantity::from_scaled(left)));
            }
        }
        None
    }
}
