//! Layouts against what Node.js has: constants as `nm` shows them in its
//! programs, offsets as V8's sources have them.

use super::heap;
use crate::symbolize::v8::layout::{
    ArrayLayout, BytecodeLayout, CodeLayout, InfoLayout, ScopeLayout, ScriptLayout, StringLayout,
};
use crate::symbolize::v8::{Constants, Layout};

/// Lengths of eight bytecodes, four of them prefixes, in each of three widths.
pub const SIZES: [u8; 24] = [
    1, 1, 1, 1, 1, 2, 3, 4, // operands of one byte
    1, 1, 1, 1, 1, 3, 5, 7, // of two
    1, 1, 1, 1, 1, 5, 9, 13, // of four
];

/// Of V8 12.4.254, by its sources.
pub fn of_node_22() -> Layout {
    Layout {
        version: [12, 4, 254],
        builtins: [0x1000, 0x2000],
        bytecode_sizes: SIZES.to_vec(),
        map_type: 12,
        function_types: [2066, 2082],
        function_info: 32,
        info: InfoLayout {
            kind: heap::INFO,
            name: 16,
            script: 32,
            has_number: true,
        },
        scope: ScopeLayout {
            kind: heap::SCOPE,
            locals: 2,
            variables: 3,
            positions: 0,
        },
        script: ScriptLayout {
            kind: heap::SCRIPT,
            source: 8,
            name: 16,
            first_line: 24,
            line_ends: 56,
        },
        string: StringLayout {
            behind_types: 128,
            form_mask: 7,
            one_byte: 8,
            length: 12,
            characters: 16,
            first: 16,
            second: 24,
        },
        array: ArrayLayout {
            kind: heap::ARRAY,
            bytes: [186, heap::BYTES],
            length: 8,
            elements: 16,
        },
        bytecode: BytecodeLayout {
            kind: heap::BYTECODE,
            positions: 24,
            elements: 64,
        },
        code: CodeLayout {
            kind: heap::COMPILED,
            start: 40,
            is_apart: true,
            size: 52,
            flags: 48,
            compiler_mask: 15,
            compiler_shift: 0,
            baseline: heap::BASELINE,
            positions: 16,
            deoptimization: 8,
            literals: 2,
            inlining: 7,
            function: Some(6),
            is_wrapped: false,
        },
    }
}

/// Constants that are the same in Node.js 18 to 26, but for the numbers of types.
const COMMON: [(&str, u32); 22] = [
    ("class_Map__instance_type__uint16_t", 12),
    ("class_JSFunction__shared__SharedFunctionInfo", 32),
    ("class_Script__source__Object", 8),
    ("class_Script__name__Object", 16),
    ("class_Script__line_ends__Object", 56),
    ("FirstNonstringType", 128),
    ("StringRepresentationMask", 7),
    ("StringEncodingMask", 8),
    ("class_String__length__int32_t", 12),
    ("class_SeqOneByteString__chars__char", 16),
    ("class_ConsString__first__String", 16),
    ("class_ConsString__second__String", 24),
    ("class_FixedArrayBase__length__SMI", 8),
    ("class_FixedArray__data__uintptr_t", 16),
    ("scopeinfo_idx_ncontextlocals", 2),
    ("type_JSFunction__JS_FUNCTION_TYPE", 2066),
    ("type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE", 274),
    ("type_ScopeInfo__SCOPE_INFO_TYPE", 272),
    ("type_Script__SCRIPT_TYPE", 167),
    ("type_FixedArray__FIXED_ARRAY_TYPE", 174),
    ("type_BytecodeArray__BYTECODE_ARRAY_TYPE", 205),
    ("type_Code__CODE_TYPE", 206),
];
/// Node.js 18.
const OF_10: [(&str, u32); 8] = [
    ("class_SharedFunctionInfo__name_or_scope_info__Object", 16),
    (
        "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
        32,
    ),
    ("scopeinfo_idx_first_vars", 3),
    ("type_ByteArray__BYTE_ARRAY_TYPE", 194),
    ("class_BytecodeArray__data__uintptr_t", 56),
    ("class_Code__instruction_start__uintptr_t", 128),
    ("class_Code__instruction_size__int", 40),
    ("class_Code__flags__uint32_t", 48),
];
/// Node.js 20.
const OF_11: [(&str, u32); 8] = [
    ("class_SharedFunctionInfo__name_or_scope_info__Object", 16),
    (
        "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
        32,
    ),
    ("scopeinfo_idx_first_vars", 3),
    ("type_ByteArray__BYTE_ARRAY_TYPE", 190),
    ("class_BytecodeArray__data__uintptr_t", 54),
    ("class_Code__source_position_table__ByteArray", 24),
    ("class_Code__deoptimization_data__FixedArray", 16),
    ("DeoptimizationDataSharedFunctionInfoIndex", 6),
];
/// Node.js 22.
const OF_12: [(&str, u32); 16] = [
    (
        "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
        16,
    ),
    ("class_SharedFunctionInfo__script__Tagged_HeapObject_", 32),
    ("scopeinfo_idx_first_vars", 3),
    ("FirstJSFunctionType", 2066),
    ("LastJSFunctionType", 2082),
    ("type_ByteArray__BYTE_ARRAY_TYPE", 186),
    ("type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE", 212),
    ("class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_", 16),
    ("class_BytecodeArray__data__uintptr_t", 64),
    ("class_Code__instruction_start__Address", 40),
    ("class_Code__instruction_size__int", 52),
    ("class_Code__flags__uint32_t", 48),
    ("DeoptimizationDataSharedFunctionInfoIndex", 6),
    ("DeoptimizationDataLiteralArrayIndex", 2),
    ("DeoptimizationDataInliningPositionsIndex", 7),
    ("CodeKindBaseline", 10),
];
/// Node.js 24.
const OF_13: [(&str, u32); 12] = [
    (
        "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_",
        24,
    ),
    ("class_SharedFunctionInfo__script__Tagged_HeapObject_", 40),
    ("scopeinfo_idx_first_vars", 5),
    ("type_ByteArray__BYTE_ARRAY_TYPE", 217),
    ("class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_", 16),
    ("class_BytecodeArray__data__uintptr_t", 64),
    ("class_Code__instruction_start__Address", 40),
    ("class_Code__instruction_size__int", 56),
    ("class_Code__flags__uint32_t", 52),
    ("DeoptimizationDataWrappedSharedFunctionInfoIndex", 7),
    ("DeoptimizationDataLiteralArrayIndex", 3),
    ("DeoptimizationDataInliningPositionsIndex", 8),
];

fn constants(version: [u32; 3], own: &[(&str, u32)]) -> Constants {
    let numbers = COMMON.iter().chain(own);
    Constants {
        version,
        builtins: Some([0x1000, 0x2000]),
        bytecode_sizes: SIZES.to_vec(),
        numbers: numbers
            .map(|(name, number)| ((*name).to_owned(), *number))
            .collect(),
    }
}

/// Everything that is told of Node.js 22 is where V8's sources have it.
#[test]
fn the_layout_of_node_22_is_that_of_its_sources() {
    let layout = Layout::new(&constants([12, 4, 254], &OF_12));
    assert_eq!(layout, Ok(of_node_22()));
}

/// What versions leave untold is where it was when that was tried (`v8.md`).
#[test]
fn what_versions_do_not_tell_is_known() {
    let layout = |version, own| Layout::new(&constants(version, own)).unwrap();
    let code = |layout: &Layout| {
        let code = &layout.code;
        [
            code.start,
            code.size,
            code.flags,
            code.positions,
            code.deoptimization,
        ]
    };
    let of_10 = layout([10, 2, 154], &OF_10);
    assert_eq!(
        (code(&of_10), of_10.code.is_apart),
        ([128, 40, 48, 24, 16], false)
    );
    assert_eq!(of_10.code.function, None);
    let of_11 = layout([11, 3, 244], &OF_11);
    assert_eq!(
        (code(&of_11), of_11.code.is_apart),
        ([40, 56, 48, 24, 16], true)
    );
    assert_eq!(
        (of_11.code.function, of_11.code.is_wrapped),
        (Some(6), false)
    );
    assert_eq!(of_11.bytecode.positions, 32);
    assert_eq!(of_11.function_types, [2066, 2082]);
    let of_13 = layout([13, 6, 233], &OF_13);
    assert_eq!(code(&of_13), [40, 56, 52, 16, 8]);
    assert_eq!(
        (of_13.code.function, of_13.code.is_wrapped),
        (Some(7), true)
    );
    assert_eq!((of_13.code.literals, of_13.code.inlining), (3, 8));
    assert_eq!(of_13.bytecode.positions, 24);
    assert_eq!([of_11.scope.positions, of_13.scope.positions], [0, 3]);
    assert!(!of_13.has_flagged_positions());
    assert!(layout([14, 6, 202], &OF_13).has_flagged_positions());
}

/// A V8 that cannot be read is not read, and its user is told what is missing.
#[test]
fn what_is_missing_is_told() {
    let error = |version, own: &[(&str, u32)]| Layout::new(&constants(version, own)).unwrap_err();
    assert_eq!(error([9, 8, 0], &OF_12), "V8 9.8 is not known");
    assert_eq!(error([15, 0, 0], &OF_12), "V8 15.0 is not known");
    assert_eq!(
        error([12, 4, 254], &OF_12[1..]),
        "it has no v8dbg_class_SharedFunctionInfo__name_or_scope_info__Object"
    );
    // Larger than any offset is.
    let absurd = [
        &OF_12[..],
        &[("class_Map__instance_type__uint16_t", 1 << 20)],
    ]
    .concat();
    assert_eq!(
        error([12, 4, 254], &absurd),
        "it has no v8dbg_class_Map__instance_type__uint16_t"
    );
    let mut without = constants([12, 4, 254], &OF_12);
    without.builtins = None;
    assert_eq!(
        Layout::new(&without).unwrap_err(),
        "where its builtins stand is not among its symbols"
    );
}
