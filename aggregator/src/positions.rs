//! Positions in memory, in front of the store, as slots are for totals.
//!
//! A position is loaded and held whole, with its rows: a percentile of a million different values
//! takes some 40 MB. After a commit, those not touched for longest are dropped until what is held
//! is within its bound.

use crate::commit::Delta;
use crate::error::Error;
use crate::keys::{WHOLE_POSITION, row_key, row_numbers};
use crate::limits::RECORD_BLOCK_BLOCKS;
use crate::position_codec::{Row, decode_position, decode_rows, encode_position, encode_rows};
use crate::store::Store;
use crate::tables::Table;
use hashbrown::hash_map::EntryRef;
use rating::{Kept, Position, PositionUndo, Rows, Tally, Weight};
use std::sync::Arc;

/// A position in memory.
#[derive(Debug)]
struct Held {
    position: Position,
    dirty: bool,
    touched: u64,
    /// A measure of its memory, as of the last commit.
    blocks: usize,
}

/// A key in the store; every change of a position notes it several times.
type Key = Arc<[u8]>;

/// All positions in memory, by their keys in the store.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    held: hashbrown::HashMap<Key, Held, foldhash::fast::FixedState>,
    dirty: Vec<Key>,
    /// Keys of rows whose positions were made anew since the last commit.
    replaced_rows: Vec<Box<[u8]>>,
    commits: u64,
    /// Σ of what is held.
    blocks: usize,
    /// Since [`Positions::begin`]; nothing is noted outside of it.
    steps: Vec<(Key, Step)>,
    notes_steps: bool,
}

/// How to undo what became of a position since [`Positions::begin`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for every change; a box would cost more")]
enum Step {
    /// It was going to change.
    Touched { was_held: bool, was_dirty: bool },
    /// It changed.
    Changed(PositionUndo),
}

impl Positions {
    /// A position that is about to change; `make` makes it where the store has none.
    pub(crate) fn change(
        &mut self,
        store: &Store,
        key: &[u8],
        make: impl FnOnce() -> Position,
    ) -> Result<&mut Position, Error> {
        let commits = self.commits;
        let (entry, was_held) = match self.held.entry_ref(key) {
            EntryRef::Occupied(entry) => (entry, true),
            EntryRef::Vacant(entry) => {
                let position = load(store, key)?.unwrap_or_else(make);
                let held = Held { position, dirty: false, touched: commits, blocks: 0 };
                (entry.insert_entry_with_key(key.into(), held), false)
            }
        };
        let was_dirty = entry.get().dirty;
        if self.notes_steps {
            let step = Step::Touched { was_held, was_dirty };
            self.steps.push((Arc::clone(entry.key()), step));
        }
        if !was_dirty {
            self.dirty.push(Arc::clone(entry.key()));
        }
        let held = entry.into_mut();
        (held.touched, held.dirty) = (commits, true);
        Ok(&mut held.position)
    }

    /// From here on, what becomes of positions can be undone, until [`Positions::end`].
    pub(crate) fn begin(&mut self) {
        self.steps.clear();
        self.notes_steps = true;
    }

    /// Notes how to undo a change.
    pub(crate) fn changed(&mut self, key: &[u8], undo: PositionUndo) {
        if !self.notes_steps {
            return;
        }
        // It was touched last, in nearly all cases.
        let key = match self.steps.last() {
            Some((last, _)) if **last == *key => Arc::clone(last),
            _ => key.into(),
        };
        self.steps.push((key, Step::Changed(undo)));
    }

    /// Whether what becomes of positions can be undone.
    pub(crate) const fn notes_steps(&self) -> bool {
        self.notes_steps
    }

    /// Keeps what became of positions since [`Positions::begin`], or undoes it.
    pub(crate) fn end(&mut self, keep: bool) {
        self.notes_steps = false;
        if keep {
            self.steps.clear();
        }
        while let Some((key, step)) = self.steps.pop() {
            let Some(held) = self.held.get_mut(&key) else { continue };
            match step {
                Step::Changed(undo) => held.position.undo(undo),
                Step::Touched { was_held, was_dirty } => {
                    if !was_dirty {
                        held.dirty = false;
                        // It is one of the last that became so.
                        if let Some(at) = self.dirty.iter().rposition(|other| *other == key) {
                            self.dirty.remove(at);
                        }
                    }
                    if !was_held {
                        self.held.remove(&key);
                    }
                }
            }
        }
    }

    /// Puts another position in the place of that of the store, whose rows are deleted.
    pub(crate) fn replace(
        &mut self,
        store: &Store,
        key: &[u8],
        position: Position,
    ) -> Result<(), Error> {
        store.scan_prefix(Table::Rows, key, |key, _| {
            self.replaced_rows.push(key.into());
            Ok(())
        })?;
        let held = Held { position, dirty: true, touched: self.commits, blocks: 0 };
        let before = self.held.insert(key.into(), held);
        self.blocks -= before.as_ref().map_or(0, |before| before.blocks);
        if !before.is_some_and(|before| before.dirty) {
            self.dirty.push(key.into());
        }
        Ok(())
    }

    /// Notes everything that changed since the last commit.
    pub(crate) fn stage(&self, delta: &mut Delta) {
        for key in &self.replaced_rows {
            delta.delete(Table::Rows, key);
        }
        let dirty = self.dirty.iter().filter_map(|key| Some((key, self.held.get(key)?)));
        for (key, held) in dirty {
            if held.position.parts.is_empty() {
                // It was made for a record that was refused, or anew, from none.
                delta.delete(Table::Positions, key);
                continue;
            }
            delta.put_with(Table::Positions, |out| {
                out.extend_from_slice(key);
                let middle = out.len();
                encode_position(out, &held.position);
                middle
            });
            match &held.position.kept {
                Kept::Nothing => {}
                Kept::Distinct(rows) => stage_rows(delta, key, WHOLE_POSITION, rows),
                Kept::Records(rows) => stage_rows(delta, key, WHOLE_POSITION, rows),
            }
            for part in &held.position.parts {
                if let Tally::Values(rows) = &part.tally {
                    stage_rows(delta, key, part.number, rows);
                }
            }
        }
    }

    /// Everything is in the store now; drops positions while they hold more than `blocks_max`
    /// blocks.
    pub(crate) fn committed(&mut self, blocks_max: usize) {
        self.commits += 1;
        self.replaced_rows.clear();
        for key in self.dirty.drain(..) {
            let Some(held) = self.held.get_mut(&key) else { continue };
            held.dirty = false;
            stored(&mut held.position);
            self.blocks -= held.blocks;
            held.blocks = blocks_of(&held.position);
            self.blocks += held.blocks;
        }
        if self.blocks > blocks_max {
            self.drop_oldest(blocks_max / 2);
        }
    }

    fn drop_oldest(&mut self, blocks_kept: usize) {
        let mut by_age: Vec<(u64, usize, Key)> = self
            .held
            .iter()
            .map(|(key, held)| (held.touched, held.blocks, Arc::clone(key)))
            .collect();
        by_age.sort_unstable();
        for (_, count, key) in by_age {
            if self.blocks <= blocks_kept {
                break;
            }
            self.held.remove(&key);
            self.blocks -= count;
        }
    }
}

/// A measure of the memory that a position takes: its blocks, and one for itself.
fn blocks_of(position: &Position) -> usize {
    let kept = match &position.kept {
        Kept::Nothing => 0,
        Kept::Distinct(rows) => rows.blocks_len(),
        Kept::Records(rows) => rows.blocks_len() * RECORD_BLOCK_BLOCKS,
    };
    let parts = position.parts.iter().map(|part| match &part.tally {
        Tally::Values(rows) => rows.blocks_len(),
        Tally::Sum(_)
        | Tally::Mean { .. }
        | Tally::Distinct(_)
        | Tally::Latest
        | Tally::Weighted { .. } => 0,
    });
    1 + kept + parts.sum::<usize>()
}

fn stored(position: &mut Position) {
    match &mut position.kept {
        Kept::Nothing => {}
        Kept::Distinct(rows) => rows.stored(),
        Kept::Records(rows) => rows.stored(),
    }
    for part in &mut position.parts {
        if let Tally::Values(rows) = &mut part.tally {
            rows.stored();
        }
    }
}

fn stage_rows<K, V>(delta: &mut Delta, key: &[u8], part: u32, rows: &Rows<K, V>)
where
    K: Ord + Clone,
    V: Weight + Copy,
    (K, V): Row,
{
    let (changed, dropped) = rows.unstored();
    for number in dropped {
        delta.delete(Table::Rows, &row_key(key, part, *number));
    }
    for block in changed {
        delta.put_with(Table::Rows, |out| {
            out.extend_from_slice(&row_key(key, part, block.number));
            let middle = out.len();
            encode_rows(out, &block.rows);
            middle
        });
    }
}

/// Blocks of rows as they are stored: part, block, bytes.
type Blocks = Vec<(u32, u32, Vec<u8>)>;

/// A position of the store, with its rows.
pub(crate) fn load(store: &Store, key: &[u8]) -> Result<Option<Position>, Error> {
    let Some(bytes) = store.get(Table::Positions, key)? else { return Ok(None) };
    let damaged = || Error::Damaged { what: "position" };
    let mut position = decode_position(&bytes).ok_or_else(damaged)?;
    let mut blocks: Blocks = Vec::new();
    store.scan_prefix(Table::Rows, key, |key, bytes| {
        let (part, block) = row_numbers(key).ok_or(Error::Damaged { what: "key of rows" })?;
        blocks.push((part, block, bytes.to_vec()));
        Ok(())
    })?;
    match &mut position.kept {
        Kept::Nothing => {}
        Kept::Distinct(rows) => *rows = rows_of(&blocks, WHOLE_POSITION).ok_or_else(damaged)?,
        Kept::Records(rows) => *rows = rows_of(&blocks, WHOLE_POSITION).ok_or_else(damaged)?,
    }
    for part in &mut position.parts {
        if let Tally::Values(rows) = &mut part.tally {
            *rows = rows_of(&blocks, part.number).ok_or_else(damaged)?;
        }
    }
    Ok(Some(position))
}

fn rows_of<K, V>(blocks: &Blocks, part: u32) -> Option<Rows<K, V>>
where
    K: Ord + Clone,
    V: Weight + Copy,
    (K, V): Row,
{
    let of_part = blocks.iter().filter(|(of, _, _)| *of == part);
    let decoded = of_part.map(|(_, block, bytes)| Some((*block, decode_rows::<(K, V)>(bytes)?)));
    Rows::from_blocks(decoded.collect::<Option<Vec<_>>>()?)
}
