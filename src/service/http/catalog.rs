//! `GET` and `PUT /v1/catalog`: the catalog as a whole.

use super::App;
use super::body::{self, Bound};
use super::problem::{Problem, json_response};
use crate::service::desk::Request;
use crate::service::ledger::{CatalogText, Refusal};
use crate::service::limits::CATALOG_BYTES_MAX;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rating::Catalog;
use std::sync::Arc;

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.check_open()?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "there is no catalog yet");
    let CatalogText { text, .. } = app.desk.catalog().ok_or_else(missing)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(text)).into_response())
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let timeout = app.settings.body_timeout;
    let given = app.catalog_given.as_ref().map(|file| {
        let reason = format!(
            "the settings take the catalog from {}; change the file, and send the process SIGHUP",
            file.display()
        );
        Problem::new(StatusCode::CONFLICT, reason)
    });
    let turn = app.catalog_turn.try_acquire();
    let turned = turn.as_ref().err().map(|_| Problem::busy("another catalog is being read"));
    if let Some(problem) = given.or_else(|| app.check_open().err()).or(turned) {
        return Err(body::refuse(request, timeout, problem).await);
    }
    let text = body::read(request, Bound { bytes_max: CATALOG_BYTES_MAX, timeout }, None).await?;
    let parsing = tokio::task::spawn_blocking(move || {
        let catalog = Catalog::parse(&text)?;
        Ok::<CatalogText, Vec<rating::Fault>>(CatalogText { catalog: Arc::new(catalog), text })
    });
    let parsed = parsing.await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading this catalog met a defect")
    })?;
    let new = parsed.map_err(|faults| {
        Problem::faulty("the catalog has faults; the one before stays in force", faults)
    })?;
    let counted = described(&new.catalog);
    match app.ask(|reply| Request::Catalog { new, reply }).await? {
        Ok(()) => Ok(json_response(StatusCode::OK, counted)),
        Err(Refusal::Contradicts(reason)) => Err(Problem::new(StatusCode::CONFLICT, reason)),
        Err(Refusal::NotKept(reason)) => {
            Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, reason))
        }
        Err(Refusal::NotNow(reason)) => Err(Problem::unready(&reason)),
    }
}

fn described(catalog: &Catalog) -> String {
    format!(
        "{{\"plans\":{},\"customers\":{},\"subscriptions\":{}}}\n",
        catalog.plans().len(),
        catalog.customers().len(),
        catalog.subscriptions().len()
    )
}
