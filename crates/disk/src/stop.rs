//! The wish to stop: Ctrl-C, SIGTERM, or a parent that has died. A command that listens finishes what is at work, saves it and ends
//! with exit code 130; a second signal ends it at once. A command that does not listen is ended by the system, as it always was.
//!
//! The death of the parent is found by asking for its number again and again. Linux has a signal for it (`PR_SET_PDEATHSIG`),
//! but sends it when the *thread* ends that started the process, and programs that start others from a pool of threads do so all the
//! time: their children would be stopped for nothing. Whoever wants a process to outlive the one that started it starts it under
//! `nohup`, which ignores SIGHUP; that is looked for, where the system says it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{DiskError, Result};

/// Exit code of a process that was asked to stop, as a shell has it for Ctrl-C: 128 and the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// How often the parent is looked for.
#[cfg(unix)]
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static IS_LISTENED_TO: AtomicBool = AtomicBool::new(false);
static IS_ORPHAN: AtomicBool = AtomicBool::new(false);

/// Becomes true when somebody asks to stop.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(REQUESTED.get_or_init(Arc::default))
}

/// Whether somebody has asked to stop.
pub fn is_requested() -> bool {
    REQUESTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Whether it is the parent's death that asks.
pub fn is_orphan() -> bool {
    IS_ORPHAN.load(Ordering::Relaxed)
}

/// Listens: from here on the first signal is a wish, and the caller looks for it.
///
/// # Errors
/// What the system says.
pub fn listen() -> Result<Arc<AtomicBool>> {
    let stop = flag();
    if IS_LISTENED_TO.swap(true, Ordering::SeqCst) {
        return Ok(stop);
    }
    for &signal in signal_hook::consts::TERM_SIGNALS.iter().chain(hangup()) {
        let listen = || {
            // In this order: the second signal finds the wish of the first, and ends the process at once.
            let code = i32::from(INTERRUPTED);
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))
        };
        listen()
            .map_err(|error: std::io::Error| DiskError::new(format!("cannot listen to Ctrl-C: {error}")))?;
    }
    Ok(stop)
}

/// The signal of a terminal that is closed, where it is known not to be ignored.
#[cfg(target_os = "linux")]
fn hangup() -> &'static [std::ffi::c_int] {
    if is_hangup_ignored() { &[] } else { &[signal_hook::consts::SIGHUP] }
}

#[cfg(not(target_os = "linux"))]
fn hangup() -> &'static [std::ffi::c_int] {
    &[]
}

/// Stops this process when the one that started it dies, as a signal would.
#[cfg(unix)]
pub fn follow_parent() {
    use rustix::process::getppid;

    let parent = getppid();
    if is_hangup_ignored() {
        return;
    }
    let watch = move || {
        while getppid() == parent {
            std::thread::sleep(LOOK_EVERY);
        }
        IS_ORPHAN.store(true, Ordering::SeqCst);
        if !IS_LISTENED_TO.load(Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        flag().store(true, Ordering::SeqCst);
    };
    // Without the thread the process lives on, as it would have without this.
    let _ = std::thread::Builder::new().name("parent".to_owned()).spawn(watch);
}

/// Stops this process when the one that started it dies: not on this system, which does not tell.
#[cfg(not(unix))]
pub fn follow_parent() {}

/// Whether the process was started under `nohup`, where the system says it.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A mask in hexadecimal, whose lowest bit is signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
