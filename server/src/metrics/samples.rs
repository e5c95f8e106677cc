//! The figures of one scrape, and how they are written: in OpenMetrics 1.0 or in Prometheus'
//! older text format, as the client asks.

use domain::DurationFigures;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};
use std::{collections::HashMap, fmt};

/// A label and its value. No value comes from a request or from a tenant.
pub(super) type Label = (&'static str, String);

/// A value of a family.
#[derive(Clone, Debug)]
enum Value {
    Gauge(f64),
    Counter(f64),
    Histogram(DurationFigures),
}

/// Values of one name.
#[derive(Clone, Debug)]
struct SampleFamily {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    values: Vec<(Vec<Label>, Value)>,
}

/// The figures of one scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<SampleFamily>);

impl Samples {
    fn add(
        &mut self,
        (name, help): (&'static str, &'static str),
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (Vec<Label>, Value)>,
    ) {
        let values: Vec<_> = values.into_iter().collect();
        if !values.is_empty() {
            self.0.push(SampleFamily {
                name,
                help,
                unit,
                values,
            });
        }
    }

    /// Adds a gauge without labels.
    pub fn gauge(&mut self, named: (&'static str, &'static str), unit: Option<Unit>, value: f64) {
        self.add(named, unit, [(Vec::new(), Value::Gauge(value))]);
    }

    /// Adds a gauge with labels.
    pub fn gauges(
        &mut self,
        named: (&'static str, &'static str),
        values: impl IntoIterator<Item = (Vec<Label>, f64)>,
    ) {
        let values = values.into_iter();
        self.add(named, None, values.map(|(l, v)| (l, Value::Gauge(v))));
    }

    /// Adds a counter without labels.
    pub fn counter(&mut self, named: (&'static str, &'static str), unit: Option<Unit>, value: f64) {
        self.add(named, unit, [(Vec::new(), Value::Counter(value))]);
    }

    /// Adds a counter with labels.
    pub fn counters(
        &mut self,
        named: (&'static str, &'static str),
        values: impl IntoIterator<Item = (Vec<Label>, u64)>,
    ) {
        let values = values.into_iter();
        let counter = |(labels, n)| (labels, Value::Counter(n as f64));
        self.add(named, None, values.map(counter));
    }

    /// Adds durations, by labels.
    pub fn durations(
        &mut self,
        named: (&'static str, &'static str),
        values: impl IntoIterator<Item = (Vec<Label>, DurationFigures)>,
    ) {
        let values = values.into_iter();
        let values = values.map(|(labels, figures)| (labels, Value::Histogram(figures)));
        self.add(named, Some(Unit::Seconds), values);
    }
}

fn write(mut encoder: MetricEncoder<'_>, value: &Value) -> fmt::Result {
    let no_exemplar: Option<&Exemplar<NoLabelSet, f64>> = None;
    match value {
        Value::Gauge(value) => encoder.encode_gauge(value),
        Value::Counter(value) => encoder.encode_counter(value, no_exemplar),
        Value::Histogram(figures) => {
            let none: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
            encoder.encode_histogram(figures.sum, figures.count, &figures.buckets, none)
        }
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.values.first() {
                Some((_, Value::Gauge(_))) | None => MetricType::Gauge,
                Some((_, Value::Counter(_))) => MetricType::Counter,
                Some((_, Value::Histogram(_))) => MetricType::Histogram,
            };
            let (name, help) = (family.name, family.help);
            let mut metric = encoder.encode_descriptor(name, help, family.unit.as_ref(), kind)?;
            for (labels, value) in &family.values {
                write(metric.encode_family(labels)?, value)?;
            }
        }
        Ok(())
    }
}
