//! A picture as PNG: its SVG, drawn in a font that is part of the program.

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Pixels for each unit of the SVG: text is sharp on screens of double density too.
const SCALE: f32 = 2.0;

/// The picture as a file of PNG.
pub fn render(svg: &str) -> Result<Vec<u8>> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    // Whatever family the SVG asks for, this is the font there is.
    let family = fonts.faces().flat_map(|face| &face.families).map(|(name, _)| name.clone()).next();
    fonts.set_sans_serif_family(family.context("the font of the program cannot be read")?);
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE).context("the picture is too large")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("the picture is too large")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of a text on white that are not white.
    fn inked(text: &str) -> usize {
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='60' height='20'><rect width='60' height='20' fill='white'/>\
             <text x='2' y='15' font-family='sans-serif' font-size='12'>{text}</text></svg>"
        );
        let pixels = Pixmap::decode_png(&render(&svg).unwrap()).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (120, 40));
        pixels.pixels().iter().filter(|pixel| pixel.red() < 200).count()
    }

    #[test]
    fn text_is_drawn() {
        let (short, long) = (inked("step"), inked("step step"));
        assert!(short > 40 && long > short * 3 / 2, "{short} and {long} dark pixels");
        assert_eq!(inked(""), 0);
    }
}
