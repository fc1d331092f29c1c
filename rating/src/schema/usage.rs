//! The schema of usage records.

use super::{Schema, document, text};
use crate::catalog::SYSTEM_TYPES;
use crate::record::UsageRecord;

impl UsageRecord<'_> {
    /// The JSON Schema of one usage record: a CloudEvent in structured mode.
    ///
    /// An event may have other members: they are extensions that nobody asks for.
    #[must_use]
    pub fn schema() -> String {
        let attributes = [
            ("specversion", Schema::exactly("1.0")),
            ("id", text().described("With `source`, what tells the record from others")),
            ("source", text()),
            ("type", text().described("Selects the meters")),
            ("subject", text().described("A customer, a subscription, or an alias of one")),
            ("subscription", Schema::of_type("string").or_null()),
            ("time", Schema::reference("instant")),
            ("data", Schema::any().described("What meters look into")),
        ];
        let required = ["specversion", "id", "source", "type", "subject", "time"];
        let event = Schema::of_type("object").and(Schema::members(attributes, &required));
        let [cancelled, amended] = SYSTEM_TYPES;
        let of = || ("of", Schema::reference("identity"));
        let replacement = ("replacement", Schema::of_type("object"));
        let root = event.and_any_of([
            Schema::members([("type", Schema::names(&SYSTEM_TYPES).negated())], &[]),
            correction(cancelled, [of()], &["of"]),
            correction(amended, [of(), replacement], &["of", "replacement"]),
        ]);
        let identity = [("source", text()), ("id", text())];
        let identity = Schema::of_type("object").and(Schema::members(identity, &["source", "id"]));
        let identity = identity.described("The record that is corrected");
        document("A usage record", root, vec![("identity", identity)])
    }
}

/// A record of the system's own type, with what its data must hold.
fn correction<'n>(
    name: &str,
    data: impl IntoIterator<Item = (&'n str, Schema)>,
    required: &[&str],
) -> Schema {
    let data = Schema::of_type("object").and(Schema::members(data, required));
    Schema::members([("type", Schema::exactly(name)), ("data", data)], &["data"])
}
