//! `POST /v1/usage`: records in, a verdict for each out, once they are durable.

use super::App;
use super::body::{self, Bound};
use super::problem::{Problem, json_response};
use crate::clock::{self, Stopwatch};
use crate::service::desk::{Request, Submission};
use crate::service::limits::REQUEST_RECORDS_MAX;
use crate::service::split::{self, Form, Uncut};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) async fn post(
    State(app): State<Arc<App>>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let timeout = app.settings.body_timeout;
    let form = match form_of(request.headers()).and_then(|form| app.check_ready().map(|()| form)) {
        Ok(form) => form,
        Err(problem) => return Err(body::refuse(request, timeout, problem).await),
    };
    let bound = Bound { bytes_max: app.settings.body_bytes_max, timeout };
    let mut room = app.desk.room();
    let body = body::read(request, bound, Some(&mut room)).await?;
    let (received, age) = (clock::now(), Stopwatch::start());
    let records = split::records(form, &body)?;
    let count = records.len();
    let submit = |reply: oneshot::Sender<_>| {
        Request::Usage(Submission { body, records, received, age, room, reply })
    };
    app.metrics.received(count);
    let answer = app.ask(submit).await.inspect_err(|_| app.metrics.turned_away(count))?;
    let status = if answer.any_rejected { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    Ok(json_response(status, answer.into_json()))
}

/// How the records stand in the body, by its type.
fn form_of(headers: &HeaderMap) -> Result<Form, Problem> {
    let unsupported = |reason: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("encoded bodies are not read; send it without Content-Encoding"));
    }
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/cloudevents+json" => Ok(Form::Single),
        "application/cloudevents-batch+json" => Ok(Form::Batch),
        "application/x-ndjson" => Ok(Form::Lines),
        "application/json" => Ok(Form::Either),
        _ => Err(unsupported(
            "the Content-Type is none of application/cloudevents+json, \
             application/cloudevents-batch+json, application/x-ndjson, application/json",
        )),
    }
}

impl From<Uncut> for Problem {
    fn from(uncut: Uncut) -> Self {
        match uncut {
            Uncut::TooMany => {
                let reason = format!("more than {REQUEST_RECORDS_MAX} records; send it in parts");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
            }
            Uncut::Malformed(reason) => Self::new(StatusCode::BAD_REQUEST, reason),
        }
    }
}
