//! What does one call of `rate()` cost, by price model?
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on stops and says so"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use rating::{Catalog, Instant, Quantity, Share, Total, rate};
use std::hint::black_box;

const MODELS: [(&str, &str); 6] = [
    ("per_unit", r#"{"model":"per_unit","unit_price":"0.012"}"#),
    ("package", r#"{"model":"package","package_size":"1000","package_price":"3"}"#),
    (
        "graduated",
        r#"{"model":"graduated","tiers":[{"up_to":"1000","unit_price":"0.012"},
            {"up_to":"10000","unit_price":"0.01"},{"up_to":null,"unit_price":"0.008"}]}"#,
    ),
    (
        "volume",
        r#"{"model":"volume","tiers":[{"up_to":"1000","unit_price":"0.012"},
            {"up_to":"10000","unit_price":"0.01"},{"up_to":null,"unit_price":"0.008"}]}"#,
    ),
    (
        "stairstep",
        r#"{"model":"stairstep","tiers":[{"up_to":"1000","flat_price":"10"},
            {"up_to":null,"flat_price":"50"}]}"#,
    ),
    ("flat", r#"{"model":"flat","amount":"99"}"#),
];

fn catalog(price: &str) -> Catalog {
    let text = format!(
        r#"{{"meters":[{{"key":"m","event_type":"t","aggregation":"sum","value":"$.n"}}],
            "plans":[{{"key":"p","version":1,"effective_from":"2026-01-01T00:00:00Z",
            "currency":"USD","charges":[{{"key":"c","meter":"m","included":"100",
            "price":{price}}}]}}]}}"#
    );
    Catalog::parse(text.as_bytes()).expect("a good catalog")
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("rate");
    for (name, price) in MODELS {
        let catalog = catalog(price);
        let timeline = &catalog.plans()[0].timelines[0];
        let terms = &timeline.terms[0];
        let used_at = Instant::parse("2026-01-14T09:30:00Z").expect("an instant");
        let quantity = Quantity::parse("1.5").expect("a quantity");
        let mut total = Total::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // Begins anew now and then, so that all tiers are met.
                if total.records == 20_000 {
                    total = Total::default();
                }
                rate(
                    black_box(&mut total),
                    (timeline, terms, Share::WHOLE),
                    black_box(quantity),
                    used_at,
                )
            });
        });
    }
    // Where each record is later than all before, the total keeps another last time with each.
    let catalog = catalog(MODELS[0].1);
    let timeline = &catalog.plans()[0].timelines[0];
    let terms = &timeline.terms[0];
    let mut nanos = Instant::parse("2026-01-14T09:30:00Z").expect("an instant").nanos();
    let quantity = Quantity::parse("1.5").expect("a quantity");
    let mut total = Total::default();
    group.bench_function("per_unit, rising times", |bencher| {
        bencher.iter(|| {
            nanos += 1_000;
            let by = (timeline, terms, Share::WHOLE);
            rate(black_box(&mut total), by, black_box(quantity), Instant::from_nanos(nanos))
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
