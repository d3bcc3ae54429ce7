"""The PyTorch side of `cargo xtask bench train`: the same model, batch and rollouts by transformers' Qwen2ForCausalLM.

    pip install torch transformers
    cargo xtask bench train

`python bench_train.py FOLDER THREADS` reads the model and the tokens that `crates/train/benches/train.rs` wrote, says
`ready`, and then measures what each line of its input asks for (`sft 3`, `rollout 2`), as that program describes. Eager mode,
f32, scaled-dot-product attention, fused AdamW. Rollouts read each prompt once and copy its cache, which transformers' own
`generate` does not do. Optional: nothing else needs Python.
"""

import sys
import time

import torch
from transformers import DynamicCache, Qwen2ForCausalLM

ROWS, SEQ = 16, 256
PROMPTS, GROUP, PROMPT_TOKENS, NEW_TOKENS = 8, 8, 200, 64


def step(model, optimizer, tokens):
    optimizer.zero_grad(set_to_none=True)
    loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def rollout(model, prompts):
    """Draws a group of completions behind each prompt; gives the log-probability of every token chosen."""
    cache = DynamicCache(config=model.config)
    logits = model(prompts, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
    cache.batch_repeat_interleave(GROUP)
    logits = logits.repeat_interleave(GROUP, 0)
    log_probs = []
    for position in range(NEW_TOKENS):
        if position > 0:
            logits = model(chosen, past_key_values=cache, use_cache=True).logits[:, -1]
        distribution = logits.log_softmax(-1)
        chosen = torch.multinomial(distribution.exp(), 1)
        log_probs.append(distribution.gather(1, chosen))
    return torch.cat(log_probs, 1)


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    with open(f"{folder}/tokens.txt", encoding="utf-8") as file:
        tokens = torch.tensor([int(word) for word in file.read().split()]).reshape(ROWS, SEQ)
    prompts = tokens[:PROMPTS, :PROMPT_TOKENS]

    def sft(count):
        losses = [step(model, optimizer, tokens) for _ in range(count)]
        return count * ROWS * SEQ, losses[-1]

    def rollouts(count):
        log_probs = torch.cat([rollout(model, prompts) for _ in range(count)])
        return log_probs.numel(), log_probs.mean().item()

    # One of each, unmeasured, as on the other side.
    sft(1)
    rollouts(1)
    print("ready", flush=True)
    for line in sys.stdin:
        what, count = line.split()
        begun = time.perf_counter()
        done, value = (sft if what == "sft" else rollouts)(int(count))
        print(done, time.perf_counter() - begun, value, flush=True)


if __name__ == "__main__":
    main()
