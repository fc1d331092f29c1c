//! Closing: the end of clients, which waits for all their threads and may take long where a name is
//! looked up or a broker does not answer.

use super::watch::Calls;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// How long clients may take to end. The process should not end before they have.
const CLOSE: Duration = Duration::from_secs(5);

/// Ends clients where they can be given up, when it is dropped itself. All else that holds them
/// must have been dropped before.
pub(super) struct Closing {
    clients: Option<Box<dyn Any + Send>>,
    calls: Arc<Calls>,
}

impl Closing {
    pub(super) fn of(clients: impl Any + Send, calls: &Arc<Calls>) -> Self {
        Self { clients: Some(Box::new(clients)), calls: Arc::clone(calls) }
    }

    /// Ends them in the background.
    pub(super) fn begin(self) {
        // Without a thread it is waited for after all.
        let started = std::thread::Builder::new().name("closing".to_owned()).spawn(|| drop(self));
        drop(started);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let clients = self.clients.take();
        // What is given up has been told of; it ends when it can.
        _ = self.calls.apart(("destroy", CLOSE), move || drop(clients), || {});
    }
}
