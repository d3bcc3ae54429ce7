//! `quantization_config` of `config.json`, as compressed-tensors writes it: made here, and read without trust.
//!
//! What is supported is `pack-quantized` with weights alone quantised, to symmetric whole numbers: 4 bits in groups of a
//! multiple of 32 (a scale of 128 columns stands four times in ours), or 8 bits a channel. All else is refused by key
//! and value, keys that are not known among it, as they may change what the numbers mean. A matrix `X.weight` stands as
//!
//! | tensor | type | shape |
//! |---|---|---|
//! | `X.weight_packed` | I32 | `[rows, columns / 8]`, 8 bits: `[rows, columns / 4]`, rounded up |
//! | `X.weight_scale` | F16 (8 bits: F32; read: F16, BF16, F32) | `[rows, columns / group]`, 8 bits: `[rows, 1]` |
//! | `X.weight_shape` | I64 | `[2]`: rows, columns |
//!
//! Which matrix belongs to which group is not read from `targets` and `ignore` (they are patterns over another
//! program's classes): the tensors themselves say it, see [`QuantizationConfig::scheme_of`].

use crate::error::{Error, Result};
use crate::int4::GROUP;
use serde_json::{Map, Value, json};

/// Most groups that are read.
const MOST_GROUPS: usize = 64;

/// Most columns of a group that are read.
const MOST_GROUP_SIZE: u64 = 1 << 20;

/// What `quant_method` says.
pub const METHOD: &str = "compressed-tensors";

/// What `format` says.
pub const FORMAT: &str = "pack-quantized";

/// How the weights of a matrix are quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Four bits; each `group` neighbours of a row share a scale.
    Int4 {
        /// Columns that share a scale, a multiple of 32.
        group: usize,
    },
    /// Eight bits; a row shares a scale.
    Int8,
}

impl Scheme {
    /// Four bits as this crate makes them: groups of 32.
    pub const INT4: Self = Self::Int4 { group: GROUP };

    /// Bits a value takes.
    pub fn bits(self) -> u32 {
        match self {
            Self::Int4 { .. } => 4,
            Self::Int8 => 8,
        }
    }

    /// Words that a row of `columns` is packed in.
    pub fn words_a_row(self, columns: usize) -> usize {
        columns.div_ceil((32 / self.bits()) as usize)
    }

    /// Scales of a row of `columns`; `None` where groups do not fill it.
    pub fn scales_a_row(self, columns: usize) -> Option<usize> {
        match self {
            Self::Int4 { group } => columns.is_multiple_of(group).then_some(columns / group),
            Self::Int8 => Some(1),
        }
    }

    fn weights(self) -> Value {
        let mut weights =
            json!({ "num_bits": self.bits(), "type": "int", "symmetric": true, "dynamic": false });
        weights["strategy"] = match self {
            Self::Int4 { .. } => "group".into(),
            Self::Int8 => "channel".into(),
        };
        if let Self::Int4 { group } = self {
            weights["group_size"] = group.into();
        }
        weights
    }
}

/// Matrices that are quantised alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Names of modules, or classes of them such as `Linear` and `Embedding`.
    pub targets: Vec<String>,
    /// How.
    pub scheme: Scheme,
}

/// How the weights of a model are quantised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantizationConfig {
    /// The groups, by order.
    pub groups: Vec<Group>,
    /// Modules that are not quantised though a group names their class.
    pub ignore: Vec<String>,
}

impl QuantizationConfig {
    /// The JSON under `quantization_config`.
    pub fn to_json(&self) -> Value {
        let group = |(number, group): (usize, &Group)| {
            let json = json!({ "targets": group.targets, "weights": group.scheme.weights(),
                "input_activations": null, "output_activations": null, "format": FORMAT });
            (format!("group_{number}"), json)
        };
        let groups: Map<String, Value> = self.groups.iter().enumerate().map(group).collect();
        json!({ "quant_method": METHOD, "format": FORMAT, "quantization_status": "compressed",
            "config_groups": groups, "ignore": self.ignore, "kv_cache_scheme": null })
    }

    /// Reads the JSON under `quantization_config`.
    ///
    /// # Errors
    /// Names the key, its value and what is supported.
    pub fn from_json(json: &Value) -> Result<Self> {
        let keys = Keys::new("", json)?;
        keys.expect("quant_method", &[METHOD.into()])?;
        keys.expect("format", &[FORMAT.into()])?;
        keys.expect("quantization_status", &["compressed".into(), Value::Null])?;
        keys.expect("kv_cache_scheme", &[Value::Null])?;
        keys.expect("sparsity_config", &[Value::Null, json!({}), json!({ "format": "dense" })])?;
        keys.expect("transform_config", &[Value::Null, json!({}), json!({ "config_groups": {} })])?;
        keys.expect("moe_sparsity_config", &[Value::Null])?;
        let ignore = match keys.get("ignore") {
            Value::Null => Vec::new(),
            _ => keys.texts("ignore")?,
        };
        // These say nothing of the numbers.
        keys.refuse_others(&[
            "config_groups",
            "ignore",
            "global_compression_ratio",
            "version",
            "run_compressed",
        ])?;
        let groups = Keys::new("config_groups", keys.get("config_groups"))?;
        if groups.map.is_empty() || groups.map.len() > MOST_GROUPS {
            return Err(keys.refused("config_groups", &format!("1 to {MOST_GROUPS} groups")));
        }
        let groups = groups.map.keys().map(|name| read_group(&groups, name)).collect::<Result<_>>()?;
        Ok(Self { groups, ignore })
    }

    /// How a matrix of `shape` is quantised, by the columns of its `weight_packed` and `weight_scale`: the first scheme
    /// of the groups that they agree with.
    ///
    /// # Errors
    /// Columns that agree with none.
    pub fn scheme_of(&self, shape: [usize; 2], packed: [usize; 2], scales: [usize; 2]) -> Result<Scheme> {
        let [rows, columns] = shape;
        let agrees = |scheme: &Scheme| {
            columns > 0
                && packed == [rows, scheme.words_a_row(columns)]
                && scheme.scales_a_row(columns).is_some_and(|width| scales == [rows, width])
        };
        self.groups.iter().map(|group| group.scheme).find(agrees).ok_or_else(|| Error::Config {
            key: "config_groups".into(),
            value: format!("of no scheme with weight_packed {packed:?} and weight_scale {scales:?}"),
            expected: format!("one that makes these of a matrix of shape {shape:?}"),
        })
    }
}

/// The scales of groups of 32, for a matrix whose scales each stand for `group` columns: every one is repeated.
///
/// # Errors
/// A group that is no multiple of 32.
pub fn repeat_scales<T: Copy>(scales: &[T], group: usize) -> Result<Vec<T>> {
    if group == 0 || !group.is_multiple_of(GROUP) {
        let (what, expected) = ("the group size", format!("a multiple of {GROUP}"));
        return Err(Error::Size { what, found: group, expected });
    }
    Ok(scales.iter().flat_map(|&scale| std::iter::repeat_n(scale, group / GROUP)).collect())
}

fn read_group(groups: &Keys<'_>, name: &str) -> Result<Group> {
    let keys = Keys::new(&groups.path(name), groups.get(name))?;
    keys.expect("input_activations", &[Value::Null])?;
    keys.expect("output_activations", &[Value::Null])?;
    keys.expect("format", &[Value::Null, FORMAT.into()])?;
    keys.refuse_others(&["targets", "weights"])?;
    let targets = keys.texts("targets")?;
    let weights = Keys::new(&keys.path("weights"), keys.get("weights"))?;
    weights.expect("type", &[Value::Null, "int".into()])?;
    weights.expect("symmetric", &[Value::Null, true.into()])?;
    weights.expect("dynamic", &[Value::Null, false.into()])?;
    weights.expect("block_structure", &[Value::Null])?;
    // These orders change which numbers are chosen, not where they stand; `group` moves columns.
    weights.expect("actorder", &[Value::Null, false.into(), "weight".into(), "static".into()])?;
    // These say how the numbers were found; the types of tensors stand in their file.
    weights.refuse_others(&[
        "num_bits",
        "strategy",
        "group_size",
        "observer",
        "observer_kwargs",
        "scale_dtype",
        "zp_dtype",
    ])?;
    Ok(Group { targets, scheme: read_scheme(&weights)? })
}

fn read_scheme(weights: &Keys<'_>) -> Result<Scheme> {
    // As compressed-tensors infers it.
    let strategy = match (weights.get("strategy").as_str(), weights.get("group_size").as_i64()) {
        (Some(strategy), _) => strategy,
        (None, Some(-1)) if weights.get("strategy").is_null() => "channel",
        (None, Some(_)) if weights.get("strategy").is_null() => "group",
        _ => return Err(weights.refused("strategy", "\"group\" or \"channel\"")),
    };
    match weights.get("num_bits").as_u64() {
        Some(4) if strategy == "group" => match weights.get("group_size").as_u64() {
            Some(size @ 1..=MOST_GROUP_SIZE) if size % GROUP as u64 == 0 => {
                Ok(Scheme::Int4 { group: size as usize })
            }
            _ => {
                Err(weights.refused("group_size", &format!("a multiple of {GROUP}, such as {GROUP} or 128")))
            }
        },
        Some(4) => Err(weights.refused("strategy", "\"group\" with 4 bits")),
        Some(8) if strategy != "channel" => Err(weights.refused("strategy", "\"channel\" with 8 bits")),
        Some(8) if !matches!(weights.get("group_size").as_i64(), None | Some(-1)) => {
            Err(weights.refused("group_size", "none with \"channel\""))
        }
        Some(8) => Ok(Scheme::Int8),
        _ => Err(weights.refused("num_bits", "4 or 8")),
    }
}

/// A JSON object and the keys above it.
struct Keys<'a> {
    above: String,
    map: &'a Map<String, Value>,
    /// The keys that [`expect`](Self::expect) looked at.
    expected: std::cell::RefCell<Vec<&'static str>>,
}

impl<'a> Keys<'a> {
    fn new(above: &str, json: &'a Value) -> Result<Self> {
        match json {
            Value::Object(map) => Ok(Self { above: above.to_owned(), map, expected: Vec::new().into() }),
            _ => {
                Err(refused(if above.is_empty() { "quantization_config" } else { above }, json, "an object"))
            }
        }
    }

    /// The value of a key; null where there is none.
    fn get(&self, key: &str) -> &'a Value {
        self.map.get(key).unwrap_or(&Value::Null)
    }

    fn path(&self, key: &str) -> String {
        if self.above.is_empty() { key.to_owned() } else { format!("{}.{key}", self.above) }
    }

    fn refused(&self, key: &str, expected: &str) -> Error {
        refused(&self.path(key), self.get(key), expected)
    }

    /// Refuses any other value than these; null stands for a key that is not there.
    fn expect(&self, key: &'static str, values: &[Value]) -> Result<()> {
        self.expected.borrow_mut().push(key);
        if values.contains(self.get(key)) {
            return Ok(());
        }
        let name = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
        let named: Vec<String> = values.iter().map(name).collect();
        Err(self.refused(key, &named.join(" or ")))
    }

    /// Refuses keys with a value that neither [`expect`](Self::expect) looked at nor are named here.
    fn refuse_others(&self, known: &[&str]) -> Result<()> {
        let expected = self.expected.borrow();
        let is_other = |key: &&String| {
            !known.contains(&key.as_str()) && !expected.contains(&key.as_str()) && !self.get(key).is_null()
        };
        match self.map.keys().find(is_other) {
            Some(key) => Err(self.refused(key, "no such key: this release does not know it")),
            None => Ok(()),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = self.get(key).as_array().and_then(|values| values.iter().map(text).collect());
        texts.ok_or_else(|| self.refused(key, "a list of names"))
    }
}

/// Longest value that a message shows.
const MOST_SHOWN: usize = 80;

fn refused(key: &str, value: &Value, expected: &str) -> Error {
    let mut value = if value.is_null() { "missing".to_owned() } else { value.to_string() };
    if let Some((end, _)) = value.char_indices().nth(MOST_SHOWN) {
        value.truncate(end);
        value.push_str("...");
    }
    Error::Config { key: key.to_owned(), value, expected: expected.to_owned() }
}
