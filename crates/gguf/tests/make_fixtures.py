"""Makes the fixtures of this crate: make_fixtures.py (needs PyPI gguf and numpy).

fixtures/TYPE.gguf: for each type that is read, a tensor `x` of random valid blocks and a tensor `expected` of the f32
that PyPI gguf makes of them. fixtures/qwen2.gguf and qwen3.gguf: whole tiny models with a byte-level vocabulary.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGML_QUANT_SIZES, GGUFWriter
from gguf.quants import dequantize, quantize

OUT = pathlib.Path(__file__).parent / "fixtures"
random = np.random.default_rng(16)

# Where the f16 scales of a block lie.
SCALES = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q2_K: [80, 82], T.Q3_K: [108],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0]}


def scales(count):
    """Finite f16 numbers of every size: subnormal ones, zeros, negative ones."""
    bits = random.integers(0, 0x7C00, count, dtype=np.uint16) | (random.integers(0, 2, count, dtype=np.uint16) << 15)
    bits[random.random(count) < 0.1] = 0
    bits[random.random(count) < 0.1] &= 0x83FF
    return bits


def blocks(kind, rows, columns):
    """Random bytes of `rows` rows with valid scales."""
    block, size = GGML_QUANT_SIZES[kind]
    count = rows * columns // block
    if kind == T.F32:
        return random.standard_normal((rows, columns)).astype(np.float32)
    if kind == T.F16:
        return scales(count).view(np.float16).reshape(rows, columns)
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    if kind == T.BF16:
        data[:, 1] &= 0xBF  # neither infinite nor NaN
    for at in SCALES.get(kind, []):
        data[:, at:at + 2] = scales(count).view(np.uint8).reshape(count, 2)
    return data.reshape(rows, -1)


def types():
    for kind in [T.F32, T.F16, T.BF16, *SCALES]:
        rows, columns = 3, 512
        data = blocks(kind, rows, columns)
        expected = np.ascontiguousarray(dequantize(data, kind)).astype(np.float32).reshape(rows, columns)
        assert np.isfinite(expected).all(), kind
        writer = GGUFWriter(OUT / f"{kind.name}.gguf", "qwen2")
        writer.add_tensor("expected", expected)
        writer.add_tensor("x", data, raw_dtype=kind)
        write(writer)


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def vocabulary(writer):
    """The 256 characters of byte-level BPE, two merges, Qwen's special tokens, and two that fill up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    characters = [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(others))]
    tokens = characters + ["th", "the"]
    types = [1] * len(tokens)
    for token, kind in [("<|endoftext|>", 3), ("<|im_start|>", 3), ("<|im_end|>", 3), ("<tool_call>", 4),
                        ("[PAD262]", 5), ("[PAD263]", 5)]:
        tokens.append(token)
        types.append(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h", "th e"])
    writer.add_eos_token_id(260)
    writer.add_pad_token_id(258)
    writer.add_bos_token_id(258)
    writer.add_add_bos_token(False)
    return len(tokens)


def model(name, head_dim, head):
    """A model of two layers, width 64; `head` is "copies" or "alone"."""
    hidden, inner, heads, kv_heads = 64, 96, 4, 2
    writer = GGUFWriter(OUT / f"{name}.gguf", name)
    writer.add_type("model")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    if name == "qwen3":
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    rows = vocabulary(writer)

    def add(tensor, shape, kind):
        values = (random.standard_normal(shape) * 0.05).astype(np.float32)
        writer.add_tensor(tensor, values if kind == T.F32 else quantize(values, kind), raw_dtype=kind)
        return values

    embedding = add("token_embd.weight", (rows, hidden), T.Q5_0)
    if head == "copies":
        writer.add_tensor("output.weight", quantize(embedding, T.Q8_0), raw_dtype=T.Q8_0)
    add("output_norm.weight", (hidden,), T.F32)
    for layer in range(2):
        part = lambda suffix: f"blk.{layer}.{suffix}"
        add(part("attn_norm.weight"), (hidden,), T.F32)
        for letter, count in [("q", heads), ("k", kv_heads), ("v", kv_heads)]:
            add(part(f"attn_{letter}.weight"), (count * head_dim, hidden), T.Q4_0)
            if name == "qwen2":
                add(part(f"attn_{letter}.bias"), (count * head_dim,), T.F32)
        if name == "qwen3":
            add(part("attn_q_norm.weight"), (head_dim,), T.F32)
            add(part("attn_k_norm.weight"), (head_dim,), T.F32)
        add(part("attn_output.weight"), (hidden, heads * head_dim), T.Q8_0)
        add(part("ffn_norm.weight"), (hidden,), T.F32)
        add(part("ffn_gate.weight"), (inner, hidden), T.F16)
        add(part("ffn_up.weight"), (inner, hidden), T.BF16)
        add(part("ffn_down.weight"), (hidden, inner), T.Q5_1)
    write(writer)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    types()
    model("qwen2", 16, "copies")
    model("qwen3", 32, "alone")
