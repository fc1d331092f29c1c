//! A service with more to do than it may hold says so, and loses nothing that it took.

use super::server::eventually;
use super::world::{self, LINES, record};
use crate::program::Workplace;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes count from the first one on: a body that is still on its way takes room already.
#[test]
fn bodies_that_do_not_fit_are_turned_away_with_429() {
    let place = Workplace::new();
    let settings = "[http]\nbody_bytes_max = 1000\nqueue_bytes_max = 1000\n";
    let server = world::start(&place, settings);
    let (slow, quick) = (record("slow", 1), record("quick", 2));
    let padded = format!("{slow}{}", " ".repeat(900 - slow.len()));
    let mut client = server.connect();
    let mut slow_client = server.connect();
    // Whichever comes first takes the room, so the slow one tries until it has been the first.
    eventually("the slow body takes its room", || {
        slow_client = server.connect();
        slow_client.begin("POST /v1/usage", LINES, "content-length: 900").unwrap();
        slow_client.write(&padded.as_bytes()[..100]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        client.usage(LINES, &quick).status == 429
    });
    client.usage(LINES, &quick).expect(429, "later");
    // Without a length, room is made as the bytes come.
    client.begin("POST /v1/usage", LINES, "transfer-encoding: chunked").unwrap();
    let chunk = format!("{:x}\r\n{quick}\r\n0\r\n\r\n", quick.len());
    client.write(chunk.as_bytes()).unwrap();
    client.reply().unwrap().expect(429, "later");
    slow_client.write(&padded.as_bytes()[100..]).unwrap();
    assert_eq!(slow_client.reply().unwrap().expect(200, "results").verdicts(), ["accepted"]);
    client.usage(LINES, &quick).expect(200, "results");
    client.usage(LINES, &quick).expect(200, "duplicate");
    assert_eq!(client.totals("SUB-0", "")[0]["records"], 2);
    server.stop();
}

#[test]
fn more_requests_than_may_wait_are_turned_away_with_429() {
    const SENDERS: usize = 12;
    const RECORDS: usize = 4_000;
    let place = Workplace::new();
    let server = world::start(&place, "[http]\nqueue_requests_max = 1\n");
    let (accepted, turned) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (server, accepted, turned) = (&server, &accepted, &turned);
            scope.spawn(move || {
                let mut client = server.connect();
                let mut round = 0;
                eventually("somebody is turned away", || {
                    let lines = world::lines(&format!("{sender}-{round}"), RECORDS);
                    let reply = client.usage(LINES, &lines);
                    if reply.status == 200 {
                        accepted.fetch_add(RECORDS, Ordering::SeqCst);
                        round += 1;
                    } else {
                        reply.expect(429, "later");
                        turned.fetch_add(1, Ordering::SeqCst);
                    }
                    turned.load(Ordering::SeqCst) > 0
                });
            });
        }
    });
    let accepted = accepted.into_inner();
    assert_eq!(server.connect().totals("SUB-0", "")[0]["records"], accepted);
    server.stop();
}
