//! SIGTERM and SIGINT: what was begun is finished, what was answered is kept.

use super::server::Server;
use super::world::{self, LINES, record};
use crate::program::Workplace;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SENDERS: usize = 6;
const RECORDS: usize = 200;

#[test]
fn stopped_under_load_it_answers_all_that_it_takes() {
    for signal in ["TERM", "INT"] {
        let place = Workplace::new();
        let server = world::start(&place, "");
        let address = server.address;
        let (accepted, rounds) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let ran = std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (accepted, rounds) = (&accepted, &rounds);
                scope.spawn(move || {
                    let mut client = super::client::Client::connect(address).unwrap();
                    for round in 0.. {
                        let name = format!("{sender}-{round}");
                        let lines = world::lines(&name, RECORDS);
                        // A connection that is closed, or a service that says that it stops.
                        let sent = client.try_send("POST /v1/usage", LINES, lines.as_bytes());
                        let Ok(reply) = sent else { return };
                        if reply.status == 503 {
                            return;
                        }
                        reply.expect(200, "results");
                        accepted.lock().unwrap().push(name);
                        rounds.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            super::server::eventually("it is under load", || rounds.load(Ordering::SeqCst) > 30);
            server.signal(signal);
            server.wait()
        });
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let server = Server::start(&place, "catalog = \"catalog.json\"\n");
        let mut client = server.connect();
        let accepted = accepted.into_inner().unwrap();
        for name in &accepted {
            let reply = client.usage(LINES, &world::lines(name, RECORDS)).expect(200, "results");
            let kept = reply.verdicts().iter().all(|verdict| verdict == "duplicate");
            assert!(kept, "{name} was accepted, and is not there");
        }
        // Whoever is not answered because of a signal knows that nothing was taken.
        assert_eq!(client.totals("SUB-0", "")[0]["records"], accepted.len() * RECORDS);
        server.stop();
    }
}

#[test]
fn a_request_on_its_way_is_still_answered() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let body = record("a", 1);
    let mut client = server.connect();
    client.begin("POST /v1/usage", LINES, &format!("content-length: {}", body.len())).unwrap();
    client.write(&body.as_bytes()[..50]).unwrap();
    // The head has arrived when another request behind it is answered.
    server.connect().get("/healthz").expect(200, "ok");
    std::thread::sleep(std::time::Duration::from_millis(100));
    server.signal("TERM");
    super::server::eventually("it takes no connection any more", || {
        super::client::Client::connect(server.address).is_err()
    });
    client.write(&body.as_bytes()[50..]).unwrap();
    client.reply().unwrap().expect(200, "accepted");
    assert_eq!(server.wait().code, Some(0));
    let server = Server::start(&place, "catalog = \"catalog.json\"\n");
    server.connect().usage(LINES, &body).expect(200, "duplicate");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Workplace::new();
    let server = world::start(&place, "");
    let mut client = server.connect();
    client.begin("POST /v1/usage", LINES, "content-length: 100").unwrap();
    client.write(b"{").unwrap();
    server.connect().get("/healthz").expect(200, "ok");
    std::thread::sleep(std::time::Duration::from_millis(100));
    server.signal("TERM");
    super::server::eventually("it takes no connection any more", || {
        super::client::Client::connect(server.address).is_err()
    });
    server.signal("TERM");
    assert_eq!(server.wait().code, Some(130));
}
