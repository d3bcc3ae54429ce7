//! Sequences of tokens as rectangles.
//!
//! Completions of one prompt may share a row, so that the prompt goes through the network once ([`Batch::shared`]). Such a
//! row is a tree: what all completions see, then a branch for each:
//!
//! ```text
//! p0 p1 .. | p_last a0 a1 .. | p_last b0 b1 .. |
//! ```
//!
//! A branch begins with the prompt's last token, so that each completion has a place of its own to be predicted from. Its
//! tokens have the positions they would have behind the prompt, and see the shared tokens and their own branch.
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
    /// Prompt length of each; of a tree, the number of shared tokens.
    pub prompt_lens: Vec<usize>,
    /// Lengths of the branches of each row; no rows where none is a tree.
    pub branches: Vec<Vec<usize>>,
}

/// Predictions asked of a batch: the logits at `positions[i]` are to predict `tokens[i]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// `row * seq + t`, ascending.
    pub positions: Vec<usize>,
    /// The token at `t + 1` of that row.
    pub tokens: Vec<u32>,
    /// How many of the targets are of each row, of each branch where rows are trees; in order.
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
            branches: Vec::new(),
        }
    }

    /// Puts groups side by side, each in one row. The sequences of a group begin with the same prompt.
    pub fn shared(groups: &[Vec<&Sequence>]) -> Self {
        let mut trees = Vec::with_capacity(groups.len());
        let mut branches = Vec::with_capacity(groups.len());
        for group in groups {
            let shared = group.first().map_or(0, |sequence| sequence.prompt_len.saturating_sub(1));
            let prompt = |sequence: &Sequence| sequence.tokens[..sequence.prompt_len].to_vec();
            debug_assert!(
                group.windows(2).all(|pair| prompt(pair[0]) == prompt(pair[1])),
                "one prompt a group"
            );
            let mut tokens: Vec<u32> =
                group.first().map_or(&[][..], |first| &first.tokens[..shared]).to_vec();
            group.iter().for_each(|sequence| tokens.extend_from_slice(&sequence.tokens[shared..]));
            branches.push(group.iter().map(|sequence| sequence.tokens.len() - shared).collect());
            trees.push(Sequence { tokens, prompt_len: shared });
        }
        Self { branches, ..Self::new(&trees.iter().collect::<Vec<_>>()) }
    }

    /// Tokens of the row that such a group takes.
    pub fn shared_len(group: &[&Sequence]) -> usize {
        let shared = group.first().map_or(0, |sequence| sequence.prompt_len.saturating_sub(1));
        shared + group.iter().map(|sequence| sequence.tokens.len() - shared).sum::<usize>()
    }

    /// Of rows that are trees: the position of each token, `[rows * seq]`, and what is added to the attention scores,
    /// `[rows, seq, seq]`: 0 where a token is seen and `hidden` where it is not. None for plain rows.
    pub fn trees(&self, hidden: f32) -> Option<(Vec<usize>, Vec<f32>)> {
        if self.branches.is_empty() {
            return None;
        }
        let mut positions = Vec::with_capacity(self.rows * self.seq);
        let mut mask = vec![hidden; self.rows * self.seq * self.seq];
        for (row, branches) in self.branches.iter().enumerate() {
            let shared = self.prompt_lens[row];
            // Where the branch of each token begins; shared tokens, and padding, have none.
            let mut starts: Vec<usize> = (0..shared).collect();
            positions.extend(0..shared);
            for length in branches {
                starts.extend(std::iter::repeat_n(starts.len(), *length));
                positions.extend(shared..shared + length);
            }
            starts.extend(starts.len()..self.seq);
            positions.extend(std::iter::repeat_n(0, (row + 1) * self.seq - positions.len()));
            for (t, start) in starts.into_iter().enumerate() {
                let line = &mut mask[(row * self.seq + t) * self.seq..][..self.seq];
                line[..shared.min(t + 1)].fill(0.0);
                line[start..=t].fill(0.0);
            }
        }
        Some((positions, mask))
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
            prompt_lens: self.prompt_lens[rows.clone()].to_vec(),
            branches: self.branches.get(rows).unwrap_or_default().to_vec(),
        }
    }

    /// Tokens that are not padding.
    pub fn num_tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The completions' tokens as targets.
    pub fn completion_targets(&self) -> Targets {
        let mut targets = Targets::default();
        for row in 0..self.rows {
            let Some(branches) = self.branches.get(row) else {
                self.add_targets(row, self.prompt_lens[row].max(1)..self.lengths[row], &mut targets);
                continue;
            };
            let mut start = self.prompt_lens[row];
            for length in branches {
                self.add_targets(row, start + 1..start + length, &mut targets);
                start += length;
            }
        }
        targets
    }

    /// Every token but each row's first as a target; rows are no trees.
    pub fn all_targets(&self) -> Targets {
        debug_assert!(self.branches.is_empty(), "the first tokens of branches have others before them");
        let mut targets = Targets::default();
        (0..self.rows).for_each(|row| self.add_targets(row, 1..self.lengths[row], &mut targets));
        targets
    }

    fn add_targets(&self, row: usize, wanted: std::ops::Range<usize>, targets: &mut Targets) {
        targets.counts.push(wanted.len());
        for t in wanted {
            targets.positions.push(row * self.seq + t - 1);
            targets.tokens.push(self.tokens[row * self.seq + t]);
        }
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
    fn a_tree_shares_the_prompt() {
        let sequence = |tokens: &[u32]| Sequence { tokens: tokens.to_vec(), prompt_len: 3 };
        let (a, b) = (sequence(&[5, 6, 7, 1, 2]), sequence(&[5, 6, 7, 3]));
        let alone = sequence(&[8, 8, 9, 4]);
        let batch = Batch::shared(&[vec![&a, &b], vec![&alone]]);
        assert_eq!((batch.rows, batch.seq, batch.num_tokens()), (2, 7, 11));
        assert_eq!(batch.tokens, [5, 6, 7, 1, 2, 7, 3, 8, 8, 9, 4, 0, 0, 0]);
        assert_eq!(Batch::shared_len(&[&a, &b]), 7);
        let targets = batch.completion_targets();
        assert_eq!(targets.positions, [2, 3, 5, 9]);
        assert_eq!(targets.tokens, [1, 2, 3, 4]);
        assert_eq!(targets.counts, [2, 1, 1]);
        let (positions, mask) = batch.trees(-1.0).unwrap();
        assert_eq!(positions, [0, 1, 2, 3, 4, 2, 3, 0, 1, 2, 3, 0, 0, 0]);
        let seen: Vec<String> = mask
            .chunks(7)
            .map(|line| line.iter().map(|seen| if *seen == 0.0 { 'x' } else { '.' }).collect())
            .collect();
        assert_eq!(
            seen[..7],
            ["x......", "xx.....", "xxx....", "xxxx...", "xxxxx..", "xx...x.", "xx...xx"],
            "the second branch does not see the first"
        );
        assert_eq!(seen[7..11], ["x......", "xx.....", "xxx....", "xxxx..."], "one branch is a sequence");
        assert_eq!(Batch::new(&[&a]).trees(-1.0), None);
        assert_eq!(batch.split(2)[1], Batch::shared(&[vec![&alone]]));
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
