//! The rules of the ledger: how a block enters, how it leaves, and what is
//! counted. `allocated − freed = live` holds for every site after each step.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use tracer_common::{
    counter::Counter,
    ledger::{Block, BlockKey},
    site::Site,
};

use crate::maps::{LEDGER, SITES, add, count};

const E2BIG: i32 = -7;
const EEXIST: i32 = -17;

/// Enters a block that was just allocated at `site`. `has_gaps`: nobody saw all frees.
#[inline(always)]
pub fn enter(key: &BlockKey, block: &Block, site: *mut Site, has_gaps: bool) {
    match LEDGER.insert(key, block, u64::from(BPF_NOEXIST)) {
        Ok(()) => {}
        Err(EEXIST) => {
            // The block that stood here must have gone unseen.
            // SAFETY: the value is copied at once.
            if let Some(gone) = unsafe { LEDGER.get(key) } {
                let gone = *gone;
                if !has_gaps {
                    count(Counter::UnseenFree, 1, gone.size);
                }
                count_freed(&gone);
            }
            if LEDGER.insert(key, block, u64::from(BPF_ANY)).is_err() {
                count(Counter::LedgerOutOfMemory, 1, block.size);
                return;
            }
        }
        Err(error) => return count_refused(error, block),
    }
    // SAFETY: a map value.
    unsafe {
        add(&raw mut (*site).allocated_blocks, u64::from(block.weight));
        add(
            &raw mut (*site).allocated_bytes,
            block.size.wrapping_mul(u64::from(block.weight)),
        );
    }
}

/// Takes a block out without counting it as freed: realloc may yet give it back.
#[inline(always)]
pub fn take(key: &BlockKey) -> Option<Block> {
    // SAFETY: the value is copied at once; who deletes it owns the copy.
    let block = *unsafe { LEDGER.get(key) }?;
    LEDGER.remove(key).is_ok().then_some(block)
}

/// Puts back a block that [`take`] took: the realloc failed.
#[inline(always)]
pub fn put_back(key: &BlockKey, block: &Block) {
    if let Err(error) = LEDGER.insert(key, block, u64::from(BPF_NOEXIST)) {
        if error == EEXIST {
            count(Counter::UnseenFree, 1, block.size);
        } else {
            count_refused(error, block);
        }
        count_freed(block);
    }
}

/// Counts a block that has left the ledger as freed.
#[inline(always)]
pub fn count_freed(block: &Block) {
    if let Some(site) = SITES.get_ptr_mut(block.site) {
        // SAFETY: a map value.
        unsafe {
            add(&raw mut (*site).freed_blocks, u64::from(block.weight));
            add(
                &raw mut (*site).freed_bytes,
                block.size.wrapping_mul(u64::from(block.weight)),
            );
        }
    }
}

#[inline(always)]
fn count_refused(error: i32, block: &Block) {
    let cause = if error == E2BIG {
        Counter::LedgerFull
    } else {
        Counter::LedgerOutOfMemory
    };
    count(cause, 1, block.size);
}
