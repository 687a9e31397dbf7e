//! The sites of a trace, by what they are of.

use tracer_common::{site::Site, source::Source};

use super::{Kernel, ProbeError};

impl Kernel {
    /// Every site of blocks, mappings and sockets. While calls run, a read is approximate.
    pub fn sites(&self, mut each: impl FnMut(&u64, &Site)) -> Result<(), ProbeError> {
        self.read("SITES", |key, site: &Site| {
            if site.identity.source != Source::JavascriptHeap as u32 {
                each(key, site);
            }
        })
    }

    /// Every site where V8 was seen to allocate.
    pub fn javascript_sites(&self, mut each: impl FnMut(&u64, &Site)) -> Result<(), ProbeError> {
        self.read("SITES", |key, site: &Site| {
            if site.identity.source == Source::JavascriptHeap as u32 {
                each(key, site);
            }
        })
    }
}
