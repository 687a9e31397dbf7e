//! The `PAGEMAP_SCAN` ioctl of Linux 6.7 and later (include/uapi/linux/fs.h).

use std::{fs::File, io, os::fd::AsRawFd as _};

/// Whole pages `[start, end)` of one kind.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    categories: u64,
}

impl Region {
    /// What its pages are, where [`states`] was asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        if self.categories & PAGE_IS_PFNZERO != 0 {
            Kind::Zero
        } else if self.categories & PAGE_IS_PRESENT != 0 {
            Kind::Resident
        } else {
            Kind::Swapped
        }
    }
}

/// What a page that is not absent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has a page frame of its own or shares one.
    Resident,
    /// It is the zero page.
    Zero,
    /// It is in swap.
    Swapped,
}

/// `struct pm_scan_arg`
#[repr(C)]
#[derive(Default)]
struct Arguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// What one call found.
pub struct Found {
    /// How many regions were written.
    pub regions: usize,
    /// Everything below was looked at.
    pub walked_to: u64,
}

const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610;

/// The resident pages of `[start, end)`, zero pages not among them.
///
/// # Errors
/// `ENOTTY`: the kernel is older.
pub fn resident(pagemap: &File, start: u64, end: u64, regions: &mut [Region]) -> io::Result<Found> {
    let arguments = Arguments {
        category_inverted: PAGE_IS_PFNZERO,
        category_mask: PAGE_IS_PRESENT | PAGE_IS_PFNZERO,
        return_mask: PAGE_IS_PRESENT,
        ..Arguments::default()
    };
    scan(pagemap, start, end, regions, arguments)
}

/// The pages of `[start, end)` that are not absent, by [`Region::kind`].
///
/// # Errors
/// `ENOTTY`: the kernel is older.
pub fn states(pagemap: &File, start: u64, end: u64, regions: &mut [Region]) -> io::Result<Found> {
    let arguments = Arguments {
        category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        return_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_PFNZERO,
        ..Arguments::default()
    };
    scan(pagemap, start, end, regions, arguments)
}

fn scan(
    pagemap: &File,
    start: u64,
    end: u64,
    regions: &mut [Region],
    what: Arguments,
) -> io::Result<Found> {
    let mut arguments = Arguments {
        size: size_of::<Arguments>() as u64,
        start,
        end,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        ..what
    };
    // SAFETY: the structure is the kernel's, and the vector as long as it says.
    let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
    match usize::try_from(found) {
        Ok(regions) => Ok(Found {
            regions,
            walked_to: arguments.walk_end,
        }),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
