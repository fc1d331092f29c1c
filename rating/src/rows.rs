//! Rows: an ordered map in blocks, of which only those that changed need to be stored again.
//!
//! A maximum that is taken back falls to the next value, a percentile is a rank: such aggregates
//! must know all values in order. Blocks of a few hundred rows are found by their directory,
//! changed in place, and split when full; each has a number of its own under which it is stored.

mod directory;

use directory::Directory;

/// What a row counts for when ranks are counted, and how many of them are stored together.
pub trait Weight {
    /// Rows in one block before it is split. States may hold blocks of more, from before it was
    /// lowered.
    const BLOCK_ROWS_MAX: usize;

    /// How many rows it stands for.
    fn weight(&self) -> u64;
}

/// How often a value was seen. Values come in any order, and most blocks change with every commit:
/// in small ones there is less to move.
impl Weight for u64 {
    const BLOCK_ROWS_MAX: usize = if cfg!(test) { 8 } else { 256 };

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
    changed: bool,
    /// Another one after every change of its rows.
    pub stamp: u64,
}

/// An ordered map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<K, V> {
    blocks: Vec<Block<K, V>>,
    directory: Directory<K>,
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
        Self {
            blocks: Vec::new(),
            directory: Directory::default(),
            dropped: Vec::new(),
            next_number: 0,
            weight: 0,
            stamp: 0,
        }
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
            rows.next_number = rows.next_number.max(number.checked_add(1)?);
            rows.weight = rows.weight.checked_add(weight_of(&list)?)?;
            rows.stamp = rows.stamp.checked_add(1)?;
            let stamp = rows.stamp;
            rows.blocks.push(Block { number, rows: list, changed: false, stamp });
        }
        let first = |block: &Block<K, V>| block.rows.first().map(|(key, _)| key.clone());
        rows.blocks.sort_by_key(first);
        let apart = rows.blocks.is_sorted_by(|a, b| match (a.rows.last(), b.rows.first()) {
            (Some((last, _)), Some((first, _))) => last < first,
            _ => false,
        });
        let blocks = rows.blocks.iter();
        rows.directory = Directory::new(blocks.filter_map(|block| {
            Some((block.rows.first()?.0.clone(), weight_of(&block.rows).unwrap_or_default()))
        }));
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

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let block = self.blocks.get(self.directory.block_of(key))?;
        let at = block.rows.binary_search_by(|(found, _)| found.cmp(key)).ok()?;
        block.rows.get(at).map(|(_, value)| value)
    }

    /// Changes the value of a key: `change` is given what is there and gives what is to be there.
    /// Gives how to undo that.
    pub fn change(&mut self, key: K, change: impl FnOnce(Option<V>) -> Option<V>) -> RowUndo<K, V> {
        let index = self.directory.block_of(&key);
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
            RowUndo::Removed(place, row, None) => self.put(place, row),
            RowUndo::Removed((index, _), row, Some(number)) => {
                self.dropped.pop();
                self.weight = self.weight.saturating_add(row.1.weight());
                self.insert_block(index, number, vec![row]);
            }
        }
    }

    /// A block that is about to change.
    fn touch(&mut self, index: usize) -> Option<&mut Block<K, V>> {
        self.stamp = self.stamp.saturating_add(1);
        let block = self.blocks.get_mut(index)?;
        (block.changed, block.stamp) = (true, self.stamp);
        Some(block)
    }

    /// Notes what a row of a block counts for now, and what it did before.
    fn weigh(&mut self, index: usize, is: u64, was: u64) {
        let change = |weight: u64| weight.saturating_sub(was).saturating_add(is);
        self.directory.change_weight(index, change);
        self.weight = change(self.weight);
    }

    /// Notes the first key of a block whose first row is another one now.
    fn note_first(&mut self, index: usize) {
        let first = self.blocks.get(index).and_then(|block| block.rows.first());
        if let Some((key, _)) = first {
            self.directory.set_first(index, key.clone());
        }
    }

    /// Puts a block in its place; what it counts for in all is not changed.
    fn insert_block(&mut self, index: usize, number: u32, rows: Vec<(K, V)>) {
        let weight = weight_of(&rows).unwrap_or(u64::MAX);
        let Some(first) = rows.first().map(|(key, _)| key.clone()) else { return };
        self.stamp = self.stamp.saturating_add(1);
        let block = Block { number, rows, changed: true, stamp: self.stamp };
        if index <= self.blocks.len() {
            self.blocks.insert(index, block);
            self.directory.insert(index, first, weight);
        }
    }

    fn replace(&mut self, (index, at): (usize, usize), value: V) -> RowUndo<K, V> {
        let block = self.touch(index);
        let Some((_, there)) = block.and_then(|block| block.rows.get_mut(at)) else {
            return RowUndo::Nothing;
        };
        let before = std::mem::replace(there, value);
        self.weigh(index, value.weight(), before.weight());
        RowUndo::Replaced((index, at), before)
    }

    fn remove(&mut self, (index, at): (usize, usize)) -> RowUndo<K, V> {
        let Some(block) = self.touch(index).filter(|block| at < block.rows.len()) else {
            return RowUndo::Nothing;
        };
        let row = block.rows.remove(at);
        let gone = block.rows.is_empty().then_some(block.number);
        self.weigh(index, 0, row.1.weight());
        if let Some(number) = gone {
            self.blocks.remove(index);
            self.directory.remove(index);
            self.dropped.push(number);
        } else if at == 0 {
            self.note_first(index);
        }
        RowUndo::Removed((index, at), row, gone)
    }

    fn insert(&mut self, (index, at): (usize, usize), row: (K, V)) -> RowUndo<K, V> {
        if self.blocks.is_empty() {
            let number = self.take_number();
            self.weight = self.weight.saturating_add(row.1.weight());
            self.insert_block(0, number, vec![row]);
            return RowUndo::Inserted((0, 0), Growth::First);
        }
        self.put((index, at), row);
        let length = self.blocks.get(index).map_or(0, |block| block.rows.len());
        if length <= V::BLOCK_ROWS_MAX {
            return RowUndo::Inserted((index, at), Growth::None);
        }
        self.split(index);
        RowUndo::Inserted((index, at), Growth::Split)
    }

    /// Puts a row in its place, however full the block is.
    fn put(&mut self, (index, at): (usize, usize), row: (K, V)) {
        let Some(block) = self.touch(index).filter(|block| at <= block.rows.len()) else { return };
        let weight = row.1.weight();
        block.rows.insert(at, row);
        self.weigh(index, weight, 0);
        if at == 0 {
            self.note_first(index);
        }
    }

    fn undo_insert(&mut self, (index, at): (usize, usize), growth: &Growth) {
        let next = index.saturating_add(1);
        if *growth == Growth::Split && next < self.blocks.len() {
            let mut split_off = self.blocks.remove(next);
            let weight = self.directory.remove(next);
            self.next_number = split_off.number;
            if let Some(block) = self.blocks.get_mut(index) {
                block.rows.append(&mut split_off.rows);
                self.directory.change_weight(index, |own| own.saturating_add(weight));
            }
        }
        let Some(block) = self.touch(index).filter(|block| at < block.rows.len()) else { return };
        let (_, value) = block.rows.remove(at);
        self.weigh(index, 0, value.weight());
        if *growth == Growth::First {
            self.directory.remove(index);
            self.next_number = self.blocks.pop().map_or(self.next_number, |block| block.number);
        } else if at == 0 {
            self.note_first(index);
        }
    }

    fn split(&mut self, index: usize) {
        let at_the_end = index.saturating_add(1) == self.blocks.len();
        let Some(block) = self.blocks.get_mut(index) else { return };
        let length = block.rows.len();
        // Rows in rising order, as most arrive by time, leave full blocks behind.
        let at = if at_the_end { length.saturating_sub(length / 8) } else { length / 2 };
        let rows = block.rows.split_off(at);
        let weight = weight_of(&rows).unwrap_or(u64::MAX);
        self.directory.change_weight(index, |own| own.saturating_sub(weight));
        let number = self.take_number();
        self.insert_block(index.saturating_add(1), number, rows);
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
        let index = self.directory.block_of(key);
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
        let index = self.directory.block_of(key);
        let block = self.blocks.get(index)?;
        let at = block.rows.partition_point(|(found, _)| found <= key);
        block.rows.get(at).or_else(|| self.blocks.get(index.checked_add(1)?)?.rows.first())
    }

    /// The keys next to that of a change that was just made: the greatest below it and the least
    /// above it.
    #[must_use]
    pub fn neighbours(&self, change: &RowUndo<K, V>) -> (Option<&K>, Option<&K>) {
        let (place, behind) = match change {
            RowUndo::Nothing => return (None, None),
            RowUndo::Replaced(place, _) => (*place, 1),
            RowUndo::Inserted(place, _) => (self.place_after_split(*place), 1),
            RowUndo::Removed(place, ..) => (*place, 0),
        };
        let (index, at) = place;
        let below = match at.checked_sub(1) {
            Some(at) => self.blocks.get(index).and_then(|block| block.rows.get(at)),
            None => {
                let before = index.checked_sub(1).and_then(|index| self.blocks.get(index));
                before.and_then(|block| block.rows.last())
            }
        };
        let own = self.blocks.get(index);
        let above = own.and_then(|block| block.rows.get(at.saturating_add(behind))).or_else(|| {
            self.blocks.get(index.saturating_add(1)).and_then(|block| block.rows.first())
        });
        (below.map(|row| &row.0), above.map(|row| &row.0))
    }

    /// Where a row is that was inserted at a place whose block may have been split after it.
    fn place_after_split(&self, (index, at): (usize, usize)) -> (usize, usize) {
        let length = self.blocks.get(index).map_or(0, |block| block.rows.len());
        at.checked_sub(length).map_or((index, at), |at| (index.saturating_add(1), at))
    }

    /// The key at a rank, counted from 1 by weight.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<&K> {
        let (index, mut left) = self.directory.block_at(rank.checked_sub(1)?)?;
        let row = self.blocks.get(index)?.rows.iter().find(|(_, value)| {
            let here = left < value.weight();
            if !here {
                left = left.saturating_sub(value.weight());
            }
            here
        })?;
        Some(&row.0)
    }

    /// What the rows with keys below `key` count for, and what those do up to it, that one
    /// included.
    #[must_use]
    pub fn ranks_of(&self, key: &K) -> (u64, u64) {
        let index = self.directory.block_of(key);
        let mut below = self.directory.weight_before(index);
        for (found, value) in self.blocks.get(index).map_or(&[][..], |block| &block.rows) {
            if found >= key {
                let own = if found == key { value.weight() } else { 0 };
                return (below, below.saturating_add(own));
            }
            below = below.saturating_add(value.weight());
        }
        (below, below)
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

/// What some rows count for together.
fn weight_of<K, V: Weight>(rows: &[(K, V)]) -> Option<u64> {
    rows.iter().try_fold(0u64, |sum, (_, value)| sum.checked_add(value.weight()))
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

    /// Damaged states are not taken for good ones.
    #[test]
    fn blocks_that_do_not_fit_together_are_refused() {
        let rows = |blocks: &[(u32, &[(u32, u64)])]| {
            Rows::from_blocks(
                blocks.iter().map(|(number, rows)| (*number, rows.to_vec())).collect(),
            )
        };
        let good: &[(u32, &[(u32, u64)])] = &[(4, &[(7, 1), (9, 2)]), (2, &[(1, 3), (6, 1)])];
        let mut found = rows(good).unwrap();
        assert_eq!((found.weight(), found.blocks_len(), found.is_empty()), (7, 2, false));
        assert_eq!((found.get(&9), found.get(&1), found.get(&8)), (Some(&2), Some(&3), None));
        assert_eq!(found.unstored().0.count(), 0);
        assert!(Rows::<u32, u64>::default().is_empty());
        // A block that is new has a number that none has had.
        found.change(8, add);
        found.change(8, take);
        assert_eq!(found.unstored().0.map(|block| block.number).collect::<Vec<_>>(), [4]);
        found.stored();
        assert_eq!(found.unstored().0.count(), 0);
        assert_eq!(found.next_number, 5);
        for wrong in [
            &[(4, &[(7, 1)][..]), (2, &[][..])][..],
            &[(4, &[(7, 1), (7, 1)])],
            &[(4, &[(9, 1), (7, 1)])],
            &[(4, &[(7, 1), (9, 1)]), (2, &[(8, 1)])],
            &[(4, &[(7, 1), (9, 1)]), (2, &[(9, 1), (11, 1)])],
            &[(u32::MAX, &[(7, 1)])],
            &[(4, &[(7, u64::MAX)]), (2, &[(1, 1)])],
        ] {
            assert_eq!(rows(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        /// Rows, blocks and their numbers are what they were; stamps alone go on.
        #[test]
        fn changes_are_undone_without_a_trace(
            steps in proptest::collection::vec((0u32..60, 0u8..3), 0..120),
            kept in 0usize..120,
            begin: bool,
        ) {
            // States may hold blocks that are larger than any that is made now.
            let large = (0u32..60).step_by(3).map(|key| (key, 1)).collect();
            let large = Rows::from_blocks(vec![(0, large)]).unwrap();
            let mut rows: Rows<u32, u64> = if begin { large } else { Rows::default() };
            let shape = |rows: &Rows<u32, u64>| {
                let blocks = rows.blocks().map(|block| (block.number, block.rows.clone()));
                let noted = (rows.directory.clone(), rows.dropped.clone());
                (blocks.collect::<Vec<_>>(), noted, rows.next_number, rows.weight)
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
                let undo = rows.change(key, change);
                if let Some(count) = change(oracle.remove(&key)) {
                    oracle.insert(key, count);
                }
                let below = oracle.range(..key).next_back().map(|row| row.0);
                let above = oracle.range(key + 1..).next().map(|row| row.0);
                if !matches!(undo, RowUndo::Nothing) {
                    prop_assert_eq!(rows.neighbours(&undo), (below, above));
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
                let less = flat.iter().filter(|found| **found < key).count() as u64;
                let up_to = flat.iter().filter(|found| **found <= key).count() as u64;
                prop_assert_eq!(rows.ranks_of(&key), (less, up_to));
                prop_assert_eq!(rows.last_below(&key).map(|row| &row.0), below);
                prop_assert_eq!(rows.first_above(&key).map(|row| &row.0), above);
            }
            prop_assert!(rows.iter().map(|row| (row.0, row.1)).eq(oracle));
        }
    }
}
