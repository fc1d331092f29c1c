//! Rated lines and totals as they are written, read with exact numbers.

use super::exact::{Exact, Lineage};
use super::fingerprint::Fingerprint;
use rating::Instant;
use serde::Deserialize;
use std::borrow::Cow;

/// A rated line.
#[derive(Debug, Deserialize)]
pub(super) struct RatedLine<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) subject: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    pub(super) data: RatedData<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RatedData<'a> {
    #[serde(borrow)]
    pub(super) customer: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) charge: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) plan: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) period_start: Cow<'a, str>,
    #[serde(borrow)]
    quantity: Cow<'a, str>,
    #[serde(borrow)]
    total_before: Cow<'a, str>,
    #[serde(borrow)]
    amount: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(super) cell: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) corrects: Option<Named<'a>>,
    #[serde(default)]
    pub(super) taken_back: bool,
    #[serde(default)]
    pub(super) shift: bool,
    #[serde(default)]
    pub(super) adjustment: bool,
}

/// A record by its identity.
#[derive(Debug, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
}

/// The numbers of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) quantity: Exact,
    pub(super) total_before: Exact,
    pub(super) amount: Exact,
    pub(super) used_at: Instant,
}

impl<'a> RatedLine<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, Numbers)> {
        let line: Self = serde_json::from_slice(bytes).ok()?;
        let numbers = Numbers {
            quantity: Exact::parse(&line.data.quantity)?,
            total_before: Exact::parse(&line.data.total_before)?,
            amount: Exact::parse(&line.data.amount)?,
            used_at: Instant::parse(&line.time).ok()?,
        };
        line.record_source().is_some().then_some((line, numbers))
    }

    /// The source of its record: its own without the charge.
    pub(super) fn record_source(&self) -> Option<&str> {
        self.source.strip_suffix(&*self.data.charge)?.strip_suffix('#')
    }

    /// What no two lines have in common.
    pub(super) fn fingerprint(&self, owner: u32) -> Fingerprint {
        let data = &self.data;
        let marks = [u8::from(data.taken_back), u8::from(data.shift)];
        let (source, id) = data.corrects.as_ref().map_or(("", ""), |of| (&*of.source, &*of.id));
        let texts =
            [&*self.source, &self.id, &self.subject, &data.period_start, &data.cell, source, id];
        let [a, b, c, d, e, f, g] = texts.map(str::as_bytes);
        Fingerprint::of(&[&owner.to_be_bytes(), a, b, c, d, e, f, g, &marks])
    }

    /// What a line and the one that takes it back have in common.
    pub(super) fn place_in_totals(&self) -> Fingerprint {
        let data = &self.data;
        let texts = [&*self.subject, &data.charge, &data.period_start, &data.cell];
        Fingerprint::of(&texts.map(str::as_bytes))
    }

    /// What its record adds to the lineage: the quantity counts as it was added.
    pub(super) fn lineage(&self) -> Lineage {
        let written = &*self.data.quantity;
        let negated = match written.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None if written == "0" => written.to_owned(),
            None => format!("-{written}"),
        };
        let quantity = if self.data.taken_back { &negated } else { written };
        let own = || (self.record_source().unwrap_or_default(), &*self.id);
        let (source, id) = self.data.corrects.as_ref().map_or_else(own, |of| (&of.source, &of.id));
        Lineage::of(source, id, &self.data.charge, quantity)
    }
}

/// A total as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct WrittenTotal<'a> {
    #[serde(borrow)]
    pub(super) customer: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) subscription: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) charge: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) period_start: Cow<'a, str>,
    #[serde(borrow)]
    quantity: Cow<'a, str>,
    #[serde(borrow)]
    amount_at_zero: Cow<'a, str>,
    #[serde(borrow)]
    usage_amount: Cow<'a, str>,
    records: u64,
    first_used_at: Option<Cow<'a, str>>,
    last_used_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    lineage: WrittenLineage<'a>,
}

#[derive(Debug, Deserialize)]
struct WrittenLineage<'a> {
    records: u64,
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

/// What a total says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) quantity: Exact,
    pub(super) at_zero: Exact,
    pub(super) usage_amount: Exact,
    pub(super) records: u64,
    pub(super) lineage_records: u64,
    pub(super) lineage: Lineage,
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
    pub(super) is_closed: bool,
}

impl<'a> WrittenTotal<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, Said)> {
        let total: Self = serde_json::from_slice(bytes).ok()?;
        let instant = |text: &Option<Cow<'_, str>>| match text {
            Some(text) => Instant::parse(text).ok().map(Some),
            None => Some(None),
        };
        let said = Said {
            quantity: Exact::parse(&total.quantity)?,
            at_zero: Exact::parse(&total.amount_at_zero)?,
            usage_amount: Exact::parse(&total.usage_amount)?,
            records: total.records,
            lineage_records: total.lineage.records,
            lineage: Lineage::parse(&total.lineage.digest)?,
            first: instant(&total.first_used_at)?,
            last: instant(&total.last_used_at)?,
            is_closed: total.status == "closed",
        };
        Some((total, said))
    }
}
