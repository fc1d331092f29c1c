//! What orders must add up to, one after the other: references that exist before they are
//! changed, quantities that never fall below zero, ids that are never used for something else.

use super::OrderBook;
use super::fact::Fact;
use super::price;
use super::read::{Line, Placed, place};
use super::reference::{Reference, Units, unstated_quantity};
use crate::customers::Customers;
use crate::order::{Kind, Order, OrderProduct};
use crate::product::{Product, RevenueModel};
use rating::fault::did_you_mean;
use rating::{Currency, Date, Faults, Quantity};
use std::collections::BTreeMap;

/// Notes what does not fit together in `placed`, which are in the order of their activation, those
/// of an unknown day last.
pub(super) fn check<'a>(
    book: &'a OrderBook,
    placed: &'a [Placed<'_>],
    customers: &'a dyn Customers,
    faults: &mut Faults<'_>,
) {
    let mut history = History {
        book,
        customers,
        ids: BTreeMap::new(),
        references: BTreeMap::new(),
        created: created(book, placed),
        is_nameless: false,
    };
    for order in book.orders.values() {
        for product in &order.order_products {
            history.ids.entry(&product.id).or_insert_with(|| Seen::known(order, product));
        }
    }
    for order in placed {
        history.give_benefit(order);
    }
    // Old and new orders take turns by the day of their activation.
    let mut old = book.ordered.iter().peekable();
    for order in placed {
        let date = order.head.activated_on;
        while let Some(ordered) =
            old.next_if(|old| date.is_none_or(|date| old.activated_on <= date))
        {
            history.enter_known(ordered);
        }
        for line in &order.lines {
            history.check_line(order, line, faults);
        }
    }
}

struct History<'a> {
    book: &'a OrderBook,
    customers: &'a dyn Customers,
    ids: BTreeMap<&'a str, Seen<'a>>,
    references: BTreeMap<&'a str, Reference<'a>>,
    /// When each reference is first ordered.
    created: BTreeMap<&'a str, Date>,
    /// Whether a new order product has no reference; it may be any that is changed later.
    is_nameless: bool,
}

fn created<'a>(book: &'a OrderBook, placed: &'a [Placed<'_>]) -> BTreeMap<&'a str, Date> {
    let old = book.ordered.iter().filter(|ordered| ordered.kind == Kind::New);
    let old = old.map(|ordered| (ordered.product.reference.as_str(), ordered.activated_on));
    let new = placed.iter().filter(|order| order.head.kind == Some(Kind::New));
    let new = new.flat_map(|order| {
        order
            .lines
            .iter()
            .filter_map(|line| Some((line.read.reference.as_deref()?, order.head.activated_on?)))
    });
    let mut created: BTreeMap<&str, Date> = BTreeMap::new();
    for (reference, date) in old.chain(new) {
        created.entry(reference).and_modify(|first| *first = date.min(*first)).or_insert(date);
    }
    created
}

impl<'a> History<'a> {
    /// Lines of which it is unknown when they count may have created their references at any time.
    fn give_benefit(&mut self, order: &'a Placed<'_>) {
        let creates = order.head.kind.is_none_or(|kind| kind == Kind::New);
        for line in &order.lines {
            let Some(name) = line.read.reference.as_deref() else {
                self.is_nameless |= creates;
                continue;
            };
            if order.head.activated_on.is_some() {
                continue;
            }
            let product = self.product(line);
            let units = units(order.head.kind, line, product);
            let new = if creates { Reference::doubtful } else { Reference::default };
            let reference = self.references.entry(name).or_insert_with(new);
            if units.is_none_or(|units| units.quantity > Quantity::ZERO) {
                reference.count(units, None);
            }
            reference.plan(None, None);
        }
    }

    fn product(&self, line: &Line<'_>) -> Option<&'a Product> {
        self.book.products.get(line.read.sku.as_ref()?)
    }

    fn enter_known(&mut self, ordered: &'a super::Ordered) {
        let line = &ordered.product;
        let Some(product) = self.book.products.get(&line.sku) else { return };
        let plan = line.plan.as_ref();
        let plan_currency = plan.and_then(|plan| self.customers.plan_currency(plan));
        let reference = self.references.entry(&line.reference).or_default();
        reference.owner = reference.owner.or(Fact::Is(&ordered.customer));
        reference.provision = reference.provision.or(Fact::Is(ordered.provision));
        if ordered.revenue_model != RevenueModel::OverageUsage {
            reference.currency = reference.currency.or(Fact::Is(ordered.terms.currency));
        }
        if let Some(plan) = plan {
            reference.plan_currency = reference.plan_currency.or(Fact::of(plan_currency));
            reference.plan(Some(&line.sku), Some(plan));
        }
        let quantity = line.quantity.unwrap_or_default();
        let units = Units { quantity, start: line.start, end: line.end };
        reference.count(Some(units), Some(product));
    }

    fn check_line(&mut self, order: &'a Placed<'_>, line: &'a Line<'_>, faults: &mut Faults<'_>) {
        if self.is_repeated(order, line, faults) {
            return;
        }
        let product = self.product(line);
        let kind = order.head.kind;
        if kind == Some(Kind::Cancel) && line.read.quantity > Some(Quantity::ZERO) {
            let at = place(line.value, "quantity");
            faults.add(at, "a cancellation takes away: its quantity must not be above 0");
        }
        if let Some(name) = line.read.reference.as_deref()
            && order.head.activated_on.is_some()
            && !(self.is_missing(name, order, line, faults)
                || self.is_of_another(name, order, line, faults))
        {
            self.enter(name, (order, line, product), faults);
        }
        if let Some(product) = product.filter(|one| one.revenue_model == RevenueModel::OverageUsage)
        {
            let has_plan = self.has_plan(line, kind, product);
            price::check_usage(line, has_plan, faults);
        }
    }

    /// Whether usage has a plan, from its line, an earlier one of its product, or the catalog.
    fn has_plan(&self, line: &Line<'_>, kind: Option<Kind>, product: &Product) -> bool {
        let Some(name) = line.read.reference.as_deref() else {
            return kind != Some(Kind::New) || price::has_plan(line);
        };
        price::has_plan(line)
            || self.references.get(name).is_some_and(|known| known.has_plan(&product.sku))
            || self.customers.subscription_customer(name).is_some()
    }

    /// Whether the order product is there already; with other content that is a fault.
    fn is_repeated(
        &mut self,
        order: &'a Placed<'_>,
        line: &'a Line<'_>,
        faults: &mut Faults<'_>,
    ) -> bool {
        let Some(id) = line.read.id.as_deref() else { return false };
        let seen = Seen::placed(order, line);
        let Some(known) = self.ids.get(id) else {
            self.ids.insert(id, seen);
            return false;
        };
        if known.differs(&seen) {
            let text = "is activated already, with other content";
            faults.add(place(line.value, "id"), format!("the order product \"{id}\" {text}"));
        }
        true
    }

    /// Only a new order may name a reference that no order before it and no catalog has.
    fn is_missing(
        &mut self,
        name: &'a str,
        order: &'a Placed<'_>,
        line: &Line<'_>,
        faults: &mut Faults<'_>,
    ) -> bool {
        let (Some(kind), Some(date)) = (order.head.kind, order.head.activated_on) else {
            return false;
        };
        if kind == Kind::New
            || self.references.contains_key(name)
            || self.customers.subscription_customer(name).is_some()
        {
            return false;
        }
        // What follows from a reference that is not there is not judged.
        self.references.entry(name).or_insert_with(Reference::doubtful).count(None, None);
        let kind = kind.name();
        let text = match self.created.get(name) {
            Some(later) if *later > date => {
                format!("a {kind} of \"{name}\" on {date}, which is only activated on {later}")
            }
            Some(_) => format!("a {kind} of \"{name}\", which is ordered after it on {date}"),
            None if self.is_nameless => return true,
            None => {
                let owner = order.owner.as_deref();
                let own = self.references.iter().filter(|(_, known)| known.owner.known() == owner);
                let own = own.map(|(name, _)| *name).filter(|_| owner.is_some());
                let hint = did_you_mean(name, own);
                format!("a {kind} of \"{name}\", which does not exist before {date}{hint}")
            }
        };
        faults.add(place(line.value, "reference"), text);
        true
    }

    /// A reference belongs to one customer.
    fn is_of_another(
        &self,
        name: &str,
        order: &Placed<'_>,
        line: &Line<'_>,
        faults: &mut Faults<'_>,
    ) -> bool {
        let known = self.references.get(name).map(|known| known.owner).unwrap_or_default();
        let owner = match known {
            Fact::Unstated => self.customers.subscription_customer(name),
            Fact::Is(owner) => Some(owner.to_owned()),
            Fact::Doubtful => None,
        };
        let (Some(owner), Some(customer)) = (owner, &order.owner) else { return false };
        if owner == *customer {
            return false;
        }
        let at = place(line.value, "reference");
        faults.add(at, format!("\"{name}\" belongs to the customer \"{owner}\""));
        true
    }

    /// A reference is one kind of thing, has one currency for what is charged and one for usage,
    /// and never less than nothing of it is left.
    fn enter(
        &mut self,
        name: &'a str,
        (order, line, product): (&'a Placed<'_>, &'a Line<'_>, Option<&'a Product>),
        faults: &mut Faults<'_>,
    ) {
        let plan_currency = self.plan_currency(line);
        let reference = self.references.entry(name).or_default();
        reference.owner = reference.owner.or(Fact::of(order.owner.as_deref()));
        let provision = Fact::of(product.map(|product| product.provision));
        if let Some((was, is)) = reference.provision.contradicted_by(provision) {
            let (was, is) = (was.name(), is.name());
            let at = place(line.value, "reference");
            faults.add(at, format!("\"{name}\" is of kind {was}, this product provisions {is}"));
        }
        reference.provision = reference.provision.or(provision);
        let currency = match product.map(|product| product.revenue_model) {
            Some(RevenueModel::OverageUsage) => Fact::Unstated,
            Some(_) => line.currency,
            None => Fact::Doubtful,
        };
        if let Some((was, is)) = reference.currency.contradicted_by(currency) {
            let at = place(line.value, "currency");
            faults.add(at, format!("\"{name}\" is billed in {was}, not in {is}"));
        }
        reference.currency = reference.currency.or(currency);
        if let Some((was, is)) = reference.plan_currency.contradicted_by(plan_currency) {
            let at = place(line.value, "plan");
            faults.add(at, format!("the usage of \"{name}\" is billed in {was}, not in {is}"));
        }
        reference.plan_currency = reference.plan_currency.or(plan_currency);
        if price::has_plan(line) || product.is_none() {
            contradict(name, reference, (line, self.customers), faults);
            reference.plan(product.map(|product| product.sku.as_str()), line.read.plan.as_deref());
        } else if let Some(plan) = product.and_then(|product| reference.plan_of(&product.sku)) {
            price::check_start(line, (plan, order.head.kind), self.customers, faults);
        }
        let units = units(order.head.kind, line, product);
        reference.count(units, product);
        let (Some(units), Some(product)) = (units, product) else { return };
        if units.quantity < Quantity::ZERO
            && let Some((date, left)) = reference.shortage(product)
        {
            let text = format!("leaves \"{name}\" with a quantity of {left} on {date}");
            let at = place(line.value, "quantity");
            faults.add(at, format!("{} {text}, below 0", units.quantity));
        }
    }

    fn plan_currency(&self, line: &Line<'_>) -> Fact<Currency> {
        if !price::has_plan(line) {
            return Fact::Unstated;
        }
        let plan = line.read.plan.as_ref();
        Fact::of(plan.and_then(|plan| self.customers.plan_currency(plan)))
    }
}

/// What a line with a plan says of its reference that the catalog says otherwise.
fn contradict(
    name: &str,
    reference: &Reference<'_>,
    (line, customers): (&Line<'_>, &dyn Customers),
    faults: &mut Faults<'_>,
) {
    let own = customers.subscription_plan(name);
    // A plan that nobody knows was told already.
    let plan = line.read.plan.as_ref().filter(|plan| customers.plan_currency(plan).is_some());
    if let (Some(own), Some(plan)) = (&own, plan)
        && own != plan
    {
        let text = format!("the catalog has \"{name}\" with the plan \"{own}\"");
        let message = format!("{text}; leave it out there, so that orders alone decide");
        faults.add(place(line.value, "plan"), message);
    }
    if own.is_none() && !reference.is_planned() && customers.is_taken(name) {
        let text = "is a name of a customer or of another subscription of the catalog";
        let message = format!("\"{name}\" {text}, so that no usage can be sent for it");
        faults.add(place(line.value, "reference"), message);
    }
}

/// What a line adds or takes away, where all of that can be read.
fn units(kind: Option<Kind>, line: &Line<'_>, product: Option<&Product>) -> Option<Units> {
    let read = &line.read;
    let quantity = if price::is_absent(line, "quantity") {
        unstated_quantity(kind?, product?)?
    } else {
        read.quantity?
    };
    let end = if price::is_absent(line, "end") { None } else { Some(read.end?) };
    let start = read.start?;
    end.is_none_or(|end| start <= end).then_some(Units { quantity, start, end })
}

/// What is known of an order product by its id.
struct Seen<'a> {
    /// The customer, kind and day of its order, the product and reference.
    states: [Option<&'a str>; 4],
    activated_on: Option<Date>,
    /// All of it, if it could be read.
    whole: Option<&'a OrderProduct>,
}

impl<'a> Seen<'a> {
    fn known(order: &'a Order, product: &'a OrderProduct) -> Self {
        let (customer, kind) = (order.customer.as_str(), order.kind.name());
        Self {
            states: [customer, kind, &product.sku, &product.reference].map(Some),
            activated_on: Some(order.activated_on),
            whole: Some(product),
        }
    }

    fn placed(order: &'a Placed<'_>, line: &'a Line<'_>) -> Self {
        let (head, read) = (&order.head, &line.read);
        let kind = head.kind.map(Kind::name);
        let (sku, reference) = (read.sku.as_deref(), read.reference.as_deref());
        Self {
            states: [head.customer.as_deref(), kind, sku, reference],
            activated_on: head.activated_on,
            whole: line.product.as_ref(),
        }
    }

    /// Whether two cannot be the same, whatever is meant where they could not be read.
    fn differs(&self, other: &Self) -> bool {
        let states = self.states.iter().zip(other.states);
        let mut differing = states.map(|(known, state)| known.zip(state));
        differing.any(|pair| pair.is_some_and(|(known, state)| known != state))
            || self.activated_on.zip(other.activated_on).is_some_and(|(known, is)| known != is)
            || self.whole.zip(other.whole).is_some_and(|(known, is)| known != is)
    }
}
