#!/usr/bin/env python3
"""Checks the quantised format against PyPI `compressed-tensors` (with torch), in both directions.

    check_compressed_tensors.py           ours.json is read by it, to the same weights
    check_compressed_tensors.py --write   makes theirs.json, which the Rust tests read
    check_compressed_tensors.py DIR OF    a directory that `conclave model quantize` wrote is read by it, and is
                                          near the weights of the directory OF that it was made from
"""

import json
import sys
from pathlib import Path

import compressed_tensors
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme

HERE = Path(__file__).parent
# Squared error against squared weights that a right reading stays under; a wrong one is at 1 and more.
MOST_ERROR = {4: 0.03, 8: 0.001}


def compressor():
    return BaseCompressor.get_value_from_registry("pack-quantized")


def decompress(scheme, packed, scales, shape):
    state = {
        "weight_packed": packed,
        "weight_scale": scales,
        "weight_shape": torch.tensor(shape),
    }
    return compressor().decompress(state, scheme)["weight"]


def schemes(config):
    return list(QuantizationConfig.model_validate(config).config_groups.values())


def check_ours():
    ours = json.loads((HERE / "ours.json").read_text())
    by_bits = {scheme.weights.num_bits: scheme for scheme in schemes(ours["quantization_config"])}
    for matrix in ours["matrices"]:
        rows, columns = matrix["shape"]
        packed = torch.tensor(matrix["packed"], dtype=torch.int32).reshape(rows, -1)
        # In f32, where a product of a scale and a value is exact.
        scales = torch.tensor(matrix["scales"], dtype=torch.float32).reshape(rows, -1)
        read = decompress(by_bits[matrix["bits"]], packed, scales, [rows, columns])
        expected = torch.tensor(matrix["dequantized"], dtype=torch.float32).reshape(rows, columns)
        assert torch.equal(read, expected), f"{matrix['bits']} bits: {(read - expected).abs().max()}"
        print(f"{matrix['bits']} bits of shape {rows} x {columns}: the same weights")


def write_theirs():
    generator = torch.Generator().manual_seed(7)
    cases = [
        ("int4_g32", dict(num_bits=4, strategy="group", group_size=32), 3, 96),
        ("int4_g128", dict(num_bits=4, strategy="group", group_size=128), 2, 256),
        ("int8_channel", dict(num_bits=8, strategy="channel"), 3, 37),
    ]
    groups, matrices = {}, []
    for number, (name, weights, rows, columns) in enumerate(cases):
        scheme = QuantizationScheme(
            targets=[name],
            weights=dict(type="int", symmetric=True, dynamic=False, **weights),
            format="pack-quantized",
        )
        groups[f"group_{number}"] = scheme
        matrix = torch.randn(rows, columns, generator=generator)
        groups_a_row = columns // weights.get("group_size", columns)
        largest = matrix.reshape(rows, groups_a_row, -1).abs().amax(-1)
        scales = (largest / (2 ** (weights["num_bits"] - 1) - 0.5)).to(torch.float16).to(torch.float32)
        state = compressor().compress({"weight": matrix, "weight_scale": scales}, scheme)
        matrices.append(
            {
                "name": name,
                "shape": state["weight_shape"].tolist(),
                "packed": state["weight_packed"].flatten().tolist(),
                "scales": state["weight_scale"].flatten().tolist(),
                "weights": compressor().decompress(state, scheme)["weight"].flatten().tolist(),
            }
        )
    config = QuantizationConfig(
        config_groups=groups, format="pack-quantized", quantization_status="compressed", ignore=["lm_head"]
    ).to_dict()
    by = f"compressed-tensors {compressed_tensors.__version__}"
    theirs = {"by": by, "quantization_config": config, "matrices": matrices}
    (HERE / "theirs.json").write_text(json.dumps(theirs) + "\n")


def tensors(directory):
    from safetensors import safe_open

    found = {}
    for path in sorted(Path(directory).glob("model*.safetensors")):
        file = safe_open(path, "pt")
        found.update({name: file for name in file.keys()})
    return found


def check_directory(directory, original):
    config = json.loads((Path(directory) / "config.json").read_text())["quantization_config"]
    by_bits = {scheme.weights.num_bits: scheme for scheme in schemes(config)}
    quantized, before = tensors(directory), tensors(original)
    checked = 0
    for name in quantized:
        if not name.endswith(".weight_packed"):
            continue
        module = name.removesuffix(".weight_packed")
        read = lambda part: quantized[f"{module}.{part}"].get_tensor(f"{module}.{part}")
        shape = read("weight_shape").tolist()
        bits = 32 * read("weight_packed").shape[1] // shape[1]
        weights = decompress(by_bits[bits], read("weight_packed"), read("weight_scale").float(), shape)
        expected = before[f"{module}.weight"].get_tensor(f"{module}.weight").float()
        error = ((weights - expected) ** 2).sum() / (expected**2).sum()
        assert error < MOST_ERROR[bits], f"{module}: {bits} bits, squared error {error:.4f} of the weights"
        checked += 1
    assert checked, f"no quantised weights in {directory}"
    missing = {name for name in before if name.endswith(".bias") or "norm" in name} - set(quantized)
    assert not missing, f"not in {directory}: {sorted(missing)[:3]}"
    print(f"{checked} matrices are read by compressed-tensors {compressed_tensors.__version__}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments == ["--write"]:
        write_theirs()
    elif len(arguments) == 2:
        check_directory(*arguments)
    elif not arguments:
        check_ours()
    else:
        sys.exit(__doc__)
