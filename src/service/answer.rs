//! The answer to usage: one verdict for every record, in order, as JSON.

use rating::{Rejection, json};

/// What became of a record, as its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// Counted, durably.
    Accepted,
    /// Counted before.
    Duplicate,
    /// Not counted, and why.
    Rejected(&'a Rejection),
}

/// Verdicts of one request, written as they come.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    results: String,
    /// Whether a record was rejected.
    pub(crate) any_rejected: bool,
    /// How many verdicts there are.
    pub(crate) records: usize,
}

impl Answer {
    /// Adds the verdict of the next record; what it is called, where that could be read.
    pub(crate) fn add(&mut self, id: Option<&str>, source: Option<&str>, told: Told<'_>) {
        let out = &mut self.results;
        out.push_str(if self.records == 0 { "{\"id\":" } else { ",\n{\"id\":" });
        write_text(out, id);
        out.push_str(",\"source\":");
        write_text(out, source);
        match told {
            Told::Accepted => {
                out.push_str(",\"verdict\":\"accepted\",\"code\":null,\"reason\":null}");
            }
            Told::Duplicate => {
                out.push_str(",\"verdict\":\"duplicate\",\"code\":null,\"reason\":null}");
            }
            Told::Rejected(rejection) => {
                out.push_str(",\"verdict\":\"rejected\",\"code\":\"");
                out.push_str(rejection.code.name());
                out.push_str("\",\"reason\":");
                json::write_string(out, &rejection.reason);
                out.push('}');
                self.any_rejected = true;
            }
        }
        self.records += 1;
    }

    /// The whole answer.
    #[must_use]
    pub(crate) fn into_json(self) -> String {
        format!("{{\"results\":[{}]}}\n", self.results)
    }
}

fn write_text(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => json::write_string(out, text),
        None => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Code;

    #[test]
    fn verdicts_stand_in_order() {
        let mut answer = Answer::default();
        answer.add(Some("a\""), Some("s"), Told::Accepted);
        assert!(!answer.any_rejected);
        answer.add(None, None, Told::Rejected(&Rejection::new(Code::TooLarge, "no\n")));
        assert!(answer.any_rejected);
        let parsed: serde_json::Value = serde_json::from_str(&answer.into_json()).unwrap();
        assert_eq!(parsed["results"][0]["id"], "a\"");
        assert_eq!(parsed["results"][1]["code"], "too_large");
        assert_eq!(parsed["results"][1]["source"], serde_json::Value::Null);
    }
}
