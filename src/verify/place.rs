//! Places: where a record or an output stands, in eight bytes, and how that is said.

/// A log that records or outputs are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Log {
    Topic { name: Box<str>, partition: i32 },
    File { name: Box<str>, is_input: bool },
}

/// A log by its number among those that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId(u16);

/// An offset of a partition, or a line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(u64);

/// Bits of an offset; what is above them numbers the log.
const OFFSET_BITS: u32 = 48;

impl Place {
    /// The place at an offset of a log, or in a line of it.
    pub(crate) fn new(log: LogId, offset: u64) -> Self {
        Self(u64::from(log.0) << OFFSET_BITS | offset & ((1 << OFFSET_BITS) - 1))
    }

    pub(super) fn log(self) -> LogId {
        LogId(u16::try_from(self.0 >> OFFSET_BITS).unwrap_or(u16::MAX))
    }

    const fn offset(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }
}

/// All logs.
#[derive(Debug, Default)]
pub(super) struct Logs(Vec<Log>);

impl Logs {
    /// The partition of a topic; `None` where there are more logs than can be numbered.
    pub(super) fn topic(&mut self, name: &str, partition: i32) -> Option<LogId> {
        let found = self.find_topic(name, partition);
        found.or_else(|| self.add(Log::Topic { name: name.into(), partition }))
    }

    /// A file of records, or one of outputs.
    pub(super) fn file(&mut self, name: &str, is_input: bool) -> Option<LogId> {
        let wanted = Log::File { name: name.into(), is_input };
        self.position(|log| *log == wanted).or_else(|| self.add(wanted))
    }

    pub(super) fn find_topic(&self, name: &str, partition: i32) -> Option<LogId> {
        self.position(|log| match log {
            Log::Topic { name: known, partition: number } => {
                **known == *name && *number == partition
            }
            Log::File { .. } => false,
        })
    }

    /// The input that an earlier run called `name`: the file of that name, or the only one that
    /// may be meant, since it may have been named from another directory.
    pub(super) fn find_input(&self, name: &str) -> Option<LogId> {
        let exact = Log::File { name: name.into(), is_input: true };
        self.position(|log| *log == exact).or_else(|| {
            let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
            let alike = |log: &Log| match log {
                Log::File { name: known, is_input } => {
                    *is_input && (name == "-" || last(known) == last(name))
                }
                Log::Topic { .. } => false,
            };
            let several = self.0.iter().filter(|log| alike(log)).count() > 1;
            self.position(alike).filter(|_| !several)
        })
    }

    fn position(&self, is_it: impl Fn(&Log) -> bool) -> Option<LogId> {
        self.0.iter().position(is_it).and_then(|at| u16::try_from(at).ok()).map(LogId)
    }

    fn add(&mut self, log: Log) -> Option<LogId> {
        let id = u16::try_from(self.0.len()).ok().map(LogId)?;
        self.0.push(log);
        Some(id)
    }

    /// The partition that a place lies in; `None` of a file.
    pub(super) fn partition(&self, place: Place) -> Option<i32> {
        match self.0.get(usize::from(place.log().0))? {
            Log::Topic { partition, .. } => Some(*partition),
            Log::File { .. } => None,
        }
    }

    /// A log in words.
    pub(super) fn name(&self, id: LogId) -> String {
        match self.0.get(usize::from(id.0)) {
            Some(Log::Topic { name, partition }) => format!("{name}[{partition}]"),
            Some(Log::File { name, .. }) => name.to_string(),
            None => "?".to_owned(),
        }
    }

    /// A place in words: `usage.raw[3]@1204`, `usage.ndjson:17`.
    pub(super) fn show(&self, place: Place) -> String {
        let separator = if self.partition(place).is_some() { '@' } else { ':' };
        format!("{}{separator}{}", self.name(place.log()), place.offset())
    }

    /// A second place, short where it is in the same log as the first.
    pub(super) fn show_beside(&self, place: Place, first: Place) -> String {
        match self.partition(place) {
            Some(_) if place.log() == first.log() => format!("@{}", place.offset()),
            None if place.log() == first.log() => format!("line {}", place.offset()),
            _ => self.show(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_said_as_operators_know_them() {
        let mut logs = Logs::default();
        let raw = logs.topic("usage.raw", 3).unwrap();
        let file = logs.file("in/usage.ndjson", true).unwrap();
        assert_eq!(logs.topic("usage.raw", 3), Some(raw));
        let (first, second) = (Place::new(raw, 1204), Place::new(raw, 1 << 40));
        assert_eq!(logs.show(first), "usage.raw[3]@1204");
        assert_eq!(logs.show_beside(second, first), "@1099511627776");
        let line = Place::new(file, 17);
        assert_eq!(logs.show(line), "in/usage.ndjson:17");
        assert_eq!(logs.show_beside(Place::new(file, 18), line), "line 18");
        assert_eq!((logs.partition(first), logs.partition(line)), (Some(3), None));
    }

    #[test]
    fn a_file_is_found_under_another_directory_if_no_other_may_be_meant() {
        let mut logs = Logs::default();
        let first = logs.file("a/usage.ndjson", true);
        assert_eq!(logs.find_input("usage.ndjson"), first);
        assert!(logs.file("out/usage.ndjson", false).is_some());
        assert_eq!(logs.find_input("-"), first);
        assert_eq!(logs.find_input("other.ndjson"), None);
        let second = logs.file("b/usage.ndjson", true);
        assert_eq!(logs.find_input("usage.ndjson"), None);
        assert_eq!(logs.find_input("-"), None);
        assert_eq!(logs.find_input("b/usage.ndjson"), second);
    }
}
