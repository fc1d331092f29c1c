//! `GET /v1/rejected`: the last dead letters, the newest first, or where they are.

use super::App;
use super::problem::{Problem, json_response};
use crate::service::desk::{DeadLetters, Request};
use crate::service::limits::{REJECTED_SHOWN, REJECTED_SHOWN_MAX};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    limit: Option<usize>,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let Query(asked) = asked.map_err(|error| bad(error.body_text()))?;
    let limit = asked.limit.unwrap_or(REJECTED_SHOWN);
    if !(1..=REJECTED_SHOWN_MAX).contains(&limit) {
        return Err(bad(format!("limit must be from 1 to {REJECTED_SHOWN_MAX}")));
    }
    app.check_open()?;
    match app.ask(|reply| Request::Rejected { limit, reply }).await?? {
        DeadLetters::Here(rejected) => Ok(json_response(StatusCode::OK, rejected)),
        DeadLetters::InTopic(topic) => {
            let reason = format!("with Kafka, dead letters are in topic {topic}; read them there");
            Err(Problem::new(StatusCode::NOT_IMPLEMENTED, reason))
        }
    }
}
