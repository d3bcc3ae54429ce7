//! Forward passes against a plain one in f64, and against each other.

mod reference;

use conclave_processor::{Activations, Cache, Error, Input, Level, Matrix, Model, Moments, Output, Pass};
use proptest::prelude::*;
use reference::{Family, Kind, model, tokens, with_embedding};

fn pass<'a>(activations: Activations, output: Output) -> Pass<'a> {
    Pass { activations, output, observer: None }
}

fn exact<'a>() -> Pass<'a> {
    pass(Activations::F32, Output::All)
}

fn cache(model: &Model, rows: usize) -> Cache {
    Cache::new(model.shape(), rows, 400).expect("a cache")
}

/// All tokens at once in a cache of its own.
fn whole(model: &Model, tokens: &[u32], activations: Activations) -> Vec<f32> {
    let pass = pass(activations, Output::All);
    model.forward(&mut cache(model, 1), &[(0, tokens)], pass).expect("a pass")
}

/// The largest difference, by the root mean square of what is expected.
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64;
    let largest = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    largest / square.sqrt()
}

#[test]
fn a_pass_is_that_of_f64() {
    for family in [Family::Qwen2, Family::Qwen3] {
        for kind in [Kind::Int4, Kind::Int8, Kind::F32] {
            let model = model(family, kind, 1);
            let tokens = tokens(40);
            let (hidden, logits) = reference::forward(family, kind, 1, &tokens);
            let found = whole(&model, &tokens, Activations::F32);
            assert!(
                difference(&found, &hidden) < 2e-5,
                "{family:?} {kind:?} {}",
                difference(&found, &hidden)
            );
            let found = model.logits(&found, exact()).expect("logits");
            assert!(
                difference(&found, &logits) < 2e-5,
                "{family:?} {kind:?} {}",
                difference(&found, &logits)
            );

            let found = whole(&model, &tokens, Activations::Int8);
            let error = difference(&found, &hidden);
            assert!(error < 0.1, "{family:?} {kind:?} {error}");
            assert_eq!(error > 1e-4, kind != Kind::F32, "{family:?} {kind:?} {error}"); // it was rounded, indeed
        }
    }
}

#[test]
fn levels_and_threads_give_the_same_bits() {
    for family in [Family::Qwen2, Family::Qwen3] {
        for kind in [Kind::Int4, Kind::Int8, Kind::F32] {
            for activations in [Activations::Int8, Activations::F32] {
                let model = model(family, kind, 2).with_level(Level::scalar()).with_threads(1);
                let tokens = tokens(19);
                let expected = whole(&model, &tokens, activations);
                let logits = model.logits(&expected, pass(activations, Output::All)).expect("logits");
                for level in Level::all() {
                    for threads in [1, 2, 3] {
                        let model = model.clone().with_level(level).with_threads(threads);
                        assert_eq!(whole(&model, &tokens, activations), expected, "{level:?} {threads}");
                        let found = model.logits(&expected, pass(activations, Output::All)).expect("logits");
                        assert_eq!(found, logits, "{level:?} {threads}");
                    }
                }
            }
        }
    }
}

#[test]
fn how_tokens_are_divided_does_not_matter() {
    // More than go through a layer together.
    let (model, tokens) = (model(Family::Qwen2, Kind::Int4, 3), tokens(300));
    for activations in [Activations::Int8, Activations::F32] {
        let expected = whole(&model, &tokens, activations);
        for size in [1, 7, 64] {
            let mut cache = cache(&model, 1);
            let mut found = Vec::new();
            for part in tokens.chunks(size) {
                let pass = pass(activations, Output::All);
                found.extend(model.forward(&mut cache, &[(0, part)], pass).expect("a pass"));
            }
            assert_eq!(found, expected, "{size}");
            assert_eq!(cache.length(0), Ok(300));
        }
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let model = model(Family::Qwen3, Kind::Int4, 4);
    let rows: Vec<Vec<u32>> = [3, 17, 1, 9].iter().map(|&count| tokens(count + 5)[5..].to_vec()).collect();
    let width = model.shape().hidden_size;
    let mut cache = cache(&model, 4);
    let pieces: Vec<(usize, &[u32])> = [2, 0, 3, 1].map(|row| (row, rows[row].as_slice())).to_vec();
    let all = model.forward(&mut cache, &pieces, pass(Activations::Int8, Output::All)).expect("a pass");
    let expected: Vec<Vec<f32>> =
        pieces.iter().map(|(_, tokens)| whole(&model, tokens, Activations::Int8)).collect();
    assert_eq!(all, expected.concat());

    // And again, with only the last ones asked for.
    cache.reset(4, 400).expect("a reset");
    let last = model.forward(&mut cache, &pieces, Pass::default()).expect("a pass");
    let ends: Vec<f32> = expected.iter().flat_map(|row| row[row.len() - width..].to_vec()).collect();
    assert_eq!(last, ends);
}

#[test]
fn a_fork_goes_on_as_its_parent() {
    let model = model(Family::Qwen2, Kind::Int4, 5);
    let tokens = tokens(30);
    let width = model.shape().hidden_size;
    let mut cache = cache(&model, 2);
    let forward = |cache: &mut Cache, pieces: &[(usize, &[u32])]| {
        model.forward(cache, pieces, pass(Activations::Int8, Output::All)).expect("a pass")
    };
    forward(&mut cache, &[(1, &tokens[..13]), (0, &tokens[20..])]);
    cache.fork(&[1, 0, 1, 1]).expect("a fork");
    assert_eq!(cache.rows(), 4);
    let found = forward(&mut cache, &[(3, &tokens[13..20]), (0, &tokens[13..])]);
    let expected = whole(&model, &tokens, Activations::Int8);
    assert_eq!(found[..7 * width], expected[13 * width..20 * width]);
    assert_eq!(found[7 * width..], expected[13 * width..]);
    assert_eq!([0, 1, 2, 3].map(|row| cache.length(row)), [30, 10, 13, 20].map(Ok));
}

#[test]
fn what_was_taken_back_leaves_no_trace() {
    let (shape, mut rows) = reference::embedding(Family::Qwen2, 6);
    rows[7 * shape.hidden_size] = f32::NAN;
    let model = with_embedding(Family::Qwen2, Kind::Int4, 6, &rows);
    let tokens = tokens(40);
    let mut cache = cache(&model, 1);
    let forward = |cache: &mut Cache, tokens: &[u32]| {
        model.forward(cache, &[(0, tokens)], pass(Activations::Int8, Output::All)).expect("a pass")
    };
    forward(&mut cache, &tokens[..10]);
    let bad = forward(&mut cache, &[7; 25]);
    assert!(bad.iter().all(|x| x.is_nan()), "NaN is told, and does not panic");
    cache.rewind(0, 10).expect("it has more");
    let width = model.shape().hidden_size;
    let expected = whole(&model, &tokens, Activations::Int8);
    assert_eq!(forward(&mut cache, &tokens[10..]), expected[10 * width..]);

    cache.reset(1, 400).expect("a reset");
    forward(&mut cache, &[7; 30]);
    cache.reset(2, 400).expect("a reset");
    assert_eq!(forward(&mut cache, &tokens), expected);
}

#[test]
fn a_block_is_moved_to_another_position() {
    let model = model(Family::Qwen2, Kind::F32, 8);
    let tokens = tokens(60);
    let width = model.shape().hidden_size;
    let mut blocks = cache(&model, 2);
    // A block of 20 tokens that begins at position 11, read on its own ..
    blocks.set_position(0, 11).expect("a row");
    model.forward(&mut blocks, &[(0, &tokens[..20])], exact()).expect("a pass");
    // .. and the same read at 0 and moved there, in two parts that do not begin where a vector does.
    model.forward(&mut blocks, &[(1, &tokens[..20])], exact()).expect("a pass");
    let mut moved = cache(&model, 1);
    moved.append_block(0, (&blocks, 1, 0..13), 11).expect("room");
    moved.append_block(0, (&blocks, 1, 13..20), 11).expect("room");
    moved.set_position(0, 31).expect("a row");
    assert_eq!((moved.length(0), blocks.position(0)), (Ok(20), Ok(31)));
    let expected = model.forward(&mut blocks, &[(0, &tokens[20..])], exact()).expect("a pass");
    let found = model.forward(&mut moved, &[(0, &tokens[20..])], exact()).expect("a pass");
    let expected: Vec<f64> = expected.iter().map(|x| f64::from(*x)).collect();
    assert!(difference(&found, &expected) < 1e-4, "{}", difference(&found, &expected));
    // Without the move, it is another result.
    let mut unmoved = cache(&model, 1);
    unmoved.append_block(0, (&blocks, 1, 0..20), 0).expect("room");
    unmoved.set_position(0, 31).expect("a row");
    let found = model.forward(&mut unmoved, &[(0, &tokens[20..])], exact()).expect("a pass");
    assert!(difference(&found, &expected) > 1e-3);
    assert_eq!(found.len(), 40 * width);
}

#[test]
fn an_observer_sees_what_goes_into_products() {
    let model = model(Family::Qwen3, Kind::F32, 9);
    let tokens = tokens(270);
    let mut moments = Moments::default();
    let with_observer = Pass { observer: Some(&mut moments), ..exact() };
    let hidden = model.forward(&mut cache(&model, 1), &[(0, &tokens)], with_observer).expect("a pass");
    let with_observer = Pass { observer: Some(&mut moments), ..exact() };
    model.logits(&hidden, with_observer).expect("logits");
    let expected = reference::moments(Family::Qwen3, Kind::F32, 9, &tokens);
    for ((layer, input), expected) in expected {
        assert_eq!(moments.count(layer, input), 270);
        let found = moments.mean(layer, input).expect("it was seen");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-4 * expected.abs() + 1e-9, "{layer} {input:?}");
        }
        assert_eq!(found.len(), expected.len());
    }
    assert_eq!(moments.mean(99, Input::Down), None);
}

#[test]
fn what_cannot_be_appended_is_refused_and_nothing_changes() {
    let model = model(Family::Qwen2, Kind::Int4, 10);
    let mut cache = Cache::new(model.shape(), 2, 20).expect("a cache");
    let vocabulary = model.shape().vocab_size as u32;
    let (good, long) = (tokens(5), tokens(21));
    type Pieces<'a> = &'a [(usize, &'a [u32])];
    let attempts: [(&str, Pieces<'_>); 6] = [
        ("the cache has no row 2", &[(0, &good), (2, &good)]),
        ("named twice", &[(0, &good), (0, &good)]),
        ("no tokens", &[(0, &good), (1, &[])]),
        ("beyond the vocabulary", &[(0, &good), (1, &[vocabulary])]),
        ("room for 20 in all", &[(1, &long)]),
        ("room for 20 in all", &[(0, &good), (1, &long)]),
    ];
    for (message, pieces) in attempts {
        let error = model.forward(&mut cache, pieces, Pass::default()).expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!((cache.length(0), cache.length(1)), (Ok(0), Ok(0)));
    }
    let other = reference::model(Family::Qwen3, Kind::Int4, 1);
    assert!(matches!(other.forward(&mut cache, &[(0, &good)], Pass::default()), Err(Error::Size { .. })));
    assert!(model.logits(&[0.0; 3], Pass::default()).is_err());
    assert_eq!(model.forward(&mut cache, &[], Pass::default()), Ok(Vec::new()));
    assert!(cache.fork(&[0, 5]).is_err() && cache.rewind(0, 1).is_err() && cache.rewind(9, 0).is_err());
    assert!(cache.set_position(2, 0).is_err());
    let other = Cache::new(other.shape(), 1, 20).expect("a cache");
    assert!(cache.append_block(0, (&other, 0, 0..0), 0).is_err());
    assert!(cache.append_block(0, (&cache.clone(), 1, 0..1), 0).is_err());
    assert!(
        cache.reset(usize::MAX, usize::MAX).is_err() && Cache::new(model.shape(), 1, usize::MAX).is_err()
    );
    assert_eq!(cache.rows(), 2);
}

#[test]
fn parts_of_another_size_are_refused() {
    let parts = || reference::parts(Family::Qwen3, Kind::Int4, 1);
    let refused = |change: &dyn Fn(&mut reference::Parts)| {
        let mut parts = parts();
        change(&mut parts);
        parts.build().expect_err("it does not fit").to_string()
    };
    assert!(parts().build().is_ok());
    let matrix = || Matrix::F32(conclave_processor::F32Matrix::new(3, 32, &[0.0; 96]).expect("a matrix"));
    let message = refused(&|parts| parts.layers[1].gate_proj = matrix());
    assert_eq!(message, "layers.1.mlp.gate_proj.weight has shape [3, 32], expected [160, 64]");
    assert!(refused(&|parts| parts.layers[0].q_proj.bias = Some(vec![0.0; 3])).contains("q_proj.bias"));
    assert!(refused(&|parts| parts.layers[0].k_norm = Some(vec![0.0; 3])).contains("k_norm"));
    assert!(refused(&|parts| parts.embed_tokens = matrix()).contains("embed_tokens"));
    assert!(refused(&|parts| parts.lm_head = Some(matrix())).contains("lm_head"));
    assert!(refused(&|parts| parts.norm.clear()).contains("norm"));
    assert!(refused(&|parts| drop(parts.layers.pop())).contains("layers"));
    assert!(refused(&|parts| parts.shape.head_dim = 12).contains("multiple of 8"));
    assert!(refused(&|parts| parts.shape.num_key_value_heads = 4).contains("num_attention_heads"));
    assert!(refused(&|parts| parts.shape.hidden_size = 0).contains("hidden_size"));
    assert!(refused(&|parts| parts.shape.vocab_size = usize::MAX).contains("vocab_size"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_order_of_appending_gives_the_same(cuts in proptest::collection::vec(1usize..9, 1..8), seed in 1u64..99) {
        let model = model(Family::Qwen2, Kind::Int4, seed);
        let (first, second) = (tokens(70), tokens(90)[20..].to_vec());
        let mut cache = cache(&model, 2);
        let mut found = [Vec::new(), Vec::new()];
        let mut at = [0, 0];
        for (index, cut) in cuts.iter().enumerate() {
            let (a, b) = (index % 2, (index + 1) % 2);
            let sources = [&first, &second];
            let next = [&sources[a][at[a]..at[a] + cut], &sources[b][at[b]..at[b] + 9 - cut.min(&8)]];
            let pass = pass(Activations::Int8, Output::All);
            let out = model.forward(&mut cache, &[(a, next[0]), (b, next[1])], pass).expect("a pass");
            let split = cut * model.shape().hidden_size;
            found[a].extend_from_slice(&out[..split]);
            found[b].extend_from_slice(&out[split..]);
            at[a] += next[0].len();
            at[b] += next[1].len();
        }
        prop_assert_eq!(&found[0], &whole(&model, &first[..at[0]], Activations::Int8));
        prop_assert_eq!(&found[1], &whole(&model, &second[..at[1]], Activations::Int8));
    }
}
