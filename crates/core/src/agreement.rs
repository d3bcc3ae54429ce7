//! How far those who label agree: Krippendorff's alpha.
//!
//! Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, sections E (nominal, missing values) and F (ordinal).

use std::collections::BTreeMap;

/// Krippendorff's alpha over units (sets) that were added one by one. Who gave no label is left out, and so are units with fewer
/// than two labels.
#[derive(Debug, Clone, Default)]
pub struct Alpha {
    /// How often each label was given, over all units with two or more.
    totals: BTreeMap<String, f64>,
    /// Sum over units of the pairs of unequal labels, each unit's over its number of labels less one.
    unequal: f64,
    /// The same by pair of places, where labels have an order.
    pairs: BTreeMap<(usize, usize), f64>,
    /// Labels in their order; none where they have none.
    order: Vec<String>,
}

impl Alpha {
    /// Of labels without an order.
    pub fn nominal() -> Self {
        Self::default()
    }

    /// Of labels in an order: how far two are apart counts.
    pub fn ordinal(order: Vec<String>) -> Self {
        Self { order, ..Self::default() }
    }

    /// Adds a unit: how often it was given each label, every label once.
    pub fn add<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, usize)>) {
        let labels: Vec<(&str, usize)> = labels.into_iter().filter(|(_, count)| *count > 0).collect();
        let total: usize = labels.iter().map(|(_, count)| count).sum();
        if total < 2 {
            return;
        }
        for (at, &(label, count)) in labels.iter().enumerate() {
            *self.totals.entry(label.to_owned()).or_default() += count as f64;
            for &(other, others) in &labels[..at] {
                let weight = 2.0 * count as f64 * others as f64 / (total - 1) as f64;
                self.unequal += weight;
                if let (Some(a), Some(b)) = (self.place(label), self.place(other)) {
                    *self.pairs.entry((a.min(b), a.max(b))).or_default() += weight;
                }
            }
        }
    }

    fn place(&self, label: &str) -> Option<usize> {
        self.order.iter().position(|known| known == label)
    }

    /// Alpha: 1 for perfect agreement, 0 for what chance gives; none where there are no pairs, or only one label was ever given.
    pub fn value(&self) -> Option<f64> {
        let n: f64 = self.totals.values().sum();
        if self.order.is_empty() {
            let same: f64 = self.totals.values().map(|count| count * (count - 1.0)).sum();
            let expected = (n * (n - 1.0) - same) / (n - 1.0);
            return (n > 1.0 && expected > 0.0).then(|| 1.0 - self.unequal / expected);
        }
        let counts: Vec<f64> =
            self.order.iter().map(|label| self.totals.get(label).copied().unwrap_or(0.0)).collect();
        // The square of the number of labels from one place to the other, the ends by half.
        let distance = |a: usize, b: usize| {
            let between: f64 = counts[a..=b].iter().sum();
            (between - (counts[a] + counts[b]) / 2.0).powi(2)
        };
        let observed: f64 = self.pairs.iter().map(|(&(a, b), weight)| weight * distance(a, b)).sum();
        let mut expected = 0.0;
        for b in 0..counts.len() {
            for a in 0..b {
                expected += 2.0 * counts[a] * counts[b] * distance(a, b);
            }
        }
        expected /= n - 1.0;
        (n > 1.0 && expected > 0.0).then(|| 1.0 - observed / expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of the source, section E: four observers, twelve units, with missing values.
    fn units(alpha: &mut Alpha) {
        let rows = [
            ['1', '2', '3', '3', '2', '1', '4', '1', '2', '.', '.', '.'],
            ['1', '2', '3', '3', '2', '2', '4', '1', '2', '5', '.', '3'],
            ['.', '3', '3', '3', '2', '3', '4', '2', '2', '5', '1', '.'],
            ['1', '2', '3', '3', '2', '4', '4', '1', '2', '5', '1', '.'],
        ];
        for unit in 0..12 {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for row in rows.iter().filter(|row| row[unit] != '.') {
                *counts.entry(row[unit].to_string()).or_default() += 1;
            }
            alpha.add(counts.iter().map(|(label, &count)| (label.as_str(), count)));
        }
    }

    #[test]
    fn alpha_of_the_published_example() {
        let mut nominal = Alpha::nominal();
        units(&mut nominal);
        assert!((nominal.value().unwrap() - 0.743).abs() < 5e-4, "{:?}", nominal.value());
        let mut ordinal = Alpha::ordinal(["1", "2", "3", "4", "5"].map(str::to_owned).to_vec());
        units(&mut ordinal);
        assert!((ordinal.value().unwrap() - 0.815).abs() < 5e-4, "{:?}", ordinal.value());
    }

    #[test]
    fn ends() {
        let mut alpha = Alpha::nominal();
        assert_eq!(alpha.value(), None);
        alpha.add([("a", 1)]);
        assert_eq!(alpha.value(), None, "nobody to agree with");
        alpha.add([("a", 3)]);
        assert_eq!(alpha.value(), None, "one label says nothing");
        alpha.add([("b", 3)]);
        assert_eq!(alpha.value(), Some(1.0));
        alpha.add([("a", 1), ("b", 1)]);
        assert!(alpha.value().unwrap() < 1.0);
    }
}
