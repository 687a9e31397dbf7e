//! A picture of nothing.

use std::io::{self, Write};

use super::Picture;

/// Inferno draws an error where there is nothing to draw.
pub fn write_empty(picture: &Picture, to: &mut impl Write) -> io::Result<()> {
    write!(
        to,
        r##"<?xml version="1.0" standalone="no"?>
<svg version="1.1" width="1200" height="150" viewBox="0 0 1200 150" xmlns="http://www.w3.org/2000/svg">
<rect width="100%" height="150" fill="#f8f8f8"/>
<g font-family="monospace" font-size="12" text-anchor="middle">
<text id="title" font-size="17" x="50%" y="24">{}</text>
<text id="subtitle" x="50%" y="48">{}</text>
<text id="empty" font-size="17" x="50%" y="100">{}</text>
</g>
</svg>
"##,
        escape(&picture.title),
        escape(&picture.subtitle),
        picture.empty,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
