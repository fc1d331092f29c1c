//! How fast are bytes decoded, beside two general-purpose readers that keep less?
//!
//! `simd-json` and `serde_json` only read the text into a value here: they neither keep decimals
//! exact nor refuse duplicate keys nor make a content digest.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::Decoder;
use std::hint::black_box;

const RECORD: &str = r#"{"specversion":"1.0","id":"000000001f4a","source":"metering/api-gw",
"type":"api.request","subject":"CUS-77421","time":"2026-01-14T09:30:00.123456Z",
"data":{"calls":"1251.5","region":"eu-west-1","status":200}}"#;

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    let mut decoder = Decoder::new(7);
    group.bench_function("usage-rater", |bencher| {
        bencher.iter(|| decoder.decode(black_box(RECORD.as_bytes())).map(|r| r.content_digest));
    });
    let mut buffers = simd_json::Buffers::new(512);
    let mut text = Vec::new();
    group.bench_function("simd-json tape, buffers reused", |bencher| {
        bencher.iter(|| {
            text.clear();
            text.extend_from_slice(black_box(RECORD.as_bytes()));
            simd_json::to_tape_with_buffers(&mut text, &mut buffers).map(|tape| tape.0.len())
        });
    });
    group.bench_function("serde_json value", |bencher| {
        bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(RECORD)));
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
