//! A heap as it was read: the pages that a walk asked for, to be walked again on
//! another machine, in tests and by the fuzzer.
//!
//! Little-endian words: major and minor version, mappings (start, end, kind) and
//! their number before them, then pages: address, state, and 4096 bytes where the
//! state is resident.

use std::collections::BTreeMap;

use super::{
    layout::Version,
    maps::{Kind, Mapping, Mappings},
    memory::{Lost, Memory, PAGE, PageState, word_at},
};

/// More is no image: a walk reads what is resident.
const MAPPINGS_MAX: u64 = 1 << 17;

/// Pages of a process, as they were.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Of its glibc.
    pub version: Version,
    /// Its mappings.
    pub mappings: Mappings,
    /// By address; without bytes: in swap.
    pages: BTreeMap<u64, Option<Box<[u8; PAGE as usize]>>>,
    window: (Vec<u8>, Vec<u8>),
}

impl Image {
    /// An image without pages.
    #[must_use]
    pub fn new(version: Version, mappings: Mappings) -> Self {
        Self {
            version,
            mappings,
            ..Self::default()
        }
    }

    /// Puts a page in; `None`: it is in swap.
    pub fn put(&mut self, address: u64, bytes: Option<&[u8]>) {
        let page = match bytes {
            Some(bytes) => match Box::<[u8]>::from(bytes).try_into() {
                Ok(page) => Some(page),
                Err(_not_a_page) => return,
            },
            None => None,
        };
        self.pages.insert(address & !(PAGE - 1), page);
    }

    /// Writes into pages, which become resident.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().enumerate() {
            let at = address.wrapping_add(offset as u64);
            let page = self.pages.entry(at & !(PAGE - 1)).or_default();
            let page = page.get_or_insert_with(|| Box::new([0; PAGE as usize]));
            if let Some(place) = page.get_mut((at % PAGE) as usize) {
                *place = *byte;
            }
        }
    }

    /// Makes a page resident, and leaves what is on it.
    pub fn touch(&mut self, address: u64) {
        let page = self.pages.entry(address & !(PAGE - 1)).or_default();
        page.get_or_insert_with(|| Box::new([0; PAGE as usize]));
    }

    /// Takes a page away: it is absent.
    pub fn remove(&mut self, address: u64) {
        self.pages.remove(&(address & !(PAGE - 1)));
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut word = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
        word(u64::from(self.version.0));
        word(u64::from(self.version.1));
        word(self.mappings.0.len() as u64);
        for mapping in &self.mappings.0 {
            word(mapping.start);
            word(mapping.end);
            word(match mapping.kind {
                Kind::Anonymous => 0,
                Kind::Break => 1,
                Kind::Library => 2,
            });
        }
        for (address, page) in &self.pages {
            bytes.extend_from_slice(&address.to_le_bytes());
            let state = match page {
                Some(_) => PageState::Resident,
                None => PageState::Swapped,
            };
            bytes.extend_from_slice(&(state as u64).to_le_bytes());
            bytes.extend_from_slice(page.as_deref().map_or(&[][..], |page| &page[..]));
        }
        bytes
    }

    /// From bytes, as far as they go; `None` if that is not even to the mappings' end.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut word = || {
            let word = word_at(bytes, at);
            at += 8;
            word
        };
        let mut image = Self {
            version: (word()?.try_into().ok()?, word()?.try_into().ok()?),
            ..Self::default()
        };
        for _ in 0..word()?.min(MAPPINGS_MAX) {
            let (start, end, kind) = (word()?, word()?, word()?);
            let kind = match kind {
                0 => Kind::Anonymous,
                1 => Kind::Break,
                _ => Kind::Library,
            };
            image.mappings.0.push(Mapping { start, end, kind });
        }
        while let (Some(address), Some(state)) = (word_at(bytes, at), word_at(bytes, at + 8)) {
            at += 16;
            if state == PageState::Resident as u64 {
                let Some(page) = bytes.get(at..at + PAGE as usize) else {
                    break;
                };
                image.put(address, Some(page));
                at += PAGE as usize;
            } else {
                image.put(address, None);
            }
        }
        Some(image)
    }

    fn page(&self, address: u64) -> (PageState, Option<&[u8; PAGE as usize]>) {
        match self.pages.get(&(address & !(PAGE - 1))) {
            None => (PageState::Absent, None),
            Some(None) => (PageState::Swapped, None),
            Some(Some(page)) => (PageState::Resident, Some(page)),
        }
    }
}

impl Memory for Image {
    fn states(&mut self, start: u64, pages: usize, to: &mut Vec<PageState>) -> Result<(), Lost> {
        let each = (0..pages as u64).map(|page| self.page(start.wrapping_add(page * PAGE)).0);
        to.extend(each);
        Ok(())
    }

    fn show(&mut self, start: u64, bytes: usize) -> Result<(), Lost> {
        let (mut shown, mut states) = std::mem::take(&mut self.window);
        shown.clear();
        states.clear();
        for page in 0..bytes.div_ceil(PAGE as usize) as u64 {
            let (state, page) = self.page(start.wrapping_add(page * PAGE));
            states.push(state as u8);
            // What an absent page leaves there means nothing.
            shown.extend_from_slice(page.unwrap_or(&[0x5a; PAGE as usize]));
        }
        shown.truncate(bytes);
        self.window = (shown, states);
        Ok(())
    }

    fn shown(&self) -> (&[u8], &[u8]) {
        (&self.window.0, &self.window.1)
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<bool, Lost> {
        let mut done = 0;
        while done < bytes.len() {
            let at = address.wrapping_add(done as u64);
            let Some(page) = self.page(at).1 else {
                return Ok(false);
            };
            let from = page.get((at % PAGE) as usize..).unwrap_or_default();
            let length = from.len().min(bytes.len() - done);
            if let (Some(to), Some(from)) = (bytes.get_mut(done..done + length), from.get(..length))
            {
                to.copy_from_slice(from);
            }
            done += length;
        }
        Ok(true)
    }
}
