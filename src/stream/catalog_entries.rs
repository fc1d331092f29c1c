//! Entries of the catalog's topic: which are wanted, which are in force.
//!
//! A key is the kind of entry, its name and, for a plan, its version, with `/` between them and
//! everything but letters, digits, `.`, `_` and `-` escaped as `%2F` is: `customer/CUS-7`,
//! `plan/pro/2`. The value is the entry as it stands in `catalog.json`; an empty one takes it away.
//!
//! What is in force stands in the topic, too, under `in_force/` and the entry's key; a record with
//! the key `in_force` marks the end of each decision. So an entry that does not fit, and what it
//! was to replace, are the same to everybody, after a restart and after compaction.

use super::limits::JUDGE_PASSES_MAX;
use crate::service::CATALOG_BYTES_MAX;
use rating::Catalog;
use rating::json::{Tape, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kinds of entries, the lists that they stand in, and the fields that name them.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("meter", "meters", &["key"]),
    ("plan", "plans", &["key", "version"]),
    ("customer", "customers", &["id"]),
    ("subscription", "subscriptions", &["id"]),
];
/// The key of the mark, and what the keys of entries in force begin with.
// Frozen: it stands in topics.
pub(super) const IN_FORCE: &str = "in_force";
/// A field of a catalog that is no list of entries.
const NO_ENTRY: &str = "strict_types";

/// Entries by key.
pub(super) type Texts = BTreeMap<String, String>;
/// An entry's key, and its text; `None` takes it away.
pub(super) type Change = (String, Option<String>);

/// An entry that is not in force, or not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    offset: u64,
    text: Option<String>,
}

/// What the topic holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    in_force: Texts,
    open: BTreeMap<String, Open>,
    /// Bytes of the open entries.
    open_bytes: usize,
    /// What the next mark puts in force.
    coming: Vec<Change>,
    /// Behind the last mark; 0 without one.
    position: u64,
    /// Whether anything has come since [`Entries::decide`].
    is_undecided: bool,
}

/// What became of the open entries.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// Those that come into force.
    pub(super) changes: Vec<Change>,
    /// What is in force with them; `None` where none of them fits.
    pub(super) catalog: Option<Arc<Catalog>>,
    /// Why the others do not, each with its key.
    pub(super) reasons: Vec<String>,
}

impl Entries {
    /// Takes a record of the topic; whether it changed what is in force.
    ///
    /// # Errors
    /// What is wrong with a record that is no entry.
    pub(super) fn take(
        &mut self,
        offset: u64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<bool, String> {
        let key = std::str::from_utf8(key).map_err(|_| not_text("a key", offset))?;
        if key == IN_FORCE {
            self.position = offset + 1;
            return Ok(self.put_in_force());
        }
        let text = value.map(std::str::from_utf8).transpose();
        self.is_undecided = true;
        let text = text.map_err(|_| not_text(key, offset))?.map(str::to_owned);
        let decided = key.strip_prefix(IN_FORCE).and_then(|key| key.strip_prefix('/'));
        if let Some(entry) = decided {
            self.coming.push((entry.to_owned(), text));
            return Ok(false);
        }
        let kind = key.split('/').next().unwrap_or_default();
        if !KINDS.iter().any(|(known, ..)| *known == kind) || !key.contains('/') {
            return Err(format!(
                "\"{key}\" is not the key of a catalog entry, such as customer/CUS-7 or plan/pro/1"
            ));
        }
        self.note(key, Open { offset, text })?;
        Ok(false)
    }

    fn note(&mut self, key: &str, open: Open) -> Result<(), String> {
        let length = |open: &Open| open.text.as_ref().map_or(0, String::len) + key.len();
        if let Some(before) = self.open.remove(key) {
            self.open_bytes = self.open_bytes.saturating_sub(length(&before));
        }
        if self.in_force.get(key) == open.text.as_ref() {
            return Ok(());
        }
        let bytes = self.open_bytes + length(&open);
        if bytes > CATALOG_BYTES_MAX {
            return Err(format!("{key}: more than {CATALOG_BYTES_MAX} bytes of entries wait"));
        }
        self.open_bytes = bytes;
        self.open.insert(key.to_owned(), open);
        Ok(())
    }

    fn put_in_force(&mut self) -> bool {
        let coming = std::mem::take(&mut self.coming);
        let any = !coming.is_empty();
        self.is_undecided |= any;
        for (key, text) in coming {
            // What was open and is in force now is no longer open.
            if let Some(open) = self.open.get(&key).filter(|open| open.text == text) {
                let length = open.text.as_ref().map_or(0, String::len) + key.len();
                self.open_bytes = self.open_bytes.saturating_sub(length);
                self.open.remove(&key);
            }
            match text {
                Some(text) => self.in_force.insert(key, text),
                None => self.in_force.remove(&key),
            };
        }
        any
    }

    /// Up to where the topic made what is in force: the offset behind the last mark.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Whether anything has come since it was last decided about what is open.
    pub(super) const fn is_undecided(&self) -> bool {
        self.is_undecided
    }

    /// What is in force, as a catalog file.
    pub(super) fn document(&self) -> String {
        document(&self.in_force)
    }

    /// Which of the open entries fit what is in force, in the order in which they came, and each
    /// other: a subscription may come before its plan. `catalog` is what is in force; `objection`
    /// tells what else there is against one that would follow it.
    pub(super) fn decide(
        &mut self,
        catalog: &Catalog,
        objection: &mut dyn FnMut(&Arc<Catalog>) -> Option<String>,
    ) -> Decision {
        self.is_undecided = false;
        let mut decision = Decision::default();
        let mut left: Vec<(u64, Change)> = self
            .open
            .iter()
            .map(|(key, open)| (open.offset, (key.clone(), open.text.clone())))
            .collect();
        left.sort_by_key(|(offset, _)| *offset);
        let mut left: Vec<Change> = left.into_iter().map(|(_, change)| change).collect();
        let (texts, plans) = (self.in_force.clone(), plans_of(catalog));
        let mut judge = Judge { texts, plans, objection };
        // Again as long as one more fits: they may need each other. Those of further passes come
        // next time, for whatever comes into force is decided after.
        for _ in 0..JUDGE_PASSES_MAX {
            let before = left.len();
            if before == 0 {
                break;
            }
            decision.reasons.clear();
            let mut next = Vec::new();
            judge.add(left, (&mut next, &mut decision));
            left = next;
            if left.len() == before {
                break;
            }
        }
        decision
    }

    /// What must change so that the entries of a catalog, and no others, are in force; and what
    /// the topic then holds that would still wait.
    pub(super) fn changes_to(&self, wanted: &Texts) -> Vec<Change> {
        let gone = self.in_force.keys().chain(self.open.keys());
        let gone = gone.filter(|key| !wanted.contains_key(*key));
        let mut changes: BTreeMap<&String, Option<&String>> = gone.map(|key| (key, None)).collect();
        for (key, text) in wanted {
            if self.in_force.get(key) != Some(text) || self.open.contains_key(key) {
                changes.insert(key, Some(text));
            }
        }
        changes.into_iter().map(|(key, text)| (key.clone(), text.cloned())).collect()
    }
}

fn not_text(what: &str, offset: u64) -> String {
    format!("{what} of the record at offset {offset} is not UTF-8")
}

/// Versions of plans with the digests of their texts.
type Plans = BTreeMap<(String, u32), u64>;

fn plans_of(catalog: &Catalog) -> Plans {
    let versions = |plan: &rating::Plan| {
        let key = plan.key.clone();
        let versions = plan.versions.iter();
        versions.map(|one| ((key.clone(), one.version), one.digest)).collect::<Vec<_>>()
    };
    catalog.plans().iter().flat_map(versions).collect()
}

/// Why a catalog may not follow another, if a version of a plan is not what it was.
pub(super) fn changed_plan(before: &Catalog, after: &Catalog) -> Option<String> {
    find_changed_plan(&plans_of(before), after)
}

fn find_changed_plan(before: &Plans, after: &Catalog) -> Option<String> {
    let after = plans_of(after);
    let changed = |(name, digest): &(&(String, u32), &u64)| {
        before.get(*name).is_some_and(|known| known != *digest)
    };
    let ((key, version), _) = after.iter().find(changed)?;
    Some(format!(
        "version {version} of plan \"{key}\" is in force with other content; plan versions are \
         immutable: add a new version"
    ))
}

/// Why a catalog of the topic may not follow another, if a version of a plan is not in it any more.
///
/// A state keeps the versions that it has seen. With one gone from here, nothing would tell another
/// text under its name from a new version, and partitions that know the first one would refuse it.
pub(super) fn withdrawn_plan(before: &Catalog, after: &Catalog) -> Option<String> {
    find_withdrawn_plan(&plans_of(before), after)
}

fn find_withdrawn_plan(before: &Plans, after: &Catalog) -> Option<String> {
    let after = plans_of(after);
    let (key, version) = before.keys().find(|name| !after.contains_key(*name))?;
    Some(format!(
        "version {version} of plan \"{key}\" is in force; plan versions are immutable and cannot \
         be taken away, for usage may have been rated by them: leave it, and end its subscriptions"
    ))
}

/// Tries entries on what is in force.
struct Judge<'a> {
    texts: Texts,
    plans: Plans,
    objection: &'a mut dyn FnMut(&Arc<Catalog>) -> Option<String>,
}

impl Judge<'_> {
    /// Takes over all entries that fit, by halves: a few that do not cost a few readings.
    fn add(
        &mut self,
        mut entries: Vec<Change>,
        (left, decision): (&mut Vec<Change>, &mut Decision),
    ) {
        match self.try_with(&entries) {
            Ok(catalog) => {
                decision.catalog = Some(catalog);
                decision.changes.append(&mut entries);
            }
            Err(reason) if entries.len() == 1 => {
                decision.reasons.extend(entries.iter().map(|(key, _)| format!("{key}: {reason}")));
                left.append(&mut entries);
            }
            Err(_) => {
                let second = entries.split_off(entries.len() / 2);
                self.add(entries, (left, decision));
                self.add(second, (left, decision));
            }
        }
    }

    /// Takes over entries if they fit.
    fn try_with(&mut self, entries: &[Change]) -> Result<Arc<Catalog>, String> {
        let mut candidate = self.texts.clone();
        for (key, text) in entries {
            match text {
                Some(text) => candidate.insert(key.clone(), text.clone()),
                None => candidate.remove(key),
            };
        }
        let text = document(&candidate);
        if text.len() > CATALOG_BYTES_MAX {
            return Err(format!("the catalog would be larger than {CATALOG_BYTES_MAX} bytes"));
        }
        let first = |faults: Vec<_>| faults.first().map(ToString::to_string).unwrap_or_default();
        let catalog = Arc::new(Catalog::parse(text.as_bytes()).map_err(first)?);
        let against = find_changed_plan(&self.plans, &catalog)
            .or_else(|| find_withdrawn_plan(&self.plans, &catalog))
            .or_else(|| (self.objection)(&catalog));
        if let Some(reason) = against {
            return Err(reason);
        }
        self.texts = candidate;
        // What one pass lets in, the next one must not take away.
        self.plans = plans_of(&catalog);
        Ok(catalog)
    }
}

/// The entries as a catalog file.
fn document(entries: &Texts) -> String {
    let lists: Vec<String> = KINDS
        .iter()
        .map(|(kind, list, _)| {
            let own = entries.iter().filter(|(key, _)| key.split('/').next() == Some(kind));
            let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
            format!("\"{list}\":[{}]", values.join(",\n"))
        })
        .collect();
    format!("{{{}}}\n", lists.join(",\n"))
}

/// The entries of a catalog file without faults.
///
/// # Errors
/// What the topic has no entry for.
pub(super) fn entries_of(catalog: &[u8]) -> Result<Texts, String> {
    let mut tape = Tape::default();
    let text = rating::fault::without_mark(catalog);
    let document = tape.parse(text).map_err(|malformed| malformed.reason.to_owned())?;
    if document.get(NO_ENTRY).is_some_and(|value| value.raw() == "true") {
        return Err(format!(
            "{NO_ENTRY} has no entry in kafka.topics.catalog; take the catalog from a file"
        ));
    }
    let mut texts = Texts::new();
    for (kind, list, names) in KINDS {
        for entry in document.get(list).iter().flat_map(Value::elements) {
            let mut key = kind.to_owned();
            for name in names {
                push_part(&mut key, entry.get(name));
            }
            // A subscription that ends and goes on on other terms has several entries.
            if texts.contains_key(&key) {
                push_part(&mut key, entry.get("start"));
            }
            if texts.insert(key, entry.raw().to_owned()).is_some() {
                return Err(format!("two entries of \"{list}\" have the same name and start"));
            }
        }
    }
    Ok(texts)
}

/// Appends a part of a key, escaped.
fn push_part(key: &mut String, part: Option<Value<'_>>) {
    const HEX: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
    let text = part.and_then(|part| part.as_decimal_text()).unwrap_or_default();
    key.push('/');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            key.push(char::from(byte));
        } else {
            key.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: (&str, &str) =
        ("meter/calls", r#"{"key":"calls","event_type":"t","aggregation":"count"}"#);
    const PLAN: (&str, &str) = (
        "plan/pro/1",
        r#"{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
            "charges":[{"key":"c","meter":"calls",
                "price":{"model":"per_unit","unit_price":"1"}}]}"#,
    );
    const CUSTOMER: (&str, &str) = ("customer/C", r#"{"id":"C","time_zone":"UTC"}"#);
    const SUBSCRIPTION: (&str, &str) = (
        "subscription/S",
        r#"{"id":"S","customer":"C","plan":"pro","start":"2026-01-01","end":null}"#,
    );
    const ALL: [(&str, &str); 4] = [METER, PLAN, CUSTOMER, SUBSCRIPTION];

    /// A topic, and an instance that has read all of it.
    #[derive(Default)]
    struct Topic {
        log: Vec<Change>,
        entries: Entries,
    }

    impl Topic {
        fn put(&mut self, key: &str, text: Option<&str>) {
            self.log.push((key.to_owned(), text.map(str::to_owned)));
            let offset = self.log.len() as u64 - 1;
            self.entries.take(offset, key.as_bytes(), text.map(str::as_bytes)).unwrap();
        }

        fn put_all(&mut self, entries: &[(&str, &str)]) {
            for (key, text) in entries {
                self.put(key, Some(text));
            }
        }

        fn catalog(&self) -> Catalog {
            Catalog::parse(self.entries.document().as_bytes()).unwrap()
        }

        /// Decides, and writes down what was decided; the reasons of what is not in force.
        fn decide(&mut self) -> Vec<String> {
            self.decide_with(&mut |_| None)
        }

        fn decide_with(
            &mut self,
            objection: &mut dyn FnMut(&Arc<Catalog>) -> Option<String>,
        ) -> Vec<String> {
            let catalog = self.catalog();
            let Decision { changes, reasons, .. } = self.entries.decide(&catalog, objection);
            for (key, text) in changes {
                self.put(&format!("{IN_FORCE}/{key}"), text.as_deref());
            }
            self.put(IN_FORCE, Some("{}"));
            reasons
        }

        /// What an instance knows that comes after compaction, which leaves the last of each key.
        fn compacted(&self) -> Entries {
            let mut entries = Entries::default();
            for (offset, (key, text)) in (0..).zip(&self.log) {
                let later = self.log.iter().skip(offset + 1);
                if later.clone().all(|(other, _)| other != key) {
                    let text = text.as_deref().map(str::as_bytes);
                    entries.take(offset as u64, key.as_bytes(), text).unwrap();
                }
            }
            entries
        }
    }

    #[test]
    fn entries_in_any_order_make_a_catalog() {
        let mut topic = Topic::default();
        topic.put_all(&[SUBSCRIPTION]);
        assert_eq!(topic.decide().len(), 1);
        topic.put_all(&[PLAN, METER, CUSTOMER]);
        assert_eq!(topic.decide(), [""; 0]);
        assert_eq!(topic.catalog().subscriptions().len(), 1);
        assert!(topic.entries.open.is_empty());
        assert_eq!(topic.entries.position(), topic.log.len() as u64);
    }

    #[test]
    fn what_does_not_fit_holds_nothing_back() {
        let mut topic = Topic::default();
        topic.put_all(&ALL);
        topic.put("customer/D", Some("{\"id\":7}"));
        let reasons = topic.decide();
        assert!(reasons.len() == 1 && reasons[0].starts_with("customer/D: "), "{reasons:?}");
        assert_eq!(topic.catalog().subscriptions().len(), 1);
        topic.put("customer/D", Some("{\"id\":\"D\",\"time_zone\":\"UTC\"}"));
        assert_eq!(topic.decide(), [""; 0]);
        assert_eq!(topic.catalog().customers().len(), 2);
    }

    /// The last good text was forgotten with a restart: whoever read the topic from its beginning
    /// saw the faulty one only, and rated without the entry. Now what is in force is written down.
    #[test]
    fn a_faulty_entry_leaves_the_good_one_in_force_for_ever() {
        let mut topic = Topic::default();
        topic.put_all(&ALL);
        topic.decide();
        let good = topic.entries.document();
        for faulty in ["{\"id\":\"C\",\"time_zone\":\"Atlantis\"}", "nonsense"] {
            topic.put("customer/C", Some(faulty));
            assert_eq!(topic.decide().len(), 1);
            assert_eq!(topic.entries.document(), good);
            let anew = topic.compacted();
            assert_eq!(anew.document(), good, "and after a restart");
            assert!(!anew.open.is_empty());
            assert_eq!(anew.position(), topic.entries.position());
        }
        topic.put("customer/C", Some("{\"id\":\"C\",\"time_zone\":\"Europe/Berlin\"}"));
        assert_eq!(topic.decide(), [""; 0]);
        assert!(topic.compacted().document().contains("Berlin"));
    }

    #[test]
    fn who_came_first_stays() {
        let mut topic = Topic::default();
        topic.put("customer/Z", Some(r#"{"id":"Z","aliases":["x"]}"#));
        topic.decide();
        topic.put("customer/A", Some(r#"{"id":"A","aliases":["x"]}"#));
        assert_eq!(topic.decide().len(), 1);
        // A new text of the first is behind the second, but the second was not in force.
        topic.put("customer/Z", Some(r#"{"id":"Z","aliases":["x","y"]}"#));
        assert_eq!(topic.decide().len(), 1);
        let anew = topic.compacted();
        assert!(anew.document().contains("\"y\"") && !anew.document().contains("\"A\""));
    }

    #[test]
    fn a_version_of_a_plan_never_changes() {
        let mut topic = Topic::default();
        topic.put_all(&ALL);
        topic.decide();
        let dearer = PLAN.1.replace("\"unit_price\":\"1\"", "\"unit_price\":\"2\"");
        topic.put(PLAN.0, Some(&dearer));
        let reasons = topic.decide();
        assert!(reasons[0].contains("immutable"), "{reasons:?}");
        assert!(!topic.entries.document().contains("\"unit_price\":\"2\""));
    }

    /// A version that no subscription used was taken away and came again with another text; then
    /// every partition that had known the first one refused the catalog when it started.
    #[test]
    fn a_version_of_a_plan_is_never_taken_away() {
        let mut topic = Topic::default();
        topic.put_all(&[METER, PLAN]);
        topic.decide();
        let second = PLAN.1.replace("\"version\":1", "\"version\":2");
        for gone in [None, Some(second.as_str())] {
            topic.put(PLAN.0, gone);
            let reasons = topic.decide();
            assert!(reasons[0].contains("cannot be taken away"), "{reasons:?}");
            assert!(topic.entries.document().contains("\"version\":1"));
        }
        let before = topic.catalog();
        let without = Catalog::parse(b"{}").unwrap();
        assert!(withdrawn_plan(&before, &without).unwrap().contains("version 1 of plan \"pro\""));
        assert_eq!(withdrawn_plan(&without, &before), None);
    }

    /// An entry that no state was asked about came into force, and stopped its partition.
    #[test]
    fn what_a_state_objects_to_waits_and_the_others_do_not() {
        let mut topic = Topic::default();
        topic.put_all(&ALL);
        topic.put("customer/D", Some("{\"id\":\"D\",\"time_zone\":\"UTC\"}"));
        let mut objection = |catalog: &Arc<Catalog>| {
            let has = catalog.customers().iter().any(|customer| customer.id == "D");
            has.then(|| "rated otherwise".to_owned())
        };
        assert_eq!(topic.decide_with(&mut objection), ["customer/D: rated otherwise"]);
        assert_eq!(topic.catalog().subscriptions().len(), 1);
        assert_eq!(topic.decide_with(&mut objection), ["customer/D: rated otherwise"]);
        assert_eq!(topic.decide(), [""; 0]);
        assert_eq!(topic.catalog().customers().len(), 2);
    }

    /// An entry that came while another was being decided about waited until a third one came.
    #[test]
    fn what_comes_during_a_decision_is_decided_about_next() {
        let mut topic = Topic::default();
        topic.put_all(&[METER]);
        assert!(topic.entries.is_undecided());
        let catalog = topic.catalog();
        let decision = topic.entries.decide(&catalog, &mut |_| None);
        assert!(!topic.entries.is_undecided());
        topic.put(IN_FORCE, Some("{}"));
        assert!(!topic.entries.is_undecided(), "a mark alone changes nothing");
        topic.put(CUSTOMER.0, Some(CUSTOMER.1));
        for (key, text) in decision.changes {
            topic.put(&format!("{IN_FORCE}/{key}"), text.as_deref());
        }
        topic.put(IN_FORCE, Some("{}"));
        assert!(topic.entries.is_undecided());
        assert_eq!(topic.decide(), [""; 0]);
        assert_eq!(topic.catalog().customers().len(), 1);
    }

    #[test]
    fn an_empty_value_takes_an_entry_away() {
        let mut topic = Topic::default();
        topic.put_all(&ALL);
        topic.decide();
        topic.put("subscription/S", None);
        topic.decide();
        assert_eq!(topic.catalog().subscriptions().len(), 0);
        assert!(topic.entries.take(99, b"invoice/1", None).unwrap_err().contains("invoice/1"));
        assert!(topic.entries.take(99, b"customer/\xff", None).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn nothing_is_in_force_before_its_mark() {
        let mut topic = Topic::default();
        topic.put("in_force/customer/C", Some(CUSTOMER.1));
        assert_eq!(topic.catalog().customers().len(), 0);
        topic.put(IN_FORCE, Some("{}"));
        assert_eq!(topic.catalog().customers().len(), 1);
    }

    #[test]
    fn a_whole_catalog_becomes_entries_and_back() {
        let again = "{\"id\":\"S\",\"customer\":\"C\",\"plan\":\"pro\",\"start\":\"2027-01-01\"}";
        let first = SUBSCRIPTION.1.replace("null", "\"2026-12-31\"");
        let text = format!(
            "{{\"subscriptions\":[{first},{again}],\"customers\":[{}],\"plans\":[{}],\
             \"meters\":[{}]}}",
            CUSTOMER.1.replace("\"C\"", "\"C/1 ä\""),
            PLAN.1,
            METER.1
        );
        let texts = entries_of(text.as_bytes()).unwrap();
        let keys: Vec<&str> = texts.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "customer/C%2F1%20%C3%A4",
                "meter/calls",
                "plan/pro/1",
                "subscription/S",
                "subscription/S/2027-01-01"
            ]
        );
        let mut topic = Topic::default();
        topic.put("customer/D", Some("{\"id\":7}"));
        for (key, text) in topic.entries.changes_to(&texts) {
            topic.put(&key, text.as_deref());
            topic.put(&format!("{IN_FORCE}/{key}"), text.as_deref());
        }
        topic.put(IN_FORCE, Some("{}"));
        assert_eq!(entries_of(topic.entries.document().as_bytes()), Ok(texts.clone()));
        assert!(topic.entries.open.is_empty(), "what waited is gone");
        assert_eq!(topic.entries.changes_to(&texts), []);
        assert!(entries_of(b"{\"strict_types\":true}").unwrap_err().contains("strict_types"));
    }
}
