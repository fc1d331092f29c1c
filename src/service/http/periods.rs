//! `POST /v1/periods/close`: closes periods by hand, without waiting for their grace.

use super::App;
use super::body::{self, Bound};
use super::problem::{Problem, json_response};
use crate::clock;
use crate::service::desk::Request;
use crate::service::later;
use crate::service::limits::{CLOSE_AHEAD_DAYS_MAX, COMMAND_BYTES_MAX};
use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::Response;
use rating::Instant;
use rating::json::Tape;
use std::sync::Arc;
use std::time::Duration;

const AHEAD_MAX: Duration = Duration::from_secs(CLOSE_AHEAD_DAYS_MAX * 86_400);

pub(super) async fn close(
    State(app): State<Arc<App>>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let timeout = app.settings.body_timeout;
    let body = body::read(request, Bound { bytes_max: COMMAND_BYTES_MAX, timeout }, None).await?;
    let until =
        read_until(&body).map_err(|reason| Problem::new(StatusCode::BAD_REQUEST, reason))?;
    if until > later(clock::now(), AHEAD_MAX) {
        // A slip in the year would close, and so make, the periods of centuries.
        let reason = format!("until lies more than {CLOSE_AHEAD_DAYS_MAX} days ahead");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason));
    }
    app.check_ready()?;
    app.ask(|reply| Request::Close { until, reply }).await?;
    Ok(json_response(StatusCode::OK, format!("{{\"until\":\"{until}\"}}\n")))
}

fn read_until(body: &[u8]) -> Result<Instant, String> {
    let mut tape = Tape::default();
    let value = tape.parse(body).map_err(|error| format!("not valid JSON: {error}"))?;
    let until = value.get("until").and_then(|until| until.as_text());
    let until = until.ok_or("the body must be {\"until\": \"2026-02-01T00:00:00Z\"}")?;
    Instant::parse(&until).map_err(|error| format!("until: \"{until}\" {error}"))
}
