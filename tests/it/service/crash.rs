//! `kill -9` under load, again and again: whatever was answered is there, once.

use super::client::Client;
use super::server::Server;
use super::world::{self, BATCH, record};
use crate::program::Workplace;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const ROUNDS: usize = 20;
const SENDERS: usize = 4;
/// Records of a request: few, so that many commits are hit, and sometimes many.
const SIZES: [usize; 4] = [1, 7, 60, 2_000];

/// A request, and whether it was answered before the kill.
struct Sent {
    name: String,
    records: usize,
    answered: bool,
}

impl Sent {
    fn body(&self) -> String {
        let records =
            (0..self.records).map(|number| record(&format!("{}-{number}", self.name), number));
        format!("[{}]", records.collect::<Vec<_>>().join(","))
    }
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_answered() {
    let seed = std::env::var("USAGE_RATER_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = Random(seed.unwrap_or(20_260_115));
    let seed = random.0;
    let place = Workplace::new();
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0..ROUNDS {
        let server = world::start(&place, "");
        let before = sent.len();
        let delay = Duration::from_millis(20 + random.next() % 400);
        sent.extend(load(server, round, delay));
        let server = world::start(&place, "");
        let kept = server.connect().totals("SUB-0", "");
        let kept = kept.first().map_or(0, |total| total["records"].as_u64().unwrap());
        tell(&phase(round, &sent, before, kept));
        let answered: usize = sent.iter().filter(|one| one.answered).map(|one| one.records).sum();
        assert!(kept >= answered as u64, "seed {seed}: {answered} were answered, {kept} are there");
        // Everybody sends again what was not answered, and may send again what was.
        let mut client = server.connect();
        for one in sent.iter_mut().skip(before) {
            let verdicts = client.usage(BATCH, &one.body()).expect(200, "results").verdicts();
            let all_known = verdicts.iter().all(|verdict| verdict == "duplicate");
            assert!(
                all_known || !one.answered,
                "seed {seed}: {} was answered and is lost",
                one.name
            );
            one.answered = true;
        }
        check_totals(&mut client, &sent, seed);
        server.kill();
    }
    let server = world::start(&place, "");
    let mut client = server.connect();
    for one in &sent {
        let verdicts = client.usage(BATCH, &one.body()).expect(200, "results").verdicts();
        assert!(verdicts.iter().all(|verdict| verdict == "duplicate"), "seed {seed}: {}", one.name);
    }
    check_totals(&mut client, &sent, seed);
    server.stop();
}

/// Sends until the service is killed under the senders' hands.
fn load(server: Server, round: usize, delay: Duration) -> Vec<Sent> {
    let address = server.address;
    let (log, answers) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (log, answers) = (&log, &answers);
            scope.spawn(move || send(address, &format!("{round}-{sender}"), (log, answers)));
        }
        super::server::eventually("it answers", || answers.load(Ordering::SeqCst) > 0);
        std::thread::sleep(delay);
        server.kill();
    });
    log.into_inner().unwrap()
}

fn send(address: SocketAddr, name: &str, (log, answers): (&Mutex<Vec<Sent>>, &AtomicUsize)) {
    let mut client = Client::connect(address).unwrap();
    for number in 0.. {
        let records = SIZES[number % SIZES.len()];
        let mut one = Sent { name: format!("{name}-{number}"), records, answered: false };
        let reply = client.try_send("POST /v1/usage", BATCH, one.body().as_bytes());
        if let Ok(reply) = &reply {
            assert_eq!(reply.status, 200, "{reply:?}");
            one.answered = true;
            answers.fetch_add(1, Ordering::SeqCst);
        }
        log.lock().unwrap().push(one);
        if reply.is_err() {
            return;
        }
    }
}

/// What the kill interrupted, as far as it can be seen from outside.
fn phase(round: usize, sent: &[Sent], before: usize, kept: u64) -> String {
    let count = |answered: bool, from: usize| -> u64 {
        let found = sent.iter().skip(from).filter(|one| one.answered == answered);
        found.map(|one| one.records as u64).sum()
    };
    let (answered, open) = (count(true, 0), count(false, before));
    let unanswered_but_kept = kept.saturating_sub(answered);
    let hit = match unanswered_but_kept {
        0 => "before the commit of what was on its way",
        some if some == open => "between the commit and all answers to it",
        _ => "between the commit and the answers to part of what was on its way",
    };
    format!(
        "round {round}: killed {hit} ({answered} records answered, {open} on their \
         way, {kept} kept)"
    )
}

fn check_totals(client: &mut Client, sent: &[Sent], seed: u64) {
    let records: usize = sent.iter().map(|one| one.records).sum();
    let total = client.totals("SUB-0", "")[0].clone();
    assert_eq!(total["records"], records, "seed {seed}");
    // Each record is a quarter, exactly.
    let hundredths = records * 25;
    let wanted = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let wanted = wanted.trim_end_matches('0').trim_end_matches('.');
    assert_eq!(total["quantity"], wanted, "seed {seed}");
}

#[expect(clippy::print_stderr, reason = "which moments were hit is worth knowing")]
fn tell(line: &str) {
    eprintln!("{line}");
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut random = self.0;
        random = (random ^ random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        random = (random ^ random >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        random ^ random >> 31
    }
}
