//! Decoding a usage record: any bytes are a record or a coded rejection, the same each time, and
//! what was decoded can be measured and rated by any catalog.
#![no_main]

use ingest::Decoder;
use libfuzzer_sys::fuzz_target;
use rating::resolve;
use rating::{Catalog, Correction};
use std::sync::LazyLock;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let text = include_bytes!("../../tests/it/histories/catalog.json");
    Catalog::parse(text).unwrap_or_else(|_| std::process::abort())
});

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(1);
    let digest = decoder.decode(bytes).map(|record| record.content_digest);
    let mut again = Decoder::new(1);
    match (digest, again.decode(bytes)) {
        (Ok(digest), Ok(record)) => {
            assert_eq!(digest, record.content_digest);
            let (mut measures, mut lines) = (Vec::new(), Vec::new());
            _ = Correction::of(&record);
            if resolve::check_measure(&CATALOG, &record, None, &mut measures).is_ok()
                && let Ok(owner) = resolve::owner(&CATALOG, &record, &measures)
            {
                _ = resolve::lines(&CATALOG, &record, (owner, &mut measures), &mut lines);
            }
        }
        (Err(first), Err(second)) => assert_eq!(first.code, second.code),
        _ => panic!("decoded once, refused once"),
    }
});
