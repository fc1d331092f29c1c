//! Dice: the one source of chance of a simulation, so that a seed replays. They also choose what
//! befalls real processes.

/// A small generator (xorshift64*): speed and replay matter here, not quality.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11).checked_rem(end).unwrap_or(0)
    }

    /// Whether the one of so many cases is met; of none, never.
    pub(crate) fn one_in(&mut self, cases: u32) -> bool {
        cases > 0 && self.below(u64::from(cases)) == 0
    }
}
