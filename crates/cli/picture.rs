//! Pictures: what all of them look like, and how they become a file, as SVG or as PNG made of that. What they show is the
//! commands' business.

mod png;

use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use conclave_disk::Inputs;
use plotters::style::RGBColor;

use crate::UsageError;
use crate::output::Output;

/// Colours that can be told apart by most people with a colour deficiency (Okabe and Ito).
pub const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// Text; what several curves have in common; axes; the lines behind the data.
pub const INK: RGBColor = RGBColor(40, 40, 40);
pub const COMMON: RGBColor = RGBColor(110, 110, 110);
pub const AXIS: RGBColor = RGBColor(150, 150, 150);
pub const FAINT: RGBColor = RGBColor(228, 228, 228);

/// The font, and the height of a line of the legend in it.
pub const FONT: &str = "sans-serif";
pub const LEGEND_LINE: i32 = 18;

/// What a picture is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text that a browser draws.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// By the ending of the file's name.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => {
                let name = path.display();
                Err(Error::new(UsageError(format!("cannot write `{name}`: name a file.svg or a file.png"))))
            }
        }
    }

    /// Writes a picture that was drawn as SVG.
    pub fn write(self, svg: &str, path: &Path, inputs: &Inputs) -> Result<()> {
        let picture = match self {
            Self::Svg => format!("{}\n", svg.trim_end()).into_bytes(),
            Self::Png => png::render(svg).context("cannot make a PNG of the curves")?,
        };
        let mut output = Output::open(Some(path), inputs)?;
        output.bytes(&picture)?;
        output.finish()
    }
}

/// The errors of the drawing library hold borrows; only their text goes on.
pub fn failure(error: impl std::fmt::Display) -> Error {
    anyhow!("{error}")
}
