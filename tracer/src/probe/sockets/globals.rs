//! What the programs for sockets must know of this kernel: where members stand, and
//! which helpers there are.

use aya::{EbpfLoader, programs::ProgramType, sys::BpfHelper};
use aya_obj::generated::{bpf_func_id, bpf_insn};
use tracer_common::socket::{NO_MEMBER, SocketOffsets};

use crate::probe::{
    btf::KernelTypes,
    object::has,
    sys::{Place, Program, load_program},
};

/// The globals, as the loader wants them.
pub struct SocketGlobals {
    offsets: SocketOffsets,
    has_cookies: u32,
    has_task_registers: u32,
    gfp_argument: u32,
}

impl SocketGlobals {
    /// Those of this kernel. A member that is missing is 0 where it is asked for.
    pub fn of(types: &KernelTypes) -> Self {
        let registers = has(ProgramType::KProbe, BpfHelper::BPF_FUNC_task_pt_regs);
        Self {
            offsets: offsets(types),
            has_cookies: has_cookies(types).into(),
            has_task_registers: registers.into(),
            gfp_argument: match allocator(types) {
                Some((_, 4)) => 2,
                _ => 1,
            },
        }
    }

    /// Hands them over.
    pub fn set<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        loader
            .override_global("SOCKET_OFFSETS", &self.offsets, true)
            .override_global("HAS_COOKIES", &self.has_cookies, true)
            .override_global("HAS_TASK_REGISTERS", &self.has_task_registers, true)
            .override_global("GFP_ARGUMENT", &self.gfp_argument, true);
    }
}

/// The kernel's allocator of TCP's send buffers, and how many arguments it takes:
/// `(sk, size, gfp, force)`, without the size from Linux 6.4 on.
pub fn allocator(types: &KernelTypes) -> Option<(&'static str, u32)> {
    // The second name: up to Linux 5.15.
    ["tcp_stream_alloc_skb", "sk_stream_alloc_skb"]
        .into_iter()
        .find_map(|name| Some((name, types.arguments(name)?)))
}

/// Whether tracing programs may ask for a socket's cookie (Linux 5.12): an iterator
/// that does is tried.
pub fn has_cookies(types: &KernelTypes) -> bool {
    let Some(type_number) = types.function("bpf_iter_tcp") else {
        return false;
    };
    let instruction = |code, registers: (u8, u8), off, imm| bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(registers.0, registers.1),
        off,
        imm,
    };
    let instructions = [
        // r1 = context->sk_common; if r1 is null skip; call; r0 = 0; exit
        instruction(0x79, (1, 1), 8, 0),
        instruction(0x15, (1, 0), 1, 0),
        instruction(
            0x85,
            (0, 0),
            0,
            bpf_func_id::BPF_FUNC_get_socket_cookie as i32,
        ),
        instruction(0xb7, (0, 0), 0, 0),
        instruction(0x95, (0, 0), 0, 0),
    ];
    let program = Program {
        name: "try_cookie",
        instructions: &instructions,
        types: None,
        functions: &[],
    };
    load_program(&program, Place::Iterator(type_number)).is_ok()
}

/// Where members stand.
fn offsets(types: &KernelTypes) -> SocketOffsets {
    let of = |name, member| types.offset(name, member).unwrap_or(NO_MEMBER);
    let sock = |member| of("sock", member);
    let tcp = |member| of("tcp_sock", member);
    SocketOffsets {
        family: sock("__sk_common.skc_family"),
        state: sock("__sk_common.skc_state"),
        cookie: sock("__sk_common.skc_cookie"),
        namespace: sock("__sk_common.skc_net.net"),
        peer_port: sock("__sk_common.skc_dport"),
        local_port: sock("__sk_common.skc_num"),
        peer_address: sock("__sk_common.skc_daddr"),
        local_address: sock("__sk_common.skc_rcv_saddr"),
        peer_address6: sock("__sk_common.skc_v6_daddr"),
        local_address6: sock("__sk_common.skc_v6_rcv_saddr"),
        protocol: sock("sk_protocol"),
        flags: sock("__sk_common.skc_flags"),
        socket: sock("sk_socket"),
        receive_allocated: sock("sk_backlog.rmem_alloc"),
        backlog: sock("sk_backlog.len"),
        receive_buffer: sock("sk_rcvbuf"),
        send_queued: sock("sk_wmem_queued"),
        send_allocated: sock("sk_wmem_alloc"),
        send_buffer: sock("sk_sndbuf"),
        forward_allocated: sock("sk_forward_alloc"),
        option_allocated: sock("sk_omem_alloc"),
        drops: sock("sk_drops"),
        drop_counters: sock("sk_drop_counters"),
        drops_first: of("numa_drop_counters", "drops0"),
        drops_second: of("numa_drop_counters", "drops1"),
        accept_backlog: sock("sk_ack_backlog"),
        accept_backlog_max: sock("sk_max_ack_backlog"),
        namespace_inode: of("net", "ns.inum"),
        accept_head: of("inet_connection_sock", "icsk_accept_queue.rskq_accept_head"),
        request_next: of("request_sock", "dl_next"),
        request_socket: of("request_sock", "sk"),
        last_received: of("inet_connection_sock", "icsk_ack.lrcvtime"),
        upper_layer: of("inet_connection_sock", "icsk_ulp_ops"),
        write_seq: tcp("write_seq"),
        snd_nxt: tcp("snd_nxt"),
        snd_una: tcp("snd_una"),
        rcv_nxt: tcp("rcv_nxt"),
        copied_seq: tcp("copied_seq"),
        bytes_received: tcp("bytes_received"),
        snd_wnd: tcp("snd_wnd"),
        snd_cwnd: tcp("snd_cwnd"),
        mss_cache: tcp("mss_cache"),
        total_retrans: tcp("total_retrans"),
        chrono_stat: tcp("chrono_stat"),
        chrono_start: tcp("chrono_start"),
        chrono_type: tcp("chrono_type"),
        last_sent: tcp("lsndtime"),
        last_heard: tcp("rcv_tstamp"),
        file_private: of("file", "private_data"),
        inode_number: of("inode", "i_ino"),
        socket_sock: of("socket", "sk"),
        socket_inode: of("socket_alloc", "vfs_inode"),
        task_files: of("task_struct", "files"),
        task_stack: of("task_struct", "stack"),
        files_table: of("files_struct", "fdt"),
        table_files: of("fdtable", "fd"),
        table_size: of("fdtable", "max_fds"),
    }
}
