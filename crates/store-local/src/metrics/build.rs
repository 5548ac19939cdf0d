//! Data points to columns.

use super::point::{Parts, kind_name};
use super::schema;
use crate::signal_file::times;
use arrow_array::builder::BinaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, UInt32Array, UInt64Array,
};
use arrow_schema::ArrowError;
use carafe_store::{Series, StoreError, StoreErrorKind, value};
use carafe_telemetry::otlp::number_data_point::Value;
use std::sync::Arc;

/// The words of a series, in the order of the columns.
fn words(series: &Series) -> [String; 5] {
    let attributes: serde_json::Map<_, _> = series
        .attributes
        .iter()
        .map(|kv| {
            let value = kv.value.as_ref().map_or(serde_json::Value::Null, value::json);
            (kv.key.clone(), value)
        })
        .collect();
    [
        series.metric.name.clone(),
        series.metric.unit.clone(),
        kind_name(series.metric.data.as_ref()).to_owned(),
        series.resource.service.to_string(),
        serde_json::Value::Object(attributes).to_string(),
    ]
}

/// Gathers points, in the order of the file, into a batch.
#[derive(Debug, Default)]
pub(super) struct PointBatchBuilder {
    /// The series that are in the batch, and the point with which each begins.
    series: Vec<(u32, [String; 5], usize)>,
    points: Vec<Parts>,
}

impl PointBatchBuilder {
    /// How many points there are.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// The points that follow are of series number `id` of the file.
    pub(super) fn begin_series(&mut self, id: u32, series: &Series) {
        self.series.push((id, words(series), self.points.len()));
    }

    /// Adds a point of the series that began last.
    pub(super) fn push(&mut self, point: Parts) {
        self.points.push(point);
    }

    /// The batch. Further points are of the same series until another begins.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        self.columns().map_err(|error| {
            let message = format!("a batch of data points cannot be built: {error}");
            let source = Some(Box::new(error).into());
            StoreError { kind: StoreErrorKind::Internal, message, source }
        })
    }

    fn columns(&mut self) -> Result<RecordBatch, ArrowError> {
        let points = std::mem::take(&mut self.points);
        let next = self.series.last().map(|(id, words, _)| (*id, words.clone(), 0));
        let series = std::mem::replace(&mut self.series, next.into_iter().collect());
        let ends = series.iter().skip(1).map(|(.., from)| *from).chain([points.len()]);
        let runs: Vec<usize> = ends.zip(&series).map(|(end, (.., from))| end - from).collect();
        let repeat = |n: usize| std::iter::repeat_n(n, runs[n]);
        let at = || (0..series.len()).flat_map(repeat);
        let word = |column: usize| -> Result<ArrayRef, ArrowError> {
            let keys: Int32Array = at().map(|n| Some(n as i32)).collect();
            let values: StringArray =
                series.iter().map(|(_, words, _)| Some(words[column].as_str())).collect();
            Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?))
        };
        let double = |point: &Parts| match point.value {
            Some(Value::AsDouble(value)) => Some(value),
            _ => None,
        };
        let int = |point: &Parts| match point.value {
            Some(Value::AsInt(value)) => Some(value),
            _ => None,
        };
        let mut rest = BinaryBuilder::new();
        points.iter().for_each(|point| rest.append_option(point.rest.as_deref()));
        let all = points.iter();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(at().map(|n| Some(series[n].0)).collect::<UInt32Array>()),
            Arc::new(times(all.clone().map(|point| Some(point.time)))),
            Arc::new(times(all.clone().map(|point| point.start_time))),
            Arc::new(all.clone().map(|point| Some(point.is_received)).collect::<BooleanArray>()),
            Arc::new(all.clone().map(double).collect::<Float64Array>()),
            Arc::new(all.clone().map(int).collect::<Int64Array>()),
            Arc::new(all.clone().map(|point| point.count).collect::<UInt64Array>()),
            Arc::new(all.clone().map(|point| point.sum).collect::<Float64Array>()),
            Arc::new(all.map(|point| Some(point.flags)).collect::<UInt32Array>()),
            Arc::new(rest.finish()),
            word(0)?,
            word(1)?,
            word(2)?,
            word(3)?,
            word(4)?,
        ];
        RecordBatch::try_new(schema::schema(), columns)
    }
}
