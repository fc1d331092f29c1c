//! Reading `orders.json`: every fault of the document at once, then the book.

use super::{OrderBook, Ordered, history, price};
use crate::customers::Customers;
use crate::order::{Order, OrderProduct};
use crate::product::{Product, Provision, RevenueModel};
use crate::terms::Terms;
use rating::fault::did_you_mean;
use rating::json::{Tape, Value};
use rating::{Fault, Faults, Fields, Quantity, Settings};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// An order product and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) product: OrderProduct,
    pub(super) value: Value<'a>,
}

/// An order that is new to the book, and its lines.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) order: Order,
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
        broken: BTreeSet::new(),
        placed: Vec::new(),
        places: BTreeMap::new(),
    };
    reader.document(document, &mut faults);
    // Stable: orders of one day count in the order in which they are written.
    reader.placed.sort_by_key(|placed| placed.order.activated_on);
    history::check(&reader.book, &reader.placed, (customers, &reader.broken), &mut faults);
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
    /// References of order products with faults: nothing that follows from them is judged.
    broken: BTreeSet<String>,
    placed: Vec<Placed<'a>>,
    /// Where in `placed` an order is, while they are in the order of the document.
    places: BTreeMap<String, usize>,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self, document: Value<'a>, faults: &mut Faults<'_>) {
        let known = ["settings", "products", "orders"];
        let Some(fields) = Fields::open(document, &known, faults) else { return };
        if let Some(value) = fields.get("settings")
            && let Some(inner) = Fields::open(value, &Settings::NAMES, faults)
        {
            let settings = Settings::read(&inner, faults);
            self.book.organisation = settings.or(&self.book.organisation);
        }
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
        let head = Order::read_head(fields, faults);
        let wanted = fields.list("order_products", faults);
        let mut lines = Vec::with_capacity(wanted.len());
        for value in &wanted {
            match OrderProduct::read(*value, faults) {
                Some(product) => lines.push(Line { product, value: *value }),
                None => self.breaks(*value),
            }
        }
        let complete = lines.len() == wanted.len();
        self.check_customer(value, faults);
        if let Some(mut order) = head {
            order.order_products = lines.iter().map(|line| line.product.clone()).collect();
            if self.is_repeated(&order, (value, complete), faults) {
                return;
            }
            self.check_lines(&lines, &order.settings, faults);
            self.places.insert(order.id.clone(), self.placed.len());
            self.placed.push(Placed { order, lines });
        } else {
            self.check_lines(&lines, &Settings::default(), faults);
            lines.iter().for_each(|line| self.breaks(line.value));
        }
    }

    fn breaks(&mut self, line: Value<'_>) {
        let reference = line.get("reference").and_then(|reference| reference.as_text());
        self.broken.extend(reference.map(String::from));
    }

    fn check_customer(&mut self, order: Value<'_>, faults: &mut Faults<'_>) {
        let Some(at) = order.get("customer") else { return };
        let Some(id) = at.as_text().filter(|id| !self.book.customers.contains_key(&**id)) else {
            return;
        };
        if let Some(facts) = self.customers.customer(&id) {
            self.book.customers.insert(id.into_owned(), facts);
        } else if !id.is_empty() {
            let hint = did_you_mean(&id, self.customers.customer_ids());
            faults.add(at, format!("unknown customer \"{id}\"{hint}"));
        }
    }

    fn check_lines(&mut self, lines: &[Line<'_>], of_order: &Settings, faults: &mut Faults<'_>) {
        for line in lines {
            let sku = &line.product.sku;
            if let Some(product) = self.book.products.get(sku) {
                price::check(line, (of_order, product), self.customers, faults);
                continue;
            }
            self.breaks(line.value);
            if !self.skus.contains(sku) {
                let hint = did_you_mean(sku, self.skus.iter().map(String::as_str));
                faults.add(place(line.value, "sku"), format!("unknown sku \"{sku}\"{hint}"));
            }
        }
    }

    /// Whether an order is there already; with other content that is a fault.
    fn is_repeated(
        &self,
        order: &Order,
        (value, complete): (Value<'_>, bool),
        faults: &mut Faults<'_>,
    ) -> bool {
        let placed = self.places.get(&order.id).and_then(|at| self.placed.get(*at));
        let known = self.book.orders.get(&order.id).or_else(|| placed.map(|placed| &placed.order));
        let Some(known) = known else { return false };
        if complete && known != order {
            let text = "is activated already, with other content";
            faults.add(place(value, "id"), format!("the order \"{}\" {text}", order.id));
        }
        true
    }

    /// The book with everything that was read; only called where nothing is wrong.
    fn into_book(self) -> OrderBook {
        let mut book = self.book;
        let mut known: BTreeSet<String> =
            book.ordered.iter().map(|ordered| ordered.product.id.clone()).collect();
        for placed in &self.placed {
            fix_anchor(&mut book, placed);
        }
        for placed in self.placed {
            for line in placed.lines {
                if known.insert(line.product.id.clone()) {
                    let ordered = settle(&book, &placed.order, line.product);
                    book.ordered.extend(ordered);
                }
            }
            book.orders.insert(placed.order.id.clone(), placed.order);
        }
        book.ordered.sort_by_key(|ordered| ordered.activated_on);
        inherit_plans(&mut book.ordered);
        book
    }
}

fn open_order<'a>(value: Value<'a>, faults: &mut Faults<'_>) -> Option<Fields<'a>> {
    crate::product::open_with_settings(value, &Order::FIELDS, faults)
}

/// The first activation of a customer fixes the anchor: its first subscription, else its first
/// line. Later orders find it there.
fn fix_anchor(book: &mut OrderBook, placed: &Placed<'_>) {
    let subscription = |line: &&Line<'_>| {
        let product = book.products.get(&line.product.sku);
        product.is_some_and(|product| product.provision == Provision::Subscription)
    };
    let first = placed.lines.iter().find(subscription).or_else(|| placed.lines.first());
    if let Some(start) = first.map(|line| line.product.start) {
        book.anchors.entry(placed.order.customer.clone()).or_insert(start);
    }
}

fn settle(book: &OrderBook, order: &Order, mut product: OrderProduct) -> Option<Ordered> {
    let sold = book.products.get(&product.sku)?;
    let facts = book.customers.get(&order.customer)?;
    let settings = product.settings.or(&sold.settings).or(&order.settings);
    let settings = settings.or(&facts.settings).or(&book.organisation);
    let timing = product.billing_timing.or(sold.billing_timing);
    let usage = sold.revenue_model == RevenueModel::OverageUsage;
    product.quantity = product.quantity.or_else(|| Quantity::from_units(i64::from(usage)));
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
