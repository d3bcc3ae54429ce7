//! The decoder against transformers, and against itself: chunks, rows, shards, forks, scores.
//!
//! A module of a test binary that says in its parent which `device()` is tested and to which `TOLERANCE`.

use std::ops::ControlFlow;

use conclave_model::decoder::Decoder;
use conclave_model::error::ErrorKind;
use conclave_model::pass_layout::PassLayout;
use conclave_model::qwen2_decoder::Qwen2Decoder;
use conclave_model::sampler::Choice;
use conclave_model::self_test::run_case;
use conclave_model::vocabulary::MAX_SHARD_BYTES;
use pollster::block_on;

use super::{TOLERANCE, fixtures};

fn on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Largest absolute difference; infinite for other lengths or a NaN.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let one = |(a, b): (&f32, &f32)| {
        if a.is_nan() || b.is_nan() { f64::INFINITY } else { f64::from((a - b).abs()) }
    };
    a.iter().zip(b).map(one).fold(0.0, f64::max)
}

/// Greedy continuation of every row, `n` tokens each.
fn greedy(decoder: &mut Qwen2Decoder, n: usize) -> Vec<Vec<u32>> {
    let rows: Vec<usize> = (0..decoder.num_rows()).collect();
    let mut tokens = vec![Vec::new(); rows.len()];
    for _ in 0..n {
        let sampled = block_on(decoder.sample(&rows, &vec![Choice::GREEDY; rows.len()])).unwrap();
        let next: Vec<[u32; 1]> = sampled.iter().map(|sampled| [sampled.token]).collect();
        for (row, token) in next.iter().enumerate() {
            tokens[row].push(token[0]);
        }
        block_on(decoder.append(&next.iter().map(<[u32; 1]>::as_slice).collect::<Vec<_>>(), &mut on))
            .unwrap();
    }
    tokens
}

#[test]
fn logits_and_greedy_tokens_are_those_of_transformers() {
    for name in fixtures::NAMES {
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
        for case in fixtures::cases(name) {
            let report = block_on(run_case(&mut decoder, &case)).unwrap();
            assert!(report.passes(TOLERANCE), "{name}: {report:?}");
            assert_eq!(report.greedy_tokens, 24, "{name}: the reference has 24 greedy tokens");
        }
    }
}

#[test]
fn a_wrong_weight_is_found() {
    let name = "tied-gqa";
    let mut case = fixtures::cases(name).remove(0);
    let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
    case.logits[7] += 10.0 * TOLERANCE as f32;
    let report = block_on(run_case(&mut decoder, &case)).unwrap();
    assert!(!report.passes(TOLERANCE), "{report:?}");
    case.logits[7] -= 10.0 * TOLERANCE as f32;
    case.greedy[5] ^= 1;
    let report = block_on(run_case(&mut decoder, &case)).unwrap();
    assert_eq!((report.greedy_agreeing, report.passes(TOLERANCE)), (5, false));
}

#[test]
fn prefill_in_chunks_gives_the_logits_of_one_piece() {
    for name in fixtures::NAMES {
        for case in fixtures::cases(name) {
            for chunk in [1, 7, 64] {
                let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES).with_prefill_chunk(chunk);
                let report = block_on(run_case(&mut decoder, &case)).unwrap();
                assert!(report.passes(TOLERANCE), "{name} in chunks of {chunk}: {report:?}");
            }
        }
    }
}

#[test]
fn a_row_sharded_vocabulary_agrees_with_a_whole_one() {
    for name in fixtures::NAMES {
        let mut whole = fixtures::decoder(name, usize::MAX);
        let row_bytes = whole.config().hidden_size * 4;
        assert_eq!(whole.model().embed_tokens.shards.len(), 1);
        for rows in [100, 1] {
            let mut sharded = fixtures::decoder(name, rows * row_bytes);
            let shards = sharded.model().embed_tokens.shards.len();
            assert_eq!(shards, whole.config().vocab_size.div_ceil(rows));
            for case in fixtures::cases(name).iter().filter(|case| rows > 1 || case.ids.len() < 20) {
                whole.reset(1, 64).unwrap();
                sharded.reset(1, 64).unwrap();
                let a = block_on(whole.forced_logits(0, &case.ids)).unwrap();
                let b = block_on(sharded.forced_logits(0, &case.ids)).unwrap();
                assert!(difference(&a, &b) <= TOLERANCE, "{name}, {shards} shards: {}", difference(&a, &b));
            }
        }
    }
}

#[test]
fn batched_rows_give_what_single_rows_give() {
    for name in fixtures::NAMES {
        let cases = fixtures::cases(name);
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES).with_prefill_chunk(10);
        decoder.reset(cases.len(), 128).unwrap();
        let prompts: Vec<&[u32]> = cases.iter().map(|case| case.ids.as_slice()).collect();
        assert!(prompts.iter().any(|prompt| prompt.len() != prompts[0].len()), "the lengths differ");
        block_on(decoder.append(&prompts, &mut on)).unwrap();
        // The logits at each row's end, as top-k of the whole vocabulary.
        for (row, case) in cases.iter().enumerate() {
            assert_eq!(decoder.len(row), case.ids.len());
            let vocab_size = decoder.vocab_size();
            let last = &case.logits[(case.ids.len() - 1) * vocab_size..];
            let normaliser = log_sum_exp(last);
            let ranked = block_on(decoder.top_k(row, vocab_size)).unwrap();
            assert_eq!(ranked.len(), vocab_size);
            for (token, log_prob) in ranked {
                let expected = f64::from(last[token as usize]) - normaliser;
                assert!((log_prob - expected).abs() <= TOLERANCE, "{name} row {row} token {token}");
            }
        }
        for (row, tokens) in greedy(&mut decoder, 24).iter().enumerate() {
            assert_eq!(tokens, &cases[row].greedy, "{name} row {row}");
        }
    }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let maximum = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    maximum + logits.iter().map(|logit| (f64::from(*logit) - maximum).exp()).sum::<f64>().ln()
}

#[test]
fn scores_are_the_log_softmax_of_the_logits_and_leave_the_row_alone() {
    for name in fixtures::NAMES {
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES).with_prefill_chunk(9);
        for case in fixtures::cases(name).iter().filter(|case| case.ids.len() > 1) {
            let vocab_size = decoder.vocab_size();
            // Row 1 is the one scored; row 0 has another length.
            decoder.reset(2, 256).unwrap();
            block_on(decoder.append(&[&[5, 6, 7], &case.ids[..1]], &mut on)).unwrap();
            let before = block_on(decoder.top_k(1, 5)).unwrap();
            let scores = block_on(decoder.log_probs(1, &case.ids[1..])).unwrap();
            for (index, (token, score)) in case.ids[1..].iter().zip(&scores).enumerate() {
                let logits = &case.logits[index * vocab_size..(index + 1) * vocab_size];
                let expected = f64::from(logits[*token as usize]) - log_sum_exp(logits);
                assert!((score - expected).abs() <= TOLERANCE, "{name} token {index}: {score} {expected}");
            }
            assert_eq!(scores.len(), case.ids.len() - 1);
            assert_eq!((decoder.len(0), decoder.len(1)), (3, 1));
            assert_eq!(block_on(decoder.top_k(1, 5)).unwrap(), before);
            // What was scored can be appended after all, and gives the same as ever.
            block_on(decoder.append(&[&[], &case.ids[1..]], &mut on)).unwrap();
            block_on(decoder.append(&[&[8], &[]], &mut on)).unwrap();
            assert_eq!(greedy(&mut decoder, 24)[1], case.greedy);
        }
    }
}

#[test]
fn forks_and_rewinds_give_what_a_fresh_prefill_gives() {
    for name in fixtures::NAMES {
        let case = fixtures::cases(name).into_iter().find(|case| case.ids.len() == 17).expect("case a");
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
        decoder.reset(2, 128).unwrap();
        block_on(decoder.append(&[&case.ids[..10], &[1, 2, 3]], &mut on)).unwrap();
        decoder.fork(&[1, 0, 0]).unwrap();
        assert_eq!((0..3).map(|row| decoder.len(row)).collect::<Vec<_>>(), [3, 10, 10]);
        // Row 1 takes a wrong turn and comes back; row 2 goes on.
        block_on(decoder.append(&[&[], &[9, 9, 9, 9], &case.ids[10..]], &mut on)).unwrap();
        decoder.rewind(1, 10).unwrap();
        let error = block_on(decoder.sample(&[1], &[Choice::GREEDY])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        block_on(decoder.append(&[&[], &case.ids[10..], &[]], &mut on)).unwrap();
        let tokens = greedy(&mut decoder, 24);
        assert_eq!(tokens[1], case.greedy, "{name}");
        assert_eq!(tokens[2], case.greedy, "{name}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let mut decoder = fixtures::decoder("tied-gqa", MAX_SHARD_BYTES);
    decoder.reset(1, 8).unwrap();
    let full = block_on(decoder.append(&[&[1; 9]], &mut on)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Capacity, "{full}");
    let vocab_size = decoder.config().vocab_size as u32;
    let unknown = block_on(decoder.append(&[&[vocab_size]], &mut on)).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Input, "{unknown}");
    assert_eq!(block_on(decoder.append(&[], &mut on)).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(block_on(decoder.sample(&[0], &[Choice::GREEDY])).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(block_on(decoder.sample(&[3], &[Choice::GREEDY])).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(block_on(decoder.sample(&[0], &[])).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(block_on(decoder.forced_logits(1, &[1])).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(decoder.fork(&[1]).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(decoder.rewind(0, 4).unwrap_err().kind(), ErrorKind::Input);
    // None of that changed anything.
    block_on(decoder.append(&[&[1; 8]], &mut on)).unwrap();
    let cancelled = {
        decoder.reset(1, 8).unwrap();
        block_on(decoder.append(&[&[1; 8]], &mut |_| ControlFlow::Break(()))).unwrap_err()
    };
    assert!(cancelled.is_cancelled(), "{cancelled}");
}

#[test]
fn a_step_is_a_sample_and_an_append() {
    for name in fixtures::NAMES {
        let case = fixtures::cases(name).into_iter().find(|case| case.ids.len() == 17).expect("case a");
        let [mut stepping, mut apart] = [(); 2].map(|()| fixtures::decoder(name, MAX_SHARD_BYTES));
        for decoder in [&mut stepping, &mut apart] {
            decoder.reset(3, 64).unwrap();
            block_on(decoder.append(&[&case.ids, &[5, 6], &[7]], &mut on)).unwrap();
        }
        for turn in 0..12 {
            // Row 1 rests every other turn.
            let rows: &[usize] = if turn % 2 == 0 { &[2, 0] } else { &[0, 1, 2] };
            let drawn = Choice { temperature: 0.8, draw: f64::from(turn) / 12.0, ..Choice::GREEDY };
            let choices = vec![if turn < 4 { Choice::GREEDY } else { drawn }; rows.len()];
            let stepped = block_on(stepping.step(rows, &choices)).unwrap();
            let sampled = block_on(apart.sample(rows, &choices)).unwrap();
            assert_eq!(stepped, sampled, "{name} turn {turn}");
            let mut pieces: [&[u32]; 3] = [&[]; 3];
            for (row, sampled) in rows.iter().zip(&sampled) {
                pieces[*row] = std::slice::from_ref(&sampled.token);
            }
            block_on(apart.append(&pieces, &mut on)).unwrap();
            let len = |decoder: &Qwen2Decoder| [0, 1, 2].map(|row| decoder.len(row));
            assert_eq!(len(&stepping), len(&apart));
        }
        for wrong in [&[0usize, 0][..], &[3]] {
            let error = block_on(stepping.step(wrong, &vec![Choice::GREEDY; wrong.len()])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        }
    }
}

#[test]
fn many_scores_are_each_the_score() {
    let name = "tied-gqa";
    let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
    decoder.reset(2, 64).unwrap();
    block_on(decoder.append(&[&[5, 6, 7], &[9, 10]], &mut on)).unwrap();
    let continuations: [&[u32]; 4] = [&[11, 12, 13], &[11, 12], &[], &[200]];
    let many = block_on(decoder.log_probs_many(1, &continuations)).unwrap();
    for (scores, tokens) in many.iter().zip(continuations) {
        let expected = block_on(decoder.log_probs(1, tokens)).unwrap();
        assert_eq!(scores.len(), tokens.len());
        for (score, expected) in scores.iter().zip(&expected) {
            assert!((score - expected).abs() <= TOLERANCE);
        }
    }
    assert_eq!((decoder.len(0), decoder.len(1)), (3, 2));
    let vocab_size = decoder.vocab_size() as u32;
    let unknown = block_on(decoder.log_probs_many(1, &[&[1], &[vocab_size]])).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Input, "{unknown}");
}

/// The untied head's rows are linear heads themselves: what they give are logits.
#[test]
fn a_linear_head_on_the_end_of_a_row_gives_logits() {
    for name in fixtures::NAMES {
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
        decoder.reset(2, 64).unwrap();
        let case = fixtures::cases(name).into_iter().find(|case| case.ids.len() == 17).expect("case a");
        block_on(decoder.append(&[&[5, 6, 7], &case.ids], &mut on)).unwrap();
        let logits = &case.logits[16 * decoder.vocab_size()..];
        let head = fixtures::head(name);
        let width = decoder.config().hidden_size;
        assert_eq!(block_on(decoder.end_state(1)).unwrap().len(), width);
        for token in [0, 7, 300] {
            let weights = &head[token * width..(token + 1) * width];
            let score = block_on(decoder.score_head(1, weights, 0.25)).unwrap();
            assert!(f64::from((score - 0.25 - logits[token]).abs()) <= TOLERANCE, "{name} token {token}");
        }
        let narrow = block_on(decoder.score_head(1, &head[1..width], 0.0)).unwrap_err();
        assert_eq!(narrow.kind(), ErrorKind::Input, "{narrow}");
        decoder.rewind(1, 3).unwrap();
        assert_eq!(block_on(decoder.end_state(1)).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(block_on(decoder.end_state(2)).unwrap_err().kind(), ErrorKind::Input);
    }
}

/// What a decoder is made to fail at.
type Failing = fn(&mut Qwen2Decoder) -> Result<(), conclave_model::Error>;

/// A model one of whose embeddings is no number: a prompt with that token fails, and nothing after it may.
#[test]
fn what_is_computed_after_an_error_is_as_good_as_new() {
    const BAD: u32 = 7;
    let good: [&[u32]; 2] = [&[11, 12, 13, 14, 15], &[21, 22]];
    let mut fresh = fixtures::decoder_of_damaged(BAD);
    fresh.reset(2, 128).unwrap();
    block_on(fresh.append(&good, &mut on)).unwrap();
    let expected = block_on(fresh.sample(&[0, 1], &[Choice::GREEDY; 2])).unwrap();
    let scores = block_on(fresh.log_probs(0, &[30, 31, 32])).unwrap();

    let mut decoder = fixtures::decoder_of_damaged(BAD);
    let failing: [Failing; 5] = [
        |decoder| block_on(decoder.sample(&[0], &[Choice::GREEDY])).map(drop),
        |decoder| block_on(decoder.top_k(0, 3)).map(drop),
        |decoder| block_on(decoder.end_state(0)).map(drop),
        |decoder| block_on(decoder.log_probs(1, &[20, BAD, 22])).map(drop),
        |decoder| block_on(decoder.append(&[&[1], &[2]], &mut |_| ControlFlow::Break(()))),
    ];
    for (index, fail) in failing.into_iter().enumerate() {
        // The same shape every time, so that the cache is used again.
        decoder.reset(2, 128).unwrap();
        block_on(decoder.append(&[&[5, 6, BAD, 8, 9, 10, 11, 12], &[3]], &mut on)).unwrap();
        let error = fail(&mut decoder).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFinite | ErrorKind::Cancelled), "{index}: {error}");
        decoder.reset(2, 128).unwrap();
        block_on(decoder.append(&good, &mut on)).unwrap();
        assert_eq!(block_on(decoder.sample(&[0, 1], &[Choice::GREEDY; 2])).unwrap(), expected, "{index}");
        // Nor does what failed and was taken back touch what comes in its place.
        block_on(decoder.log_probs(0, &[20, 21, BAD, 22])).unwrap_err();
        assert_eq!(block_on(decoder.log_probs(0, &[30, 31, 32])).unwrap(), scores, "{index}");
        block_on(decoder.append(&[&[20, BAD, 22, 23], &[]], &mut on)).unwrap();
        block_on(decoder.sample(&[0], &[Choice::GREEDY])).unwrap_err();
        decoder.rewind(0, good[0].len()).unwrap();
        decoder.rewind(0, good[0].len() - 1).unwrap();
        block_on(decoder.append(&[&good[0][4..], &[]], &mut on)).unwrap();
        let again = block_on(decoder.sample(&[0], &[Choice::GREEDY])).unwrap();
        assert_eq!(again[0].token, expected[0].token, "{index}");
    }
    let logits = block_on(decoder.forced_logits(1, &[BAD])).unwrap();
    assert!(logits.iter().any(|logit| logit.is_nan()));
    decoder.reset(2, 128).unwrap();
    block_on(decoder.append(&good, &mut on)).unwrap();
    assert_eq!(block_on(decoder.sample(&[0, 1], &[Choice::GREEDY; 2])).unwrap(), expected);
}

/// What the model computes over one whole sequence with explicit positions and an explicit mask: the logits after each token.
fn with_mask(decoder: &Qwen2Decoder, tokens: &[u32], sees: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let count = tokens.len();
    let mask: Vec<f32> =
        (0..count * count).map(|i| if sees(i / count, i % count) { 0.0 } else { -1e30 }).collect();
    let positions: Vec<usize> = (0..count).collect();
    let at = PassLayout::new(decoder.config(), 1, &positions, mask, &super::device());
    let hidden = decoder.model().hidden(tokens, 1, &at, None);
    let logits = decoder.model().logits(hidden.reshape([count, decoder.config().hidden_size]));
    logits.into_data().iter::<f32>().collect()
}

/// Without a shared beginning, blocks are a mask: each sees itself, and what follows sees all.
#[test]
fn blocks_are_a_mask_over_one_sequence() {
    let blocks: [&[u32]; 3] = [&[5, 6, 7, 8], &[50, 51], &[90, 91, 92, 93, 94]];
    let tail = [11, 12, 13];
    let tokens = [blocks.concat(), tail.to_vec()].concat();
    let block_of: Vec<usize> = (0..).zip(blocks).flat_map(|(i, block)| vec![i; block.len()]).collect();
    for name in fixtures::NAMES {
        for chunk in [3, 64] {
            let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES).with_prefill_chunk(chunk);
            let sees =
                |i: usize, j: usize| j <= i && (i >= block_of.len() || block_of.get(i) == block_of.get(j));
            let expected = with_mask(&decoder, &tokens, sees);
            decoder.reset(2, 64).unwrap();
            // Another row with columns of its own between those of this one.
            block_on(decoder.append(&[&[3, 4], &[]], &mut on)).unwrap();
            let mut told = Vec::new();
            let progress = &mut |done| {
                told.push(done);
                ControlFlow::Continue(())
            };
            let ends = block_on(decoder.append_blocks(1, &blocks, progress)).unwrap();
            assert_eq!((ends.len(), told.last(), decoder.len(1)), (3, Some(&11), 11));
            assert_eq!(
                block_on(decoder.sample(&[1], &[Choice::GREEDY])).unwrap_err().kind(),
                ErrorKind::Input
            );
            let found = block_on(decoder.forced_logits(1, &tail)).unwrap();
            let expected = &expected[block_of.len() * decoder.config().vocab_size..];
            assert!(difference(&found, expected) <= TOLERANCE, "{name}: {}", difference(&found, expected));
        }
    }
}

#[test]
fn a_block_is_computed_as_if_it_were_alone() {
    let (prefix, tail): (&[u32], &[u32]) = (&[21, 22, 23, 24, 25], &[60, 61]);
    let blocks: [&[u32]; 3] = [&[5, 6, 7, 8], &[50, 51], &[90, 91, 92, 93, 94]];
    for name in fixtures::NAMES {
        let mut decoder = fixtures::decoder(name, MAX_SHARD_BYTES);
        let mut ends_of = |order: &[usize]| {
            decoder.reset(1, 64).unwrap();
            block_on(decoder.append(&[prefix], &mut on)).unwrap();
            let blocks: Vec<&[u32]> = order.iter().map(|&i| blocks[i]).collect();
            block_on(decoder.append_blocks(0, &blocks, &mut on)).unwrap()
        };
        let alone: Vec<Vec<f32>> = (0..3).map(|i| ends_of(&[i]).remove(0)).collect();
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            for (end, i) in ends_of(&order).iter().zip(order) {
                assert!(difference(end, &alone[i]) <= TOLERANCE / 10.0, "{name}: {order:?}");
            }
        }
        // One block is an append.
        ends_of(&[2]);
        let found = block_on(decoder.forced_logits(0, tail)).unwrap();
        decoder.reset(1, 64).unwrap();
        block_on(decoder.append(&[prefix], &mut on)).unwrap();
        block_on(decoder.append(&[blocks[2]], &mut on)).unwrap();
        assert!(difference(&block_on(decoder.end_state(0)).unwrap(), &alone[2]) <= TOLERANCE / 10.0);
        let expected = block_on(decoder.forced_logits(0, tail)).unwrap();
        assert!(difference(&found, &expected) <= TOLERANCE, "{name}");
        // Taken back, the row is what it was before them.
        decoder.rewind(0, prefix.len()).unwrap();
        block_on(decoder.append_blocks(0, &blocks, &mut on)).unwrap();
        decoder.rewind(0, prefix.len()).unwrap();
        block_on(decoder.append(&[blocks[2]], &mut on)).unwrap();
        let again = block_on(decoder.forced_logits(0, tail)).unwrap();
        assert!(difference(&again, &expected) <= TOLERANCE, "{name}");
    }
    let mut decoder = fixtures::decoder("tied-gqa", MAX_SHARD_BYTES);
    decoder.reset(1, 8).unwrap();
    assert!(block_on(decoder.append_blocks(0, &[], &mut on)).unwrap().is_empty());
    let wrong: [(usize, &[&[u32]], ErrorKind); 4] = [
        (1, &[&[1]], ErrorKind::Input),
        (0, &[&[1], &[]], ErrorKind::Input),
        (0, &[&[1], &[100_000]], ErrorKind::Input),
        (0, &[&[1; 5], &[1; 4]], ErrorKind::Capacity),
    ];
    for (row, blocks, kind) in wrong {
        assert_eq!(block_on(decoder.append_blocks(row, blocks, &mut on)).unwrap_err().kind(), kind);
        assert_eq!(decoder.len(0), 0, "nothing was appended");
    }
}
