//! The step budget: what bounds the work of every parser and evaluator on hostile input.

/// Counts the work done and the depth of recursion. One step is about one token, tree node or polynomial term.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u64,
    used: u64,
    depth: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::STEPS)
    }
}

impl Budget {
    /// Steps for reading one answer, and again for comparing two. A long but honest answer (a list of 30 tuples of
    /// surds) takes about 3,000.
    pub const STEPS: u64 = 60_000;
    /// Levels of recursion, three for one pair of brackets; real answers nest fewer than 12 brackets. Small enough for the 1 MiB stack of a wasm module.
    pub const DEPTH: u32 = 96;

    /// A budget of `limit` steps.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0, depth: 0 }
    }

    /// Takes `steps`; `None` once the budget is spent, and from then on.
    pub fn take(&mut self, steps: u64) -> Option<()> {
        self.used = self.used.saturating_add(steps).min(self.limit.saturating_add(1));
        (self.used <= self.limit).then_some(())
    }

    /// Goes one level deeper; `None` when that is too deep. Every successful call is paired with [`Budget::leave`].
    pub fn enter(&mut self) -> Option<()> {
        self.take(1)?;
        if self.depth >= Self::DEPTH {
            return None;
        }
        self.depth += 1;
        Some(())
    }

    /// Comes back from [`Budget::enter`].
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Whether a step was refused: what came out since then says nothing about the answers.
    pub fn is_spent(&self) -> bool {
        self.used > self.limit
    }

    /// Steps taken so far: at most the limit plus the one that was refused.
    pub fn used(&self) -> u64 {
        self.used
    }
}
