//! JSON Schemas of the inputs, made of the lists by which the readers read.
//!
//! A reader refuses what its lists of fields and names do not hold, and the same lists are given to
//! [`Object`] and [`one_of`]: a field or a name that a reader learns is in its schema, and a
//! field that nobody describes there fails a test. What a schema cannot say (that a name is known,
//! that tiers rise) only the readers find.

pub(crate) mod forms;
mod print;
mod usage;

pub use forms::{Sign, boolean, decimal, identifier, list, map, one_of, shared, text, whole};

pub(crate) use print::Node;

/// A schema, or a part of one: keywords and what they say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    keywords: Vec<(String, Node)>,
}

impl Schema {
    /// A schema that holds for everything.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Values of one type: `string`, `object`, `null` and so on.
    #[must_use]
    pub fn of_type(name: &str) -> Self {
        Self::any().with("type", name)
    }

    /// Values of several types.
    #[must_use]
    pub fn of_types(names: &[&str]) -> Self {
        Self::any().with("type", Node::texts(names))
    }

    /// Texts that are spelled in some way.
    #[must_use]
    pub fn pattern(pattern: &str) -> Self {
        Self::of_type("string").with("pattern", pattern)
    }

    /// Whole numbers between two bounds, both included.
    #[must_use]
    pub fn number((least, most): (u64, u64)) -> Self {
        let least = Self::of_type("integer").with("minimum", Node::Whole(least));
        least.with("maximum", Node::Whole(most))
    }

    /// The one text.
    #[must_use]
    pub fn exactly(text: &str) -> Self {
        Self::any().with("const", text)
    }

    /// What stands under `$defs` by that name.
    #[must_use]
    pub fn reference(name: &str) -> Self {
        Self::any().with("$ref", format!("#/$defs/{name}"))
    }

    /// At least one of several schemas.
    #[must_use]
    pub fn any_of(schemas: impl IntoIterator<Item = Self>) -> Self {
        Self::any().with("anyOf", Node::list(schemas))
    }

    /// One more keyword.
    #[must_use]
    pub(crate) fn with(mut self, keyword: &str, node: impl Into<Node>) -> Self {
        self.keywords.push((keyword.to_owned(), node.into()));
        self
    }

    /// The same schema with a sentence for people.
    #[must_use]
    pub fn described(self, text: &str) -> Self {
        self.with("description", text)
    }

    /// The same schema, which must hold together with at least one of others.
    #[must_use]
    pub fn and_any_of(self, schemas: impl IntoIterator<Item = Self>) -> Self {
        self.with("anyOf", Node::list(schemas))
    }

    /// The keywords of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.keywords.extend(other.keywords);
        self
    }

    /// One of several texts.
    #[must_use]
    pub fn names(names: &[&str]) -> Self {
        Self::any().with("enum", Node::texts(names))
    }

    /// Everything but this.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::any().with("not", self)
    }

    /// Objects of which some members are of a form and some must be there; others may be, too.
    #[must_use]
    pub fn members<'n>(
        members: impl IntoIterator<Item = (&'n str, Self)>,
        required: &[&str],
    ) -> Self {
        let properties = members.into_iter().map(|(name, schema)| (name.to_owned(), schema.into()));
        let schema = Self::any().with("properties", Node::Object(properties.collect()));
        if required.is_empty() { schema } else { schema.with("required", Node::texts(required)) }
    }

    /// This, or null: to the readers, null is what is not there.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        let is_plain = self.keywords.iter().all(|(keyword, _)| {
            !["$ref", "const", "enum", "anyOf", "not"].contains(&keyword.as_str())
        });
        let kind = self.keywords.iter_mut().find(|(keyword, _)| keyword == "type");
        match kind {
            Some((_, node)) if is_plain => {
                node.push_text("null");
                self
            }
            _ => Self::any_of([self, Self::of_type("null")]),
        }
    }
}

/// The schema of an object of which a reader knows all fields.
#[derive(Debug)]
pub struct Object {
    known: Vec<&'static str>,
    fields: Vec<(&'static str, Schema)>,
    required: Vec<&'static str>,
}

impl Object {
    /// An object with the fields that a reader knows; each of them is to be described.
    #[must_use]
    pub fn of(known: &[&'static str]) -> Self {
        Self { known: known.to_vec(), fields: Vec::new(), required: Vec::new() }
    }

    /// A field that must be there.
    #[must_use]
    pub fn must(mut self, name: &'static str, schema: Schema) -> Self {
        self.fields.push((name, schema));
        self.required.push(name);
        self
    }

    /// A field that may be absent or null.
    #[must_use]
    pub fn may(self, name: &'static str, schema: Schema) -> Self {
        self.may_exactly(name, schema.or_null())
    }

    /// A field that may be absent; whether it may be null, its schema says.
    #[must_use]
    pub fn may_exactly(mut self, name: &'static str, schema: Schema) -> Self {
        self.fields.push((name, schema));
        self
    }

    /// Several fields that may be absent or null.
    #[must_use]
    pub fn may_all(self, fields: impl IntoIterator<Item = (&'static str, Schema)>) -> Self {
        fields.into_iter().fold(self, |object, (name, schema)| object.may(name, schema))
    }

    /// The schema; what is not described, or not known, is marked with a comment.
    #[must_use]
    pub fn schema(mut self) -> Schema {
        let mut properties = Vec::with_capacity(self.known.len());
        for name in &self.known {
            let at = self.fields.iter().position(|(field, _)| field == name);
            let schema = at.map_or_else(
                || Schema::any().with("$comment", UNDESCRIBED),
                |at| self.fields.swap_remove(at).1,
            );
            properties.push(((*name).to_owned(), schema.into()));
        }
        for (name, schema) in self.fields {
            properties.push((name.to_owned(), schema.with("$comment", UNDESCRIBED).into()));
        }
        let schema = Schema::of_type("object").with("properties", Node::Object(properties));
        let schema = match self.required.as_slice() {
            [] => schema,
            required => schema.with("required", Node::texts(required)),
        };
        schema.with("additionalProperties", Node::Bool(false))
    }
}

/// Marks a field that is read and not described, or described and not read.
pub const UNDESCRIBED: &str = "a field that is either not described or not read";

/// A schema document: `root`, and of `definitions` and [`shared`] what it refers to.
#[must_use]
pub fn document(title: &str, root: Schema, definitions: Vec<(&'static str, Schema)>) -> String {
    let definitions: Vec<_> = definitions.into_iter().chain(shared()).collect();
    let texts: Vec<String> = std::iter::once(&root)
        .chain(definitions.iter().map(|(_, schema)| schema))
        .map(|schema| Node::from(schema.clone()).line())
        .collect();
    let used = definitions.into_iter().filter(|(name, _)| {
        let reference = format!("\"#/$defs/{name}\"");
        texts.iter().any(|text| text.contains(&reference))
    });
    let used = used.map(|(name, schema)| (name.to_owned(), schema.into())).collect();
    let mut document = Schema::any()
        .with("$schema", "https://json-schema.org/draft/2020-12/schema")
        .with("title", title);
    document.keywords.extend(root.keywords);
    Node::from(document.with("$defs", Node::Object(used))).text()
}

#[cfg(test)]
pub(crate) mod checks;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_stands_for_what_is_absent() {
        let line = |schema: Schema| Node::from(schema.or_null()).line();
        assert_eq!(line(text()), r#"{"type": ["string", "null"], "minLength": 1}"#);
        let either = r##"{"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}"##;
        assert_eq!(line(Schema::reference("x")), either);
    }

    #[test]
    fn fields_on_one_side_only_are_marked() {
        let marks =
            |object: Object| Node::from(object.schema()).line().matches(UNDESCRIBED).count();
        assert_eq!(marks(Object::of(&["a", "b"]).must("b", text()).may("a", text())), 0);
        assert_eq!(marks(Object::of(&["a", "b"]).must("b", text())), 1);
        assert_eq!(marks(Object::of(&["a"]).must("b", text())), 2);
    }
}
