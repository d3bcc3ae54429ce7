//! The known-answer test of a model on a device, before anything is asked of it.
//!
//! A shader that a driver compiles wrongly gives no error: it gives numbers. A directory's own reference is used; one
//! without is at least not loaded onto a device on which the model within the program goes wrong.

use conclave_model::decoder::Decoder;
use conclave_model::self_test::{Case, CaseReport, run_case};
use wasm_bindgen::JsValue;

use crate::callbacks::Callbacks;
use crate::error;

/// Largest difference of a logit: what another order of sums and a GPU's own exponentials may change.
const TOLERANCE: f64 = 1e-3;

/// Runs all cases on a decoder.
///
/// # Errors
/// `self_test` with what differs; the decoder's.
pub async fn prove<D: Decoder>(
    decoder: &mut D,
    cases: &[Case],
    device: &str,
    callbacks: &Callbacks,
) -> Result<(), JsValue> {
    let total = cases.len() as u64;
    for (done, case) in cases.iter().enumerate() {
        callbacks.progress("self-test", done as u64, total);
        let report = run_case(decoder, case).await.map_err(|error| error::from_model(&error))?;
        let agrees = report.max_difference <= TOLERANCE && greedy_agrees(decoder, case, &report).await?;
        if !agrees {
            let CaseReport { name, max_difference, greedy_agreeing, greedy_tokens, .. } = report;
            return Err(error::new(
                "self_test",
                &format!(
                    "`{device}` computes other values than were recorded (case `{name}`: logits differ by up to \
                     {max_difference:.1e}, {greedy_agreeing} of {greedy_tokens} tokens agree)"
                ),
            ));
        }
    }
    callbacks.progress("self-test", total, total);
    Ok(())
}

/// Whether the greedy tokens agree up to where there is a reason not to: rows of the vocabulary without a token, which
/// the reference may choose and we may not, and two tokens that are equally probable within the tolerance.
async fn greedy_agrees<D: Decoder>(
    decoder: &mut D,
    case: &Case,
    report: &CaseReport,
) -> Result<bool, JsValue> {
    let Some(&expected) = case.greedy.get(report.greedy_agreeing) else { return Ok(true) };
    if expected as usize >= decoder.vocab_size() {
        return Ok(true);
    }
    // The row still ends where the tokens part.
    let failed = |error| error::from_model(&error);
    let best = decoder.top_k(0, 1).await.map_err(failed)?;
    let found = decoder.log_probs(0, &[expected]).await.map_err(failed)?;
    Ok(match (best.first(), found.first()) {
        (Some((_, best)), Some(found)) => best - found <= 2.0 * TOLERANCE,
        _ => false,
    })
}
