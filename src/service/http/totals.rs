//! `GET /v1/subscriptions/{id}/totals`: what a subscription has used and owes.

use super::problem::Problem;
use super::{App, peers};
use crate::service::reads::Question;
use crate::service::wanted::WantedPeriod;
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
    id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let bad = |reason: String| Problem::new(StatusCode::BAD_REQUEST, reason);
    let Path(subscription) = id.map_err(|error| bad(error.body_text()))?;
    let Query(asked) = asked.map_err(|error| bad(error.body_text()))?;
    let wanted = match asked.period.as_deref() {
        None => WantedPeriod::Any,
        Some(text) => WantedPeriod::parse(text).ok_or_else(|| {
            let reason = "is no month, day or instant, such as 2026-01 or 2026-01-31";
            bad(format!("period \"{text}\" {reason}"))
        })?,
    };
    app.check_ready()?;
    let name = subscription.clone();
    let question = Question::Totals { subscription, wanted };
    let absent = || format!("the catalog has no subscription \"{name}\"");
    peers::answer(&app, question, (&uri, &headers), absent).await
}
