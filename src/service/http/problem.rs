//! Problems: every answer that is none, as RFC 9457 has it.

use crate::failure::Failure;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rating::{Fault, json};
use std::fmt::Write as _;

/// Seconds after which a sender that was turned away may come back.
const RETRY_SECONDS: &str = "1";

/// Why a request was not served.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    faults: Vec<Fault>,
    retry: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), faults: Vec::new(), retry: false }
    }

    /// Too much is being asked at once.
    pub(super) fn busy(detail: &str) -> Self {
        Self { retry: true, ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// Not yet.
    pub(super) fn unready(detail: &str) -> Self {
        Self { retry: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// No longer.
    pub(super) fn stopping() -> Self {
        Self::unready("the service is stopping; what was sent was not taken")
    }

    /// Whoever was to answer has given up, and what became of the request is not known.
    pub(super) fn unanswered() -> Self {
        Self::unready(
            "there is no answer: a broker may be away, or the service is ending. What was sent may \
             have been taken: send it again as it is, and it counts once",
        )
    }

    /// A document with faults at places.
    pub(super) fn faulty(detail: &str, faults: Vec<Fault>) -> Self {
        Self { faults, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    fn to_json(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let mut out = format!(
            "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{},\"detail\":",
            self.status.as_u16()
        );
        json::write_string(&mut out, &self.detail);
        if !self.faults.is_empty() {
            out.push_str(",\"faults\":[");
            for (index, fault) in self.faults.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                // Writing to a string cannot fail.
                _ = write!(
                    out,
                    "{{\"line\":{},\"column\":{},\"message\":",
                    fault.line, fault.column
                );
                json::write_string(&mut out, &fault.message);
                out.push('}');
            }
            out.push(']');
        }
        out.push_str("}\n");
        out
    }
}

/// What the state could not answer.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_json()).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        response
    }
}

/// An answer in JSON.
pub(super) fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
