//! The outbox: rated lines of the open transaction that are still to be sent.
//!
//! They are sent many at a time. One by one, a producer would make a request of the few that came
//! within its linger, and every request costs the broker and both ends of the connection as much
//! as a hundred records do.

use super::broker::{BrokerError, Outgoing, Output};
use super::stop::Stop;

/// Where the lines of one record end, in bytes.
#[derive(Debug, Clone, Copy)]
struct End {
    line: usize,
    key: usize,
}

/// Whose the lines are that a partition has written and nobody has sent.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Bytes of lines with which they are many.
    bytes_max: usize,
    ends: Vec<End>,
    keys: String,
}

impl Outbox {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ends: Vec::new(), keys: String::new() }
    }

    /// Notes that the lines of the record last applied end where there are so many bytes of them,
    /// and whose they are. Says whether they are many, and are to be sent.
    pub(super) fn note(&mut self, owner: &str, line: usize) -> bool {
        if line == self.ends.last().map_or(0, |end| end.line) {
            return false;
        }
        self.keys.push_str(owner);
        self.ends.push(End { line, key: self.keys.len() });
        line >= self.bytes_max
    }

    /// Sends all lines to the partition of that number, each with its owner as the key, and clears
    /// them.
    ///
    /// # Errors
    /// What `send` says, or [`Stop::Failed`] if there are lines that nobody has noted; the
    /// transaction must not be committed then.
    pub(super) fn send(
        &mut self,
        (partition, rated): (u32, &mut String),
        send: impl Fn(&Outgoing<'_>) -> Result<(), BrokerError>,
    ) -> Result<(), Stop> {
        let mut from = End { line: 0, key: 0 };
        for end in self.ends.drain(..) {
            let key = self.keys.get(from.key..end.key).ok_or_else(Stop::defect)?.as_bytes();
            let lines = rated.get(from.line..end.line).ok_or_else(Stop::defect)?;
            for line in lines.lines() {
                send(&Outgoing {
                    output: Output::Rated,
                    partition: Some(partition),
                    key,
                    payload: line.as_bytes(),
                    hops: 0,
                })?;
            }
            from = end;
        }
        if from.line != rated.len() {
            return Err(Stop::defect());
        }
        rated.clear();
        self.keys.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Bytes with which the lines of these tests are many.
    const BYTES_MAX: usize = 12;

    /// Sends what is there, and gives it with its keys.
    fn sent(outbox: &mut Outbox, rated: &mut String) -> Result<Vec<(String, String)>, Stop> {
        let sent = RefCell::new(Vec::new());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        outbox.send((3, rated), |record| {
            assert_eq!((record.output, record.partition), (Output::Rated, Some(3)));
            sent.borrow_mut().push((text(record.key), text(record.payload)));
            Ok(())
        })?;
        Ok(sent.into_inner())
    }

    fn owned(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|(key, line)| ((*key).to_owned(), (*line).to_owned())).collect()
    }

    #[test]
    fn lines_leave_under_their_owners_keys() {
        let (mut outbox, mut rated) = (Outbox::new(BYTES_MAX), String::new());
        rated += "a1\na2\n";
        assert!(!outbox.note("C1", rated.len()));
        // Nothing came of a record that no charge takes.
        assert!(!outbox.note("C22", rated.len()));
        rated += "b1\n";
        assert!(!outbox.note("C22", rated.len()));
        rated += "a3\n";
        assert!(outbox.note("C1", rated.len()), "the bound is reached");
        let all = owned(&[("C1", "a1"), ("C1", "a2"), ("C22", "b1"), ("C1", "a3")]);
        assert_eq!(sent(&mut outbox, &mut rated), Ok(all));
        assert_eq!(rated, "");
        // Then it begins anew, within the same transaction.
        rated += "b2\n";
        assert!(!outbox.note("C22", rated.len()));
        assert_eq!(sent(&mut outbox, &mut rated), Ok(owned(&[("C22", "b2")])));
        assert_eq!(sent(&mut outbox, &mut rated), Ok(Vec::new()));
    }

    #[test]
    fn lines_of_nobody_are_not_lost_in_silence() {
        let (mut outbox, mut rated) = (Outbox::new(BYTES_MAX), String::from("a1\n"));
        assert!(!outbox.note("C1", rated.len()));
        rated += "?\n";
        assert_eq!(sent(&mut outbox, &mut rated), Err(Stop::defect()));
    }

    #[test]
    fn broker_that_fails_is_heard() {
        let (mut outbox, mut rated) = (Outbox::new(BYTES_MAX), String::from("a1\n"));
        assert!(!outbox.note("C1", rated.len()));
        let fails = |_: &Outgoing<'_>| Err(BrokerError::Fenced("by another".to_owned()));
        let failed = outbox.send((3, &mut rated), fails);
        assert_eq!(failed, Err(Stop::Fenced("by another".to_owned())));
    }
}
