#!/usr/bin/env python3
"""Writes the tokenizer of the built-in model: words, symbols and digits.

    python3 crates/xtask/scripts/tiny_tokenizer.py > crates/model/assets/tiny/tokenizer.json

A number is as many tokens as it has digits. (Three digits a token make prompts half as long, but a tiny model then confuses
numbers that begin alike, and learns it far more slowly.) Colons, commas and blanks are dropped; anything else that is not
listed becomes [UNK].
"""
import json

ADDED = ["<|endoftext|>", "<think>", "</think>", "<answer>", "</answer>"]
SYMBOLS = list("+-*=;#.?/[]()")
WORDS = """Question Answer Ben Tom Sam Ann Eva Mia He She has buys finds gets drops loses sells of bags boxes crates packs
books cards coins eggs nuts pens How many now""".split()
DIGITS = list("0123456789")

tokens = ADDED + ["[UNK]"] + SYMBOLS + WORDS + DIGITS
assert len(tokens) == len(set(tokens))
pattern = r"\d|[A-Za-z]+|[^\sA-Za-z0-9:,]"
print(json.dumps({
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": token == "<|endoftext|>"}
        for i, token in enumerate(ADDED)
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True},
    "post_processor": None,
    "decoder": {"type": "Fuse"},
    "model": {"type": "WordLevel", "vocab": {token: i for i, token in enumerate(tokens)}, "unk_token": "[UNK]"},
}, separators=(",", ":")))
