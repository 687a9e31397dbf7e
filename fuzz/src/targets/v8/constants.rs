//! What programs say of their V8, as Node.js 18, 20, 22 and 24 do, and changed.

use std::collections::HashMap;

use tracer::symbolize::v8::Constants;

/// Larger than any constant that is taken for one: it is not told.
const UNTOLD: u32 = u32::MAX;

/// The versions that differ most.
pub const VERSIONS: [[u32; 3]; 4] = [[10, 2, 154], [11, 3, 244], [12, 4, 254], [14, 6, 202]];

/// Lengths of eight bytecodes, four of them prefixes, in each of three widths.
const SIZES: [u8; 24] = [
    1, 1, 1, 1, 1, 2, 3, 4, 1, 1, 1, 1, 1, 3, 5, 7, 1, 1, 1, 1, 1, 5, 9, 13,
];

/// What each of [`VERSIONS`] says.
const NUMBERS: &[(&str, [u32; 4])] = &[
    ("class_Map__instance_type__uint16_t", [12; 4]),
    ("FirstJSFunctionType", [UNTOLD, UNTOLD, 2066, 2066]),
    ("LastJSFunctionType", [UNTOLD, UNTOLD, 2082, 2082]),
    ("type_JSFunction__JS_FUNCTION_TYPE", [2066; 4]),
    (
        "class_JSFunction__shared__SharedFunctionInfo",
        [24, 24, 32, 32],
    ),
    (
        "type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE",
        [257, 262, 274, 288],
    ),
    (
        "class_SharedFunctionInfo__name_or_scope_info__Object",
        [16, 16, 16, 24],
    ),
    (
        "class_SharedFunctionInfo__script_or_debug_info__Object",
        [32, 32, 32, 40],
    ),
    ("type_ScopeInfo__SCOPE_INFO_TYPE", [256, 261, 272, 286]),
    ("scopeinfo_idx_ncontextlocals", [2; 4]),
    ("scopeinfo_idx_first_vars", [3, 3, 3, 5]),
    ("type_Script__SCRIPT_TYPE", [170, 167, 167, 166]),
    ("class_Script__source__Object", [8; 4]),
    ("class_Script__name__Object", [16; 4]),
    ("class_Script__line_ends__Object", [56; 4]),
    ("FirstNonstringType", [128; 4]),
    ("StringRepresentationMask", [7; 4]),
    ("StringEncodingMask", [8; 4]),
    ("class_String__length__int32_t", [12; 4]),
    ("class_SeqOneByteString__chars__char", [16; 4]),
    ("class_ConsString__first__String", [16; 4]),
    ("class_ConsString__second__String", [24; 4]),
    ("type_FixedArray__FIXED_ARRAY_TYPE", [179, 175, 174, 205]),
    ("type_ByteArray__BYTE_ARRAY_TYPE", [194, 190, 186, 218]),
    (
        "type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE",
        [UNTOLD, UNTOLD, 212, 196],
    ),
    ("class_FixedArrayBase__length__SMI", [8; 4]),
    ("class_FixedArray__data__uintptr_t", [16; 4]),
    (
        "type_BytecodeArray__BYTECODE_ARRAY_TYPE",
        [195, 191, 204, 185],
    ),
    (
        "class_BytecodeArray__source_position_table__Object",
        [UNTOLD; 4],
    ),
    (
        "class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_",
        [UNTOLD, UNTOLD, 16, 16],
    ),
    ("class_BytecodeArray__data__uintptr_t", [56, 54, 64, 64]),
    ("type_Code__CODE_TYPE", [240, 245, 206, 187]),
    (
        "class_Code__instruction_start__Address",
        [128, UNTOLD, 40, 40],
    ),
    ("class_Code__instruction_size__int", [40, UNTOLD, 52, 56]),
    ("class_Code__flags__uint32_t", [48, UNTOLD, 48, 52]),
    (
        "class_Code__source_position_table__ByteArray",
        [UNTOLD, 24, UNTOLD, UNTOLD],
    ),
    (
        "class_Code__deoptimization_data__FixedArray",
        [UNTOLD, 16, UNTOLD, UNTOLD],
    ),
    ("CodeKindFieldMask", [15; 4]),
    ("CodeKindFieldShift", [0; 4]),
    ("CodeKindBaseline", [11, 11, 10, 11]),
    (
        "DeoptimizationDataSharedFunctionInfoIndex",
        [UNTOLD, 6, 6, UNTOLD],
    ),
    (
        "DeoptimizationDataWrappedSharedFunctionInfoIndex",
        [UNTOLD, UNTOLD, UNTOLD, 7],
    ),
    ("DeoptimizationDataLiteralArrayIndex", [UNTOLD, 2, 2, 3]),
    (
        "DeoptimizationDataInliningPositionsIndex",
        [UNTOLD, 7, 7, 8],
    ),
];

/// Those of a version, with some of them changed: which, and what it is then.
pub fn of(version: u8, changes: &[[u32; 2]]) -> Constants {
    let version = usize::from(version) % VERSIONS.len();
    let told = NUMBERS
        .iter()
        .map(|(name, numbers)| ((*name).to_owned(), numbers[version]));
    let mut constants = Constants {
        version: VERSIONS[version],
        builtins: Some([0x1000, 0x2000]),
        bytecode_sizes: SIZES.to_vec(),
        numbers: told.collect::<HashMap<String, u32>>(),
    };
    for [which, number] in changes {
        let which = *which as usize % (NUMBERS.len() + VERSIONS[0].len() + 1);
        if let Some((name, _)) = NUMBERS.get(which) {
            constants.numbers.insert((*name).to_owned(), *number);
        } else if let Some(part) = constants.version.get_mut(which - NUMBERS.len()) {
            *part = *number;
        } else {
            constants
                .bytecode_sizes
                .truncate(*number as usize % SIZES.len());
        }
    }
    constants
}
