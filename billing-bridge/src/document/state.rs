//! The life of a document: Draft → Active → Canceled. Every other move does not compile.
//!
//! A draft is recomputed by every run; an active document has a number and never changes; a
//! canceled one keeps its number, and what stood on it is billed anew.

use super::content::Content;
use super::number::{Number, Numbers};
use rating::Money;

/// Recomputed by every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draft;

/// Numbered and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Active {
    number: Number,
}

/// Taken back as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canceled {
    number: Number,
}

/// A document in the state `S`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<S> {
    content: Content,
    state: S,
}

impl<S> Document<S> {
    /// What stands on it.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }
}

impl Document<Draft> {
    /// A document that is not final yet.
    pub(crate) const fn draft(content: Content) -> Self {
        Self { content, state: Draft }
    }

    /// Gives it the next number of its series and makes it final; `None` after the last number.
    #[must_use]
    pub fn activate(self, numbers: &mut Numbers) -> Option<Document<Active>> {
        let number = numbers.give(self.content.series)?;
        Some(Document { content: self.content, state: Active { number } })
    }
}

impl Document<Active> {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> Number {
        self.state.number
    }

    /// Takes it back. Its number stays taken.
    #[must_use]
    pub fn cancel(self) -> Document<Canceled> {
        Document { content: self.content, state: Canceled { number: self.state.number } }
    }
}

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Recomputed by every run.
    Draft,
    /// Numbered and final.
    Active,
    /// Taken back as a whole.
    Canceled,
}

impl State {
    /// Its name on documents and in stores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Canceled => "canceled",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Canceled].into_iter().find(|state| state.name() == name)
    }
}

/// A document as it lies in a store, in whichever state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// Recomputed by every run.
    Draft(Document<Draft>),
    /// Numbered and final.
    Active(Document<Active>),
    /// Taken back as a whole.
    Canceled(Document<Canceled>),
}

impl Filed {
    /// Puts a document back into the state it was filed in; `None` unless drafts have no number
    /// and all others have one.
    pub(crate) fn restore(content: Content, state: State, number: Option<Number>) -> Option<Self> {
        match (state, number) {
            (State::Draft, None) => Some(Self::Draft(Document::draft(content))),
            (State::Active, Some(number)) => {
                Some(Self::Active(Document { content, state: Active { number } }))
            }
            (State::Canceled, Some(number)) => {
                Some(Self::Canceled(Document { content, state: Canceled { number } }))
            }
            (State::Draft, Some(_)) | (State::Active | State::Canceled, None) => None,
        }
    }

    /// What stands on it.
    #[must_use]
    pub const fn content(&self) -> &Content {
        match self {
            Self::Draft(document) => document.content(),
            Self::Active(document) => document.content(),
            Self::Canceled(document) => document.content(),
        }
    }

    /// The name of its state.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::Draft(_) => State::Draft,
            Self::Active(_) => State::Active,
            Self::Canceled(_) => State::Canceled,
        }
    }

    /// Its number, once it has one.
    #[must_use]
    pub const fn number(&self) -> Option<Number> {
        match self {
            Self::Draft(_) => None,
            Self::Active(document) => Some(document.state.number),
            Self::Canceled(document) => Some(document.state.number),
        }
    }

    /// What is still to be paid, or on a credit memo still to be given: nothing unless active.
    #[must_use]
    pub const fn balance(&self) -> Money {
        let total = self.content().total;
        match self {
            Self::Active(_) => total,
            Self::Draft(_) | Self::Canceled(_) => Money::from_minor(0, total.currency()),
        }
    }
}
