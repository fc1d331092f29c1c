//! Lines that nobody should send: each is refused with its code and costs itself alone.

use super::usage;
use crate::program::Workplace;

/// A record with this value as its quantity.
fn with_calls(value: &str) -> Vec<u8> {
    usage::record(0).replace("\"0.25\"", value).into_bytes()
}

fn hostile() -> Vec<(Vec<u8>, &'static str)> {
    let good = usage::record(0);
    let replaced = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    let mut invalid_utf8 = good.clone().into_bytes();
    invalid_utf8[good.find("gw").unwrap()] = 0xFF;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    vec![
        (with_calls("1e400"), "invalid_quantity"),
        (with_calls("\"1e400\""), "invalid_quantity"),
        (with_calls("1e999999999999999999999"), "invalid_quantity"),
        (with_calls("\"NaN\""), "invalid_quantity"),
        (with_calls("\"Infinity\""), "invalid_quantity"),
        (with_calls("\"1,5\""), "invalid_quantity"),
        (with_calls("\"1_000\""), "invalid_quantity"),
        (with_calls("\"\""), "invalid_quantity"),
        (with_calls("\" 1\""), "invalid_quantity"),
        (with_calls("\"0x10\""), "invalid_quantity"),
        (with_calls("\"\u{FF11}\""), "invalid_quantity"),
        (with_calls("true"), "invalid_quantity"),
        (with_calls("[1]"), "invalid_quantity"),
        (with_calls("-1"), "invalid_quantity"),
        (with_calls("1234567890123456789012345678901234567890"), "invalid_quantity"),
        (with_calls("\"1234567890123456789012345678901234567890\""), "invalid_quantity"),
        (with_calls("0.1234567890123456789012345678901234567890"), "invalid_quantity"),
        (with_calls("1000000000000000"), "invalid_quantity"),
        (with_calls("0.0000000001"), "invalid_quantity"),
        (with_calls("NaN"), "malformed_json"),
        (with_calls("1_000"), "malformed_json"),
        (with_calls("01"), "malformed_json"),
        (with_calls("+1"), "malformed_json"),
        (with_calls("1."), "malformed_json"),
        (with_calls("\"\\ud800\""), "malformed_json"),
        (with_calls("\"a\0b\""), "malformed_json"),
        (replaced("\"calls\"", "\"calls\":1,\"calls\""), "malformed_json"),
        (replaced("\"calls\"", "\"calls\":1,\"c\\u0061lls\""), "malformed_json"),
        (replaced("\"id\"", "\"id\":\"x\",\"id\""), "malformed_json"),
        (with_calls(&deep), "malformed_json"),
        (text(&"[".repeat(10_000)), "malformed_json"),
        (text(&"{\"a\":".repeat(10_000)), "malformed_json"),
        (invalid_utf8, "malformed_json"),
        (b"\x00".to_vec(), "malformed_json"),
        (b"\x1f\x8b\x08\x00\xff".to_vec(), "malformed_json"),
        (text("{}{}"), "malformed_json"),
        (text("id,calls"), "malformed_json"),
        (text("\u{FEFF}{}"), "malformed_json"),
        (with_calls(&long), "too_large"),
        (vec![b' '; 2 << 20].into_iter().chain(*b"x").collect(), "too_large"),
        (text("null"), "not_a_cloud_event"),
        (text("[]"), "not_a_cloud_event"),
        (text("{}"), "not_a_cloud_event"),
        (replaced("\"1.0\"", "\"0.3\""), "not_a_cloud_event"),
        (replaced("\"r0\"", "7"), "not_a_cloud_event"),
        (replaced("\"r0\"", "\"\""), "missing_field"),
        (replaced("\"id\"", "\"ID\""), "missing_field"),
        (replaced("\"calls\"", "\"Calls\""), "missing_field"),
        (replaced("Z\"", "\""), "invalid_time"),
        (replaced("2026-01-01", "2026-02-29"), "invalid_time"),
        (replaced("SUB-0", "SUB-9"), "unknown_subject"),
        (replaced("2026-", "1026-"), "no_active_plan"),
    ]
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').chars().map(|digit| DIGITS.find(digit).unwrap());
    let bits: Vec<bool> =
        digits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks_exact(8).map(byte).collect()
}

#[test]
fn every_hostile_line_has_its_code_and_stops_nothing() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    let hostile = hostile();
    let mut file = Vec::new();
    for (number, (line, _)) in hostile.iter().enumerate() {
        file.extend_from_slice(line);
        file.push(b'\n');
        file.extend_from_slice(usage::record(3 * number + 3).as_bytes());
        file.push(b'\n');
    }
    place.write("usage.ndjson", file);
    place.succeed("rate --catalog catalog.json --usage usage.ndjson --out out");
    let rejected = place.lines("out/rejected.ndjson");
    for (index, (line, code)) in hostile.iter().enumerate() {
        let shown = String::from_utf8_lossy(&line[..line.len().min(200)]);
        let letter = rejected.get(index).unwrap_or_else(|| panic!("no dead letter for {shown}"));
        assert_eq!(letter["code"], *code, "{shown}: {letter}");
        assert_eq!(letter["source"]["line"], 2 * index + 1, "{shown}");
        assert_eq!(letter["source"]["file"], "usage.ndjson");
        assert!(letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{shown}");
        let record = letter["record"].as_str().unwrap();
        let record = match letter["encoding"].as_str() {
            None => record.as_bytes().to_vec(),
            Some("base64") => from_base64(record),
            Some(other) => panic!("{shown}: encoded as {other}"),
        };
        match *code {
            "too_large" => assert!(line.starts_with(&record) && !record.is_empty(), "{shown}"),
            _ => assert_eq!(record, *line, "the original bytes of {shown}"),
        }
    }
    assert_eq!(rejected.len(), hostile.len());
    let rated = place.lines("out/rated.ndjson");
    assert_eq!(rated.len(), hostile.len(), "the good line after each of them");
}

#[test]
fn line_ends_and_marks_of_other_systems_are_read() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    let (first, second, third) = (usage::record(0), usage::record(1), usage::record(2));
    let cut = &third[..third.len() - 20];
    let file = format!("\u{FEFF}{first}\r\n\r\n  \t\n{second}\r\n{cut}");
    place.write("usage.ndjson", file);
    place.succeed("rate --catalog catalog.json --usage usage.ndjson --out out");
    assert_eq!(place.lines("out/rated.ndjson").len(), 2);
    let rejected = place.lines("out/rejected.ndjson");
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["code"], "malformed_json");
    assert_eq!(rejected[0]["source"]["line"], 5);
    assert_eq!(rejected[0]["record"], cut);
}

#[test]
fn an_empty_file_is_no_mistake() {
    let place = Workplace::new();
    place.write("catalog.json", usage::CATALOG);
    for (name, text) in [("empty", ""), ("newline", "\n"), ("mark", "\u{FEFF}")] {
        place.write("usage.ndjson", text);
        let close = "--close-at 2026-02-01T00:00:00Z";
        let rate = "rate --catalog catalog.json --usage usage.ndjson";
        let ran = place.succeed(&format!("{rate} --out {name} {close}"));
        assert!(ran.stderr.starts_with("0 records read"), "{}", ran.stderr);
        assert_eq!(place.text(&format!("{name}/rated.ndjson")), "");
        assert_eq!(place.text(&format!("{name}/rejected.ndjson")), "");
        let totals = place.lines(&format!("{name}/totals.ndjson"));
        let closed = totals.iter().filter(|total| total["status"] == "closed").count();
        assert_eq!((totals.len(), closed), (3, 3), "each unused charge has a closed total");
    }
}
