//! How fast a random model of the shape of Qwen2.5-0.5B is, on four-bit (or `int8`) weights: tokens a second when
//! writing and when reading, and the memory at most.
//!
//! `cargo run --release -p conclave-processor --example speed -- [int8] [exact] [threads=2] [level=avx2] [read=512]
//! [write=128] [before=1] [context=4096] [layers=24] [vocabulary=151936]`

mod random;

use std::collections::HashMap;
use std::time::Instant;

use conclave_processor::{Activations, Cache, Level, Pass};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let pairs: HashMap<&str, &str> =
        arguments.iter().filter_map(|argument| argument.split_once('=')).collect();
    let number = |name: &str, default: usize| pairs.get(name).map_or(Ok(default), |text| text.parse());
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let level = match pairs.get("level") {
        Some(name) => Level::named(name).ok_or("this processor has no such level")?,
        None => Level::best(),
    };
    let activations = if has("exact") { Activations::F32 } else { Activations::Int8 };
    let threads = number("threads", 2)?;
    let model = random::model(has("int8"), number("layers", 24)?, number("vocabulary", 151_936)?)?
        .with_threads(threads)
        .with_level(level);
    let pass = || Pass { activations, ..Pass::default() };

    let mut cache = Cache::new(model.shape(), 1, number("context", 4096)?)?;
    let vocabulary = model.shape().vocab_size;
    let token = |index: usize| (index * 7919 % vocabulary) as u32;
    let (read, write) = (number("read", 512)?, number("write", 128)?);
    let before: Vec<u32> = (0..number("before", 1)?).map(token).collect();

    let prompt: Vec<u32> = (0..read).map(token).collect();
    model.forward(&mut cache, &[(0, &[1; 32])], pass())?; // pages are there, threads are started
    cache.rewind(0, 0)?;
    let start = Instant::now();
    if read > 0 {
        let hidden = model.forward(&mut cache, &[(0, &prompt)], pass())?;
        model.logits(&hidden, pass())?;
        println!("read {read}: {:.1} tokens/s", read as f64 / start.elapsed().as_secs_f64());
    }
    cache.rewind(0, 0)?;
    model.forward(&mut cache, &[(0, &before)], pass())?;
    let start = Instant::now();
    let mut next = 1;
    for _ in 0..write {
        let hidden = model.forward(&mut cache, &[(0, &[next])], pass())?;
        let logits = model.logits(&hidden, pass())?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        next = best.map_or(0, |(index, _)| index as u32);
    }
    if write > 0 {
        println!("write {write}: {:.2} tokens/s", write as f64 / start.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory: unknown");
    println!("{} {threads} threads, {peak}", level.name());
    Ok(())
}
