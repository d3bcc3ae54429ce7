//! The wish of whoever presses Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use conclave_client::Cancel;

/// Exit code of a process that Ctrl-C ended, as a shell has it: 128 and the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// How often the wish is looked for where nothing else is to do.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asked by a signal to stop. The first lets what is at work be finished and saved, the second does not.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for &signal in signal_hook::consts::TERM_SIGNALS {
        let listen = || {
            // In this order: the second signal finds the wish of the first, and ends the process at once.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                i32::from(INTERRUPTED),
                Arc::clone(&stop),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&stop))
        };
        listen().context("cannot listen to Ctrl-C")?;
    }
    Ok(stop)
}

/// The same for what waits for a network.
pub fn cancel_on_signal() -> Result<Cancel> {
    let (stop, cancel) = (stop_on_signal()?, Cancel::new());
    let theirs = cancel.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        theirs.cancel();
    });
    Ok(cancel)
}
