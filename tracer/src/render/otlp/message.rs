//! The messages of `opentelemetry/proto/profiles/v1development/profiles.proto` and its
//! collector's service, 1.10, as far as they are written here. Fields whose name ends in
//! `strindex` are indices into the dictionary's `string_table`; index 0 of every table is empty.

use prost::Message;

/// What a collector takes.
#[derive(Clone, PartialEq, Message)]
pub struct ExportProfilesServiceRequest {
    /// Of several programs.
    #[prost(message, repeated, tag = "1")]
    pub resource_profiles: Vec<ResourceProfiles>,
    /// What they refer to.
    #[prost(message, optional, tag = "2")]
    pub dictionary: Option<ProfilesDictionary>,
}

/// What it answers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExportProfilesServiceResponse {
    /// If it did not take all.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportProfilesPartialSuccess>,
}

/// What it did not take.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExportProfilesPartialSuccess {
    /// How many profiles.
    #[prost(int64, tag = "1")]
    pub rejected_profiles: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// One program's.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceProfiles {
    /// The program.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// By whom.
    #[prost(message, repeated, tag = "2")]
    pub scope_profiles: Vec<ScopeProfiles>,
}

/// A program on a host.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// What is known of it.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Made by one instrument.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeProfiles {
    /// The instrument.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// What it found.
    #[prost(message, repeated, tag = "2")]
    pub profiles: Vec<Profile>,
}

/// An instrument.
#[derive(Clone, PartialEq, Message)]
pub struct InstrumentationScope {
    /// memtrace.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// What else is known of it.
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

/// Samples of one type.
#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    /// What a value means.
    #[prost(message, optional, tag = "1")]
    pub sample_type: Option<ValueType>,
    /// Each stack and set of attributes once.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// When it begins, since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// How long.
    #[prost(uint64, tag = "4")]
    pub duration_nano: u64,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub profile_id: Vec<u8>,
}

/// Such as `faulted_space` in `bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ValueType {
    /// What.
    #[prost(int32, tag = "1")]
    pub type_strindex: i32,
    /// In what.
    #[prost(int32, tag = "2")]
    pub unit_strindex: i32,
}

/// A stack and its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Sample {
    /// In `stack_table`.
    #[prost(int32, tag = "1")]
    pub stack_index: i32,
    /// In `attribute_table`.
    #[prost(int32, repeated, tag = "2")]
    pub attribute_indices: Vec<i32>,
    /// One.
    #[prost(int64, repeated, tag = "4")]
    pub values: Vec<i64>,
}

/// What the profiles of a message refer to.
#[derive(Clone, PartialEq, Message)]
pub struct ProfilesDictionary {
    /// Modules.
    #[prost(message, repeated, tag = "1")]
    pub mapping_table: Vec<Mapping>,
    /// Places in the code.
    #[prost(message, repeated, tag = "2")]
    pub location_table: Vec<Location>,
    /// Functions.
    #[prost(message, repeated, tag = "3")]
    pub function_table: Vec<Function>,
    /// Traces; none but the empty one.
    #[prost(message, repeated, tag = "4")]
    pub link_table: Vec<Link>,
    /// Texts.
    #[prost(string, repeated, tag = "5")]
    pub string_table: Vec<String>,
    /// Attributes.
    #[prost(message, repeated, tag = "6")]
    pub attribute_table: Vec<KeyValueAndUnit>,
    /// Stacks.
    #[prost(message, repeated, tag = "7")]
    pub stack_table: Vec<Stack>,
}

/// A module.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Mapping {
    /// Where it begins.
    #[prost(uint64, tag = "1")]
    pub memory_start: u64,
    /// Where it ends.
    #[prost(uint64, tag = "2")]
    pub memory_limit: u64,
    /// The file.
    #[prost(int32, tag = "4")]
    pub filename_strindex: i32,
    /// Its build id.
    #[prost(int32, repeated, tag = "5")]
    pub attribute_indices: Vec<i32>,
}

/// A place in the code.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Location {
    /// In `mapping_table`.
    #[prost(int32, tag = "1")]
    pub mapping_index: i32,
    /// An offset in the module's file.
    #[prost(uint64, tag = "2")]
    pub address: u64,
    /// Of several, each but the last was put into the next.
    #[prost(message, repeated, tag = "3")]
    pub lines: Vec<Line>,
}

/// A line of a function.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Line {
    /// In `function_table`.
    #[prost(int32, tag = "1")]
    pub function_index: i32,
    /// 0 where it is not known.
    #[prost(int64, tag = "2")]
    pub line: i64,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Function {
    /// For people.
    #[prost(int32, tag = "1")]
    pub name_strindex: i32,
    /// As the linker knows it.
    #[prost(int32, tag = "2")]
    pub system_name_strindex: i32,
    /// Where it is written.
    #[prost(int32, tag = "3")]
    pub filename_strindex: i32,
}

/// A trace.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Link {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
}

/// Innermost first.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Stack {
    /// In `location_table`.
    #[prost(int32, repeated, tag = "1")]
    pub location_indices: Vec<i32>,
}

/// An attribute in the dictionary.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValueAndUnit {
    /// Its name.
    #[prost(int32, tag = "1")]
    pub key_strindex: i32,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// An attribute of a resource.
#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

impl KeyValue {
    /// One.
    #[must_use]
    pub fn new(key: &str, value: AnyValue) -> Self {
        let key = key.to_owned();
        let value = Some(value);
        Self { key, value }
    }
}

/// A text or a number.
#[derive(Clone, PartialEq, Message)]
pub struct AnyValue {
    /// Which.
    #[prost(oneof = "Value", tags = "1, 3")]
    pub value: Option<Value>,
}

/// A text or a number.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// A text.
    #[prost(string, tag = "1")]
    Text(String),
    /// A number.
    #[prost(int64, tag = "3")]
    Int(i64),
}

impl AnyValue {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self {
            value: Some(Value::Text(text.to_owned())),
        }
    }

    /// A number.
    #[must_use]
    pub const fn int(number: i64) -> Self {
        Self {
            value: Some(Value::Int(number)),
        }
    }
}
