//! HTTP: routes, and what is the same for all of them.

mod body;
mod call;
mod catalog;
mod explanations;
mod listener;
mod peers;
mod periods;
mod probes;
mod problem;
mod rejected;
mod totals;
mod trial;
mod trial_turns;
mod usage;

pub(crate) use trial::ask as ask_trial;

use crate::service::desk::{Desk, Request, Turned};
use crate::service::metrics::Metrics;
use crate::service::settings::Http;
use axum::Router;
use axum::extract::{MatchedPath, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use listener::BoundedListener;
use problem::Problem;
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use trial_turns::TrialTurns;

/// What every route has at hand.
#[derive(Debug)]
pub(crate) struct App {
    desk: Arc<Desk>,
    metrics: Arc<Metrics>,
    settings: Http,
    /// The file that gives the catalog, if one does; the API does not change it then.
    catalog_given: Option<PathBuf>,
    /// Catalogs are large, so one is read at a time.
    catalog_turn: Semaphore,
    /// For catalogs that other instances have tried.
    trial_turns: TrialTurns,
}

impl App {
    pub(crate) fn new(
        desk: Arc<Desk>,
        metrics: Arc<Metrics>,
        settings: Http,
        catalog_given: Option<PathBuf>,
    ) -> Arc<Self> {
        let (catalog_turn, trial_turns) = (Semaphore::new(1), TrialTurns::new());
        Arc::new(Self { desk, metrics, settings, catalog_given, catalog_turn, trial_turns })
    }

    /// Whether requests can be served at all.
    fn check_open(&self) -> Result<(), Problem> {
        match (self.desk.is_closed(), self.desk.is_open()) {
            (true, _) => Err(Problem::stopping()),
            (false, false) => Err(Problem::unready("the state is being opened")),
            (false, true) => Ok(()),
        }
    }

    /// Whether usage can be rated and totals be read.
    fn check_ready(&self) -> Result<(), Problem> {
        self.check_open()?;
        if self.desk.catalog().is_none() {
            return Err(Problem::unready("there is no catalog yet; PUT /v1/catalog brings one"));
        }
        Ok(())
    }

    /// Hands a request in and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.desk.submit(request(reply))?;
        // Without an answer nothing was promised: the worker has failed or is gone, or a broker.
        answer.await.map_err(|_| Problem::unanswered())
    }
}

impl From<Turned> for Problem {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Full => Self::busy("more is waiting than may wait; send it again later"),
            Turned::Closed => Self::stopping(),
        }
    }
}

/// All routes; `openapi.json` describes the same ones, which a test compares.
fn routes() -> [(&'static str, MethodRouter<Arc<App>>); 11] {
    [
        ("/v1/usage", post(usage::post)),
        ("/v1/subscriptions/{id}/totals", get(totals::get)),
        ("/v1/subscriptions/{id}/charges/{charge}/explanation", get(explanations::get)),
        ("/v1/rejected", get(rejected::get)),
        ("/v1/catalog", get(catalog::get).put(catalog::put)),
        ("/v1/catalog/trial", post(trial::post)),
        ("/v1/periods/close", post(periods::close)),
        ("/metrics", get(probes::metrics)),
        ("/healthz", get(probes::healthz)),
        ("/readyz", get(probes::readyz)),
        ("/openapi.json", get(probes::openapi)),
    ]
}

fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(app), count))
        .layer(TraceLayer::new_for_http().on_failure(()))
        .with_state(Arc::clone(app))
}

/// Serves until `stopping` ends and every request that was begun is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stopping: impl Future<Output = ()> + Send + 'static,
) {
    let router = router(&app);
    let listener = BoundedListener::new(listener, app.settings.connections_max);
    let served = axum::serve(listener, router).with_graceful_shutdown(stopping).await;
    if let Err(error) = served {
        tracing::error!("HTTP ended: {error}");
    }
}

async fn count(State(app): State<Arc<App>>, request: HttpRequest, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    // Only what is routed has a name of ours; anything else would let strangers make up labels.
    if let Some(route) = route {
        let known = matches!(method.as_str(), "GET" | "HEAD" | "POST" | "PUT");
        let method = if known { method.as_str() } else { "other" };
        app.metrics.request(method, route.as_str(), response.status().as_str());
    }
    response
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this request met a defect").into_response()
}
