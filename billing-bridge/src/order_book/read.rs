//! Reading `orders.json`: every fault of the document at once, then the book.

use super::fact::Fact;
use super::reference::unstated_quantity;
use super::{OrderBook, Ordered, history, price};
use crate::customers::Customers;
use crate::order::{LegibleHead, LegibleProduct, Order, OrderProduct};
use crate::product::{Product, Provision};
use crate::terms::Terms;
use rating::fault::{did_you_mean, without_mark};
use rating::json::{Kind, Tape, Value};
use rating::{Currency, Fault, Faults, Fields, Settings};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a document.
pub(super) const FIELDS: [&str; 3] = ["settings", "products", "orders"];

/// What could be read of an order product, and where it stands.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) read: LegibleProduct,
    /// All of it, if it could be read.
    pub(super) product: Option<OrderProduct>,
    /// What it is charged in.
    pub(super) currency: Fact<Currency>,
    pub(super) value: Value<'a>,
}

/// An order that is new to the book, with what could be read of it, and its lines.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) head: LegibleHead,
    /// Whom it bills, if that customer is known.
    pub(super) owner: Option<String>,
    /// All of it, if it could be read.
    order: Option<Order>,
    pub(super) lines: Vec<Line<'a>>,
}

/// The member `name` of an object or, where it is absent, the object itself.
pub(super) fn place<'a>(value: Value<'a>, name: &str) -> Value<'a> {
    value.get(name).filter(|member| !member.is_null()).unwrap_or(value)
}

pub(super) fn extend(
    book: &OrderBook,
    bytes: &[u8],
    customers: &dyn Customers,
) -> Result<OrderBook, Vec<Fault>> {
    let bytes = without_mark(bytes);
    let mut faults = Faults::new(bytes);
    let mut tape = Tape::default();
    let document = match tape.parse(bytes) {
        Ok(document) => document,
        Err(malformed) => {
            faults.add_malformed(&malformed);
            return Err(faults.into_sorted());
        }
    };
    let mut reader = Reader {
        book: book.clone(),
        customers,
        skus: book.products.keys().cloned().collect(),
        currencies: BTreeMap::new(),
        organisation_currency: Fact::default(),
        ids: book.ordered.iter().map(|ordered| ordered.product.id.clone()).collect(),
        placed: Vec::new(),
        places: BTreeMap::new(),
    };
    reader.document(document, &mut faults);
    // Stable: orders of one day count in the order in which they are written.
    reader
        .placed
        .sort_by_key(|placed| (placed.head.activated_on.is_none(), placed.head.activated_on));
    history::check(&reader.book, &reader.placed, customers, &mut faults);
    if !faults.is_empty() {
        return Err(faults.into_sorted());
    }
    Ok(reader.into_book())
}

struct Reader<'a, 'c> {
    book: OrderBook,
    customers: &'c dyn Customers,
    /// Every stock-keeping unit that is named, also by a product with a fault of its own.
    skus: BTreeSet<String>,
    /// The currency that each product states.
    currencies: BTreeMap<String, Fact<Currency>>,
    organisation_currency: Fact<Currency>,
    /// The order products of the book and those that were read so far.
    ids: BTreeSet<String>,
    placed: Vec<Placed<'a>>,
    /// Where in `placed` an order is, while they are in the order of the document.
    places: BTreeMap<String, usize>,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self, document: Value<'a>, faults: &mut Faults<'_>) {
        let Some(fields) = Fields::open(document, &FIELDS, faults) else { return };
        if let Some(value) = fields.get("settings")
            && let Some(inner) = Fields::open(value, &Settings::NAMES, faults)
        {
            let settings = Settings::read(&inner, faults);
            self.organisation_currency = stated(value, &settings);
            self.book.organisation = settings.or(&self.book.organisation);
        }
        let known = self.book.organisation.currency.map_or(Fact::Unstated, Fact::Is);
        self.organisation_currency = self.organisation_currency.or(known);
        for value in fields.list("products", faults) {
            self.product(value, faults);
        }
        for value in fields.list("orders", faults) {
            self.order(value, faults);
        }
    }

    fn product(&mut self, value: Value<'a>, faults: &mut Faults<'_>) {
        self.skus.extend(value.get("sku").and_then(|sku| sku.as_text()).map(String::from));
        let Some(product) = Product::read(value, faults) else { return };
        let currency = stated(value, &product.settings);
        self.currencies.entry(product.sku.clone()).or_insert(currency);
        match self.book.products.entry(product.sku.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(product);
            }
            Entry::Occupied(known) if *known.get() != product => {
                let text = "is already there with other content";
                faults.add(place(value, "sku"), format!("the product \"{}\" {text}", product.sku));
            }
            Entry::Occupied(_) => {}
        }
    }

    fn order(&mut self, value: Value<'a>, faults: &mut Faults<'_>) {
        let Some(fields) = open_order(value, faults) else { return };
        let head = LegibleHead::read(fields, faults);
        let mut wanted = fields.list("order_products", faults);
        if let Some(other) = fields.get("order_products").filter(|v| v.kind() != Kind::Array) {
            // A line of which nothing can be read: it may be of any reference.
            wanted.push(other);
        }
        let lines = wanted.into_iter().map(|value| {
            let read = LegibleProduct::read(value, faults);
            Line { product: read.whole(), read, currency: Fact::Doubtful, value }
        });
        let mut lines: Vec<Line<'a>> = lines.collect();
        let products: Option<Vec<_>> = lines.iter().map(|line| line.product.clone()).collect();
        let owner = self.check_customer(value, faults);
        let order = products.and_then(|products| head.whole(products));
        let mut placed = Placed { head, owner, order, lines: Vec::new() };
        match self.repeats(&placed, &lines) {
            None => {}
            Some(false) => return,
            Some(true) => {
                let id = placed.head.id.as_deref().unwrap_or_default();
                let text = format!("the order \"{id}\" is activated already, with other content");
                faults.add(place(value, "id"), text);
                // What the two have in common is the same fault.
                lines.retain(|line| line.read.id.as_ref().is_none_or(|id| !self.ids.contains(id)));
            }
        }
        let of_order = stated(value, &placed.head.settings);
        self.check_lines(&mut lines, (&placed, of_order), faults);
        self.ids.extend(lines.iter().filter_map(|line| line.read.id.clone()));
        placed.lines = lines;
        if let Some(id) = &placed.head.id {
            self.places.entry(id.clone()).or_insert(self.placed.len());
        }
        self.placed.push(placed);
    }

    /// The customer's id, if there is such a customer.
    fn check_customer(&mut self, order: Value<'_>, faults: &mut Faults<'_>) -> Option<String> {
        let at = order.get("customer")?;
        let id = at.as_text()?.into_owned();
        if let Some(facts) = self.customers.customer(&id) {
            self.book.customers.entry(id.clone()).or_insert(facts);
        } else if !self.book.customers.contains_key(&id) {
            if !id.is_empty() {
                let hint = did_you_mean(&id, self.customers.customer_ids());
                faults.add(at, format!("unknown customer \"{id}\"{hint}"));
            }
            return None;
        }
        Some(id)
    }

    fn check_lines(
        &self,
        lines: &mut [Line<'_>],
        (order, of_order): (&Placed<'_>, Fact<Currency>),
        faults: &mut Faults<'_>,
    ) {
        for line in lines {
            let Some(sku) = line.read.sku.clone() else { continue };
            let of_customer = order.owner.as_ref().and_then(|id| self.book.customers.get(id));
            let of_customer = of_customer.map_or(Fact::Doubtful, |facts| {
                facts.settings.currency.map_or(Fact::Unstated, Fact::Is)
            });
            line.currency = stated(line.value, &line.read.settings)
                .or(self.currency_of(&sku))
                .or(of_order)
                .or(of_customer)
                .or(self.organisation_currency)
                .or(Fact::of(Currency::parse("USD")));
            if let Some(product) = self.book.products.get(&sku) {
                price::check(line, (&order.head, product), self.customers, faults);
            } else if !self.skus.contains(&sku) {
                let hint = did_you_mean(&sku, self.skus.iter().map(String::as_str));
                faults.add(place(line.value, "sku"), format!("unknown sku \"{sku}\"{hint}"));
            }
        }
    }

    /// The currency that a product states.
    fn currency_of(&self, sku: &str) -> Fact<Currency> {
        let known = self.book.products.get(sku).and_then(|product| product.settings.currency);
        let known = known.map_or(Fact::Unstated, Fact::Is);
        self.currencies.get(sku).copied().unwrap_or_default().or(known)
    }

    /// Whether an order is there already, and if so whether it cannot be the same.
    fn repeats(&self, order: &Placed<'_>, lines: &[Line<'_>]) -> Option<bool> {
        let id = order.head.id.as_ref()?;
        if let Some(known) = self.book.orders.get(id) {
            return Some(order.order.as_ref().is_some_and(|order| order != known));
        }
        let known = self.placed.get(*self.places.get(id)?)?;
        Some(match (&known.order, &order.order) {
            (Some(known), Some(order)) => known != order,
            // One of them has a fault, without which the two may be the same.
            (None, _) | (_, None) => {
                let ids = |line: &Line<'_>| line.read.id.clone();
                let known: Option<Vec<String>> = known.lines.iter().map(ids).collect();
                let other: Option<Vec<String>> = lines.iter().map(ids).collect();
                known.zip(other).is_some_and(|(known, other)| known != other)
            }
        })
    }

    /// The book with everything that was read; only called where nothing is wrong.
    fn into_book(self) -> OrderBook {
        let mut book = self.book;
        let mut known: BTreeSet<String> =
            book.ordered.iter().map(|ordered| ordered.product.id.clone()).collect();
        for order in self.placed.iter().filter_map(|placed| placed.order.as_ref()) {
            fix_anchor(&mut book, order);
        }
        for order in self.placed.into_iter().filter_map(|placed| placed.order) {
            for product in &order.order_products {
                if known.insert(product.id.clone()) {
                    let ordered = settle(&book, &order, product.clone());
                    book.ordered.extend(ordered);
                }
            }
            book.orders.insert(order.id.clone(), order);
        }
        book.ordered.sort_by_key(|ordered| ordered.activated_on);
        inherit_plans(&mut book.ordered);
        book
    }
}

fn open_order<'a>(value: Value<'a>, faults: &mut Faults<'_>) -> Option<Fields<'a>> {
    crate::product::open_with_settings(value, &LegibleHead::FIELDS, faults)
}

/// The currency that an object states among its settings.
fn stated(value: Value<'_>, settings: &Settings) -> Fact<Currency> {
    let writes = |value: Value<'_>| value.get("currency").is_some_and(|value| !value.is_null());
    if settings.currency.is_none() && !writes(value) && !value.get("settings").is_some_and(writes) {
        return Fact::Unstated;
    }
    Fact::of(settings.currency)
}

/// The first activation of a customer fixes the anchor: its first subscription, else its first
/// line. Later orders find it there.
fn fix_anchor(book: &mut OrderBook, order: &Order) {
    let subscription = |line: &&OrderProduct| {
        let product = book.products.get(&line.sku);
        product.is_some_and(|product| product.provision == Provision::Subscription)
    };
    let lines = &order.order_products;
    let first = lines.iter().find(subscription).or_else(|| lines.first());
    if let Some(start) = first.map(|line| line.start) {
        book.anchors.entry(order.customer.clone()).or_insert(start);
    }
}

fn settle(book: &OrderBook, order: &Order, mut product: OrderProduct) -> Option<Ordered> {
    let sold = book.products.get(&product.sku)?;
    let facts = book.customers.get(&order.customer)?;
    let settings = product.settings.or(&sold.settings).or(&order.settings);
    let settings = settings.or(&facts.settings).or(&book.organisation);
    let timing = product.billing_timing.or(sold.billing_timing);
    // What is not usage always states one.
    let unstated = || Some(unstated_quantity(order.kind, sold).unwrap_or_default());
    product.quantity = product.quantity.or_else(unstated);
    Some(Ordered {
        order: order.id.clone(),
        customer: order.customer.clone(),
        kind: order.kind,
        activated_on: order.activated_on,
        provision: sold.provision,
        revenue_model: sold.revenue_model,
        timing: timing.unwrap_or_else(|| sold.revenue_model.default_timing()),
        terms: Terms::settle(&settings, &facts.zone, book.anchor_of(&order.customer, facts))?,
        product,
    })
}

/// A change, renewal or cancellation that names no plan means the plan that its product has on
/// the reference.
fn inherit_plans(ordered: &mut [Ordered]) {
    let mut plans: BTreeMap<(String, String), String> = BTreeMap::new();
    for Ordered { product, .. } in ordered {
        let key = (product.reference.clone(), product.sku.clone());
        if let Some(plan) = &product.plan {
            plans.insert(key, plan.clone());
        } else {
            product.plan = plans.get(&key).cloned();
        }
    }
}
