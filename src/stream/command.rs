//! Commands: what the worker of a partition is asked for while it works.

use super::broker::Broker;
use super::catalog_topic::{CatalogBoard, InForce, REMEDY};
use super::limits::COMMANDS_MAX;
use super::rater::{Rater, Tick};
use super::stop::Stop;
use crate::service::{Read, Refusal, Unread};
use rating::{Catalog, Instant};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

/// Who asks whether a catalog fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The keeper of this instance, which has read the catalog's topic to its end.
    Keeper,
    /// Another instance, which may have read more of it.
    Peer,
}

/// What a worker can be asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// To commit what is open and let go.
    Stop,
    /// To go on with another catalog; what kept it from that is told.
    Catalog { newer: InForce, done: Sender<Result<(), String>> },
    /// Whether another catalog fits what was rated.
    TryCatalog { catalog: Arc<Catalog>, by: Asker, reply: Sender<Result<(), Refusal>> },
    /// To be answered as of a commit begun after this.
    Read(Read),
    /// To close the periods that ended by an instant.
    Close { until: Instant, done: Sender<()> },
}

/// Does what is asked for; whether to go on. All reads that wait are answered after one commit.
pub(super) fn serve<B: Broker>(
    rater: &mut Rater<B>,
    commands: &Receiver<Command>,
    board: &CatalogBoard,
    tick: impl Fn() -> Tick,
) -> Result<bool, Stop> {
    let mut reads = Vec::new();
    // Those that keep coming must not keep records from being read.
    for _ in 0..COMMANDS_MAX {
        match commands.try_recv() {
            Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return Ok(false),
            Ok(Command::Read(read)) => reads.push(read),
            Ok(command) => obey(rater, command, board, tick())?,
            Err(TryRecvError::Empty) => break,
        }
    }
    if !reads.is_empty() {
        rater.commit(tick())?;
        for read in reads {
            read.answer(rater.partition());
        }
    }
    Ok(true)
}

/// Does what was asked for. Whoever asked may have gone away since.
pub(super) fn obey<B: Broker>(
    rater: &mut Rater<B>,
    command: Command,
    board: &CatalogBoard,
    tick: Tick,
) -> Result<(), Stop> {
    match command {
        Command::Stop | Command::Read(_) => {}
        Command::Catalog { newer, done } => {
            let taken = rater.set_catalog(newer, tick)?;
            let partition = rater.number();
            if let Err(reason) = &taken {
                tracing::error!(partition, "the catalog in force is not taken: {reason}; {REMEDY}");
            }
            // Before it is answered: when this worker ends, the supervisor takes the note away, and
            // nobody may put it there after that.
            board.note(partition, &taken);
            _ = done.send(taken);
        }
        Command::TryCatalog { catalog, reply, .. } => {
            let fits = rater.try_catalog(catalog, tick)?;
            _ = reply.send(fits.map_err(Refusal::Contradicts));
        }
        Command::Close { until, done } => {
            rater.close(until, tick)?;
            _ = done.send(());
        }
    }
    Ok(())
}

/// Answers what cannot wait until a partition is restored; what can is given back, but for
/// [`Command::Stop`], which is for the caller.
pub(super) fn put_off(command: Command, partition: u32) -> Option<Command> {
    let not_yet = || format!("partition {partition} is being restored; ask again in a moment");
    match command {
        Command::Read(read) => read.refuse(Unread::NotNow(not_yet())),
        Command::TryCatalog { reply, .. } => {
            _ = reply.send(Err(Refusal::NotNow(not_yet())));
        }
        // It is on the board, where the restored partition looks for it; it has not taken it yet.
        Command::Catalog { .. } => {}
        stop_or_close @ (Command::Stop | Command::Close { .. }) => return Some(stop_or_close),
    }
    None
}
