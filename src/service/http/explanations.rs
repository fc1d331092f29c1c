//! `GET /v1/subscriptions/{id}/charges/{charge}/explanation`: which records made a total.

use super::problem::Problem;
use super::{App, peers};
use crate::service::reads::Question;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    period: Option<String>,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let Path((subscription, charge)) = path.map_err(|error| bad(error.body_text()))?;
    let Query(asked) = asked.map_err(|error| bad(error.body_text()))?;
    let Some(period) = asked.period.filter(|period| !period.is_empty()) else {
        return Err(bad("name the period by its first day, such as period=2026-01".to_owned()));
    };
    app.check_ready()?;
    let name = format!("charge \"{charge}\" of subscription \"{subscription}\" from {period} on");
    let question = Question::Explain { subscription, charge, period };
    let absent = || format!("there is no total of {name}");
    peers::answer(&app, question, (&uri, &headers), absent).await
}
