//! Settings from TOML: every fault at once, each with its line, and the key that was meant.

use super::{Kafka, Mode, Settings, Snapshots, TopicNames, duration};
use crate::failure::Failure;
use crate::input;
use crate::stream::Partitioner;
use rating::fault::did_you_mean;
use rating::{Fault, Faults};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) const ROOT: &[&str] = &[
    "mode",
    "catalog",
    "future_tolerance",
    "kafka",
    "state",
    "http",
    "commit",
    "periods",
    "dedupe",
    "waiting",
    "snapshots",
];
pub(super) const KAFKA: &[&str] = &[
    "bootstrap_servers",
    "group",
    "instance_id",
    "partitions",
    "partitioner",
    "partition_by",
    "topics",
    "properties",
];
/// Partitions that a topic may be made with.
pub(super) const PARTITIONS_MAX: u64 = 4_096;
/// Properties that exactly once rests on; the settings do not change them.
pub(super) const FIXED_PROPERTIES: &[&str] = &[
    "transactional.id",
    "acks",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "bootstrap.servers",
    "metadata.broker.list",
    "enable.idempotence",
    "transaction.timeout.ms",
    "allow.auto.create.topics",
];
pub(super) const TOPICS: &[&str] =
    &["raw", "rated", "rejected", "forward", "state", "totals", "catalog", "orders"];
pub(super) const HTTP: &[&str] = &[
    "listen",
    "advertise",
    "body_bytes_max",
    "queue_bytes_max",
    "queue_requests_max",
    "connections_max",
    "body_timeout",
];
pub(super) const SNAPSHOTS: &[&str] = &["url", "interval"];
/// How the places begin that snapshots can go to.
pub(super) const SNAPSHOT_URLS: &[&str] = &["s3://", "file:///"];
/// Shorter, and nothing else would be done.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_millis(100);
pub(super) const STATE: &[&str] = &["dir"];
pub(super) const COMMIT: &[&str] = &["interval_ms"];
pub(super) const PERIODS: &[&str] = &["grace", "idle"];
pub(super) const DEDUPE: &[&str] = &["window"];
pub(super) const WAITING: &[&str] = &["bytes_max", "age"];
pub(super) const MODES: [(&str, Mode); 2] = [("embedded", Mode::Embedded), ("kafka", Mode::Kafka)];
/// What owns records, and so the partition that they belong to.
pub(super) const PARTITION_BY: &str = "customer";
/// Longest time that a commit may be put off, in milliseconds.
pub(super) const COMMIT_INTERVAL_MAX: u64 = 60_000;
/// Longest duration that a setting may be: a hundred years.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);
/// Bodies are cut into records by 32-bit offsets.
pub(super) const BYTES_MAX: u64 = 1 << 31;

impl Settings {
    /// Reads the settings in a file; names of files are taken from beside it.
    ///
    /// # Errors
    /// Every fault of the file, with its place.
    pub(crate) fn read_file(path: &Path) -> Result<Self, Failure> {
        let text = String::from_utf8(input::read(path)?)
            .map_err(|_| Failure::Input(vec![format!("{}: is not UTF-8", path.display())]))?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&text, directory).map_err(|faults| Failure::faults(path, &faults))
    }

    /// Reads the settings in `text`; names of files are taken from `directory` on.
    ///
    /// # Errors
    /// Every fault of the text, in order of place.
    pub(crate) fn parse(text: &str, directory: &Path) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::new(text.as_bytes());
        let mut settings = Self::default();
        match DeTable::parse(text) {
            Ok(root) => read(root.get_ref(), directory, &mut settings, &mut faults),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                faults.add_at(at, format!("not valid TOML: {}", error.message()));
            }
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults.into_sorted()) }
    }
}

fn read(root: &DeTable<'_>, directory: &Path, settings: &mut Settings, faults: &mut Faults<'_>) {
    let root = Section { table: Some(root) };
    root.refuse_unknown(ROOT, faults);
    match root.text("mode", faults) {
        Some((name, at)) => match MODES.iter().find(|(known, _)| *known == name) {
            Some((_, mode)) => settings.mode = *mode,
            None => {
                let hint = did_you_mean(name, MODES.map(|(known, _)| known));
                let reason = "mode is \"embedded\" or \"kafka\", not";
                faults.add_at(at, format!("{reason} \"{name}\"{hint}"));
            }
        },
        None if root.value("mode").is_none() => {
            faults.add_at(0, "the key \"mode\" is missing: \"embedded\" or \"kafka\"");
        }
        None => {}
    }
    root.path("catalog", directory, faults, |path| settings.catalog = Some(path));
    root.duration("future_tolerance", &mut settings.future_tolerance, faults);
    let kafka = root.section("kafka", KAFKA, faults);
    read_kafka(&kafka, &mut settings.kafka, faults);
    let state = root.section("state", STATE, faults);
    settings.state_dir = directory.join(&settings.state_dir);
    state.path("dir", directory, faults, |path| settings.state_dir = path);
    read_http(&root.section("http", HTTP, faults), settings, faults);
    let commit = root.section("commit", COMMIT, faults);
    let mut interval = u64::try_from(settings.commit_interval.as_millis()).unwrap_or(u64::MAX);
    commit.whole("interval_ms", 1..=COMMIT_INTERVAL_MAX, faults, |millis| interval = millis);
    settings.commit_interval = Duration::from_millis(interval);
    let periods = root.section("periods", PERIODS, faults);
    periods.duration("grace", &mut settings.periods.grace, faults);
    periods.duration("idle", &mut settings.periods.idle, faults);
    let dedupe = root.section("dedupe", DEDUPE, faults);
    dedupe.duration("window", &mut settings.dedupe_window, faults);
    let waiting = root.section("waiting", WAITING, faults);
    waiting.size("bytes_max", &mut settings.waiting.bytes_max, faults);
    waiting.duration("age", &mut settings.waiting.age, faults);
    let snapshots = root.section("snapshots", SNAPSHOTS, faults);
    read_snapshots(&snapshots, &mut settings.snapshots, faults);
    if let Some(at) = root.value("snapshots").map(|value| value.span().start)
        && root.value("mode").and_then(|mode| mode.get_ref().as_str()) == Some("embedded")
    {
        let reason = "snapshots are taken only with mode = \"kafka\"; remove [snapshots], and copy \
                      state.dir of a service that is stopped";
        faults.add_at(at, reason);
    }
}

fn read_snapshots(section: &Section<'_>, snapshots: &mut Snapshots, faults: &mut Faults<'_>) {
    if let Some((url, at)) = section.text("url", faults) {
        let is_one =
            SNAPSHOT_URLS.iter().any(|start| url.len() > start.len() && url.starts_with(start));
        if !is_one {
            let reason = "is not a place such as s3://bucket/folder or file:///directory";
            faults.add_at(at, format!("\"{url}\" {reason}"));
        }
        snapshots.url = Some(url.to_owned());
    }
    section.duration("interval", &mut snapshots.interval, faults);
    if snapshots.interval < SNAPSHOT_INTERVAL_MIN {
        let at = section.value("interval").map_or(0, |value| value.span().start);
        faults.add_at(at, "interval must be at least 100ms");
    }
}

/// What one topic holds would be read as what another does.
fn refuse_same_topics(names: &TopicNames, section: &Section<'_>, faults: &mut Faults<'_>) {
    let TopicNames { raw, rated, rejected, forward, state, totals, catalog, orders } = names;
    let all = [raw, rated, rejected, forward, state, totals, catalog, orders];
    let mut known: Vec<(&String, &str)> = Vec::new();
    for (key, name) in TOPICS.iter().copied().zip(all) {
        if let Some((_, other)) = known.iter().find(|(known, _)| *known == name) {
            let at = section.value(key).or_else(|| section.value(other));
            let reason = format!("topics {other} and {key} have the same name, \"{name}\"");
            faults.add_at(at.map_or(0, |value| value.span().start), reason);
        }
        known.push((name, key));
    }
}

fn read_kafka(section: &Section<'_>, kafka: &mut Kafka, faults: &mut Faults<'_>) {
    let set = |key: &str, name: &mut String, section: &Section<'_>, faults: &mut Faults<'_>| {
        if let Some((text, _)) = section.text(key, faults) {
            text.clone_into(name);
        }
    };
    set("bootstrap_servers", &mut kafka.bootstrap_servers, section, faults);
    set("group", &mut kafka.group, section, faults);
    kafka.instance_id = section.text("instance_id", faults).map(|(text, _)| text.to_owned());
    section.whole("partitions", 1..=PARTITIONS_MAX, faults, |count| {
        kafka.partitions = u32::try_from(count).unwrap_or(u32::MAX);
    });
    if let Some((name, at)) = section.text("partitioner", faults) {
        match Partitioner::ALL.iter().find(|(known, _)| *known == name) {
            Some((_, partitioner)) => kafka.partitioner = *partitioner,
            None => {
                let known = Partitioner::ALL.map(|(known, _)| known);
                let hint = did_you_mean(name, known);
                let known = known.join(", ");
                let reason = format!("partitioner is one of {known}, not \"{name}\"{hint}");
                faults.add_at(at, reason);
            }
        }
    }
    if let Some((text, at)) = section.text("partition_by", faults)
        && text != PARTITION_BY
    {
        let reason = format!("partition_by = \"{text}\" is not supported; \"{PARTITION_BY}\" is");
        faults.add_at(at, reason);
    }
    let topics = section.section("topics", TOPICS, faults);
    let names = &mut kafka.topics;
    for (key, name) in [
        ("raw", &mut names.raw),
        ("rated", &mut names.rated),
        ("rejected", &mut names.rejected),
        ("forward", &mut names.forward),
        ("state", &mut names.state),
        ("totals", &mut names.totals),
        ("catalog", &mut names.catalog),
        ("orders", &mut names.orders),
    ] {
        set(key, name, &topics, faults);
    }
    refuse_same_topics(names, &topics, faults);
    for (key, value) in section.table("properties", faults).into_iter().flatten() {
        let (name, at) = (key.get_ref(), key.span().start);
        if FIXED_PROPERTIES.contains(&&**name) {
            faults.add_at(at, format!("{name} is not to be changed: exactly once rests on it"));
            continue;
        }
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                let at = value.span().start;
                faults.add_at(at, format!("{name} must be a text, a whole number or a boolean"));
                continue;
            }
        };
        kafka.properties.insert(name.to_string(), text);
    }
}

fn read_http(section: &Section<'_>, settings: &mut Settings, faults: &mut Faults<'_>) {
    let http = &mut settings.http;
    if let Some(listen) = address(section, "listen", faults) {
        listen.clone_into(&mut http.listen);
    }
    http.advertise = address(section, "advertise", faults).map(str::to_owned);
    section.size("body_bytes_max", &mut http.body_bytes_max, faults);
    section.size("queue_bytes_max", &mut http.queue_bytes_max, faults);
    section.size("queue_requests_max", &mut http.queue_requests_max, faults);
    section.size("connections_max", &mut http.connections_max, faults);
    section.duration("body_timeout", &mut http.body_timeout, faults);
    if http.body_bytes_max > http.queue_bytes_max {
        let at = section.value("queue_bytes_max").or_else(|| section.value("body_bytes_max"));
        let reason = "queue_bytes_max must be at least body_bytes_max, or no such body is taken";
        faults.add_at(at.map_or(0, |value| value.span().start), reason);
    }
}

/// A host with a port.
fn address<'a>(section: &Section<'a>, key: &str, faults: &mut Faults<'_>) -> Option<&'a str> {
    let (text, at) = section.text(key, faults)?;
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        let reason = "is not an address with a port, such as 127.0.0.1:8080";
        faults.add_at(at, format!("\"{text}\" {reason}"));
    }
    Some(text)
}

/// One table of the file; without a table, nothing is set in it.
struct Section<'a> {
    table: Option<&'a DeTable<'a>>,
}

impl<'a> Section<'a> {
    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut entries = self.table?.iter();
        entries.find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn refuse_unknown(&self, known: &[&str], faults: &mut Faults<'_>) {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref();
            if !known.contains(&&**name) {
                let hint = did_you_mean(name, known.iter().copied());
                faults.add_at(key.span().start, format!("unknown key \"{name}\"{hint}"));
            }
        }
    }

    fn table(&self, key: &str, faults: &mut Faults<'_>) -> Option<&'a DeTable<'a>> {
        let value = self.value(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            faults.add_at(value.span().start, format!("{key} must be a table: [{key}]"));
        }
        table
    }

    fn section(&self, key: &str, known: &[&str], faults: &mut Faults<'_>) -> Self {
        let section = Self { table: self.table(key, faults) };
        section.refuse_unknown(known, faults);
        section
    }

    /// A text and where it stands.
    fn text(&self, key: &str, faults: &mut Faults<'_>) -> Option<(&'a str, usize)> {
        let value = self.value(key)?;
        let at = value.span().start;
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            faults.add_at(at, format!("{key} must be a text in quotes, and not empty"));
        }
        text.map(|text| (text, at))
    }

    fn path(
        &self,
        key: &str,
        directory: &Path,
        faults: &mut Faults<'_>,
        set: impl FnOnce(PathBuf),
    ) {
        if let Some((text, _)) = self.text(key, faults) {
            set(directory.join(text));
        }
    }

    fn duration(&self, key: &str, setting: &mut Duration, faults: &mut Faults<'_>) {
        let Some((text, at)) = self.text(key, faults) else { return };
        match duration::parse(text).filter(|duration| *duration <= DURATION_MAX) {
            Some(duration) => *setting = duration,
            None => {
                let reason = "is not a duration such as 500ms, 30s, 1h or 40d";
                faults.add_at(at, format!("\"{text}\" {reason}"));
            }
        }
    }

    fn size(&self, key: &str, setting: &mut usize, faults: &mut Faults<'_>) {
        self.whole(key, 1..=BYTES_MAX, faults, |number| {
            *setting = usize::try_from(number).unwrap_or(usize::MAX);
        });
    }

    fn whole(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
        faults: &mut Faults<'_>,
        set: impl FnOnce(u64),
    ) {
        let Some(value) = self.value(key) else { return };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => set(number),
            None => {
                let (from, to) = range.into_inner();
                let reason = format!("{key} must be a whole number from {from} to {to}");
                faults.add_at(value.span().start, reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let found = Settings::parse(text, Path::new("etc")).err().unwrap_or_default();
        let found: Vec<String> = found.iter().map(Fault::to_string).collect();
        assert_eq!(found, wanted, "{text}");
    }

    #[test]
    fn what_is_set_is_taken_and_names_begin_beside_the_file() {
        let text = "mode = \"embedded\"\ncatalog = \"c.json\"\n[http]\nlisten = \"[::1]:0\"\n\
                    body_bytes_max = 0x10\n[periods]\ngrace = \"2d\"\n[commit]\ninterval_ms = 7";
        let settings = Settings::parse(text, Path::new("etc")).unwrap();
        assert_eq!(settings.catalog, Some(PathBuf::from("etc/c.json")));
        assert_eq!(settings.state_dir, PathBuf::from("etc/data"));
        assert_eq!((&*settings.http.listen, settings.http.body_bytes_max), ("[::1]:0", 16));
        assert_eq!(settings.periods.grace, Duration::from_secs(172_800));
        assert_eq!(settings.commit_interval, Duration::from_millis(7));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = include_str!("../../../deploy/usage-rater.toml");
        assert_eq!(Settings::parse(example, Path::new("")), Ok(Settings::default()));
        // And what it only shows can be set too.
        let all: String = example
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let all = all.replace("mode = \"embedded\"", "mode = \"kafka\"");
        let catalog = Some(PathBuf::from("catalog.json"));
        let wanted = Settings { mode: Mode::Kafka, catalog, ..Settings::default() };
        assert_eq!(Settings::parse(&all, Path::new("")), Ok(wanted));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        check("", &["1:1: the key \"mode\" is missing: \"embedded\" or \"kafka\""]);
        check(
            "mode = \"embeded\"",
            &["1:8: mode is \"embedded\" or \"kafka\", not \"embeded\"; \
                 did you mean \"embedded\"?"],
        );
        check(
            "mode = \"kafka\"\n[kafka]\ngroup = 1\n[kafka.topics]\nrav = \"x\"",
            &[
                "3:9: group must be a text in quotes, and not empty",
                "5:1: unknown key \"rav\"; did you mean \"raw\"?",
            ],
        );
        check(
            "mode = \"embedded\"\n[http]\nlisten = \"8080\"\nlisen = 1\n[commit]\ninterval_ms = 0",
            &[
                "3:10: \"8080\" is not an address with a port, such as 127.0.0.1:8080",
                "4:1: unknown key \"lisen\"; did you mean \"listen\"?",
                "6:15: interval_ms must be a whole number from 1 to 60000",
            ],
        );
        check(
            "mode = \"embedded\"\n[snapshots]\nurl = \"file:///a\"",
            &["2:1: snapshots are taken only with mode = \"kafka\"; remove [snapshots], and copy \
               state.dir of a service that is stopped"],
        );
        check(
            "mode = \"kafka\"\n[kafka.topics]\nraw = \"a\"\nrejected = \"a\"",
            &["4:12: topics raw and rejected have the same name, \"a\""],
        );
        check(
            "mode = \"kafka\"\n[http]\nadvertise = \"rater-1\"",
            &["3:13: \"rater-1\" is not an address with a port, such as 127.0.0.1:8080"],
        );
        check(
            "mode = \"embedded\"\nstate = 3\n[periods]\ngrace = \"1y\"",
            &[
                "2:9: state must be a table: [state]",
                "4:9: \"1y\" is not a duration such as 500ms, 30s, 1h or 40d",
            ],
        );
        check(
            "mode = \"embedded\"\n[http]\nbody_bytes_max = 1000000000",
            &["3:18: queue_bytes_max must be at least body_bytes_max, or no such body is taken"],
        );
    }
}
