//! The mood of a world: whether disasters come one upon the other, or time goes by.
//!
//! Where they always came, nothing would ever be at rest, and days pass only then: no period would
//! end, and no identity be forgotten, before the faults are over.

use crate::simulation::cluster::Faults;
use crate::simulation::dice::Dice;

/// What can happen in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    Produce,
    Kill,
    Hang,
    Leave,
    LoseStore,
    SwapStores,
    /// The broker carries out what it has put off.
    CatchUp,
    Trim,
    Publish,
    /// Days pass, if they may.
    Leap,
    /// An instance does something.
    Act,
    /// Every instance does everything once.
    Round,
}

/// What is likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Storm,
    Calm,
    /// Nobody uses anything, so that the clock alone moves things.
    Idle,
}

impl Mood {
    pub(super) fn any(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0..6 => Self::Storm,
            6..9 => Self::Calm,
            _ => Self::Idle,
        }
    }

    /// The broker's faults, of those of a world.
    pub(super) const fn faults(self, faults: Faults) -> Faults {
        match self {
            Self::Storm => faults,
            Self::Calm | Self::Idle => Faults::NONE,
        }
    }

    pub(super) fn happening(self, dice: &mut Dice) -> Happening {
        match self {
            Self::Storm => storm(dice.below(1_000)),
            Self::Calm => match dice.below(100) {
                0..30 => Happening::Produce,
                other => calm(other),
            },
            Self::Idle => calm(dice.below(100)),
        }
    }
}

const fn storm(roll: u64) -> Happening {
    match roll {
        0..300 => Happening::Produce,
        300..318 => Happening::Kill,
        318..332 => Happening::Hang,
        332..342 => Happening::Leave,
        342..350 => Happening::LoseStore,
        350..358 => Happening::SwapStores,
        358..392 => Happening::CatchUp,
        392..402 => Happening::Trim,
        402..412 => Happening::Publish,
        _ => Happening::Act,
    }
}

const fn calm(roll: u64) -> Happening {
    match roll {
        0..32 => Happening::Trim,
        32..60 => Happening::Leap,
        60..70 => Happening::Act,
        _ => Happening::Round,
    }
}
