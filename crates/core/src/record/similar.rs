//! How alike two values are, and the texts by which values are told apart.

use serde_json::Value;

use super::scalar::Scalar;
use crate::json_text::{sorted_names, write, write_scalar, write_text};

/// Texts weigh more than numbers where objects are compared: what a thing is called says which thing it is.
const TEXT_WEIGHT: f64 = 3.0;
/// Elements of lists inside elements that are compared.
const MOST_ITEMS: usize = 16;

/// The JSON of a value with its keys sorted. Equal for values that differ in nothing but the order of their
/// keys.
pub(crate) fn exact_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, true, &write_scalar, &mut out);
    out
}

/// As [`exact_text`], with the normal forms of all values.
pub(crate) fn normal_text(value: &Value) -> String {
    let mut out = String::new();
    // Quoted, so that no text looks like two.
    let normal = |scalar: &Value, out: &mut String| {
        let key = Scalar::of(scalar).map_or_else(String::new, |scalar| scalar.key());
        write_text(&key, out);
    };
    write(value, true, &normal, &mut out);
    out
}

/// How alike two values are, from 0 to 1: objects by their fields, lists by their elements in order.
pub(super) fn similarity(a: &Value, b: &Value) -> f64 {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let (mut sum, mut weights) = (0.0, 0.0);
            let weight = |value: &Value| if value.is_string() { TEXT_WEIGHT } else { 1.0 };
            let more = b.keys().filter(|name| !a.contains_key(*name));
            // Sums of floats depend on their order.
            let names = sorted_names(a.keys().chain(more).map(String::as_str).collect());
            for name in names {
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => {
                        let weight = weight(a).max(weight(b));
                        sum += weight * similarity(a, b);
                        weights += weight;
                    }
                    // A field that one of them leaves out says little.
                    _ => weights += 1.0,
                }
            }
            if weights == 0.0 { 1.0 } else { sum / weights }
        }
        (Value::Array(a), Value::Array(b)) => {
            let most = a.len().max(b.len()).min(MOST_ITEMS);
            let sum: f64 = a.iter().zip(b).take(most).map(|(a, b)| similarity(a, b)).sum();
            if most == 0 { 1.0 } else { sum / most as f64 }
        }
        _ => match (Scalar::of(a), Scalar::of(b)) {
            (Some(a), Some(b)) => a.similarity(&b),
            _ => 0.0,
        },
    }
}
