//! Reading a catalog: any bytes are a catalog or a list of faults, each with a place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rating::Catalog;

fuzz_target!(|bytes: &[u8]| {
    let (catalog, faults) = Catalog::read(bytes);
    assert!(catalog.is_some() || !faults.is_empty());
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    for fault in faults {
        assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{fault}");
    }
});
