//! Which buckets exist and where they are stored.

use super::traffic_codec::UNREPORTED;
use domain::Span;

/// The spans of the sums before [`UNREPORTED`], in their order.
pub(super) const SUMMED_SPANS: [Span; UNREPORTED] =
    [Span::Day, Span::Week, Span::Month, Span::Year];

/// The tables of full buckets. Full days are in `usage_days`.
pub(super) const BUCKET_TABLES: [(Span, &str); 4] = [
    (Span::Hour, "traffic_ticks"),
    (Span::Day, "traffic_minutes"),
    (Span::Week, "traffic_quarters"),
    (Span::Month, "traffic_hours"),
];
