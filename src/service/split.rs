//! Splitting a body into records, byte for byte: each keeps the text that its numbers are read
//! from.
//!
//! Of a batch only the array itself is read here: quotes, brackets and the commas between elements.
//! So an element that is no record, or no JSON, costs itself alone; where the array cannot be cut,
//! nothing of it is taken.

use crate::service::limits::REQUEST_RECORDS_MAX;
use std::ops::Range;

/// How records stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One record.
    Single,
    /// An array of records.
    Batch,
    /// A record on each line.
    Lines,
    /// One record or an array of them: the first byte tells.
    Either,
}

/// Why a body cannot be cut into records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Uncut {
    /// It holds more than one request may bring.
    TooMany,
    /// It is not what its type says.
    Malformed(String),
}

/// Where each record lies in the body.
pub(crate) fn records(form: Form, body: &[u8]) -> Result<Vec<Range<u32>>, Uncut> {
    let mark = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let whole = trimmed(body, mark..body.len());
    let first = body.get(whole.start).filter(|_| !whole.is_empty());
    match (form, first) {
        (Form::Lines, _) => lines(body, mark),
        (_, None) => Err(Uncut::Malformed("the body is empty".to_owned())),
        (Form::Batch, _) | (Form::Either, Some(b'[')) => elements(body, whole),
        (Form::Single, _) | (Form::Either, Some(b'{')) => Ok(vec![narrow(whole)]),
        (Form::Either, Some(_)) => {
            Err(Uncut::Malformed("the body is neither an object nor an array".to_owned()))
        }
    }
}

fn lines(body: &[u8], from: usize) -> Result<Vec<Range<u32>>, Uncut> {
    let mut found = Vec::new();
    let mut start = from;
    let ends = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    for end in ends {
        push(&mut found, trimmed(body, start..end))?;
        start = end + 1;
    }
    Ok(found)
}

/// The elements of the array that `whole` begins with.
fn elements(body: &[u8], whole: Range<usize>) -> Result<Vec<Range<u32>>, Uncut> {
    let fault = |at: usize, reason: &str| Err(Uncut::Malformed(format!("{reason} at byte {at}")));
    let mut found = Vec::new();
    if body.get(whole.start) != Some(&b'[') {
        return fault(whole.start, "a batch is an array; a '[' was expected");
    }
    let mut start = whole.start + 1;
    let mut at = start;
    // The closing brackets that are awaited within an element.
    let mut awaited: Vec<u8> = Vec::new();
    while let Some(&byte) = body.get(at).filter(|_| at < whole.end) {
        let is_last = byte == b']' && awaited.is_empty();
        match byte {
            b'"' => at = end_of_string(body, at),
            b'[' => awaited.push(b']'),
            b'{' => awaited.push(b'}'),
            b',' | b']' if awaited.is_empty() => {
                let element = trimmed(body, start..at);
                let nothing = is_last && found.is_empty();
                if element.is_empty() && !nothing {
                    return fault(at, "an element is missing");
                }
                push(&mut found, element)?;
                start = at + 1;
            }
            b']' | b'}' if awaited.pop() != Some(byte) => {
                return fault(at, "a closing bracket does not match");
            }
            _ => {}
        }
        at += 1;
        if is_last {
            return if at == whole.end { Ok(found) } else { fault(at, "more follows the array") };
        }
    }
    fault(whole.end, "the array does not end")
}

/// Offset of the quote that ends the string whose first quote is at `at`, or the end of the body.
fn end_of_string(body: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if body.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    body.len()
}

fn push(found: &mut Vec<Range<u32>>, record: Range<usize>) -> Result<(), Uncut> {
    if record.is_empty() {
        return Ok(());
    }
    if found.len() >= REQUEST_RECORDS_MAX {
        return Err(Uncut::TooMany);
    }
    found.push(narrow(record));
    Ok(())
}

/// A part of the body without the white space around it.
fn trimmed(body: &[u8], part: Range<usize>) -> Range<usize> {
    let bytes = body.get(part.clone()).unwrap_or_default();
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let Some(first) = bytes.iter().position(|byte| !space(byte)) else {
        return part.start..part.start;
    };
    let last = bytes.iter().rposition(|byte| !space(byte)).unwrap_or(first);
    part.start + first..part.start + last + 1
}

/// Bodies are shorter than 2 GiB.
fn narrow(range: Range<usize>) -> Range<u32> {
    let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
    narrow(range.start)..narrow(range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(form: Form, body: &str) -> Result<Vec<&str>, Uncut> {
        let parts = records(form, body.as_bytes())?;
        let text = |part: &Range<u32>| body.get(part.start as usize..part.end as usize).unwrap();
        Ok(parts.iter().map(text).collect())
    }

    #[track_caller]
    fn check(form: Form, body: &str, wanted: &[&str]) {
        assert_eq!(cut(form, body).as_deref(), Ok(wanted), "{body}");
    }

    #[track_caller]
    fn refused(form: Form, body: &str, words: &str) {
        match cut(form, body) {
            Err(Uncut::Malformed(reason)) => assert!(reason.contains(words), "{body}: {reason}"),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn elements_keep_their_text() {
        check(Form::Batch, "[]", &[]);
        check(
            Form::Batch,
            " [ {\"n\":1.0e+5} ,\n[2] , \"],\\\"[\" ] \n",
            &["{\"n\":1.0e+5}", "[2]", "\"],\\\"[\""],
        );
        check(Form::Either, "[{}]", &["{}"]);
        check(Form::Either, "\u{feff} {\"a\":[1,2]}\n", &["{\"a\":[1,2]}"]);
        check(Form::Single, " nonsense ", &["nonsense"]);
    }

    #[test]
    fn an_element_that_is_not_json_costs_itself_alone() {
        for wrong in
            ["{\"a\" \"b\"}", "{\"a\":1,}", "tru", "{} {}", "{\"a\":01}", "{\"a\":\"\u{1}\"}"]
        {
            check(Form::Batch, &format!("[{{}},{wrong},[]]"), &["{}", wrong, "[]"]);
        }
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        check(Form::Batch, &format!("[{deep},1]"), &[&deep, "1"]);
    }

    #[test]
    fn an_array_that_cannot_be_cut_is_refused() {
        refused(Form::Batch, "", "empty");
        refused(Form::Batch, "{}", "'[' was expected at byte 0");
        refused(Form::Batch, "[", "does not end at byte 1");
        refused(Form::Batch, "[{}", "does not end");
        refused(Form::Batch, "[\"a]", "does not end");
        refused(Form::Batch, "[\"a\\", "does not end");
        refused(Form::Batch, "[{},]", "element is missing at byte 4");
        refused(Form::Batch, "[,{}]", "element is missing");
        refused(Form::Batch, "[{]}]", "does not match at byte 2");
        refused(Form::Batch, "[{}]]", "more follows the array at byte 4");
        refused(Form::Either, "7", "neither an object nor an array");
        refused(Form::Single, " \n", "empty");
    }

    #[test]
    fn blank_lines_and_line_ends_are_no_records() {
        check(Form::Lines, "", &[]);
        check(Form::Lines, "\u{feff}a\r\n\n  \n b\nc", &["a", "b", "c"]);
    }

    #[test]
    fn a_request_has_a_bound() {
        let body = "1\n".repeat(REQUEST_RECORDS_MAX);
        assert_eq!(records(Form::Lines, body.as_bytes()).map(|found| found.len()), Ok(1 << 17));
        assert_eq!(records(Form::Lines, (body + "1").as_bytes()), Err(Uncut::TooMany));
    }

    proptest! {
        /// What a JSON reader finds in an array is what is cut out of it.
        #[test]
        fn cutting_agrees_with_reading(elements in prop::collection::vec(json(), 0..6)) {
            let texts: Vec<String> = elements.iter().map(ToString::to_string).collect();
            let body = format!("[{}]", texts.join(" ,"));
            let wanted: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(cut(Form::Batch, &body).unwrap(), wanted);
        }

        #[test]
        fn nothing_makes_it_panic(body: Vec<u8>, text in "[\\[\\]{},\"\\\\ a]{0,20}") {
            for form in [Form::Single, Form::Batch, Form::Lines, Form::Either] {
                _ = records(form, &body);
                _ = records(form, text.as_bytes());
            }
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            "[a\\[\\]{},\"\\\\\n]{0,6}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::btree_map("[a\"\\\\]{0,3}", inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
