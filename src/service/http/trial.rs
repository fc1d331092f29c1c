//! `POST /v1/catalog/trial`: whether a catalog fits what partitions held here have rated; and how
//! another instance is asked for that.

use super::App;
use super::body::{self, Bound};
use super::call::call;
use super::problem::{Problem, json_response};
use crate::service::limits::{CATALOG_BYTES_MAX, TRIAL_PARTITIONS_MAX, TRIAL_SECONDS_MAX};
use crate::service::trials::Trial;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use rating::Catalog;
use serde::{Deserialize, Serialize};
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
    let ready = asked
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
        .and_then(|Query(asked)| read_partitions(&asked.partitions))
        .and_then(|partitions| app.check_open().map(|()| partitions))
        .and_then(|partitions| {
            let alone =
                "this instance is alone: PUT /v1/catalog tries a catalog before it is taken";
            let alone = || Problem::new(StatusCode::NOT_IMPLEMENTED, alone);
            Ok((partitions, app.desk.trials().ok_or_else(alone)?))
        });
    let (partitions, trials) = match ready {
        Ok(ready) => ready,
        Err(problem) => return Err(body::refuse(request, timeout, problem).await),
    };
    // Several instances may ask at once, and each would have to ask again: they wait in turn.
    let patience = Duration::from_secs(TRIAL_SECONDS_MAX);
    let Ok(Ok(_turn)) = tokio::time::timeout(patience, app.trial_turn.acquire()).await else {
        let busy = Problem::unready("other catalogs are being tried; ask again later");
        return Err(body::refuse(request, timeout, busy).await);
    };
    let text = body::read(request, Bound { bytes_max: CATALOG_BYTES_MAX, timeout }, None).await?;
    let trying = tokio::task::spawn_blocking(move || {
        let catalog = Arc::new(Catalog::parse(&text)?);
        Ok::<_, Vec<rating::Fault>>(trials.try_catalog(&catalog, &partitions))
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

fn read_partitions(text: &str) -> Result<Vec<u32>, Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let numbers = text.split(',').take(TRIAL_PARTITIONS_MAX + 1).map(str::parse);
    let numbers: Result<Vec<u32>, _> = numbers.collect();
    let numbers = numbers.map_err(|_| bad("partitions must be numbers, such as 0,3".to_owned()))?;
    if numbers.len() > TRIAL_PARTITIONS_MAX {
        return Err(bad(format!("partitions must be at most {TRIAL_PARTITIONS_MAX}")));
    }
    Ok(numbers)
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
