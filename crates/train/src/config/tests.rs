//! Reading, refusing, and writing back.

use super::*;

fn read(text: &str, settings: &[&str]) -> Result<RunConfig, String> {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    RunConfig::from_toml(text, "run.toml", &settings).map_err(|error| error.to_string())
}

#[track_caller]
fn check_refused(text: &str, settings: &[&str], expected: &str) {
    let message = read(text, settings).expect_err(text);
    assert_eq!(message, expected);
}

/// What every run needs.
const SMALL: &str = "[model]\npreset = \"tiny\"\ntokenizer = \"tokenizer.json\"\n\
    [data]\ntrain = { arithmetic = { seed = 1 } }\neval = { arithmetic = { seed = 2, problems = 50 } }\n\
    [train]\nsteps = 10\n";

#[test]
fn unknown_keys_name_the_nearest() {
    check_refused(
        "[train]\nsteps = 5\nbatchsize = 3\n",
        &[],
        "run.toml:3: unknown key `batchsize` in [train]: did you mean `batch_size`?",
    );
    check_refused("[trian]\nsteps = 5\n", &[], "run.toml:1: unknown key `trian`: did you mean `train`?");
    check_refused(
        "[train]\nkl_coef = 5\n",
        &[],
        "run.toml:2: unknown key `kl_coef` in [train]: it belongs into [grpo]",
    );
    check_refused(
        "[checkpoint]\nevry = 5\n",
        &[],
        "run.toml:2: unknown key `evry` in [checkpoint]: did you mean `every`?",
    );
    check_refused(
        "[data]\ntrain = { arithmetic = { sed = 1 } }\n",
        &[],
        "run.toml:2: unknown key `sed` in [data.train.arithmetic]: did you mean `seed`?",
    );
}
