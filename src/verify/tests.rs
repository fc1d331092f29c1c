//! Every way in which the promise can be broken, broken once, and told with its place.

use super::exact::{Exact, Lineage};
use super::finding::Kind;
use super::records::Input;
use super::{Audit, Facts, LogId, Place, Question, Report, Written};

const CATALOG: &str = r#"{
"meters":[{"key":"n","event_type":"t","aggregation":"sum","value":"$.n"}],
"plans":[{"key":"pro","version":1,"effective_from":"2026-01-01T00:00:00Z","currency":"USD",
 "charges":[
  {"key":"api","meter":"n","price":{"model":"per_unit","unit_price":"0.5"}}]}],
"customers":[{"id":"C"},{"id":"D"}],
"subscriptions":[{"id":"S","customer":"C","plan":"pro","start":"2026-01-01"},
  {"id":"T","customer":"D","plan":"pro","start":"2026-01-01"}]}"#;

const QUESTION: Question = Question {
    written: Written::Closed,
    has_input: true,
    begins_late: false,
    outputs_begin_late: false,
    subjects_may_wait: true,
};

/// A text on one line, in which names are replaced by what they stand for.
fn fill(template: &str, names: &[(&str, &str)]) -> String {
    let line = template.replace('\n', "");
    names.iter().fold(line, |text, (name, value)| text.replace(&format!("${name}"), value))
}

/// A record of so many units; each unit costs 0.5.
fn record(id: &str, subject: &str, units: &str) -> String {
    const RECORD: &str = r#"{"specversion":"1.0","id":"$id","source":"gw","type":"t",
"subject":"$subject","time":"2026-01-05T00:00:00Z","data":{"n":$units}}"#;
    fill(RECORD, &[("id", id), ("subject", subject), ("units", units)])
}

fn correction(kind: &str, id: &str, of: &str) -> String {
    let data = r#"{"of":{"source":"gw","id":"$of"},"replacement":{"n":"7"}}"#;
    let record = record(id, "S", "0").replace("\"type\":\"t\"", "\"type\":\"usage.$kind\"");
    fill(&record.replace("{\"n\":0}", data), &[("kind", kind), ("of", of)])
}

/// A rated line; `more` goes behind its numbers.
fn line(id: &str, customer: &str, (before, units): (&str, &str), more: &str) -> String {
    const LINE: &str = r#"{"specversion":"1.0","id":"$id","source":"gw#api","type":"usage.rated",
"subject":"$subscription","data":{"customer":"$customer","charge":"api","plan":"pro",
"plan_version":1,"period_start":"2026-01-01T00:00:00Z","currency":"USD","quantity":"$units",
"total_before":"$before","amount":"$amount"$more},"time":"2026-01-05T00:00:00Z"}"#;
    let subscription = if customer == "C" { "S" } else { "T" };
    let tenths = units.parse::<i64>().unwrap() * 5;
    let sign = if tenths < 0 { "-" } else { "" };
    let amount = format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10);
    let names = [("id", id), ("subscription", subscription), ("customer", customer)];
    let numbers = [("units", units), ("before", before), ("amount", &amount), ("more", more)];
    fill(&fill(LINE, &names), &numbers)
}

/// The closed total of S that these records make.
fn total(records: &[(&str, &str)]) -> String {
    const TOTAL: &str = r#"{"customer":"C","subscription":"S","charge":"api","meter":"n",
"period_start":"2026-01-01T00:00:00Z","period_end":"2026-02-01T00:00:00Z","quantity":"$units",
"billable_quantity":"$units","amount_at_zero":"0","usage_amount":"$amount","amount":"$amount",
"records":$count,"first_used_at":"2026-01-05T00:00:00Z","last_used_at":"2026-01-05T00:00:00Z",
"status":"closed","revision":0,"lineage":{"records":$count,"digest":"$lineage"}}"#;
    let (mut lineage, mut units) = (Lineage::default(), 0);
    for (id, quantity) in records {
        lineage.add(Lineage::of("gw", id, "api", quantity));
        units += quantity.parse::<i64>().unwrap();
    }
    let (count, amount) = (records.len().to_string(), format!("{}.{}", units / 2, units % 2 * 5));
    let names = [("units", &units.to_string()), ("amount", &amount), ("count", &count)];
    let names = names.map(|(name, value)| (name, value.as_str()));
    fill(&fill(TOTAL, &names), &[("lineage", &lineage.to_string())])
}

fn letter(topic: &str, offset: u64, code: &str, record: &str) -> String {
    const LETTER: &str = r#"{"code":"$code","reason":"no","source":{"topic":"$topic",
"partition":0,"offset":$offset},"record":"$record"}"#;
    let names = [("code", code), ("topic", topic), ("offset", &offset.to_string())];
    fill(&fill(LETTER, &names), &[("record", &record.replace('"', "\\\""))])
}

/// What is in the topics: records, forwards, rated lines, totals, dead letters.
#[derive(Debug, Clone, Default)]
struct World {
    raw: Vec<String>,
    /// In partition 1 of the forward topic.
    forward: Vec<String>,
    rated: Vec<String>,
    totals: Vec<String>,
    rejected: Vec<String>,
    /// Records from this offset on have not been read.
    unread_from: Option<u64>,
}

/// Three records, of which one comes twice, and one refused.
fn good() -> World {
    World {
        raw: vec![
            record("a", "S", "3"),
            record("b", "C", "4"),
            record("a", "S", "3.0"),
            record("c", "S", "[]"),
        ],
        rated: vec![line("a", "C", ("0", "3"), ""), line("b", "C", ("3", "4"), "")],
        totals: vec![total(&[("a", "3"), ("b", "4")])],
        rejected: vec![letter("raw", 3, "invalid_quantity", &record("c", "S", "[]"))],
        ..World::default()
    }
}

impl World {
    fn audit(&self, question: Question) -> Report {
        let mut audit = Audit::new(Facts::read(CATALOG.as_bytes()).unwrap(), question);
        let topic =
            |audit: &mut Audit, name, partition| audit.cx.logs.topic(name, partition).unwrap();
        let raw = topic(&mut audit, "raw", 0);
        let forward = topic(&mut audit, "forward", 1);
        let (rated, elsewhere) = (topic(&mut audit, "rated", 0), topic(&mut audit, "rated", 1));
        let (totals, rejected) = (topic(&mut audit, "totals", 0), topic(&mut audit, "rejected", 0));
        let at = |log: LogId, texts: &[String]| {
            let texts = texts.iter().cloned().enumerate();
            texts
                .map(move |(offset, text)| (Place::new(log, offset as u64), text))
                .collect::<Vec<_>>()
        };
        for (place, text) in at(rejected, &self.rejected) {
            audit.letter(place, text.as_bytes());
        }
        for (place, text) in at(forward, &self.forward) {
            audit.forward(place, text.as_bytes(), 1);
        }
        for (log, texts, hops) in [(raw, &self.raw, 0), (forward, &self.forward, 1)] {
            for (place, text) in at(log, texts) {
                let first_unread = Place::new(raw, self.unread_from.unwrap_or(u64::MAX));
                let (bytes, length) = (text.as_bytes(), text.len() as u64);
                let is_read = log != raw || self.unread_from.is_none() || place < first_unread;
                audit.record(&Input { place, bytes, length, hops: Some(hops), is_read });
            }
        }
        for (place, text) in at(rated, &self.rated) {
            let moved = text.contains("\"elsewhere\"");
            let place = if moved { Place::new(elsewhere, 7) } else { place };
            audit.rated(place, text.as_bytes());
        }
        for (place, text) in at(totals, &self.totals) {
            audit.total(place, text.as_bytes());
        }
        audit.finish()
    }

    /// One finding of this kind, told in these words, and none beside those named.
    #[track_caller]
    fn check(&self, kind: Kind, words: &str) {
        self.check_all(&[kind], words);
    }

    #[track_caller]
    fn check_all(&self, kinds: &[Kind], words: &str) {
        let Report { findings, .. } = self.audit(QUESTION);
        let counts: Vec<u64> = kinds.iter().map(|kind| findings.of_kind(*kind)).collect();
        let lines = findings.into_lines();
        assert!(counts.iter().all(|count| *count == 1), "{kinds:?}: {lines:#?}");
        assert_eq!(lines.len(), kinds.len() + 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line == words), "{lines:#?}");
    }

    #[track_caller]
    fn check_good(&self, words: &str) {
        let Report { findings, summary } = self.audit(QUESTION);
        assert!(findings.is_empty(), "{:#?}", findings.into_lines());
        assert!(summary.contains(words), "{summary}");
    }
}

#[test]
fn a_good_world_is_accounted_for() {
    let world = good();
    world.check_good("4 records = 2 rated + 1 duplicate + 1 rejected + 0 forwarded + 0 waiting\n");
    world.check_good("2 rated lines, 1 dead letter, 1 total (1 closed)\n");
    World::default().check_good("0 records = 0 rated");
}

#[test]
fn a_record_that_left_nothing_is_lost() {
    let mut world = good();
    world.raw.push(record("d", "S", "1"));
    let told = "raw[0]@4: no rated line and no dead letter, though a charge takes it";
    world.check(Kind::Lost, told);
    world.unread_from = Some(4);
    world.check_good("+ 1 not read yet");
}

#[test]
fn what_no_charge_takes_and_what_waits_is_not_lost() {
    let mut world = good();
    world.raw.push(record("d", "S", "1").replace("\"t\"", "\"other\""));
    world.raw.push(record("e", "nobody", "1"));
    world.raw.push(correction("cancelled", "f", "not there"));
    world.check_good("7 records = 3 rated (1 of them to nothing) + 1 duplicate + 1 rejected");
    world.check_good("+ 2 waiting");
    let report = world.audit(Question { subjects_may_wait: false, ..QUESTION });
    assert_eq!(report.findings.of_kind(Kind::Lost), 1);
}

#[test]
fn a_duplicate_of_what_waited_in_vain_is_one() {
    let mut world = good();
    world.raw.extend([record("e", "nobody", "1"), record("e", "nobody", "1")]);
    world.rejected.push(letter("raw", 4, "unknown_subject", &world.raw[4]));
    world.check_good("2 rated + 2 duplicate + 2 rejected + 0 forwarded + 0 waiting");
}

#[test]
fn what_is_no_record_needs_a_dead_letter() {
    let mut world = good();
    world.raw.push("{".to_owned());
    world.check(Kind::Unreadable, "raw[0]@4: is no usage record, yet has no dead letter");
    world.rejected.push(letter("raw", 4, "malformed_json", "{"));
    world.check_good("2 rejected");
}

#[test]
fn other_content_under_one_identity_needs_a_dead_letter() {
    let mut world = good();
    world.raw.push(record("a", "S", "9"));
    let told = "raw[0]@4: has the id and source of @0, other content, and no dead letter";
    world.check(Kind::Conflict, told);
    world.rejected.push(letter("raw", 4, "conflict", &record("a", "S", "9")));
    world.check_good("2 rejected");
}

#[test]
fn dead_letters_are_of_one_record_each_and_hold_it() {
    let mut world = good();
    world.rejected.push(world.rejected[0].clone());
    world.check(Kind::RejectedTwice, "raw[0]@3: rejected twice: rejected[0]@0 and @1");
    let mut world = good();
    world.rejected.push(letter("raw", 9, "conflict", "{}"));
    let told = "rejected[0]@1: is a dead letter of raw[0]@9, where there is no record";
    world.check(Kind::LetterOfNothing, told);
    let mut world = good();
    world.rejected.push(letter("other", 3, "conflict", "{}"));
    let told = "rejected[0]@1: names other[0]@3, which was not read";
    world.check(Kind::LetterOfNothing, told);
    let mut world = good();
    world.rejected[0] = letter("raw", 3, "invalid_quantity", &record("c", "S", "{}"));
    let told = "raw[0]@3: its dead letter rejected[0]@0 holds something else";
    world.check(Kind::LetterAltered, told);
    let mut world = good();
    world.rejected[0] = "{}".to_owned();
    let told = "rejected[0]@0: is no dead letter that can be read";
    world.check_all(&[Kind::Damaged, Kind::Lost], told);
}

#[test]
fn a_dead_letter_may_hold_the_beginning_or_base64() {
    let mut world = good();
    let long = format!("{}{}", record("c", "S", "[]"), " ".repeat(100));
    world.raw[3] = long.clone();
    let cut = letter("raw", 3, "too_large", long.get(..50).unwrap());
    let cut = cut.replace("\"code\"", &format!("\"record_bytes\":{},\"code\"", long.len()));
    world.rejected[0] = cut.clone();
    world.check_good("1 rejected");
    world.rejected[0] = cut.replace(&long.len().to_string(), &(long.len() + 9).to_string());
    world
        .check(Kind::LetterAltered, "raw[0]@3: its dead letter rejected[0]@0 holds something else");
    world.raw[3] = "~~".to_owned();
    let packed = letter("raw", 3, "malformed_json", "fn4=");
    world.rejected[0] = packed.replace("\"code\"", "\"encoding\":\"base64\",\"code\"");
    world.check_good("1 rejected");
}

#[test]
fn a_line_has_a_record() {
    let mut world = good();
    world.rated.push(line("z", "D", ("0", "1"), ""));
    let told = "rated[0]@2: rated without a record: id \"z\" of source \"gw\"";
    world.check(Kind::LineOfNothing, told);
    let report = world.audit(Question { begins_late: true, ..QUESTION });
    assert!(report.findings.is_empty());
    assert!(report.summary.contains("1 rated lines are of records"), "{}", report.summary);
    // The same id of another customer is another record.
    world.rated[2] = line("a", "D", ("0", "3"), "");
    let told = "rated[0]@2: rated without a record: id \"a\" of source \"gw\"";
    world.check(Kind::LineOfNothing, told);
}

#[test]
fn a_record_is_rated_once_in_a_total() {
    let mut world = good();
    world.rated.push(line("a", "C", ("7", "3"), ""));
    world.check(Kind::RatedTwice, "raw[0]@0: rated twice: rated[0]@0 and @2");
}

#[test]
fn an_unreadable_line_counts_for_nothing() {
    let mut world = good();
    world.rated[1] = world.rated[1].replace("\"quantity\":\"4\"", "\"quantity\":\"4e0\"");
    let told = "rated[0]@1: is no rated line that can be read";
    let missing = [Kind::Amount, Kind::Quantity, Kind::Lineage];
    let Report { findings, .. } = world.audit(QUESTION);
    assert!(missing.iter().all(|kind| findings.of_kind(*kind) == 1));
    assert_eq!((findings.of_kind(Kind::Damaged), findings.of_kind(Kind::Lost)), (1, 1));
    assert!(findings.into_lines().contains(&told.to_owned()));
    let mut world = good();
    world.totals[0] = world.totals[0].replace("\"3.5\"", "3.5");
    world.check(Kind::Damaged, "totals[0]@0: is no total that can be read");
}

#[test]
fn a_record_is_rated_where_it_belongs() {
    let mut world = good();
    world.rated[1] = line("b", "C", ("3", "4"), ",\"elsewhere\":1");
    world.check(Kind::WrongPartition, "raw[0]@1: rated in another partition: rated[1]@7");
}

#[test]
fn what_was_sent_on_is_rated_at_its_owner() {
    let mut world = good();
    world.raw.push(record("d", "T", "1"));
    world.forward.push(record("d", "T", "1"));
    world.rated.push(line("d", "D", ("0", "1"), ",\"elsewhere\":1"));
    world.check_good("raw[0]: 5 records = 2 rated + 1 duplicate + 1 rejected + 1 forwarded");
    world.check_good("forward[1]: 1 record = 1 rated");
    world.forward.push(record("d", "T", "1"));
    world.check(Kind::ForwardOfNothing, "forward[1]@1: was not sent on from any record");
    world.forward.clear();
    world.check(Kind::WrongPartition, "raw[0]@4: rated in another partition: rated[1]@7");
}

/// Retention may have taken the record that a message was sent on from.
#[test]
fn what_was_sent_on_may_outlast_its_record() {
    let mut world = good();
    world.forward.push(record("d", "T", "1"));
    world.rated.push(line("d", "D", ("0", "1"), ",\"elsewhere\":1"));
    world.check(Kind::ForwardOfNothing, "forward[1]@0: was not sent on from any record");
    let report = world.audit(Question { begins_late: true, ..QUESTION });
    assert!(report.findings.is_empty(), "{report:?}");
}

#[test]
fn corrections_are_in_force() {
    let mut world = good();
    world.raw.push(correction("cancelled", "x", "b"));
    let told = "raw[0]@1: is cancelled, yet lines of it stand: 1";
    world.check(Kind::Standing, told);
    let of_b = ",\"corrects\":{\"source\":\"gw\",\"id\":\"b\"}";
    let back = format!("{of_b},\"taken_back\":true");
    world.rated.push(line("x", "C", ("7", "-4"), &back));
    world.totals[0] = total(&[("a", "3")]);
    world.check_good("5 records = 3 rated + 1 duplicate");
    // Cancelling the cancellation restores.
    world.raw.push(correction("cancelled", "y", "x"));
    let told = "raw[0]@1: is not cancelled, yet not just its own lines stand: 1";
    world.check(Kind::Standing, told);
    world.rated.push(line("y", "C", ("3", "4"), of_b));
    world.totals[0] = total(&[("a", "3"), ("b", "4")]);
    world.check_good("6 records = 4 rated + 1 duplicate");
}

#[test]
fn an_amendment_stands_in_the_place_of_its_record() {
    let mut world = good();
    let of_b = ",\"corrects\":{\"source\":\"gw\",\"id\":\"b\"}";
    world.raw.push(correction("amended", "x", "b"));
    world.rated.push(line("x", "C", ("7", "-4"), &format!("{of_b},\"taken_back\":true")));
    world.rated.push(line("x", "C", ("3", "7"), of_b));
    world.totals[0] = total(&[("a", "3"), ("b", "7")]);
    world.check_good("5 records = 3 rated");
    // Nobody took the old line back.
    world.rated.remove(2);
    world.rated[2] = line("x", "C", ("7", "7"), of_b);
    let told = "raw[0]@1: is amended, yet lines of it stand or fail more than once: 1";
    let Report { findings, .. } = world.audit(QUESTION);
    assert_eq!(findings.of_kind(Kind::Standing), 1);
    assert!(findings.into_lines().contains(&told.to_owned()));
}

#[test]
fn a_total_is_what_its_lines_make_it() {
    let check = |from: &str, to: &str, kind, what: &str| {
        let mut world = good();
        assert!(world.totals[0].contains(from), "{from}");
        world.totals[0] = world.totals[0].replacen(from, to, 1);
        let of = "of api of S (C) from 2026-01-01T00:00:00Z is";
        let told = what.replace(" of is", &format!(" {of}"));
        world.check(kind, &format!("totals[0]@0: {told}"));
    };
    check(
        "\"usage_amount\":\"3.5\"",
        "\"usage_amount\":\"3.500000000000000000000001\"",
        Kind::Amount,
        "usage_amount of is 3.500000000000000000000001; its rated lines make it 3.5, \
         0 at zero + 3.5",
    );
    check(
        "\"quantity\":\"7\"",
        "\"quantity\":\"7.1\"",
        Kind::Quantity,
        "quantity of is 7.1; its rated lines make it 7",
    );
    check(
        "\"records\":2,\"first",
        "\"records\":3,\"first",
        Kind::Records,
        "records of is 3; its rated lines make it 2",
    );
    check(
        "\"lineage\":{\"records\":2",
        "\"lineage\":{\"records\":1",
        Kind::Records,
        "lineage.records of is 1; its rated lines make it 2",
    );
    check(
        "\"first_used_at\":\"2026-01-05T00:00:00Z\"",
        "\"first_used_at\":null",
        Kind::Times,
        "first_used_at of is none; its rated lines make it 2026-01-05T00:00:00Z",
    );
    let mut world = good();
    world.totals[0] = world.totals[0].replace("\"digest\":\"", "\"digest\":\"f");
    let Report { findings, .. } = world.audit(QUESTION);
    assert_eq!(findings.of_kind(Kind::Damaged), 1, "a digest has 64 digits");
}

#[test]
fn a_lineage_is_of_these_very_records() {
    let mut world = good();
    let (right, wrong) = (total(&[("a", "3"), ("b", "4")]), total(&[("a", "3"), ("z", "4")]));
    let digest = |total: &str| total.rsplit('"').nth(1).unwrap().to_owned();
    world.totals[0] = wrong.clone();
    let told = format!(
        "totals[0]@0: lineage of api of S (C) from 2026-01-01T00:00:00Z is {}; \
         its rated lines make it {}",
        digest(&wrong),
        digest(&right)
    );
    world.check(Kind::Lineage, &told);
}

#[test]
fn lines_go_on_where_the_one_before_ended() {
    let mut world = good();
    world.rated[1] = line("b", "C", ("2", "4"), "");
    let told = "rated[0]@1: total_before of api of S (C) from 2026-01-01T00:00:00Z is 2, \
                not 3 as after @0";
    let Report { findings, .. } = world.audit(QUESTION);
    assert_eq!((findings.of_kind(Kind::Chain), findings.of_kind(Kind::Quantity)), (1, 1));
    let lines = findings.into_lines();
    assert!(lines.contains(&told.to_owned()), "{lines:#?}");
}

#[test]
fn the_last_total_counts_and_closed_ones_are_there() {
    let mut world = good();
    world.totals.insert(0, total(&[("a", "3")]));
    world.check_good("1 total (1 closed)");
    let report = world.audit(Question { written: Written::All, ..QUESTION });
    assert_eq!(report.findings.of_kind(Kind::TotalTwice), 1);
    world.totals.clear();
    world.check_good("1 open total not written yet");
    world.rated[1] = line("b", "C", ("3", "4"), ",\"adjustment\":true");
    let told = "rated[0]@1: its total is missing: api of S (C) from 2026-01-01T00:00:00Z";
    world.check(Kind::TotalMissing, told);
}

#[test]
fn a_shift_moves_an_amount_without_a_record() {
    let mut world = good();
    let shift = line("a", "C", ("7", "0"), ",\"shift\":true").replace("\"0.0\"", "\"1.5\"");
    world.rated.push(shift);
    world.totals[0] = world.totals[0].replace("\"usage_amount\":\"3.5\"", "\"usage_amount\":\"5\"");
    world.check_good("3 rated lines");
}

#[test]
fn an_id_of_two_owners_is_noted() {
    let mut world = good();
    world.raw.push(record("a", "T", "3"));
    world.rated.push(line("a", "D", ("0", "3"), ""));
    world.check_good("note: raw[0]@0 and @4: one id and source, two owners\n");
    assert_eq!(world.audit(QUESTION).summary.matches("note:").count(), 1);
}

#[test]
fn where_outputs_are_gone_less_is_proved() {
    let mut world = good();
    world.rated.remove(0);
    world.rejected.clear();
    let Report { findings, summary } =
        world.audit(Question { outputs_begin_late: true, ..QUESTION });
    assert!(findings.is_empty(), "{:#?}", findings.into_lines());
    assert!(summary.contains("2 whose outputs are gone"), "{summary}");
    world.rated.push(world.rated[0].clone());
    let findings = world.audit(Question { outputs_begin_late: true, ..QUESTION }).findings;
    assert_eq!(findings.of_kind(Kind::RatedTwice), 1);
}

#[test]
fn the_sum_of_many_is_exact() {
    let mut world = World::default();
    let names: Vec<String> = (0..100).map(|number| format!("r{number}")).collect();
    let mut before = 0;
    for name in &names {
        world.raw.push(record(name, "S", "3"));
        world.rated.push(line(name, "C", (&before.to_string(), "3"), ""));
        before += 3;
    }
    world.totals.push(total(&names.iter().map(|name| (&**name, "3")).collect::<Vec<_>>()));
    world.check_good("100 records = 100 rated");
    assert_eq!(Exact::parse("0"), Some(Exact::default()));
}
