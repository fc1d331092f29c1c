//! Keeping: the thread of the catalog's keeper or of the watch over topics, as the one that started
//! it sees it.
//!
//! A keeper may be in the middle of a transaction on the catalog's topic, or wait for another
//! instance. So it is waited for when the service stops, but not for as long as that may take: what
//! it was about to put in force then is not, and a transaction that stays open is aborted by the
//! broker. A process that ends while a thread talks by TLS may crash at its end.

use super::limits::KEEPER_SECONDS_MAX;
use crate::failure::Failure;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// A thread that keeps something.
#[derive(Debug)]
pub(super) struct Keeping {
    /// Comes when it has ended and let go of everything.
    end: oneshot::Receiver<Result<(), Failure>>,
    ended: Option<Result<(), Failure>>,
    patience: Duration,
    name: &'static str,
}

impl Keeping {
    /// The thread that plays this part.
    pub(super) const fn new(
        name: &'static str,
        end: oneshot::Receiver<Result<(), Failure>>,
    ) -> Self {
        Self { end, ended: None, patience: Duration::from_secs(KEEPER_SECONDS_MAX), name }
    }

    /// Whether it has ended; before it is told to, only by a defect.
    pub(super) fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = match self.end.try_recv() {
                Ok(ended) => Some(ended),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Closed) => Some(Err(vanished(self.name))),
            };
        }
        self.ended.is_some()
    }

    /// Waits until it has ended, within bounds, once it has been told to.
    ///
    /// # Errors
    /// [`Failure`] with which it has ended. One that has not is told of and left alone.
    pub(super) fn join(mut self, runtime: &Handle) -> Result<(), Failure> {
        if self.has_ended() {
            return self.ended.unwrap_or(Ok(()));
        }
        let Self { end, patience, name, .. } = self;
        match runtime.block_on(async { tokio::time::timeout(patience, end).await }) {
            Ok(ended) => ended.unwrap_or_else(|_| Err(vanished(name))),
            Err(_) => {
                tracing::warn!("the {name} has not ended within {patience:?} and is left alone");
                Ok(())
            }
        }
    }
}

fn vanished(name: &str) -> Failure {
    Failure::Dependency(format!("the {name} vanished"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::start_thread;
    use std::sync::mpsc::channel;

    /// It was not waited for: the process ended while it was writing to the catalog's topic.
    #[test]
    fn a_keeper_is_waited_for_but_not_for_ever() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let keep = |broken: Option<&str>| {
            let ended = broken.map_or(Ok(()), |why| Err(Failure::Dependency(why.to_owned())));
            let (go, told) = channel::<()>();
            let end = start_thread("catalog", move || {
                _ = told.recv();
                ended
            });
            (go, Keeping::new("keeper", end.unwrap()))
        };
        let join = |keeping: Keeping| {
            keeping.join(runtime.handle()).map_err(|failure| failure.to_string())
        };
        let (go, mut keeping) = keep(None);
        assert!(!keeping.has_ended());
        drop(go);
        assert_eq!(join(keeping), Ok(()));
        // Why it has ended is told, also by one that has done so by itself.
        let (go, mut keeping) = keep(Some("no pen"));
        drop(go);
        while !keeping.has_ended() {
            std::thread::yield_now();
        }
        assert!(keeping.has_ended(), "it stays so");
        assert_eq!(join(keeping), Err("error: no pen".to_owned()));
        let (_go, keeping) = keep(Some("no pen"));
        let keeping = Keeping { patience: Duration::from_millis(20), ..keeping };
        assert_eq!(join(keeping), Ok(()), "it is left alone");
    }
}
