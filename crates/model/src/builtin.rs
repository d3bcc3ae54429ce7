//! The model within the program: a small aggregator of the arithmetic domain, trained by this workspace from nothing.
//!
//! Here are its files, and the sets that it can read: it knows some thirty words and the digits, and of a text of
//! other words it would make something that looks like an answer and is none. Where it comes from and how well it does is
//! in `assets/tiny/README.md`; what is done with a set that it cannot read is the host's to decide.

use conclave_core::sample_set::SampleSet;

use crate::error::{Error, Result};
use crate::files::MemoryFiles;
use crate::tokenizer::Tokenizer;

/// How hosts name it where a model directory is asked for.
pub const NAME: &str = "builtin";

/// Share of unknown words up to which a set is readable. Generated sets have none, and 0.18 at most where Joe counts apples
/// instead of Ben books; of 3,155 sets of GSM8K, MATH and MMLU-Pro with solutions in English, none has less than 0.35.
pub const MAX_UNKNOWN_SHARE: f64 = 0.2;

/// All files of the model directory but its card.
const FILES: [(&str, &[u8]); 6] = [
    ("conclave.json", include_bytes!("../assets/tiny/conclave.json")),
    ("config.json", include_bytes!("../assets/tiny/config.json")),
    ("generation_config.json", include_bytes!("../assets/tiny/generation_config.json")),
    ("model.safetensors", include_bytes!("../assets/tiny/model.safetensors")),
    ("selftest.safetensors", include_bytes!("../assets/tiny/selftest.safetensors")),
    ("tokenizer.json", include_bytes!("../assets/tiny/tokenizer.json")),
];

/// The files of the built-in model.
pub fn files() -> MemoryFiles {
    FILES.into_iter().collect()
}

/// The files of the built-in model out of one (`pack`, in hosts that do not carry it within the program): of each file a line
/// `NAME LENGTH`, then its bytes.
///
/// # Errors
/// `Format` for what is no such file.
pub fn unpack(bytes: &[u8]) -> Result<MemoryFiles> {
    let wrong = |at: usize| Error::format(format!("the built-in model's file is damaged at byte {at}"));
    let (mut files, mut at) = (MemoryFiles::new(), 0);
    while at < bytes.len() {
        let end = bytes[at..].iter().take(256).position(|byte| *byte == b'\n').ok_or_else(|| wrong(at))? + at;
        let line = std::str::from_utf8(&bytes[at..end]).ok().and_then(|line| line.split_once(' '));
        let (name, length) = line.ok_or_else(|| wrong(at))?;
        let length: usize = length.parse().map_err(|_| wrong(at))?;
        let stop = (end + 1).checked_add(length).ok_or_else(|| wrong(at))?;
        files.insert(name, bytes.get(end + 1..stop).ok_or_else(|| wrong(at))?.to_vec());
        at = stop;
    }
    Ok(files)
}

/// Share of the tokens of a set that its tokenizer does not know: the problem's or all candidates', whichever is larger.
pub fn unknown_share(tokenizer: &Tokenizer, set: &SampleSet) -> f64 {
    let candidates: Vec<&str> = set.candidates.iter().map(|candidate| candidate.text.as_str()).collect();
    tokenizer.unknown_share(&set.problem).max(tokenizer.unknown_share(&candidates.join("\n")))
}

/// Whether the built-in model, whose tokenizer this is, was made for sets of such words.
pub fn can_read(tokenizer: &Tokenizer, set: &SampleSet) -> bool {
    unknown_share(tokenizer, set) <= MAX_UNKNOWN_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::open::{ModelDirectory, read_tokenizer};
    use conclave_core::arithmetic::{Options, Solver, sample_set};
    use conclave_core::prompt::{PromptOptions, PromptVariant, build_prompt};
    use conclave_core::sample_set::Candidate;
    use pollster::block_on;
    use sha2::{Digest, Sha256};

    fn tokenizer() -> Tokenizer {
        let files = files();
        Tokenizer::from_json(files.get("tokenizer.json").unwrap()).unwrap()
    }

    fn set(problem: &str, texts: &[&str]) -> SampleSet {
        let candidates = texts.iter().map(|&text| Candidate { text: text.into(), ..Candidate::default() });
        SampleSet {
            id: "a".into(),
            problem: problem.into(),
            reference_answer: None,
            candidates: candidates.collect(),
            extra: Default::default(),
        }
    }

    #[test]
    fn every_file_is_the_one_that_the_manifest_names() {
        let files = files();
        let manifest = block_on(Manifest::read(&files)).unwrap();
        let others: Vec<&str> = files.names().filter(|&file| file != "conclave.json").collect();
        assert_eq!(manifest.files.keys().collect::<Vec<_>>(), others);
        for (file, hash) in &manifest.files {
            let found = format!("{:x}", Sha256::digest(files.get(file).unwrap()));
            assert_eq!(&found, hash, "{file}: copy the whole directory, as the card says");
        }
        // And nothing lies beside them that is not embedded.
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny")).unwrap();
        let mut names: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut expected: Vec<&str> = files.names().chain(["README.md"]).collect();
        expected.sort_unstable();
        assert_eq!(names, expected);
        let bytes: usize = files.names().map(|file| files.get(file).unwrap().len()).sum();
        assert!(bytes <= 4 << 20, "{bytes} bytes are more than a program should carry");
    }

    #[test]
    fn one_file_becomes_all_of_them() {
        let mut packed = Vec::new();
        for (name, bytes) in FILES {
            packed.extend(format!("{name} {}\n", bytes.len()).bytes());
            packed.extend(bytes);
        }
        let found = unpack(&packed).unwrap();
        assert!(found.names().eq(files().names()));
        assert!(found.names().all(|name| found.get(name) == files().get(name)));
        assert_eq!(unpack(b"").unwrap().names().count(), 0);
        for wrong in [
            &packed[..packed.len() - 1],
            b"a",
            b"a\n",
            b"a 1\n",
            b"a -1\n",
            b"a 18446744073709551615\n",
            &[0xff; 300],
        ] {
            assert_eq!(unpack(wrong).unwrap_err().kind(), crate::ErrorKind::Format);
        }
    }

    #[test]
    fn it_opens_and_reads_its_own_prompts() {
        let directory = block_on(ModelDirectory::open(files())).unwrap();
        assert_eq!(directory.manifest.prompt_variant, PromptVariant::Compact);
        let tokenizer = block_on(read_tokenizer(directory.weights.files(), &directory.config)).unwrap();
        let options = PromptOptions {
            variant: directory.manifest.prompt_variant,
            context_length: directory.config.max_position_embeddings,
            max_new_tokens: 128,
            permutation_seed: None,
        };
        let count = |text: &str| tokenizer.count(text);
        let prompt = build_prompt(&sample_set(3, 0, &Options::standard(15)), &options, &count).unwrap();
        assert_eq!(prompt.omitted, 0);
        for segment in prompt.segments {
            let ids = tokenizer.encode_segments(&[segment]).unwrap();
            assert!(!ids.contains(&tokenizer.token_id("[UNK]").unwrap()), "{}", tokenizer.decode(&ids));
        }
    }

    #[test]
    fn it_knows_every_word_of_its_domain() {
        let tokenizer = tokenizer();
        let options = Options { solvers: Solver::MIXED.to_vec(), ..Options::standard(4) };
        for index in 0..10_000 {
            let set = sample_set(77, index, &options);
            assert_eq!(unknown_share(&tokenizer, &set), 0.0, "{set:?}");
            // What is trained to be written.
            let derivation = set.extra["derivation"].as_str().unwrap();
            assert_eq!(tokenizer.unknown_share(derivation), 0.0, "{derivation}");
        }
    }

    #[test]
    fn other_domains_are_not_read() {
        let tokenizer = tokenizer();
        let can_read = |problem: &str, texts: &[&str]| can_read(&tokenizer, &set(problem, texts));
        let chain = "155*77=11935;11935+95=12030;#12030";
        assert!(can_read("Ben has 155 packs of 77 books. He buys 95 books. How many now?", &[chain]));
        // A word or two that it has to guess.
        assert!(can_read("Joe has 155 packs of 77 apples. He buys 95 apples. How many now?", &[chain]));
        assert!(can_read("?", &[]) && can_read("", &[""]));
        assert!(!can_read("Natalia sold clips to 48 of her friends. How many did she sell?", &[chain]));
        assert!(!can_read("What is the greatest common divisor of 12 and 18?", &["#6"]));
        assert!(!can_read("小明有155包书,每包77本。", &[chain]));
        let words = "First, we multiply 155 by 77, which gives 11935. The answer is \\boxed{12030}.";
        assert!(!can_read("Ben has 155 packs of 77 books. He buys 95 books. How many now?", &[words]));
    }
}
