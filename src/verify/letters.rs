//! Dead letters: which places were refused, and whether each letter holds what stands there.

use super::finding::Kind;
use super::fingerprint::Fingerprint;
use super::place::Place;
use super::{Context, Map};
use base64::Engine as _;
use serde::Deserialize;
use std::borrow::Cow;

/// All dead letters, by the places that they name.
#[derive(Debug, Default)]
pub(super) struct Letters(Map<Place, Letter>);

#[derive(Debug)]
struct Letter {
    /// Where it stands itself.
    at: Place,
    /// A fingerprint of as much of the record as it holds.
    record: Fingerprint,
    /// How much that is.
    kept: usize,
    /// How long the record was.
    length: u64,
    /// Whether such records are let wait before they are refused.
    may_have_waited: bool,
    /// Whether its record has been met.
    is_met: bool,
}

/// A letter as it is written.
#[derive(Debug, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    source: Source<'a>,
    #[serde(borrow)]
    record: Cow<'a, str>,
    encoding: Option<Cow<'a, str>>,
    record_bytes: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Source<'a> {
    Message {
        #[serde(borrow)]
        topic: Cow<'a, str>,
        partition: i32,
        offset: u64,
    },
    Line {
        #[serde(borrow)]
        file: Cow<'a, str>,
        line: u64,
    },
}

/// What a refused record says of later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    /// Whether it may have waited, so that the same record once more was a duplicate meanwhile.
    pub(super) may_have_waited: bool,
}

impl Letters {
    /// Takes a letter that stands at a place.
    pub(super) fn add(&mut self, cx: &mut Context, at: Place, bytes: &[u8]) {
        let written = serde_json::from_slice::<Written<'_>>(bytes).ok();
        let read = written.as_ref().and_then(|written| Some((written, written.bytes()?)));
        let Some((written, record)) = read else {
            cx.findings.add(Kind::Damaged, || {
                format!("{}: is no dead letter that can be read", cx.logs.show(at))
            });
            return;
        };
        let Some(place) = written.source.place(cx) else {
            cx.findings.add(Kind::LetterOfNothing, || {
                format!("{}: names {}, which was not read", cx.logs.show(at), written.source.name())
            });
            return;
        };
        let letter = Letter {
            at,
            record: Fingerprint::of(&[&record]),
            kept: record.len(),
            length: written.record_bytes.unwrap_or(record.len() as u64),
            may_have_waited: ["unknown_subject", "unknown_reference"].contains(&&*written.code),
            is_met: false,
        };
        match self.0.get(&place) {
            None => _ = self.0.insert(place, letter),
            Some(first) => cx.findings.add(Kind::RejectedTwice, || {
                let (first, second) = (cx.logs.show(first.at), cx.logs.show_beside(at, first.at));
                format!("{}: rejected twice: {first} and {second}", cx.logs.show(place))
            }),
        }
    }

    /// Finds the letter of the record at a place, which must hold it.
    pub(super) fn meet(
        &mut self,
        cx: &mut Context,
        place: Place,
        (record, length): (&[u8], u64),
    ) -> Option<Refused> {
        let letter = self.0.get_mut(&place)?;
        letter.is_met = true;
        let kept = record.get(..letter.kept);
        let holds = kept.is_some_and(|kept| Fingerprint::of(&[kept]) == letter.record);
        // Of a record that is cut, its end may be counted or not.
        let ends_max = if letter.kept as u64 == letter.length { 0 } else { 2 };
        if !holds || letter.length.abs_diff(length) > ends_max {
            cx.findings.add(Kind::LetterAltered, || {
                let (place, letter) = (cx.logs.show(place), cx.logs.show(letter.at));
                format!("{place}: its dead letter {letter} holds something else")
            });
        }
        Some(Refused { may_have_waited: letter.may_have_waited })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes the letters of places where there was nothing.
    pub(super) fn finish(&self, cx: &mut Context) {
        let mut unmet: Vec<(Place, Place)> =
            self.0.iter().filter(|(_, letter)| !letter.is_met).map(|(p, l)| (l.at, *p)).collect();
        unmet.sort_unstable();
        for (at, place) in unmet {
            cx.findings.add(Kind::LetterOfNothing, || {
                let (at, place) = (cx.logs.show(at), cx.logs.show(place));
                format!("{at}: is a dead letter of {place}, where there is no record")
            });
        }
    }
}

impl Written<'_> {
    /// The record, as far as it is there.
    fn bytes(&self) -> Option<Cow<'_, [u8]>> {
        match self.encoding.as_deref() {
            None => Some(Cow::Borrowed(self.record.as_bytes())),
            Some("base64") => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(&*self.record);
                decoded.ok().map(Cow::Owned)
            }
            Some(_) => None,
        }
    }
}

impl Source<'_> {
    fn place(&self, cx: &mut Context) -> Option<Place> {
        match self {
            Self::Message { topic, partition, offset } => {
                cx.logs.find_topic(topic, *partition).map(|log| Place::new(log, *offset))
            }
            Self::Line { file, line } => {
                let log = if cx.asked.has_input {
                    cx.logs.find_input(file)
                } else {
                    // Nobody can say what stood there, but it must not be refused twice.
                    cx.logs.file(file, true)
                };
                log.map(|log| Place::new(log, *line))
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Message { topic, partition, offset } => format!("{topic}[{partition}]@{offset}"),
            Self::Line { file, line } => format!("{file}:{line}"),
        }
    }
}
