#![doc = include_str!("../README.md")]

mod dead_letter;
mod decode;
pub mod limits;
mod source;

pub use dead_letter::{DeadLetter, Place};
pub use decode::Decoder;
pub use source::{LineSource, ReadLine, SourceError, SourcePosition};
