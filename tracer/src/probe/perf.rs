//! Uprobes by perf events, one each: what kernels before Linux 6.6 have.

use std::{
    ffi::CString,
    fs, io,
    mem::size_of,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, PERF_FLAG_FD_CLOEXEC, perf_event_attr,
};

use super::sys;

/// One uprobe. Closing its descriptors takes it away.
pub struct Uprobe {
    // Before the event: the link holds on to it.
    _link: Option<OwnedFd>,
    _event: OwnedFd,
}

/// Attaches a program at one place of a file, for one process and its threads
/// (perf_event_open(2) with the `uprobe` unit, Linux 4.17). `cookie` only
/// where the kernel has cookies (Linux 5.15).
pub fn attach(
    program: BorrowedFd<'_>,
    path: &CString,
    offset: u64,
    cookie: Option<u64>,
    pid: u32,
    at_return: bool,
) -> io::Result<Uprobe> {
    // SAFETY: a structure of integers, for which the kernel wants zeroes.
    let mut attributes: perf_event_attr = unsafe { std::mem::zeroed() };
    attributes.type_ = unit_number("type")?;
    attributes.size = size_of::<perf_event_attr>() as u32;
    if at_return {
        attributes.config = 1 << unit_number("format/retprobe")?;
    }
    attributes.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    attributes.__bindgen_anon_4.probe_offset = offset;
    let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: attributes and path outlive the call.
    let event = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            pid,
            -1,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    let event = sys::owned_or_error(event)?;
    let link = match cookie {
        Some(cookie) => Some(sys::link_perf_event(program, &event, cookie)?),
        None => {
            control(&event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
            None
        }
    };
    control(&event, PERF_EVENT_IOC_ENABLE, 0)?;
    Ok(Uprobe {
        _link: link,
        _event: event,
    })
}

fn control(event: &OwnedFd, request: u32, argument: i32) -> io::Result<()> {
    // SAFETY: these requests take a number.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request.into(), argument) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A number that the `uprobe` unit tells of itself (`config:0` for bit 0).
fn unit_number(file: &str) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/sys/bus/event_source/devices/uprobe/{file}"))?;
    let number = text.trim().trim_start_matches("config:");
    number
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData.into())
}
