//! Types of records that some meter takes, by the numbers that admitted records keep of them.

use super::Partition;
use crate::codec::{Reader, put_text};
use crate::error::Error;
use crate::store::Store;

impl Partition {
    pub(super) fn type_of(&mut self, name: &str) -> u32 {
        let known = self.types.iter().position(|found| found == name);
        let index = known.unwrap_or_else(|| {
            self.types.push(name.to_owned());
            self.types_changed = true;
            self.types.len() - 1
        });
        u32::try_from(index).unwrap_or(0)
    }

    /// The number of the type whose meters took the record last checked.
    pub(super) fn measured_type(&self) -> u32 {
        let meter = self.measures.first().map(|measure| measure.meter().0 as usize);
        meter.and_then(|meter| self.meter_types.get(meter)).copied().unwrap_or(0)
    }
}

pub(super) fn read(store: &Store) -> Result<Vec<String>, Error> {
    let Some(bytes) = store.meta("types")? else { return Ok(vec![String::new()]) };
    let mut reader = Reader::new(&bytes);
    let mut types = Vec::new();
    while !reader.is_empty() {
        types.push(reader.text().ok_or(Error::Damaged { what: "type" })?.to_owned());
    }
    Ok(types)
}

// Frozen: the bytes of the types.
pub(super) fn encode(types: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for name in types {
        put_text(&mut out, name);
    }
    out
}
