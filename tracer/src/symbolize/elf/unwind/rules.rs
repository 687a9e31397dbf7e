//! From DWARF's rules to ours.

use std::collections::HashMap;

use gimli::{
    CfaRule, EhFrame, Encoding, Operation, Register, RegisterRule, StoreOnHeap, UnwindExpression,
    UnwindTableRow, X86_64,
};
use tracer_common::unwind::row::{Base, Rule, Saved, Special, SpecialKind};

use super::frames::Slice;

/// Rules that differ from one another in one object; glibc has some twenty.
const MAX_SPECIALS: usize = 1024;
/// Operations of an expression; the longest that is understood has nine.
const MAX_OPERATIONS: usize = 9;
/// Where rsp stands in the frame that the kernel makes for a signal handler:
/// see `tracer_common::unwind::step`.
const SIGNAL_STACK_POINTER: i32 = 40 + 15 * 8;

type Row = UnwindTableRow<usize, StoreOnHeap>;
type Operations<'data> = Vec<Operation<Slice<'data>>>;

/// The rules of one object, the special ones numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Rules {
    numbers: HashMap<Special, u16>,
    /// Rows whose rule is none that can be kept.
    pub left_out: u32,
}

impl Rules {
    /// The special rules by number; number 0 is [`SpecialKind::Unknown`].
    pub fn specials(self) -> Vec<Special> {
        let mut specials = vec![Special::default(); self.numbers.len() + 1];
        for (special, number) in self.numbers {
            specials[usize::from(number)] = special;
        }
        specials
    }

    /// The rule of a row.
    pub fn rule(
        &mut self,
        row: &Row,
        table: &EhFrame<Slice<'_>>,
        encoding: Encoding,
        is_handler: bool,
    ) -> Rule {
        let rule = self.known_rule(row, table, encoding, is_handler);
        rule.unwrap_or_else(|| {
            self.left_out = self.left_out.saturating_add(1);
            Rule::special(0)
        })
    }

    fn known_rule(
        &mut self,
        row: &Row,
        table: &EhFrame<Slice<'_>>,
        encoding: Encoding,
        is_handler: bool,
    ) -> Option<Rule> {
        let operations = |expression: &UnwindExpression<usize>| {
            let expression = expression.get(table).ok()?;
            let mut operations = expression.operations(encoding);
            let mut found = Operations::new();
            while let Some(operation) = operations.next().ok()? {
                if found.len() == MAX_OPERATIONS {
                    return None;
                }
                found.push(operation);
            }
            Some(found)
        };
        let mut special = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                let base = base_of(*register)?;
                if row.register(X86_64::RA) == Some(RegisterRule::Offset(-8))
                    && let Some(saved) = saved_plainly(row)
                    && let Some(rule) = Rule::new(base, *offset, saved)
                {
                    return Some(rule);
                }
                special(plain_kind(base), *offset)?
            }
            CfaRule::Expression(expression) => by_expression(&operations(expression)?)?,
        };
        match row.register(X86_64::RA) {
            Some(RegisterRule::Offset(-8)) => {}
            Some(RegisterRule::Undefined) => {
                return self.number(SpecialKind::Root.into_special());
            }
            Some(RegisterRule::Expression(_)) if is_handler => {
                let is_kernels = special.kind == SpecialKind::AtStackPointer as u32
                    && special.offset == SIGNAL_STACK_POINTER;
                return (is_kernels.then(|| SpecialKind::Signal.into_special()))
                    .and_then(|special| self.number(special));
            }
            _ => return None,
        }
        let (saved, offset) = match row.register(X86_64::RBP) {
            None | Some(RegisterRule::SameValue) => (Saved::Same, 0),
            Some(RegisterRule::Offset(offset)) => (Saved::AtCfa, offset),
            Some(RegisterRule::Expression(expression)) => match operations(&expression)?[..] {
                [
                    Operation::RegisterOffset {
                        register: X86_64::RBP,
                        offset,
                        ..
                    },
                ] => (Saved::AtFramePointer, offset),
                _ => (Saved::Lost, 0),
            },
            Some(_) => (Saved::Lost, 0),
        };
        special.saved = saved as u32;
        special.saved_offset = i32::try_from(offset).ok()?;
        self.number(special)
    }

    fn number(&mut self, special: Special) -> Option<Rule> {
        if let Some(number) = self.numbers.get(&special) {
            return Some(Rule::special(*number));
        }
        let next = self.numbers.len() + 1;
        if next > MAX_SPECIALS {
            return None;
        }
        self.numbers.insert(special, next as u16);
        Some(Rule::special(next as u16))
    }
}

trait IntoSpecial {
    fn into_special(self) -> Special;
}

impl IntoSpecial for SpecialKind {
    fn into_special(self) -> Special {
        Special {
            kind: self as u32,
            ..Special::default()
        }
    }
}

fn base_of(register: Register) -> Option<Base> {
    match register {
        X86_64::RSP => Some(Base::StackPointer),
        X86_64::RBP => Some(Base::FramePointer),
        _ => None,
    }
}

const fn plain_kind(base: Base) -> SpecialKind {
    match base {
        Base::StackPointer => SpecialKind::StackPointer,
        Base::FramePointer => SpecialKind::FramePointer,
    }
}

/// Where the frame pointer was saved below the CFA, if the row says nothing
/// harder than that.
fn saved_plainly(row: &Row) -> Option<Option<i64>> {
    match row.register(X86_64::RBP) {
        None | Some(RegisterRule::SameValue) => Some(None),
        Some(RegisterRule::Offset(offset)) => Some(Some(offset)),
        Some(_) => None,
    }
}

fn special(kind: SpecialKind, offset: i64) -> Option<Special> {
    Some(Special {
        offset: i32::try_from(offset).ok()?,
        ..kind.into_special()
    })
}

/// What the expressions of CFAs are in practice: a register and an offset, what
/// stands there, or the linker's for the procedure linkage table.
fn by_expression(operations: &[Operation<Slice<'_>>]) -> Option<Special> {
    let (
        Operation::RegisterOffset {
            register, offset, ..
        },
        rest,
    ) = operations.split_first()?
    else {
        return None;
    };
    let base = base_of(*register)?;
    let at = match base {
        Base::StackPointer => SpecialKind::AtStackPointer,
        Base::FramePointer => SpecialKind::AtFramePointer,
    };
    match rest {
        [] => special(plain_kind(base), *offset),
        [Operation::Deref { size: 8, .. }] => special(at, *offset),
        [
            Operation::Deref { size: 8, .. },
            Operation::PlusConstant { value },
        ] => Some(Special {
            addend: i32::try_from(*value).ok()?,
            ..special(at, *offset)?
        }),
        [
            Operation::RegisterOffset {
                register: X86_64::RA,
                offset: 0,
                ..
            },
            Operation::UnsignedConstant { value: 15 },
            Operation::And,
            Operation::UnsignedConstant { value },
            Operation::Ge,
            Operation::UnsignedConstant { value: 3 },
            Operation::Shl,
            Operation::Plus,
        ] if base == Base::StackPointer && *offset == 8 => {
            special(SpecialKind::ProcedureLinkage, i64::try_from(*value).ok()?)
        }
        _ => None,
    }
}
