//! Sequences of tokens as rectangles.
//!
//! What is not here: where sequences come from and which go together (`data`), what is learned from them (`objective`).

/// A prompt and the completion to learn from, as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Prompt, then completion.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt's; at least one, so that every completion token has one before it.
    pub prompt_len: usize,
}

impl Sequence {
    /// The tokens of the completion.
    pub fn completion(&self) -> &[u32] {
        &self.tokens[self.prompt_len..]
    }
}

/// Sequences side by side, padded on the right. A causal model cannot see padding there, so no mask is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// `[rows * seq]`, row-major, padded with token 0.
    pub tokens: Vec<u32>,
    /// Number of sequences.
    pub rows: usize,
    /// Length of the longest.
    pub seq: usize,
    /// Length of each.
    pub lengths: Vec<usize>,
    /// Prompt length of each.
    pub prompt_lens: Vec<usize>,
}

/// Predictions asked of a batch: the logits at `positions[i]` are to predict `tokens[i]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// `row * seq + t`, ascending.
    pub positions: Vec<usize>,
    /// The token at `t + 1` of that row.
    pub tokens: Vec<u32>,
    /// How many of the targets are of each row, in order.
    pub counts: Vec<usize>,
}

impl Batch {
    /// Puts sequences side by side.
    pub fn new(sequences: &[&Sequence]) -> Self {
        let seq = sequences.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
        let mut tokens = Vec::with_capacity(sequences.len() * seq);
        for sequence in sequences {
            tokens.extend_from_slice(&sequence.tokens);
            tokens.extend(std::iter::repeat_n(0, seq - sequence.tokens.len()));
        }
        Self {
            tokens,
            rows: sequences.len(),
            seq,
            lengths: sequences.iter().map(|sequence| sequence.tokens.len()).collect(),
            prompt_lens: sequences.iter().map(|sequence| sequence.prompt_len).collect(),
        }
    }

    /// The rows in at most `parts` consecutive groups of about equal size, each only as wide as its longest row.
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let parts = parts.clamp(1, self.rows.max(1));
        let bounds = |part: usize| self.rows * part / parts;
        (0..parts).map(|part| self.select(bounds(part)..bounds(part + 1))).collect()
    }

    fn select(&self, rows: std::ops::Range<usize>) -> Self {
        let seq = self.lengths[rows.clone()].iter().copied().max().unwrap_or(0);
        let row = |row: usize| &self.tokens[row * self.seq..row * self.seq + seq];
        Self {
            tokens: rows.clone().flat_map(|index| row(index).iter().copied()).collect(),
            rows: rows.len(),
            seq,
            lengths: self.lengths[rows.clone()].to_vec(),
            prompt_lens: self.prompt_lens[rows].to_vec(),
        }
    }

    /// Tokens that are not padding.
    pub fn num_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The completions' tokens as targets.
    pub fn completion_targets(&self) -> Targets {
        self.targets(|row| self.prompt_lens[row].max(1))
    }

    /// Every token but each row's first as a target.
    pub fn all_targets(&self) -> Targets {
        self.targets(|_| 1)
    }

    /// The tokens from `first(row)` on.
    fn targets(&self, first: impl Fn(usize) -> usize) -> Targets {
        let mut targets = Targets::default();
        for row in 0..self.rows {
            let wanted = first(row)..self.lengths[row];
            targets.counts.push(wanted.len());
            for t in wanted {
                targets.positions.push(row * self.seq + t - 1);
                targets.tokens.push(self.tokens[row * self.seq + t]);
            }
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_follows_each_position() {
        let long = Sequence { tokens: vec![5, 6, 7, 8], prompt_len: 2 };
        let short = Sequence { tokens: vec![9, 3], prompt_len: 1 };
        let batch = Batch::new(&[&long, &short]);
        assert_eq!((batch.rows, batch.seq, batch.num_tokens()), (2, 4, 6));
        assert_eq!(batch.tokens, [5, 6, 7, 8, 9, 3, 0, 0]);
        let targets = batch.completion_targets();
        assert_eq!(targets.positions, [1, 2, 4]);
        assert_eq!(targets.tokens, [7, 8, 3]);
        assert_eq!(targets.counts, [2, 1]);
        assert_eq!(batch.all_targets().positions, [0, 1, 2, 4]);
        assert_eq!(long.completion(), [7, 8]);
    }

    #[test]
    fn parts_are_the_rows_again() {
        let sequences: Vec<Sequence> =
            (1..=5).map(|len| Sequence { tokens: (0..len + 1).collect(), prompt_len: 1 }).collect();
        let batch = Batch::new(&sequences.iter().collect::<Vec<_>>());
        for parts in 1..8 {
            let split = batch.split(parts);
            assert_eq!(split.len(), parts.min(5));
            assert_eq!(split.iter().map(|part| part.rows).sum::<usize>(), 5);
            let mut left = sequences.iter();
            for part in split {
                let rows: Vec<&Sequence> = left.by_ref().take(part.rows).collect();
                assert_eq!(part, Batch::new(&rows));
            }
        }
    }
}
