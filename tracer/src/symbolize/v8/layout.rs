//! Where the members of V8's objects stand, by version.
//!
//! From the constants that V8's build leaves in the program, and where it
//! leaves none, from what its sources have: `docs/v8.md`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What a program says of its V8.
#[derive(Debug, Default)]
pub struct Constants {
    /// Major, minor, build.
    pub version: [u32; 3],
    /// File offsets `[start, end)` of the builtins' code.
    pub builtins: Option<[u64; 2]>,
    /// Lengths of bytecodes in each of three widths; empty if not known.
    pub bytecode_sizes: Vec<u8>,
    /// The `v8dbg_` constants, without that.
    pub numbers: HashMap<String, u32>,
}

/// V8 versions that this code was written for: of Node.js 18 to 26.
const KNOWN: std::ops::RangeInclusive<u32> = 10..=14;

/// No offset, type or index is larger.
const MAX_NUMBER: u32 = 1 << 20;

/// Offsets in bytes within objects, and numbers of types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Major, minor, build.
    pub version: [u32; 3],
    /// File offsets `[start, end)` of the builtins' code.
    pub builtins: [u64; 2],
    /// Lengths of bytecodes in each of three widths; empty if not known.
    pub bytecode_sizes: Vec<u8>,
    /// Of a map: the type of what has it.
    pub map_type: u32,
    /// The types of functions, from the first to the last.
    pub function_types: [u32; 2],
    /// Of a function.
    pub function_info: u32,
    /// Of a shared function info.
    pub info: InfoLayout,
    /// Of a scope info, in words behind the map.
    pub scope: ScopeLayout,
    /// Of a script.
    pub script: ScriptLayout,
    /// Of strings.
    pub string: StringLayout,
    /// Of arrays, also of bytes.
    pub array: ArrayLayout,
    /// Of bytecode.
    pub bytecode: BytecodeLayout,
    /// Of compiled code.
    pub code: CodeLayout,
}

/// Of a shared function info.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoLayout {
    /// Its type.
    pub kind: u32,
    /// The name, or a scope info that holds it.
    pub name: u32,
    /// The script.
    pub script: u32,
    /// Each has a number of its own, behind its flags.
    pub has_number: bool,
}

/// Of a scope info, in words behind the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeLayout {
    /// Its type.
    pub kind: u32,
    /// How many local variables have slots.
    pub locals: u32,
    /// Where a variable number of words begins.
    pub variables: u32,
    /// Where the function begins and ends in the script; 0: behind its name.
    pub positions: u32,
}

/// Of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptLayout {
    /// Its type.
    pub kind: u32,
    /// The text.
    pub source: u32,
    /// The name.
    pub name: u32,
    /// In which line of its file it begins.
    pub first_line: u32,
    /// Where each line ends, if that was asked for.
    pub line_ends: u32,
}

/// Of strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StringLayout {
    /// The first type that is none.
    pub behind_types: u32,
    /// Which bits of the type say how it is kept.
    pub form_mask: u32,
    /// The bit that says: one byte a character.
    pub one_byte: u32,
    /// How many characters.
    pub length: u32,
    /// The characters, where they stand in the object.
    pub characters: u32,
    /// The two halves of a joined one; the whole of which it is a slice; what
    /// it stands for; where its characters are.
    pub first: u32,
    /// The second half; the place of a slice in the whole.
    pub second: u32,
}

/// Of arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayLayout {
    /// The type of plain arrays.
    pub kind: u32,
    /// The types of arrays of bytes.
    pub bytes: [u32; 2],
    /// How many elements.
    pub length: u32,
    /// The elements.
    pub elements: u32,
}

/// Of bytecode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BytecodeLayout {
    /// Its type.
    pub kind: u32,
    /// The table of positions.
    pub positions: u32,
    /// The bytecodes.
    pub elements: u32,
}

/// Of compiled code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeLayout {
    /// Its type.
    pub kind: u32,
    /// The first instruction, or where its address stands.
    pub start: u32,
    /// [`Self::start`] holds the address.
    pub is_apart: bool,
    /// How many bytes.
    pub size: u32,
    /// Which compiler made it, among others.
    pub flags: u32,
    /// The bits of that, and how far up they are.
    pub compiler_mask: u32,
    /// See above.
    pub compiler_shift: u32,
    /// The compiler that turns each bytecode into code.
    pub baseline: u32,
    /// The table of positions.
    pub positions: u32,
    /// What is needed to go back to the interpreter.
    pub deoptimization: u32,
    /// There: the element that holds the functions put into this one.
    pub literals: u32,
    /// There: the element that tells where they were.
    pub inlining: u32,
    /// There: the function, if it is told; and whether it is wrapped.
    pub function: Option<u32>,
    /// See above.
    pub is_wrapped: bool,
}

impl Layout {
    /// Puts together what a program says.
    ///
    /// # Errors
    /// What is missing, or that this version is not known.
    pub fn new(constants: &Constants) -> Result<Self, String> {
        let [major, minor, _] = constants.version;
        if !KNOWN.contains(&major) {
            return Err(format!("V8 {major}.{minor} is not known"));
        }
        let of = Numbers(constants);
        let version = constants.version;
        let positions_in_scope = version >= [12, 8, 44];
        Ok(Self {
            version,
            builtins: (constants.builtins)
                .ok_or("where its builtins stand is not among its symbols")?,
            bytecode_sizes: constants.bytecode_sizes.clone(),
            map_type: of.get(&["class_Map__instance_type__uint16_t"])?,
            function_types: of.function_types()?,
            function_info: of.get(&["class_JSFunction__shared__SharedFunctionInfo"])?,
            info: of.info()?,
            scope: ScopeLayout {
                kind: of.get(&["type_ScopeInfo__SCOPE_INFO_TYPE"])?,
                locals: of.get(&["scopeinfo_idx_ncontextlocals"])?,
                variables: of.get(&["scopeinfo_idx_first_vars"])?,
                positions: if positions_in_scope { 3 } else { 0 },
            },
            script: of.script()?,
            string: of.string()?,
            array: of.array()?,
            bytecode: of.bytecode()?,
            code: of.code()?,
        })
    }

    /// The opcodes of translations are those that `translation` knows.
    #[must_use]
    pub fn has_known_translations(&self) -> bool {
        (([13, 6, 0])..[14, 7, 0]).contains(&self.version)
    }

    /// Positions are counted in another way from V8 14 on.
    #[must_use]
    pub fn has_flagged_positions(&self) -> bool {
        self.version >= [14, 0, 0]
    }
}

struct Numbers<'a>(&'a Constants);

impl Numbers<'_> {
    fn find(&self, names: &[&str]) -> Option<u32> {
        let numbers = &self.0.numbers;
        let mut found = names.iter().filter_map(|name| numbers.get(*name).copied());
        found.find(|number| *number < MAX_NUMBER)
    }

    fn get(&self, names: &[&str]) -> Result<u32, String> {
        (self.find(names)).ok_or_else(|| format!("it has no v8dbg_{}", names[0]))
    }

    fn function_types(&self) -> Result<[u32; 2], String> {
        // V8 has some 17 kinds of functions in a row.
        const KINDS: u32 = 16;
        let first = match self.find(&["FirstJSFunctionType"]) {
            Some(first @ 1..) => first,
            _ => self.get(&["type_JSFunction__JS_FUNCTION_TYPE"])?,
        };
        let last = self.find(&["LastJSFunctionType"]).unwrap_or(0);
        Ok([first, last.max(first.saturating_add(KINDS))])
    }

    fn info(&self) -> Result<InfoLayout, String> {
        Ok(InfoLayout {
            kind: self.get(&["type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE"])?,
            name: self.get(&[
                "class_SharedFunctionInfo__name_or_scope_info__Object",
                "class_SharedFunctionInfo__name_or_scope_info__Tagged_Object_",
                "class_SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_",
            ])?,
            script: self.get(&[
                "class_SharedFunctionInfo__script_or_debug_info__Object",
                "class_SharedFunctionInfo__script_or_debug_info__HeapObject",
                "class_SharedFunctionInfo__script__Tagged_HeapObject_",
            ])?,
            has_number: self.0.version >= [12, 4, 0],
        })
    }

    fn script(&self) -> Result<ScriptLayout, String> {
        let name = self.get(&["class_Script__name__Object"])?;
        Ok(ScriptLayout {
            kind: self.get(&["type_Script__SCRIPT_TYPE"])?,
            source: self.get(&["class_Script__source__Object"])?,
            name,
            first_line: name.saturating_add(8),
            line_ends: self.get(&["class_Script__line_ends__Object"])?,
        })
    }

    fn string(&self) -> Result<StringLayout, String> {
        Ok(StringLayout {
            behind_types: self.get(&["FirstNonstringType"])?,
            form_mask: self.get(&["StringRepresentationMask"])?,
            one_byte: self.get(&["StringEncodingMask"])?,
            length: self.get(&["class_String__length__int32_t"])?,
            characters: self.get(&["class_SeqOneByteString__chars__char"])?,
            first: self.get(&["class_ConsString__first__String"])?,
            second: self.get(&["class_ConsString__second__String"])?,
        })
    }

    fn array(&self) -> Result<ArrayLayout, String> {
        let bytes = self.get(&["type_ByteArray__BYTE_ARRAY_TYPE"])?;
        let trusted = self.find(&["type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE"]);
        Ok(ArrayLayout {
            kind: self.get(&["type_FixedArray__FIXED_ARRAY_TYPE"])?,
            bytes: [bytes, trusted.unwrap_or(bytes)],
            length: self.get(&["class_FixedArrayBase__length__SMI"])?,
            elements: self.get(&["class_FixedArray__data__uintptr_t"])?,
        })
    }

    fn bytecode(&self) -> Result<BytecodeLayout, String> {
        let told = self.find(&[
            "class_BytecodeArray__source_position_table__Object",
            "class_BytecodeArray__source_position_table__Tagged_HeapObject_",
        ]);
        let wrapper = self.find(&["class_BytecodeArray__wrapper__Tagged_BytecodeWrapper_"]);
        // Behind length, constants and handlers; since V8 12 behind length and wrapper.
        let positions = match (told, wrapper) {
            (Some(told), _) => told,
            (None, Some(wrapper)) => wrapper.saturating_add(8),
            (None, None) => 32,
        };
        Ok(BytecodeLayout {
            kind: self.get(&["type_BytecodeArray__BYTECODE_ARRAY_TYPE"])?,
            positions,
            elements: self.get(&["class_BytecodeArray__data__uintptr_t"])?,
        })
    }

    fn code(&self) -> Result<CodeLayout, String> {
        let version = self.0.version;
        let mut start = self.find(&[
            "class_Code__instruction_start__uintptr_t",
            "class_Code__instruction_start__Address",
        ]);
        let mut size = self.find(&["class_Code__instruction_size__int"]);
        let mut flags = self.find(&["class_Code__flags__uint32_t"]);
        let mut positions = self.find(&[
            "class_Code__source_position_table__ByteArray",
            "class_Code__source_position_table__Tagged_ByteArray_",
        ]);
        if let (None, Some(positions)) = (size, positions) {
            // V8 11 forgot to tell.
            let start_there = positions + 16;
            let flags_there = start_there + 8;
            let padding = if version < [11, 4, 59] { 4 } else { 0 };
            (start, flags) = (Some(start_there), Some(flags_there));
            size = Some(flags_there + 4 + padding);
        }
        let start = start.ok_or("where its code begins is not told")?;
        let size = size.ok_or("how long its code is, is not told")?;
        positions = positions.or(if version >= [12, 0, 0] {
            start.checked_sub(24)
        } else {
            size.checked_sub(16)
        });
        let positions = positions.ok_or("where its code's positions are is not told")?;
        let deoptimization = self.find(&[
            "class_Code__deoptimization_data__FixedArray",
            "class_Code__deoptimization_data__Tagged_FixedArray_",
        ]);
        let plain = self.find(&["DeoptimizationDataSharedFunctionInfoIndex"]);
        let wrapped = self.find(&[
            "DeoptimizationDataWrappedSharedFunctionInfoIndex",
            "DeoptimizationDataSharedFunctionInfoWrapperIndex",
        ]);
        Ok(CodeLayout {
            kind: self.get(&["type_Code__CODE_TYPE"])?,
            start,
            is_apart: version >= [11, 1, 204],
            size,
            flags: flags.unwrap_or(size + 8),
            compiler_mask: self.find(&["CodeKindFieldMask"]).unwrap_or(15),
            compiler_shift: self.find(&["CodeKindFieldShift"]).unwrap_or(0).min(31),
            baseline: self.find(&["CodeKindBaseline"]).unwrap_or(11),
            positions,
            deoptimization: deoptimization.unwrap_or(positions.saturating_sub(8)),
            literals: (self.find(&["DeoptimizationDataLiteralArrayIndex"])).unwrap_or(2),
            inlining: (self.find(&["DeoptimizationDataInliningPositionsIndex"])).unwrap_or(7),
            function: plain.or(wrapped),
            is_wrapped: plain.is_none(),
        })
    }
}
