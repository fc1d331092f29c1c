//! `GET /v1/subscriptions/{id}/charges/{charge}/explanation`: which records made a total.

use super::App;
use super::problem::{Problem, json_response};
use crate::service::desk::Request;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
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
) -> Result<Response, Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let Path((subscription, charge)) = path.map_err(|error| bad(error.body_text()))?;
    let Query(asked) = asked.map_err(|error| bad(error.body_text()))?;
    let Some(period) = asked.period.filter(|period| !period.is_empty()) else {
        return Err(bad("name the period by its first day, such as period=2026-01".to_owned()));
    };
    app.check_ready()?;
    let name = format!("charge \"{charge}\" of subscription \"{subscription}\" from {period} on");
    let explained = app
        .ask(|reply| Request::Explain { subscription, charge, period, reply })
        .await??
        .ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, format!("there is no total of {name}"))
        })?;
    Ok(json_response(StatusCode::OK, explained))
}
