//! Placement over real prologues and over arbitrary bytes.

use proptest::prelude::*;

use super::*;

/// Somewhere in a shared object; only distances matter.
const ADDRESS: u64 = 0x9_8ef0;

fn at(offset_from_entry: u32) -> Placement {
    Placement {
        offset_from_entry,
        emulated: true,
    }
}

const ENTRY_SINGLE_STEPPED: Placement = Placement {
    offset_from_entry: 0,
    emulated: false,
};

/// glibc 2.36 `free` begins with `test`; its `je` is reached with and without
/// NULL and is an order of magnitude cheaper to probe.
#[test]
fn glibc_free_is_probed_at_its_null_branch() {
    let free = [
        0x48, 0x85, 0xff, // test rdi, rdi
        0x0f, 0x84, 0xbf, 0x00, 0x00, 0x00, // je +0xc8
        0x55, // push rbp
        0x48, 0x8d, 0x77, 0xf0, // lea rsi, [rdi - 0x10]
        0x53, // push rbx
    ];
    assert_eq!(place(&free, ADDRESS, 1), at(3));
}

/// The same function built with branch protection: `endbr64` is passed over.
#[test]
fn branch_protected_free_is_probed_behind_the_landing_pad() {
    let free = [
        0xf3, 0x0f, 0x1e, 0xfa, // endbr64
        0x48, 0x85, 0xff, // test rdi, rdi
        0x74, 0x10, // je +0x10
        0xc3,
    ];
    assert_eq!(place(&free, ADDRESS, 1), at(7));
}

/// glibc 2.36 malloc, calloc and realloc begin with a push.
#[test]
fn a_push_at_the_entry_is_taken() {
    let malloc = [0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb];
    let calloc = [0x41, 0x55, 0x48, 0x89, 0xf8, 0x41, 0x54];
    let realloc = [0x41, 0x57, 0x41, 0x56, 0x41, 0x55];
    for (code, arguments) in [(malloc.as_slice(), 1), (&calloc, 2), (&realloc, 2)] {
        assert_eq!(place(code, ADDRESS, arguments), at(0));
    }
}

/// glibc 2.36 `memalign` and `posix_memalign` compare a flag in memory first:
/// reading changes nothing.
#[test]
fn a_compare_with_memory_is_passed_over() {
    let memalign = [
        0x80, 0x3d, 0x71, 0x0e, 0x14, 0x00, 0x00, // cmp byte [rip + 0x140e71], 0
        0x74, 0x07, // je +7
        0xe9, 0x32, 0xf6, 0xff, 0xff, // jmp _mid_memalign
    ];
    let posix_memalign = [
        0x80, 0x3d, 0x01, 0x02, 0x14, 0x00, 0x00, // cmp byte [rip + 0x140201], 0
        0x41, 0x54, // push r12
        0x49, 0x89, 0xd4, // mov r12, rdx
    ];
    assert_eq!(place(&memalign, ADDRESS, 2), at(7));
    assert_eq!(place(&posix_memalign, ADDRESS, 3), at(7));
}

/// glibc 2.36 `reallocarray` multiplies into `rdx` before its first branch: a
/// probe that reads the third argument must stand at the entry.
#[test]
fn an_overwritten_argument_keeps_the_probe_at_the_entry() {
    let reallocarray = [
        0x48, 0x89, 0xf0, // mov rax, rsi
        0x48, 0xf7, 0xe2, // mul rdx
        0x48, 0x89, 0xc6, // mov rsi, rax
        0x70, 0x05, // jo +5
        0xe9, 0x40, 0xb8, 0xf8, 0xff, // jmp realloc
    ];
    assert_eq!(place(&reallocarray, ADDRESS, 3), ENTRY_SINGLE_STEPPED);
    assert_eq!(place(&reallocarray, ADDRESS, 2), ENTRY_SINGLE_STEPPED);
    assert_eq!(place(&reallocarray, ADDRESS, 1), at(9));
}

/// A write to part of an argument register is a write to the argument.
#[test]
fn a_partly_overwritten_argument_counts() {
    let code = [0x40, 0xb7, 0x01, 0x55]; // mov dil, 1; push rbp
    assert_eq!(place(&code, ADDRESS, 1), ENTRY_SINGLE_STEPPED);
    assert_eq!(place(&code, ADDRESS, 0), at(3));
}

/// A moved stack pointer would make a return probe corrupt the stack.
#[test]
fn a_moved_stack_pointer_keeps_the_probe_at_the_entry() {
    let code = [0x48, 0x83, 0xec, 0x18, 0x55]; // sub rsp, 0x18; push rbp
    assert_eq!(place(&code, ADDRESS, 1), ENTRY_SINGLE_STEPPED);
}

/// After a write to memory the function is no longer at its entry.
#[test]
fn a_store_keeps_the_probe_at_the_entry() {
    let code = [0x48, 0x89, 0x5c, 0x24, 0xf8, 0x53]; // mov [rsp - 8], rbx; push rbx
    assert_eq!(place(&code, ADDRESS, 1), ENTRY_SINGLE_STEPPED);
}

/// A branch back between the entry and the place would hit the probe twice in
/// one call.
#[test]
fn a_loop_head_in_the_prologue_is_avoided() {
    let looping = [
        0x48, 0x85, 0xff, // test rdi, rdi
        0x74, 0x04, // je +4, taken back to by the jump below
        0x31, 0xc0, // xor eax, eax
        0xeb, 0xfa, // jmp -6: the je
    ];
    assert_eq!(place(&looping, ADDRESS, 1), ENTRY_SINGLE_STEPPED);
    let tail_call = [0x48, 0x85, 0xff, 0x74, 0x04, 0x31, 0xc0, 0xeb, 0xf7]; // jmp to the entry
    assert_eq!(place(&tail_call, ADDRESS, 1), at(3));
}

/// What follows a return, an indirect jump or a system call is not on every path.
#[test]
fn nothing_behind_a_transfer_is_chosen() {
    for transfer in [&[0xc3][..], &[0xff, 0xe0], &[0x0f, 0x05], &[0xcc]] {
        let code = [transfer, &[0x55]].concat();
        assert_eq!(
            place(&code, ADDRESS, 1),
            ENTRY_SINGLE_STEPPED,
            "{transfer:x?}"
        );
    }
}

/// Encodings that look like emulated ones but are not.
#[test]
fn look_alikes_are_not_taken_for_emulated() {
    for code in [
        &[0x41, 0x90][..],         // xchg r8d, eax
        &[0xf3, 0x90],             // pause
        &[0x66, 0x55],             // push bp
        &[0x48, 0x55],             // push rbp, needless prefix
        &[0xf2, 0xe9, 0, 0, 0, 0], // bnd jmp
        &[0xff, 0x35, 0, 0, 0, 0], // push [rip]
        &[0x0f, 0x1f, 0x00],       // nop [rax]
        &[0xe3, 0x00],             // jrcxz
        &[0xe2, 0x00],             // loop
    ] {
        assert!(!is_emulated(code), "{code:x?}");
    }
}

/// A function too long to be searched whole is probed at its entry.
#[test]
fn an_overlong_function_is_probed_at_its_entry() {
    let mut code = vec![0x90; MAX_FUNCTION_BYTES + 1];
    code[..3].copy_from_slice(&[0x48, 0x85, 0xff]);
    assert_eq!(place(&code, ADDRESS, 1), ENTRY_SINGLE_STEPPED);
    assert_eq!(place(&code[..MAX_FUNCTION_BYTES], ADDRESS, 1), at(3));
}

/// An empty function has nothing to decode.
#[test]
fn no_code_means_the_entry() {
    assert_eq!(place(&[], ADDRESS, 1), ENTRY_SINGLE_STEPPED);
}

proptest! {
    /// A probe within an instruction would corrupt the target, whatever its file says.
    #[test]
    fn arbitrary_code_gets_a_place_on_an_instruction(
        code in proptest::collection::vec(any::<u8>(), 0..300),
        address: u64,
        arguments in 0_usize..9,
    ) {
        let placed = place(&code, address, arguments);
        let starts: Vec<u64> = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE)
            .iter()
            .map(|instruction| instruction.ip())
            .collect();
        if placed.offset_from_entry == 0 {
            prop_assert!(placed.emulated <= !code.is_empty());
        } else {
            prop_assert!(placed.emulated);
            prop_assert!(starts.contains(&u64::from(placed.offset_from_entry)));
        }
    }

    /// Prologues made of plausible instructions: the place is where a plain
    /// reading of the same list puts it.
    #[test]
    fn plausible_prologues_are_read_as_written(choices in proptest::collection::vec(0_usize..6, 0..12)) {
        // Bytes, emulated, may be passed over.
        let kinds: [(&[u8], bool, bool); 6] = [
            (&[0x48, 0x85, 0xff], false, true),             // test rdi, rdi
            (&[0x48, 0x89, 0xf8], false, true),             // mov rax, rdi
            (&[0x0f, 0x1f, 0x44, 0x00, 0x00], false, true), // nop [rax + rax]
            (&[0x41, 0x56], true, false),                   // push r14
            (&[0x48, 0x83, 0xec, 0x08], false, false),      // sub rsp, 8
            (&[0x31, 0xff], false, false),                  // xor edi, edi
        ];
        let code: Vec<u8> = choices.iter().flat_map(|&choice| kinds[choice].0).copied().collect();
        let stops = choices.iter().position(|&choice| !kinds[choice].2);
        let expected = match stops {
            Some(index) if kinds[choices[index]].1 => at(
                choices[..index].iter().map(|&choice| kinds[choice].0.len() as u32).sum(),
            ),
            _ => ENTRY_SINGLE_STEPPED,
        };
        prop_assert_eq!(place(&code, ADDRESS, 1), expected);
    }
}
