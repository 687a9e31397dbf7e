//! Whose code a frame is, by its colour: an application's own JavaScript green,
//! its packages' purple, node's own blue, V8's builtins grey. The rest is left
//! to inferno: C++ and Rust yellow, other native code red, a perf map's code green.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use inferno::flamegraph::color::{Color, PaletteMap};

use super::{folded, names};
use crate::{
    analyze::leak_weight::Origin,
    model::{Frame, JAVASCRIPT, trace_sockets::PeerBytes},
};

/// Whose code it is, where that is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Application,
    Package,
    Node,
    V8,
}

impl Owner {
    fn of(frame: &Frame) -> Option<Self> {
        let file = frame.file.as_deref().unwrap_or_default();
        match frame.module.as_str() {
            JAVASCRIPT if file.starts_with("node:") => Some(Self::Node),
            JAVASCRIPT if file.contains("/node_modules/") => Some(Self::Package),
            JAVASCRIPT => Some(Self::Application),
            _ => names::builtin(frame).map(|_| Self::V8),
        }
    }

    const fn colour(self) -> [u8; 3] {
        match self {
            Self::Application => [80, 200, 80],
            Self::Package => [190, 120, 220],
            Self::Node => [110, 170, 230],
            Self::V8 => [170, 180, 185],
        }
    }
}

/// The colours of those frames that have one of their own.
pub fn colours<'a>(frames: impl Iterator<Item = &'a Frame>) -> PaletteMap {
    let mut colours = PaletteMap::default();
    for frame in frames {
        if let Some(owner) = Owner::of(frame) {
            let label = folded::label(frame);
            let colour = shade(owner.colour(), &label);
            colours.insert(label, colour);
        }
    }
    colours
}

/// Other ends of sockets: orange who does not read, grey who does.
pub fn add_peers<'a>(colours: &mut PaletteMap, peers: impl Iterator<Item = &'a PeerBytes>) {
    const DOES_NOT_READ: [u8; 3] = [245, 160, 40];
    const READS: [u8; 3] = [170, 190, 205];
    for peer in peers {
        let label = folded::peer_label(peer);
        let colour = if peer.stalled > 0 {
            DOES_NOT_READ
        } else {
            READS
        };
        let colour = shade(colour, &label);
        colours.insert(label, colour);
    }
}

/// Frames by where the bytes of their stacks come from; grey those of several origins.
pub fn by_origin<'a>(stacks: impl Iterator<Item = (&'a str, Origin)>) -> PaletteMap {
    let mut origins: HashMap<&str, Option<Origin>> = HashMap::new();
    for (stack, origin) in stacks {
        // Below them all is a frame without a name.
        for label in stack.split(';').chain([""]) {
            let known = origins.entry(label).or_insert(Some(origin));
            if *known != Some(origin) {
                *known = None;
            }
        }
    }
    let mut colours = PaletteMap::default();
    for (label, origin) in origins {
        colours.insert(label.to_owned(), shade(colour_of(origin), label));
    }
    colours
}

const fn colour_of(origin: Option<Origin>) -> [u8; 3] {
    match origin {
        Some(Origin::Malloc) => [228, 96, 76],
        Some(Origin::Mapped) => [100, 160, 225],
        Some(Origin::JsHeap) => [90, 190, 90],
        Some(Origin::Sockets) => [178, 122, 214],
        None => [185, 185, 185],
    }
}

/// The names of these colours.
pub const fn colour_name(origin: Option<Origin>) -> &'static str {
    match origin {
        Some(Origin::Malloc) => "red",
        Some(Origin::Mapped) => "blue",
        Some(Origin::JsHeap) => "green",
        Some(Origin::Sockets) => "violet",
        None => "grey",
    }
}

/// Neighbours of one colour are told apart by their shades.
fn shade([red, green, blue]: [u8; 3], label: &str) -> Color {
    const SHADES: u64 = 4;
    const STEP: u8 = 8;
    let mut hasher = DefaultHasher::new();
    label.hash(&mut hasher);
    let lighter = (hasher.finish() % SHADES) as u8 * STEP;
    let add = |part: u8| part.saturating_add(lighter);
    Color::new(add(red), add(green), add(blue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, module: &str, file: &str) -> Frame {
        Frame {
            function: Some(function.to_owned()),
            module: module.to_owned(),
            file: (!file.is_empty()).then(|| file.to_owned()),
            ..Frame::default()
        }
    }

    /// An application's functions, its packages', node's and V8's own are told
    /// apart, and native code is nobody's of these.
    #[test]
    fn owners_are_told_apart() {
        for (frame, owner) in [
            (
                frame("keep", JAVASCRIPT, "/srv/app.js"),
                Some(Owner::Application),
            ),
            (frame("made", JAVASCRIPT, ""), Some(Owner::Application)),
            (
                frame("parse", JAVASCRIPT, "/srv/node_modules/body/index.js"),
                Some(Owner::Package),
            ),
            (frame("emit", JAVASCRIPT, "node:events"), Some(Owner::Node)),
            (
                frame("Builtins_ArrayMap", "/usr/bin/node", ""),
                Some(Owner::V8),
            ),
            (frame("node::Start(int, char**)", "/usr/bin/node", ""), None),
        ] {
            assert_eq!(Owner::of(&frame), owner, "{frame:?}");
        }
    }
}
