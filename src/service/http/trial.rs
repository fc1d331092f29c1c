//! `POST /v1/catalog/trial`: whether a catalog fits what partitions held here have rated; and how
//! another instance is asked for that.

use super::App;
use super::body::{self, Bound};
use super::call::call;
use super::problem::{Problem, json_response};
use crate::clock::Stopwatch;
use crate::service::limits::{CATALOG_BYTES_MAX, TRIAL_PARTITIONS_MAX, TRIAL_SECONDS_MAX};
use crate::service::trials::{Trial, Trials};
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use rating::Catalog;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Whose word is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    partitions: String,
}

// Frozen: instances of different versions ask each other.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Fits,
    Contradicts,
    NotNow,
    Elsewhere,
}

#[derive(Debug, Serialize, Deserialize)]
struct Said {
    partition: u32,
    verdict: Verdict,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    trials: Vec<Said>,
}

impl From<(u32, Trial)> for Said {
    fn from((partition, trial): (u32, Trial)) -> Self {
        let (verdict, reason) = match trial {
            Trial::Fits => (Verdict::Fits, String::new()),
            Trial::Contradicts(reason) => (Verdict::Contradicts, reason),
            Trial::NotNow(reason) => (Verdict::NotNow, reason),
            Trial::Elsewhere => (Verdict::Elsewhere, String::new()),
        };
        Self { partition, verdict, reason }
    }
}

impl From<Said> for (u32, Trial) {
    fn from(said: Said) -> Self {
        let trial = match said.verdict {
            Verdict::Fits => Trial::Fits,
            Verdict::Contradicts => Trial::Contradicts(said.reason),
            Verdict::NotNow => Trial::NotNow(said.reason),
            Verdict::Elsewhere => Trial::Elsewhere,
        };
        (said.partition, trial)
    }
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    asked: Result<Query<Asked>, QueryRejection>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let timeout = app.settings.body_timeout;
    let ready = match ready(&app, asked) {
        Ok(ready) => app.trial_turns.room().await.map(|room| (ready, room)),
        Err(problem) => Err(problem),
    };
    let ((partitions, trials), room) = match ready {
        Ok(ready) => ready,
        Err(problem) => return Err(body::refuse(request, timeout, problem).await),
    };
    let text = body::read(request, Bound { bytes_max: CATALOG_BYTES_MAX, timeout }, None).await?;
    // Only what has been read is waited for.
    let turn = app.trial_turns.turn().await?;
    let trying = tokio::task::spawn_blocking(move || {
        // It goes on when whoever asked does not wait any more, and so keeps its turn.
        let _room = room;
        let catalog = Arc::new(Catalog::parse(&text)?);
        let partitions: Vec<u32> = partitions.into_iter().collect();
        let clock = Stopwatch::start();
        let tried = trials.try_catalog(&catalog, &partitions);
        turn.end(clock.elapsed());
        Ok::<_, Vec<rating::Fault>>(tried)
    });
    let tried = trying.await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "trying this catalog met a defect")
    })?;
    let tried = tried.map_err(|faults| Problem::faulty("the catalog has faults", faults))?;
    let answer = Answer { trials: tried.into_iter().map(Said::from).collect() };
    let text = serde_json::to_string(&answer).map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot be written: {error}"))
    })?;
    Ok(json_response(StatusCode::OK, text + "\n"))
}

/// Whose word is asked for, and who brings it.
fn ready(
    app: &App,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<(BTreeSet<u32>, Arc<dyn Trials>), Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let Query(asked) = asked.map_err(|error| bad(error.body_text()))?;
    app.check_open()?;
    let trials = app.desk.trials().ok_or_else(|| {
        let reason = "catalogs are tried where instances share kafka.topics.catalog; elsewhere \
                      each takes its own, and tries it before";
        Problem::new(StatusCode::NOT_IMPLEMENTED, reason)
    })?;
    let partitions = read_partitions(&asked.partitions, trials.partitions()).map_err(bad)?;
    Ok((partitions, trials))
}

fn read_partitions(text: &str, count: u32) -> Result<BTreeSet<u32>, String> {
    let numbers = text.split(',').take(TRIAL_PARTITIONS_MAX + 1).map(str::parse);
    let numbers: Result<Vec<u32>, _> = numbers.collect();
    let numbers = numbers.map_err(|_| "partitions must be numbers, such as 0,3".to_owned())?;
    if numbers.len() > TRIAL_PARTITIONS_MAX {
        return Err(format!("partitions must be at most {TRIAL_PARTITIONS_MAX}"));
    }
    if let Some(unknown) = numbers.iter().find(|number| **number >= count) {
        return Err(format!("there is no partition {unknown}: there are {count}, from 0 on"));
    }
    Ok(numbers.into_iter().collect())
}

/// Has a catalog tried by partitions that another instance holds.
///
/// # Errors
/// Why it could not be asked.
pub(crate) async fn ask(
    owner: &str,
    partitions: &[u32],
    text: Bytes,
) -> Result<Vec<(u32, Trial)>, String> {
    let numbers: Vec<String> = partitions.iter().map(u32::to_string).collect();
    let path = format!("/v1/catalog/trial?partitions={}", numbers.join(","));
    let patience = Duration::from_secs(TRIAL_SECONDS_MAX);
    let asked = tokio::time::timeout(patience, call(owner, (Method::POST, &path), text)).await;
    let (status, body) = asked.map_err(|_| format!("no answer within {patience:?}"))??;
    if status != StatusCode::OK {
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
        return Err(format!("it answers {}: {detail}", status.as_u16()));
    }
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|error| format!("an odd answer: {error}"))?;
    Ok(answer.trials.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::desk::Desk;
    use crate::service::http::trial_turns::TrialTurns;
    use crate::service::metrics::Metrics;
    use crate::service::settings::Settings;
    use axum::body::Body;
    use axum::http::header;
    use axum::response::IntoResponse as _;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, PoisonError};

    /// Partitions that say that they are asked, and answer when they are let.
    #[derive(Debug)]
    struct Slow {
        asked: Sender<()>,
        let_go: Mutex<Receiver<()>>,
    }

    impl Trials for Slow {
        fn try_catalog(&self, _: &Arc<Catalog>, partitions: &[u32]) -> Vec<(u32, Trial)> {
            self.asked.send(()).unwrap();
            self.let_go.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
            partitions.iter().map(|partition| (*partition, Trial::Fits)).collect()
        }

        fn partitions(&self) -> u32 {
            4
        }
    }

    async fn ask_for_two(app: Arc<App>) -> Response {
        let asked = Ok(Query(Asked { partitions: "0,3".to_owned() }));
        let request = HttpRequest::new(Body::from("{}"));
        post(State(app), asked, request).await.unwrap_or_else(Problem::into_response)
    }

    /// However many ask, partitions are asked one question at a time.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_too_much_at_once_is_refused() {
        let (asked, were_asked) = channel();
        let (let_go, told) = channel();
        let (desk, _requests) = Desk::new(1, 1);
        desk.show_trials(Arc::new(Slow { asked, let_go: Mutex::new(told) }));
        desk.set_open();
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut app = App::new(desk, metrics, Settings::default().http, None);
        Arc::get_mut(&mut app).unwrap().trial_turns =
            TrialTurns::with_patience(Duration::from_millis(50));
        let first = tokio::spawn(ask_for_two(Arc::clone(&app)));
        were_asked.recv().unwrap();
        for _ in 0..2 {
            let second = ask_for_two(Arc::clone(&app)).await;
            assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(second.headers().contains_key(header::RETRY_AFTER));
        }
        let_go.send(()).unwrap();
        let first = first.await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let text = axum::body::to_bytes(first.into_body(), 1_000).await.unwrap();
        let answer: Answer = serde_json::from_slice(&text).unwrap();
        let trials: Vec<(u32, Trial)> = answer.trials.into_iter().map(Into::into).collect();
        assert_eq!(trials, [(0, Trial::Fits), (3, Trial::Fits)]);
        assert!(were_asked.try_recv().is_err(), "those refused were asked of nobody");
        // Once the partitions have rested, there is a turn for the next one.
        let_go.send(()).unwrap();
        let mut statuses = Vec::new();
        while statuses.len() < 200 && statuses.last() != Some(&StatusCode::OK) {
            statuses.push(ask_for_two(Arc::clone(&app)).await.status());
        }
        assert_eq!(statuses.last(), Some(&StatusCode::OK));
    }

    /// Each mention had the partition try the catalog once more.
    #[test]
    fn partitions_are_asked_once_and_must_exist() {
        let read = |text: &str| read_partitions(text, 4);
        assert_eq!(read("3,0,3,3"), Ok(BTreeSet::from([0, 3])));
        assert!(read("0,4").unwrap_err().contains("no partition 4"));
        for wrong in ["", "-1", "0,,1", "4294967296"] {
            assert!(read(wrong).unwrap_err().contains("numbers"), "{wrong}");
        }
        let many = vec!["0"; TRIAL_PARTITIONS_MAX + 1].join(",");
        assert!(read(&many).unwrap_err().contains("at most"));
    }
}
