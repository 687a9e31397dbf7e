//! Another process's memory, as the walk needs it: what state its pages are in,
//! and a window on a stretch of it.

/// Bytes of a page: x86-64's.
pub const PAGE: u64 = 4096;
/// Most bytes of a window.
pub const WINDOW_BYTES: usize = 1 << 20;
/// Most pages whose states are asked for at once.
pub const STATES_MAX: usize = 1 << 16;
/// Most bytes of a small read.
pub const READ_MAX: usize = 1 << 16;

/// What is behind a page of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PageState {
    /// Nothing, or the zero page: it counts in nobody's resident set.
    Absent = 0,
    /// A page frame.
    Resident = 1,
    /// A place in swap. To read it would bring it in: it is left there.
    Swapped = 2,
}

impl PageState {
    /// From its number; of what is no state, nothing.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Resident,
            2 => Self::Swapped,
            _ => Self::Absent,
        }
    }
}

/// The memory cannot be asked any more: whoever reads it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process's memory can no longer be read")]
pub struct Lost;

/// Memory that is read only where it is resident: to touch an absent page would
/// map the zero page into the target, to touch a swapped one would bring it in.
pub trait Memory {
    /// Appends the states of so many pages, [`STATES_MAX`] at most, from a page's address.
    ///
    /// # Errors
    /// [`Lost`].
    fn states(&mut self, start: u64, pages: usize, to: &mut Vec<PageState>) -> Result<(), Lost>;

    /// Moves the window to so many bytes, [`WINDOW_BYTES`] at most, from a page's address.
    ///
    /// # Errors
    /// [`Lost`].
    fn show(&mut self, start: u64, bytes: usize) -> Result<(), Lost>;

    /// The window: its bytes, and the states of their pages, as numbers. Only
    /// bytes of resident pages mean anything.
    fn shown(&self) -> (&[u8], &[u8]);

    /// Reads [`READ_MAX`] bytes at most; false where not all of them are resident.
    ///
    /// # Errors
    /// [`Lost`].
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<bool, Lost>;

    /// Reads a word.
    ///
    /// # Errors
    /// [`Lost`].
    fn word(&mut self, address: u64) -> Result<Option<u64>, Lost> {
        let mut bytes = [0; 8];
        let is_read = self.read(address, &mut bytes)?;
        Ok(is_read.then(|| u64::from_le_bytes(bytes)))
    }
}

/// The word at an offset of some bytes.
pub(super) fn word_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let word = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}
