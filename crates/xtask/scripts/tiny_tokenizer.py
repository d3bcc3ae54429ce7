#!/usr/bin/env python3
"""Writes the tokenizer of the built-in model: words, symbols, and numbers in groups of three digits from the right.

    python3 crates/xtask/scripts/tiny_tokenizer.py > crates/model/assets/tiny/tokenizer.json

A number below 1,000 is one token, a larger one has a token for every three digits (17711 is `17` `711`, 12005 is `12`
`005`), so that an operand can be found again among the candidates by one look and a result by two. Colons, commas and
blanks are dropped; anything else that is not listed becomes [UNK].
"""
import json

ADDED = ["<|endoftext|>", "<think>", "</think>", "<answer>", "</answer>"]
SYMBOLS = list("+-*=;#.?/[]()")
WORDS = """Question Answer Ben Tom Sam Ann Eva Mia He She has buys finds gets drops loses sells of bags boxes crates packs
books cards coins eggs nuts pens How many now""".split()
NUMBERS = [str(n) for n in range(1000)] + [f"{n:03}" for n in range(100)]

tokens = ADDED + ["[UNK]"] + SYMBOLS + WORDS + NUMBERS
assert len(tokens) == len(set(tokens))
pattern = r"\d{1,3}(?=(?:\d{3})*(?!\d))|[A-Za-z]+|[^\sA-Za-z0-9:,]"
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
