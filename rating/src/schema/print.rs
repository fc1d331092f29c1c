//! Schemas as JSON, laid out for people.

use super::Schema;
use crate::json::write_string;

/// A JSON value of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Bool(bool),
    Whole(u64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// What fits a line of so many columns is written on one.
const COLUMNS: usize = 100;

impl Node {
    pub(super) fn list(schemas: impl IntoIterator<Item = Schema>) -> Self {
        Self::List(schemas.into_iter().map(Self::from).collect())
    }

    pub(super) fn texts(texts: &[&str]) -> Self {
        Self::List(texts.iter().map(|text| Self::from(*text)).collect())
    }

    /// Makes a text the first of a list, if it is not one yet, and adds another.
    pub(super) fn push_text(&mut self, text: &str) {
        if let Self::Text(first) = self {
            *self = Self::List(vec![Self::Text(std::mem::take(first))]);
        }
        if let Self::List(list) = self {
            list.push(Self::from(text));
        }
    }

    /// All on one line.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(list) => {
                let list: Vec<String> = list.iter().map(Self::line).collect();
                format!("[{}]", list.join(", "))
            }
            Self::Object(members) => {
                let members = members.iter();
                let members: Vec<String> = members
                    .map(|(name, node)| format!("{}: {}", quoted(name), node.line()))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// A document, with a line end.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0, 0);
        out.push('\n');
        out
    }

    /// Writes at an indentation, behind so many columns of the same line.
    fn write(&self, out: &mut String, indent: usize, before: usize) {
        let line = self.line();
        let columns = indent.saturating_add(before).saturating_add(line.chars().count());
        // The comma behind it counts, too.
        if columns < COLUMNS && indent > 0 {
            out.push_str(&line);
            return;
        }
        let inner = indent.saturating_add(2);
        match self {
            Self::Bool(_) | Self::Whole(_) | Self::Text(_) => out.push_str(&line),
            Self::List(list) => {
                out.push('[');
                for (index, node) in list.iter().enumerate() {
                    begin(out, index, inner);
                    node.write(out, inner, 0);
                }
                end(out, indent, ']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, node)) in members.iter().enumerate() {
                    begin(out, index, inner);
                    let name = format!("{}: ", quoted(name));
                    out.push_str(&name);
                    node.write(out, inner, name.chars().count());
                }
                end(out, indent, '}');
            }
        }
    }
}

fn begin(out: &mut String, index: usize, indent: usize) {
    if index > 0 {
        out.push(',');
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
}

fn end(out: &mut String, indent: usize, bracket: char) {
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(bracket);
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Schema> for Node {
    fn from(schema: Schema) -> Self {
        Self::Object(schema.keywords)
    }
}
