//! A Vulkan driver for the wgpu tests: found, or Mesa's software driver (llvmpipe) installed on Debian as root.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::debian;
use crate::steps::{Counts, Outcome};
use crate::tools::is_ci;

const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Folders in which the Vulkan loader looks for drivers on Linux.
const DRIVER_FOLDERS: [&str; 4] = [
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/usr/local/etc/vulkan/icd.d",
];

/// Makes sure that there is a driver. Without one the tests on wgpu are skipped, which on CI is a failure.
pub fn ensure_driver(counts: &mut Counts) -> Result<Outcome> {
    if is_present() {
        println!("there is one");
        return Ok(Outcome::Passed);
    }
    if debian::install(&PACKAGES, counts)? {
        ensure!(is_present(), "the packages are installed, but there is still no Vulkan driver");
        return Ok(Outcome::Passed);
    }
    let reason = format!(
        "no Vulkan driver, so the tests on wgpu are NOT run; install one (on Debian: apt-get install {})",
        PACKAGES.join(" ")
    );
    ensure!(!is_ci(), "{reason}");
    Ok(Outcome::Skipped(reason))
}

/// Whether the tests can use wgpu. On other systems than Linux the system itself has a driver.
pub fn is_present() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some());
    let holds_a_driver = |folder: &str| {
        Path::new(folder).read_dir().is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|end| end == "json")))
        })
    };
    !cfg!(target_os = "linux") || named || DRIVER_FOLDERS.iter().any(|folder| holds_a_driver(folder))
}
