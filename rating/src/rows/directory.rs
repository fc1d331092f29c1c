//! The directory of blocks: where each begins and what it counts for, side by side in memory.
//!
//! A key or a rank is looked for here first, so that of thousands of blocks only one is touched.
//! What blocks count for is also summed up in groups: a rank is found in two short walks.

/// Blocks whose weights are summed up together.
const GROUP_BLOCKS: usize = if cfg!(test) { 3 } else { 64 };

/// First keys and weights of blocks, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory<K> {
    firsts: Vec<K>,
    weights: Vec<u64>,
    /// Σ of the weights of each group.
    groups: Vec<u64>,
}

impl<K> Default for Directory<K> {
    fn default() -> Self {
        Self { firsts: Vec::new(), weights: Vec::new(), groups: Vec::new() }
    }
}

impl<K: Ord> Directory<K> {
    /// The directory of blocks that are given by their first keys and weights.
    pub(super) fn new(blocks: impl Iterator<Item = (K, u64)>) -> Self {
        let (firsts, weights) = blocks.unzip();
        let mut directory = Self { firsts, weights, groups: Vec::new() };
        directory.sum_from(0);
        directory
    }

    /// The block in which a key is or belongs; 0 where there is none.
    pub(super) fn block_of(&self, key: &K) -> usize {
        self.firsts.partition_point(|first| first <= key).saturating_sub(1)
    }

    /// Σ of the weights of all blocks before one.
    pub(super) fn weight_before(&self, block: usize) -> u64 {
        let group = block.checked_div(GROUP_BLOCKS).unwrap_or_default();
        let groups: u64 = self.groups.iter().take(group).sum();
        let begin = group.saturating_mul(GROUP_BLOCKS);
        let own = self.weights.get(begin..block).unwrap_or_default();
        groups.saturating_add(own.iter().sum())
    }

    /// The block that holds what so many others lie before, and how many of them lie in it.
    pub(super) fn block_at(&self, before: u64) -> Option<(usize, u64)> {
        let (group, left) = pass(&self.groups, before)?;
        let begin = group.saturating_mul(GROUP_BLOCKS);
        let (block, left) = pass(self.weights.get(begin..)?, left)?;
        Some((begin.saturating_add(block), left))
    }

    /// Changes the weight of a block.
    pub(super) fn change_weight(&mut self, block: usize, change: impl Fn(u64) -> u64) {
        let group = block.checked_div(GROUP_BLOCKS).unwrap_or_default();
        for sum in [self.weights.get_mut(block), self.groups.get_mut(group)].into_iter().flatten() {
            *sum = change(*sum);
        }
    }

    /// Notes that a block begins with another key.
    pub(super) fn set_first(&mut self, block: usize, first: K) {
        if let Some(known) = self.firsts.get_mut(block) {
            *known = first;
        }
    }

    /// Notes a block that is new; it comes before the one that was there.
    pub(super) fn insert(&mut self, block: usize, first: K, weight: u64) {
        if block <= self.firsts.len() {
            self.firsts.insert(block, first);
            self.weights.insert(block, weight);
            self.sum_from(block);
        }
    }

    /// Notes that a block is gone; gives its weight.
    pub(super) fn remove(&mut self, block: usize) -> u64 {
        if block >= self.firsts.len() {
            return 0;
        }
        self.firsts.remove(block);
        let weight = self.weights.remove(block);
        self.sum_from(block);
        weight
    }

    /// Sums up the group of a block and all behind it.
    fn sum_from(&mut self, block: usize) {
        let group = block.checked_div(GROUP_BLOCKS).unwrap_or_default();
        self.groups.truncate(group);
        let behind = self.weights.chunks(GROUP_BLOCKS).skip(group);
        self.groups.extend(behind.map(|weights| weights.iter().sum::<u64>()));
    }
}

/// The first of some weights that is above what is left of a number once those before it are
/// taken away, and what is left there.
fn pass(weights: &[u64], mut left: u64) -> Option<(usize, u64)> {
    for (index, weight) in weights.iter().enumerate() {
        match left.checked_sub(*weight) {
            Some(behind) => left = behind,
            None => return Some((index, left)),
        }
    }
    None
}
