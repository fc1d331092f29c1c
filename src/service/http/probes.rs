//! What machines ask: whether it lives, whether it is ready, how it does, what there is.

use super::App;
use super::problem::{Problem, json_response};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

const OPENAPI: &str = include_str!("../openapi.json");

/// The process ends when its worker fails, so one that answers lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready is who can answer for all that is assigned to it.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.check_open()?;
    let missing = app.desk.missing();
    if !missing.is_empty() {
        return Err(Problem::unready(&missing.join("; ")));
    }
    app.check_ready().map(|()| "ready\n")
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let text = app.metrics.text().map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write metrics: {error}"))
    })?;
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

pub(super) async fn openapi() -> Response {
    json_response(StatusCode::OK, OPENAPI.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Methods are compared by the integration tests, which ask the program itself.
    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<&str> =
            described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = super::super::routes().iter().map(|(path, _)| *path).collect();
        assert_eq!(described, routed);
    }
}
