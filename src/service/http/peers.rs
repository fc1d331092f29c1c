//! Peers: a read of what another instance holds is passed on to it, once.
//!
//! The other one answers from its own partition or not at all: a header keeps it from passing the
//! read on again, so that instances that each take another for the owner do not ask in circles.

use super::App;
use super::call::{PASSED_ON, call};
use super::problem::{Problem, json_response};
use crate::service::limits::{OWNER_SECONDS_MAX, PEER_READS_MAX, PEER_SECONDS_MAX};
use crate::service::owners::Owners;
use crate::service::reads::{Question, Read, Unread};
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Who is thought to hold a partition is asked; then whoever is found to, where that was wrong.
const TRIES: usize = 2;

/// Reads that are passed on at a time.
static ROOM: Semaphore = Semaphore::const_new(PEER_READS_MAX);

/// Answers a question from here or from where its partition is held; `absent` is said where there
/// is no such thing.
pub(super) async fn answer(
    app: &App,
    question: Question,
    (uri, headers): (&Uri, &HeaderMap),
    absent: impl FnOnce() -> String,
) -> Result<Response, Problem> {
    let (reply, answer) = oneshot::channel();
    app.desk.submit(crate::service::desk::Request::Read(Read { question, reply }))?;
    // Without an answer, the partition was let go, or has failed.
    let gone = "the partition of this subscription was let go before it answered; ask again";
    match answer.await.unwrap_or_else(|_| Err(Unread::NotNow(gone.to_owned()))) {
        Ok(Some(text)) => Ok(json_response(StatusCode::OK, text)),
        Ok(None) => Err(Problem::new(StatusCode::NOT_FOUND, absent())),
        Err(Unread::NotNow(reason)) => Err(Problem::unready(&reason)),
        Err(Unread::Failed(failure)) => Err(failure.into()),
        Err(Unread::Elsewhere(partition)) => {
            let passed_on = pass_on(app, partition, (uri, headers)).await;
            app.metrics.read_elsewhere(passed_on.is_ok());
            passed_on
        }
    }
}

async fn pass_on(
    app: &App,
    partition: u32,
    (uri, headers): (&Uri, &HeaderMap),
) -> Result<Response, Problem> {
    let owners = app.desk.owners().filter(|_| !headers.contains_key(PASSED_ON));
    let Some(owners) = owners else {
        let reason = format!("partition {partition} of this subscription is not held here now");
        return Err(Problem::unready(&format!("{reason}; ask again in a moment")));
    };
    let busy = |_| Problem::busy("too many reads of what other instances hold; ask again later");
    let _room = ROOM.try_acquire().map_err(busy)?;
    let mut wrong = None;
    let mut reason = "nobody has held it yet".to_owned();
    for _ in 0..TRIES {
        let Some(owner) = find(&owners, partition, wrong.clone()).await? else { break };
        if wrong.as_ref() == Some(&owner) {
            break;
        }
        match ask(&owner, uri).await {
            Ok(Some(response)) => return Ok(response),
            Ok(None) => reason = format!("{owner} held it last, and cannot answer now"),
            Err(error) => reason = format!("{owner} held it last, and was not reached: {error}"),
        }
        wrong = Some(owner);
    }
    Err(Problem::unready(&format!(
        "partition {partition} of this subscription is held by another instance: {reason}; ask \
         again in a moment"
    )))
}

async fn find(
    owners: &Arc<dyn Owners>,
    partition: u32,
    wrong: Option<String>,
) -> Result<Option<String>, Problem> {
    let owners = Arc::clone(owners);
    let looking = move || owners.owner_of(partition, wrong.as_deref());
    let patience = Duration::from_secs(OWNER_SECONDS_MAX);
    // It ends by itself, but what calls the broker may be late.
    let found = tokio::time::timeout(patience, tokio::task::spawn_blocking(looking)).await;
    let found = found.map_err(|_| {
        Problem::unready("who holds the partition did not become known in time; ask again")
    })?;
    let found = found.map_err(|_| {
        let reason = "looking for the instance that holds the partition met a defect";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    })?;
    found.map_err(|error| Problem::unready(&format!("who holds the partition is unknown: {error}")))
}

/// Asks an instance; `None` if it cannot answer.
async fn ask(owner: &str, uri: &Uri) -> Result<Option<Response>, String> {
    let patience = Duration::from_secs(PEER_SECONDS_MAX);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let asked = call(owner, (Method::GET, path), Bytes::new());
    let asked = tokio::time::timeout(patience, asked).await;
    let (status, body) = asked.map_err(|_| format!("no answer within {patience:?}"))??;
    if !matches!(status, StatusCode::OK | StatusCode::NOT_FOUND) {
        return Ok(None);
    }
    let text = String::from_utf8(body.into()).map_err(|_| "an answer that is no text")?;
    let mut response = json_response(status, text);
    if status == StatusCode::NOT_FOUND {
        let media_type = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    Ok(Some(response))
}
