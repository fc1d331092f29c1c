//! Times: when the first and the last of a total's records were used.
//!
//! A total cannot keep the times of all its records, and one that is taken back may have been the
//! first. So it keeps the few outermost at each end, and how far in the others lie. As long as one
//! of them is left, the end is known exactly; when all are gone, it is not known until somebody
//! looks through the records.

use crate::instant::Instant;
use smallvec::SmallVec;

/// How many times are kept at each end. Where 3 of 100 records are taken back, whichever, one end
/// in 37,000 runs out.
pub const TIMES_KEPT: usize = 3;
/// How many are kept at each end of a total whose records were looked through.
pub const TIMES_FOUND: usize = 16;

/// The times at one end, as numbers that grow towards the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimesEnd {
    /// The outermost times, the outermost first.
    kept: SmallVec<[i128; TIMES_KEPT]>,
    /// No other time is further out; [`NO_MORE`] where there is no other.
    bound: i128,
}

/// Beyond every time.
const NO_MORE: i128 = i128::MAX;

impl Default for TimesEnd {
    fn default() -> Self {
        Self { kept: SmallVec::new(), bound: NO_MORE }
    }
}

impl TimesEnd {
    /// The end with these times, the outermost first, and the bound of the others, if there are
    /// others; `None` where that contradicts itself.
    #[must_use]
    pub fn of(kept: &[i128], bound: Option<i128>) -> Option<Self> {
        let last = kept.last().copied().unwrap_or(i128::MIN);
        let bound = bound.unwrap_or(NO_MORE);
        (kept.is_sorted() && last <= bound)
            .then(|| Self { kept: SmallVec::from_slice(kept), bound })
    }

    /// The outermost times.
    #[must_use]
    pub fn kept(&self) -> &[i128] {
        &self.kept
    }

    /// What bounds the others; `None` where there are none.
    #[must_use]
    pub fn bound(&self) -> Option<i128> {
        (self.bound != NO_MORE).then_some(self.bound)
    }

    fn add(&mut self, time: i128, most: usize) {
        let most = most.max(self.kept.len());
        if time > self.bound || (time == self.bound && self.kept.len() == most) {
            return;
        }
        let at = self.kept.partition_point(|kept| *kept <= time);
        if self.kept.len() < most {
            self.kept.insert(at, time);
            return;
        }
        if at < most {
            self.kept.pop();
            self.kept.insert(at, time);
        }
        self.bound = self.kept.last().copied().unwrap_or(time);
    }

    fn take_back(&mut self, time: i128, left: u64) {
        if let Ok(at) = self.kept.binary_search(&time) {
            self.kept.remove(at);
        }
        if left <= self.kept.len() as u64 {
            self.bound = NO_MORE;
        }
    }
}

/// The times of a total at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Times {
    /// By nanoseconds since 1970.
    first: TimesEnd,
    /// By the complement of that, which runs the other way.
    last: TimesEnd,
}

impl Times {
    /// Times of these ends, the second by complements.
    #[must_use]
    pub const fn of(first: TimesEnd, last: TimesEnd) -> Self {
        Self { first, last }
    }

    /// Both ends, the second by complements.
    #[must_use]
    pub const fn ends(&self) -> [&TimesEnd; 2] {
        [&self.first, &self.last]
    }

    /// When the first record was used; `None` without records, or where it is not known.
    #[must_use]
    pub fn first(&self) -> Option<Instant> {
        self.first.kept.first().map(|time| Instant::from_nanos(*time))
    }

    /// When the last record was used; `None` without records, or where it is not known.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        self.last.kept.first().map(|time| Instant::from_nanos(!*time))
    }

    /// Whether both are known, or there are no records.
    #[must_use]
    pub fn are_known(&self) -> bool {
        [&self.first, &self.last].iter().all(|end| !end.kept.is_empty() || end.bound == NO_MORE)
    }

    /// An instant that no record is after: that of the last one, where it is known; `None` without
    /// records.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.last().or_else(|| self.last.bound().map(|bound| Instant::from_nanos(!bound)))
    }

    /// Adds the time of a record.
    pub fn add(&mut self, at: Instant) {
        self.first.add(at.nanos(), TIMES_KEPT);
        self.last.add(!at.nanos(), TIMES_KEPT);
    }

    /// Adds the time of a record that was looked for: of those, more are kept.
    pub fn add_found(&mut self, at: Instant) {
        self.first.add(at.nanos(), TIMES_FOUND);
        self.last.add(!at.nanos(), TIMES_FOUND);
    }

    /// Takes the time of a record back that was added; so many records are left.
    pub fn take_back(&mut self, at: Instant, left: u64) {
        self.first.take_back(at.nanos(), left);
        self.last.take_back(!at.nanos(), left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: i8) -> Instant {
        Instant::from_nanos(nanos.into())
    }

    /// What is known is right, and what is not is bounded; looking makes it known.
    fn check(times: &Times, all: &[i8]) {
        let (first, last) =
            (all.iter().min().map(|time| at(*time)), all.iter().max().map(|time| at(*time)));
        assert!(times.first().is_none_or(|found| Some(found) == first), "{times:?} of {all:?}");
        assert!(times.last().is_none_or(|found| Some(found) == last), "{times:?} of {all:?}");
        assert!(times.until() >= last, "{times:?} of {all:?}");
        if times.are_known() {
            assert_eq!((times.first(), times.last()), (first, last), "{times:?} of {all:?}");
        }
        for end in times.ends() {
            let others = all.len() > end.kept().len();
            assert_eq!(end.bound().is_some(), others, "{times:?} of {all:?}");
        }
        let [first, last] = times.ends().map(|end| TimesEnd::of(end.kept(), end.bound()).unwrap());
        assert_eq!(*times, Times::of(first, last));
    }

    proptest! {
        #[test]
        fn ends_are_exact_or_not_known(
            steps in proptest::collection::vec(
                (0u8..5, any::<i8>(), any::<prop::sample::Index>()),
                0..90,
            ),
        ) {
            let (mut times, mut all) = (Times::default(), Vec::new());
            for (kind, time, which) in steps {
                match kind {
                    // Of few times, so that several are the same.
                    0 | 1 => {
                        let time = time / 16;
                        all.push(time);
                        times.add(at(time));
                    }
                    2 if !all.is_empty() => {
                        let time = all.swap_remove(which.index(all.len()));
                        times.take_back(at(time), all.len() as u64);
                    }
                    3 if !all.is_empty() => {
                        all.sort_unstable();
                        let time = if time < 0 { all.remove(0) } else { all.pop().unwrap() };
                        times.take_back(at(time), all.len() as u64);
                    }
                    4 if time > 100 => {
                        times = Times::default();
                        all.iter().for_each(|time| times.add_found(at(*time)));
                        prop_assert!(times.are_known());
                    }
                    _ => {}
                }
                check(&times, &all);
            }
        }
    }

    #[test]
    fn those_that_run_out_are_not_known() {
        let mut times = Times::default();
        (0..10).for_each(|time| times.add(at(time)));
        for time in 0..3 {
            assert_eq!(times.first(), Some(at(time)));
            times.take_back(at(time), 9 - u64::from(time.unsigned_abs()));
        }
        assert!(!times.are_known() && times.first().is_none());
        assert_eq!(times.last(), Some(at(9)));
        // One as early as the last that was known is first again.
        times.add(at(2));
        assert_eq!((times.first(), times.are_known()), (Some(at(2)), true));
    }
}
