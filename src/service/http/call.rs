//! Calls: what one instance asks of another by HTTP.

use crate::service::limits::{PEER_BYTES_MAX, PEER_CONNECT_SECONDS_MAX};
use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// Says that this was passed on already, so that it is not passed on again.
pub(super) const PASSED_ON: &str = "usage-rater-passed-on";

/// Sends a request to an instance and gives its answer. It takes as long as the other one does.
pub(super) async fn call(
    owner: &str,
    (method, path): (Method, &str),
    body: Bytes,
) -> Result<(StatusCode, Bytes), String> {
    let broken = |error: &dyn std::error::Error| error.to_string();
    let patience = Duration::from_secs(PEER_CONNECT_SECONDS_MAX);
    let connected = tokio::time::timeout(patience, TcpStream::connect(owner)).await;
    let stream = connected
        .map_err(|_| format!("no connection within {patience:?}"))?
        .map_err(|error| broken(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // It ends with its only request; whoever waits for that sees what went wrong.
    let driving = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, owner)
        .header(header::CONNECTION, "close")
        .header(PASSED_ON, "1")
        .body(Full::new(body))
        .map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), PEER_BYTES_MAX).collect().await;
    driving.abort();
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}
