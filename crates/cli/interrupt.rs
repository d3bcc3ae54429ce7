//! The wish to stop, for what waits for a network. For all else it is `conclave_disk::stop`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use conclave_client::Cancel;
use conclave_disk::stop;

/// How often the wish is looked for where nothing else is to do.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Listens to signals, and cancels requests at the first.
pub fn cancel_on_signal() -> Result<Cancel> {
    let (stop, cancel) = (stop::listen()?, Cancel::new());
    let theirs = cancel.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        theirs.cancel();
    });
    Ok(cancel)
}
