//! Entries as they come, and the catalog that they make.

use super::*;
use crate::stream::catalog_judge::withdrawn_plan;

const METER: (&str, &str) =
    ("meter/calls", r#"{"key":"calls","event_type":"t","aggregation":"count"}"#);
const PLAN: (&str, &str) = (
    "plan/pro/1",
    r#"{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
        "charges":[{"key":"c","meter":"calls",
            "price":{"model":"per_unit","unit_price":"1"}}]}"#,
);
const CUSTOMER: (&str, &str) = ("customer/C", r#"{"id":"C","time_zone":"UTC"}"#);
const SUBSCRIPTION: (&str, &str) =
    ("subscription/S", r#"{"id":"S","customer":"C","plan":"pro","start":"2026-01-01","end":null}"#);
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
        objection: &mut dyn FnMut(&CatalogText) -> Option<Objection>,
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
    let mut objection = |new: &CatalogText| {
        let has = new.catalog.customers().iter().any(|customer| customer.id == "D");
        has.then(|| Objection::Contradicts("rated otherwise".to_owned()))
    };
    assert_eq!(topic.decide_with(&mut objection), ["customer/D: rated otherwise"]);
    assert_eq!(topic.catalog().subscriptions().len(), 1);
    assert_eq!(topic.decide_with(&mut objection), ["customer/D: rated otherwise"]);
    // Nobody is asked again before something comes.
    assert_eq!(topic.decide(), ["customer/D: rated otherwise"]);
    topic.put("customer/E", Some("{\"id\":\"E\",\"time_zone\":\"UTC\"}"));
    assert_eq!(topic.decide(), [""; 0]);
    assert_eq!(topic.catalog().customers().len(), 3);
}

/// A hundred entries that contradicted what was rated had all partitions asked hundreds of times at
/// a stretch. Now what is left is put off; each has its turn, and then they rest.
#[test]
fn what_is_put_off_is_tried_later_and_everything_in_the_end() {
    let mut topic = Topic::default();
    for number in 0..20 {
        let text = format!("{{\"id\":\"C{number}\",\"time_zone\":\"UTC\"}}");
        topic.put(&format!("customer/C{number}"), Some(&text));
    }
    let (catalog, mut tried) = (topic.catalog(), Vec::new());
    loop {
        let mut asked = 0;
        let decision = topic.entries.decide(&catalog, &mut |_| {
            asked += 1;
            let reason = "later".to_owned();
            (asked > 8)
                .then_some(Objection::PutOff(reason))
                .or_else(|| Some(Objection::Contradicts("rated otherwise".to_owned())))
        });
        assert!(asked <= 9, "{asked}");
        assert!(decision.changes.is_empty());
        let refused = decision.reasons.iter().filter(|reason| reason.contains("otherwise"));
        tried.push(refused.count());
        if decision.put_off.is_none() {
            break;
        }
        assert!(decision.reasons[0].contains("entries are tried later: later"));
        assert!(tried.len() < 20, "{tried:?}");
    }
    assert!(tried.is_sorted() && tried.len() > 2, "{tried:?}");
    assert_eq!(tried.last(), Some(&20));
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

/// An entry was taken back while somebody decided about it: the text before was in force when that
/// was read, so it was not kept, and then what had been taken back came into force for good.
#[test]
fn what_is_taken_back_during_a_decision_is_not_in_force_in_the_end() {
    for (first, last) in [(Some(CUSTOMER.1), Some(CUSTOMER.1)), (None, None)] {
        let mut topic = Topic::default();
        topic.put_all(&[METER]);
        topic.put(CUSTOMER.0, first);
        topic.decide();
        let good = topic.entries.document();
        topic.put(CUSTOMER.0, Some("{\"id\":\"C\",\"time_zone\":\"Europe/Berlin\"}"));
        let catalog = topic.catalog();
        let decision = topic.entries.decide(&catalog, &mut |_| None);
        topic.put(CUSTOMER.0, last);
        for (key, text) in decision.changes {
            topic.put(&format!("{IN_FORCE}/{key}"), text.as_deref());
        }
        topic.put(IN_FORCE, Some("{}"));
        assert_ne!(topic.entries.document(), good, "it was decided so");
        for entries in [&mut topic.compacted(), &mut topic.entries] {
            assert!(entries.is_undecided());
            let decision = entries.decide(&catalog, &mut |_| None);
            let wanted = (CUSTOMER.0.to_owned(), last.map(str::to_owned));
            assert_eq!(decision.changes, [wanted]);
        }
        assert_eq!(topic.decide(), [""; 0]);
        assert_eq!(topic.entries.document(), good);
        assert!(topic.entries.open.is_empty() && topic.entries.open_bytes == 0);
    }
}

/// What takes nothing back is settled at the next mark, and nothing is decided for it.
#[test]
fn what_is_taken_back_in_time_changes_nothing() {
    let mut topic = Topic::default();
    topic.put_all(&ALL);
    topic.decide();
    topic.put(CUSTOMER.0, Some("{\"id\":7}"));
    topic.put(CUSTOMER.0, Some(CUSTOMER.1));
    let catalog = topic.catalog();
    assert_eq!(topic.entries.decide(&catalog, &mut |_| None).changes, []);
    topic.put(IN_FORCE, Some("{}"));
    assert!(topic.entries.open.is_empty() && topic.entries.open_bytes == 0);
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
