//! The floor of what watching sends costs, for benchmarks.

use aya::{Btf, Ebpf, programs::BtfTracePoint};

use crate::probe::{
    ProbeError,
    object::{chain, program},
};

const TRACEPOINT: &str = "sock_send_length";

/// Attaches an empty program at the tracepoint of sends, which is the whole host's
/// (Linux 6.5).
pub fn attach_floor(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let types = Btf::from_sys_fs().map_err(|error| ProbeError::Load(chain(&error)))?;
    let program: &mut BtfTracePoint = program(ebpf, "empty_send")?;
    let attached = program.load(TRACEPOINT, &types);
    (attached.and_then(|()| program.attach())).map_err(|error| ProbeError::Attach {
        what: TRACEPOINT.to_owned(),
        reason: chain(&error),
    })?;
    Ok(())
}
