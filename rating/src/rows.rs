//! Rows: an ordered map in blocks, of which only those that changed need to be stored again.
//!
//! A maximum that is taken back falls to the next value, a percentile is a rank: such aggregates
//! must know all values in order. Blocks of a few hundred rows are found by a binary search,
//! changed in place, and split when full; each has a number of its own under which it is stored.

/// Rows in one block before it is split.
const BLOCK_ROWS_MAX: usize = if cfg!(test) { 8 } else { 1_024 };

/// What a row counts for when ranks are counted.
pub trait Weight {
    /// How many rows it stands for.
    fn weight(&self) -> u64;
}

impl Weight for u64 {
    fn weight(&self) -> u64 {
        *self
    }
}

/// Rows that are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<K, V> {
    /// The number under which it is stored.
    pub number: u32,
    /// In order of their keys; never empty.
    pub rows: Vec<(K, V)>,
    weight: u64,
    changed: bool,
    /// Another one after every change of its rows.
    pub stamp: u64,
}

/// An ordered map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<K, V> {
    blocks: Vec<Block<K, V>>,
    /// Numbers of blocks that are gone but may still be stored.
    dropped: Vec<u32>,
    next_number: u32,
    weight: u64,
    /// The stamp that was given last.
    stamp: u64,
}

/// How to undo one change of [`Rows`]. Places are block and row.
#[derive(Debug)]
pub enum RowUndo<K, V> {
    /// Nothing changed.
    Nothing,
    /// The value before.
    Replaced((usize, usize), V),
    /// A row that was not there, and what became of its block.
    Inserted((usize, usize), Growth),
    /// A row that was there, and the number of the block that went with it.
    Removed((usize, usize), (K, V), Option<u32>),
}

/// What an insertion did to blocks.
#[derive(Debug, PartialEq, Eq)]
pub enum Growth {
    /// The row went into one that was there.
    None,
    /// It is the first block.
    First,
    /// The block was full, and split in two.
    Split,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { blocks: Vec::new(), dropped: Vec::new(), next_number: 0, weight: 0, stamp: 0 }
    }
}

impl<K: Ord + Clone, V: Weight + Copy> Rows<K, V> {
    /// Puts stored blocks together again, in any order; `None` if they do not fit together.
    #[must_use]
    pub fn from_blocks(stored: Vec<(u32, Vec<(K, V)>)>) -> Option<Self> {
        let mut rows = Self::default();
        for (number, list) in stored {
            if list.is_empty() || !list.is_sorted_by(|(a, _), (b, _)| a < b) {
                return None;
            }
            let weight = list.iter().map(|(_, value)| value.weight()).sum();
            rows.next_number = rows.next_number.max(number.checked_add(1)?);
            rows.weight = rows.weight.checked_add(weight)?;
            rows.stamp = rows.stamp.checked_add(1)?;
            let stamp = rows.stamp;
            rows.blocks.push(Block { number, rows: list, weight, changed: false, stamp });
        }
        let first = |block: &Block<K, V>| block.rows.first().map(|(key, _)| key.clone());
        rows.blocks.sort_by_key(first);
        let apart = rows.blocks.is_sorted_by(|a, b| match (a.rows.last(), b.rows.first()) {
            (Some((last, _)), Some((first, _))) => last < first,
            _ => false,
        });
        apart.then_some(rows)
    }

    /// What all rows count for.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// How many blocks there are, for a measure of the memory that they take.
    #[must_use]
    pub const fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    /// The block in which a key is or belongs.
    fn block_of(&self, key: &K) -> usize {
        let after = self
            .blocks
            .partition_point(|block| block.rows.first().is_some_and(|(first, _)| first <= key));
        after.saturating_sub(1)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let block = self.blocks.get(self.block_of(key))?;
        let at = block.rows.binary_search_by(|(found, _)| found.cmp(key)).ok()?;
        block.rows.get(at).map(|(_, value)| value)
    }

    /// Changes the value of a key: `change` is given what is there and gives what is to be there.
    /// Gives how to undo that.
    pub fn change(&mut self, key: K, change: impl FnOnce(Option<V>) -> Option<V>) -> RowUndo<K, V> {
        let index = self.block_of(&key);
        let rows = self.blocks.get(index).map_or(&[][..], |block| &block.rows);
        match rows.binary_search_by(|(found, _)| found.cmp(&key)) {
            Ok(at) => match change(rows.get(at).map(|(_, value)| *value)) {
                Some(value) => self.replace((index, at), value),
                None => self.remove((index, at)),
            },
            Err(at) => match change(None) {
                Some(value) => self.insert((index, at), (key, value)),
                None => RowUndo::Nothing,
            },
        }
    }

    /// Undoes a change, if all later ones have been undone: rows, blocks and their numbers are then
    /// what they were.
    pub fn undo(&mut self, undo: RowUndo<K, V>) {
        match undo {
            RowUndo::Nothing => {}
            RowUndo::Replaced(place, value) => _ = self.replace(place, value),
            RowUndo::Inserted(place, growth) => self.undo_insert(place, &growth),
            RowUndo::Removed(place, row, None) => _ = self.insert(place, row),
            RowUndo::Removed((index, _), (key, value), Some(number)) => {
                self.dropped.pop();
                let weight = value.weight();
                self.weight = self.weight.saturating_add(weight);
                self.stamp = self.stamp.saturating_add(1);
                let (rows, stamp) = (vec![(key, value)], self.stamp);
                self.blocks.insert(index, Block { number, rows, weight, changed: true, stamp });
            }
        }
    }

    /// A block that is about to change, and where its weight is counted in all.
    fn touch(&mut self, index: usize) -> Option<(&mut Block<K, V>, &mut u64)> {
        self.stamp = self.stamp.saturating_add(1);
        let block = self.blocks.get_mut(index)?;
        (block.changed, block.stamp) = (true, self.stamp);
        Some((block, &mut self.weight))
    }

    fn replace(&mut self, (index, at): (usize, usize), value: V) -> RowUndo<K, V> {
        let Some((block, weight)) = self.touch(index) else { return RowUndo::Nothing };
        let Some((_, there)) = block.rows.get_mut(at) else { return RowUndo::Nothing };
        let before = std::mem::replace(there, value);
        block.weight = block.weight.saturating_sub(before.weight()).saturating_add(value.weight());
        *weight = weight.saturating_sub(before.weight()).saturating_add(value.weight());
        RowUndo::Replaced((index, at), before)
    }

    fn remove(&mut self, (index, at): (usize, usize)) -> RowUndo<K, V> {
        let Some((block, weight)) = self.touch(index) else { return RowUndo::Nothing };
        if block.rows.len() <= at {
            return RowUndo::Nothing;
        }
        let row = block.rows.remove(at);
        block.weight = block.weight.saturating_sub(row.1.weight());
        *weight = weight.saturating_sub(row.1.weight());
        let gone = block.rows.is_empty().then_some(block.number);
        if let Some(number) = gone {
            self.blocks.remove(index);
            self.dropped.push(number);
        }
        RowUndo::Removed((index, at), row, gone)
    }

    fn insert(&mut self, (index, at): (usize, usize), row: (K, V)) -> RowUndo<K, V> {
        let is_first = self.blocks.is_empty();
        if is_first {
            let (number, rows) = (self.take_number(), Vec::new());
            self.blocks.push(Block { number, rows, weight: 0, changed: false, stamp: 0 });
        }
        let Some((block, weight)) = self.touch(index) else { return RowUndo::Nothing };
        block.weight = block.weight.saturating_add(row.1.weight());
        *weight = weight.saturating_add(row.1.weight());
        block.rows.insert(at, row);
        let is_full = block.rows.len() > BLOCK_ROWS_MAX;
        if is_full {
            self.split(index);
        }
        let growth = match (is_first, is_full) {
            (true, _) => Growth::First,
            (false, true) => Growth::Split,
            (false, false) => Growth::None,
        };
        RowUndo::Inserted((index, at), growth)
    }

    fn undo_insert(&mut self, (index, at): (usize, usize), growth: &Growth) {
        let next = index.saturating_add(1);
        if *growth == Growth::Split && next < self.blocks.len() {
            let mut split_off = self.blocks.remove(next);
            self.next_number = split_off.number;
            if let Some(block) = self.blocks.get_mut(index) {
                block.rows.append(&mut split_off.rows);
                block.weight = block.weight.saturating_add(split_off.weight);
            }
        }
        let Some((block, weight)) = self.touch(index) else { return };
        if at < block.rows.len() {
            let (_, value) = block.rows.remove(at);
            block.weight = block.weight.saturating_sub(value.weight());
            *weight = weight.saturating_sub(value.weight());
        }
        if *growth == Growth::First
            && let Some(block) = self.blocks.pop()
        {
            self.next_number = block.number;
        }
    }

    fn split(&mut self, index: usize) {
        let number = self.take_number();
        let at_the_end = index.saturating_add(1) == self.blocks.len();
        let length = self.blocks.get(index).map_or(0, |block| block.rows.len());
        // Rows in rising order, as most arrive by time, leave full blocks behind.
        let at = if at_the_end { length.saturating_sub(length / 8) } else { length / 2 };
        let Some(block) = self.blocks.get_mut(index) else { return };
        let rows = block.rows.split_off(at);
        let weight = rows.iter().map(|(_, value)| value.weight()).sum();
        block.weight = block.weight.saturating_sub(weight);
        let at = index.saturating_add(1);
        self.stamp = self.stamp.saturating_add(1);
        let stamp = self.stamp;
        self.blocks.insert(at, Block { number, rows, weight, changed: true, stamp });
    }

    const fn take_number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }

    /// The row with the least key.
    #[must_use]
    pub fn first(&self) -> Option<&(K, V)> {
        self.blocks.first().and_then(|block| block.rows.first())
    }

    /// The row with the greatest key.
    #[must_use]
    pub fn last(&self) -> Option<&(K, V)> {
        self.blocks.last().and_then(|block| block.rows.last())
    }

    /// The row with the greatest key below `key`.
    #[must_use]
    pub fn last_below(&self, key: &K) -> Option<&(K, V)> {
        let index = self.block_of(key);
        let block = self.blocks.get(index)?;
        let at = block.rows.partition_point(|(found, _)| found < key);
        match at.checked_sub(1) {
            Some(at) => block.rows.get(at),
            None => self.blocks.get(index.checked_sub(1)?)?.rows.last(),
        }
    }

    /// The row with the least key above `key`.
    #[must_use]
    pub fn first_above(&self, key: &K) -> Option<&(K, V)> {
        let index = self.block_of(key);
        let block = self.blocks.get(index)?;
        let at = block.rows.partition_point(|(found, _)| found <= key);
        block.rows.get(at).or_else(|| self.blocks.get(index.checked_add(1)?)?.rows.first())
    }

    /// The key at a rank, counted from 1 by weight.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<&K> {
        let mut left = rank.checked_sub(1)?;
        let block = self.blocks.iter().find(|block| {
            let here = left < block.weight;
            if !here {
                left = left.saturating_sub(block.weight);
            }
            here
        })?;
        let row = block.rows.iter().find(|(_, value)| {
            let here = left < value.weight();
            if !here {
                left = left.saturating_sub(value.weight());
            }
            here
        })?;
        Some(&row.0)
    }

    /// What the rows with keys up to `key` count for, that one included.
    #[must_use]
    pub fn rank_of(&self, key: &K) -> u64 {
        let index = self.block_of(key);
        let before: u64 = self.blocks.iter().take(index).map(|block| block.weight).sum();
        let rows = self.blocks.get(index).map_or(&[][..], |block| &block.rows);
        let within = rows.iter().take_while(|(found, _)| found <= key);
        before.saturating_add(within.map(|(_, value)| value.weight()).sum())
    }

    /// All blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block<K, V>> {
        self.blocks.iter()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.blocks.iter().flat_map(|block| &block.rows)
    }

    /// Blocks that changed since they were last stored, and the numbers of those that are gone.
    pub fn unstored(&self) -> (impl Iterator<Item = &Block<K, V>>, &[u32]) {
        (self.blocks.iter().filter(|block| block.changed), &self.dropped)
    }

    /// Notes that everything is stored now.
    pub fn stored(&mut self) {
        self.dropped.clear();
        for block in &mut self.blocks {
            block.changed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn add(count: Option<u64>) -> Option<u64> {
        Some(count.unwrap_or(0) + 1)
    }

    fn take(count: Option<u64>) -> Option<u64> {
        count.filter(|count| *count > 1).map(|count| count - 1)
    }

    proptest! {
        /// Rows, blocks and their numbers are what they were; stamps alone go on.
        #[test]
        fn changes_are_undone_without_a_trace(
            steps in proptest::collection::vec((0u32..60, 0u8..3), 0..120),
            kept in 0usize..120,
        ) {
            let mut rows: Rows<u32, u64> = Rows::default();
            let shape = |rows: &Rows<u32, u64>| {
                let blocks = rows.blocks();
                let blocks = blocks.map(|block| (block.number, block.rows.clone(), block.weight));
                (blocks.collect::<Vec<_>>(), rows.dropped.clone(), rows.next_number, rows.weight)
            };
            let mut before = shape(&rows);
            let mut undos = Vec::new();
            for (number, (key, step)) in steps.into_iter().enumerate() {
                if number == kept {
                    before = shape(&rows);
                    undos.clear();
                }
                undos.push(rows.change(key, if step == 0 { take } else { add }));
            }
            while let Some(undo) = undos.pop() {
                rows.undo(undo);
            }
            prop_assert_eq!(shape(&rows), before);
        }

        /// Against a map of the standard library, through storing and loading.
        #[test]
        fn rows_are_an_ordered_map(
            steps in proptest::collection::vec((0u32..900, 0u8..5), 0..600),
            store_at in 0usize..3_000,
        ) {
            let mut rows: Rows<u32, u64> = Rows::default();
            let mut oracle: BTreeMap<u32, u64> = BTreeMap::new();
            let mut stored: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
            for (number, (key, step)) in steps.into_iter().enumerate() {
                let change = if step == 0 { take } else { add };
                rows.change(key, change);
                if let Some(count) = change(oracle.remove(&key)) {
                    oracle.insert(key, count);
                }
                if number % 97 == store_at % 97 {
                    let (changed, dropped) = rows.unstored();
                    for number in dropped {
                        stored.remove(number);
                    }
                    for block in changed {
                        stored.insert(block.number, block.rows.clone());
                    }
                    rows.stored();
                    rows = Rows::from_blocks(stored.clone().into_iter().collect()).unwrap();
                }
                let flat: Vec<u32> =
                    oracle.iter().flat_map(|(key, count)| (0..*count).map(|_| *key)).collect();
                prop_assert_eq!(rows.weight(), flat.len() as u64);
                let rank = flat.len() / 2;
                prop_assert_eq!(rows.at_rank(rank as u64 + 1), flat.get(rank));
                let up_to = flat.iter().filter(|found| **found <= key).count();
                prop_assert_eq!(rows.rank_of(&key), up_to as u64);
                prop_assert_eq!(
                    rows.last_below(&key).map(|row| row.0),
                    oracle.range(..key).next_back().map(|row| *row.0)
                );
                prop_assert_eq!(
                    rows.first_above(&key).map(|row| row.0),
                    oracle.range(key + 1..).next().map(|row| *row.0)
                );
            }
            prop_assert!(rows.iter().map(|row| (row.0, row.1)).eq(oracle));
        }
    }
}
