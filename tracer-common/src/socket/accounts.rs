//! Calls of the kernel's socket accounting that have been entered and not left.

/// How many calls of the accounting can be pending in one thread: its own, and those
/// of the interrupts in it.
const PENDING: usize = 4;

/// Calls of the kernel's socket accounting that a thread is in, and what each must be
/// known of at its return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PendingAccounts {
    /// The sockets, by address: valid only until the return.
    socks: [u64; PENDING],
    /// What was at the entry.
    values: [u32; PENDING],
    /// How many calls are pending; those beyond [`PENDING`] are not known.
    depth: u32,
    /// Always zero.
    reserved: u32,
}

impl PendingAccounts {
    /// A call is entered. The place is taken first: an interrupt takes the next.
    #[inline(always)]
    pub fn push(&mut self, sock: u64, value: u32) {
        let depth = self.depth;
        self.depth = depth.wrapping_add(1);
        if depth < PENDING as u32 {
            let place = depth as usize % PENDING;
            self.socks[place] = sock;
            self.values[place] = value;
        }
    }

    /// The call entered last returns.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let depth = self.depth.checked_sub(1)?;
        self.depth = depth;
        if depth >= PENDING as u32 {
            return None;
        }
        let place = depth as usize % PENDING;
        Some((self.socks[place], self.values[place]))
    }
}
