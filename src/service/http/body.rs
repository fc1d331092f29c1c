//! Bodies: read up to a bound, within a time, and only where there is room.
//!
//! A body that is refused is read away, within bounds, before the refusal is sent: otherwise its
//! sender would still be writing when the connection is closed, and never see the answer.

use super::problem::Problem;
use crate::service::desk::Room;
use crate::service::limits::DRAINED_BYTES_MAX;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use std::time::Duration;

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) bytes_max: usize,
    pub(super) timeout: Duration,
}

/// Reads the whole body of a request; `room` grows with it.
pub(super) async fn read(
    request: Request,
    bound: Bound,
    room: Option<&mut Room>,
) -> Result<Bytes, Problem> {
    let (head, mut body) = request.into_parts();
    let reading = async {
        let read = read_within(&head.headers, &mut body, bound.bytes_max, room).await;
        if read.is_err() && head.headers.get(header::EXPECT).is_none() {
            drain(body).await;
        }
        read
    };
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    tokio::time::timeout(bound.timeout, reading).await.map_err(late)?
}

/// Refuses a request without having looked at its body.
pub(super) async fn refuse(request: Request, timeout: Duration, problem: Problem) -> Problem {
    if request.headers().get(header::EXPECT).is_none() {
        // A body that takes too long is not waited for.
        _ = tokio::time::timeout(timeout, drain(request.into_body())).await;
    }
    problem
}

async fn read_within(
    headers: &HeaderMap,
    body: &mut Body,
    bytes_max: usize,
    mut room: Option<&mut Room>,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let reason = format!("the body is larger than {bytes_max} bytes; send it in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let declared = usize::try_from(declared).ok().filter(|length| *length <= bytes_max);
    let mut granted = declared.ok_or_else(too_large)?;
    if let Some(room) = &mut room {
        room.grow(granted)?;
    }
    let mut bytes = Vec::with_capacity(granted);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
        })?;
        let Ok(chunk) = frame.into_data() else { continue };
        let length = bytes.len() + chunk.len();
        if length > bytes_max {
            return Err(too_large());
        }
        if let Some(room) = &mut room
            && length > granted
        {
            room.grow(length - granted)?;
            granted = length;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAINED_BYTES_MAX {
            return;
        }
    }
}
