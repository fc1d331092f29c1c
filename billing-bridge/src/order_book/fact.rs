//! What is known of something that several lines state and one of them may state illegibly.

/// Something that the first to state it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fact<T> {
    /// Nobody stated it.
    #[default]
    Unstated,
    /// It is this.
    Is(T),
    /// It was stated with a fault, so nothing that follows from it is judged.
    Doubtful,
}

impl<T> Fact<T> {
    /// What was read where something was stated; `None` is doubtful.
    pub(super) fn of(read: Option<T>) -> Self {
        read.map_or(Self::Doubtful, Self::Is)
    }

    /// This or, where it is unstated, what is further away.
    pub(super) fn or(self, further: Self) -> Self {
        match self {
            Self::Unstated => further,
            Self::Is(_) | Self::Doubtful => self,
        }
    }
}

impl<T: Copy + PartialEq> Fact<T> {
    /// What it is, if that is known.
    pub(super) const fn known(self) -> Option<T> {
        match self {
            Self::Is(known) => Some(known),
            Self::Unstated | Self::Doubtful => None,
        }
    }

    /// What it was before `other` said otherwise.
    pub(super) fn contradicted_by(self, other: Self) -> Option<(T, T)> {
        self.known().zip(other.known()).filter(|(was, is)| was != is)
    }
}
