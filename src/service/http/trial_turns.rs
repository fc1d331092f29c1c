//! Trial turns: how much of an instance's memory and time go to catalogs that others have tried.
//!
//! Whoever reaches the HTTP port can ask, and each question has partitions commit, and read all
//! that they hold. So few catalogs are held at a time, one is tried after the other, and after each
//! the partitions rest: however much is asked, they have three quarters of the time for rating, and
//! half of it where a trial takes as long as the longest rest.

use super::problem::Problem;
use crate::service::limits::{
    TRIAL_CATALOGS_MAX, TRIAL_REST_SECONDS_MAX, TRIAL_REST_TIMES, TRIAL_TURN_SECONDS_MAX,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns that there are.
#[derive(Debug, Clone)]
pub(super) struct TrialTurns {
    /// For catalogs that are held until they are tried, also where whoever asked has gone.
    room: Arc<Semaphore>,
    /// For the one that is being tried.
    turn: Arc<Semaphore>,
    /// How long either is waited for: whoever asks has to answer, too.
    patience: Duration,
}

/// The turn of one catalog.
#[derive(Debug)]
pub(super) struct Turn(OwnedSemaphorePermit);

impl TrialTurns {
    pub(super) fn new() -> Self {
        Self::with_patience(Duration::from_secs(TRIAL_TURN_SECONDS_MAX))
    }

    pub(super) fn with_patience(patience: Duration) -> Self {
        let (room, turn) = (Semaphore::new(TRIAL_CATALOGS_MAX), Semaphore::new(1));
        Self { room: Arc::new(room), turn: Arc::new(turn), patience }
    }

    /// Room for a catalog, once there is some.
    ///
    /// # Errors
    /// 503 where there is none for too long.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.wait_for(&self.room).await
    }

    /// The turn to have a catalog tried.
    ///
    /// # Errors
    /// As [`TrialTurns::room`].
    pub(super) async fn turn(&self) -> Result<Turn, Problem> {
        self.wait_for(&self.turn).await.map(Turn)
    }

    async fn wait_for(&self, permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(self.patience, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Problem::unready("other catalogs are being tried; ask again later"))
            }
        }
    }
}

impl Turn {
    /// Gives the turn on after a rest from a trial that took so long.
    pub(super) fn end(self, took: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(rest_after(took)).await;
            drop(self.0);
        });
    }
}

/// How long partitions rest after a trial.
fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(TRIAL_REST_TIMES).min(Duration::from_secs(TRIAL_REST_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse as _;

    const SHORT: Duration = Duration::from_millis(20);

    #[track_caller]
    fn is_refused<T: std::fmt::Debug>(asked: Result<T, Problem>) {
        let response = asked.unwrap_err().into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }

    #[tokio::test]
    async fn who_finds_no_room_or_turn_is_told_to_ask_again() {
        let turns = TrialTurns::with_patience(SHORT);
        let mut rooms = Vec::new();
        for _ in 0..TRIAL_CATALOGS_MAX {
            rooms.push(turns.room().await.unwrap());
        }
        is_refused(turns.room().await);
        rooms.pop();
        let _room = turns.room().await.unwrap();
        let turn = turns.turn().await.unwrap();
        is_refused(turns.turn().await);
        // One that has asked nobody is given on at once.
        drop(turn);
        turns.turn().await.unwrap();
    }

    /// A catalog could be tried again and again by whoever reached the port, and its partitions did
    /// nothing else.
    #[tokio::test]
    async fn partitions_rest_after_a_trial() {
        let turns = TrialTurns::with_patience(SHORT);
        let an_hour = Duration::from_secs(3_600);
        turns.turn().await.unwrap().end(an_hour);
        is_refused(turns.turn().await);
        assert_eq!(rest_after(an_hour), Duration::from_secs(TRIAL_REST_SECONDS_MAX));
        assert_eq!(rest_after(SHORT), SHORT * TRIAL_REST_TIMES);
        // The rest ends.
        let turns = TrialTurns::with_patience(an_hour);
        turns.turn().await.unwrap().end(SHORT);
        turns.turn().await.unwrap();
    }
}
