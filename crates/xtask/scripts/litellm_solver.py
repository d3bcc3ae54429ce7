"""A model behind LiteLLM's proxy that writes recorded candidates at the pace of a slow model (`litellm.py` starts it).

The first request for a problem gets its first recorded candidate, the next one the second, and after the last it begins anew.
Each is a little slower than the one before, so that there is a time at which some have arrived and others have not; the third
always breaks off half-way. What happens is logged as JSON lines, which is how the tests know what the server saw.
"""
import asyncio
import json
import os
from collections import Counter

import litellm

PIECE = 4
FAILS = 2

with open(os.environ["CONCLAVE_SETS"], encoding="utf-8") as lines:
    SETS = {sample_set["problem"]: [one["text"] for one in sample_set["candidates"]] for sample_set in map(json.loads, lines)}
PACE = float(os.environ.get("CONCLAVE_PACE", "0.1"))


class Solver(litellm.CustomLLM):
    def __init__(self):
        super().__init__()
        self.asked = Counter()
        self.log = open(os.environ["CONCLAVE_LOG"], "a", buffering=1, encoding="utf-8")

    def say(self, **event):
        self.log.write(json.dumps(event) + "\n")

    # LiteLLM calls this for `stream: true` alone; without, the base class refuses.
    async def astreaming(self, model, messages, *_, **__):
        if model == "locked":
            raise litellm.AuthenticationError("the key of this deployment is wrong on purpose", llm_provider="slow", model=model)
        problem = messages[-1]["content"]
        number = self.asked[problem] % len(SETS[problem])
        self.asked[problem] += 1
        text = SETS[problem][number]
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
        self.say(event="begun", candidate=number)
        sent = 0
        try:
            for piece in pieces:
                if number == FAILS and sent >= len(pieces) // 2:
                    raise litellm.InternalServerError("this candidate fails on purpose", llm_provider="slow", model=model)
                yield chunk(piece)
                sent += 1
                await asyncio.sleep(PACE * (1 + number / 2))
            yield chunk("", finish_reason="stop", completion_tokens=sent)
            self.say(event="complete", candidate=number)
        except BaseException as error:
            # A reader that hangs up is a cancelled task or a closed generator.
            self.say(event="broke off", candidate=number, sent=sent, pieces=len(pieces), error=type(error).__name__)
            raise


def chunk(text, finish_reason="", completion_tokens=0):
    usage = {"prompt_tokens": 1, "completion_tokens": completion_tokens, "total_tokens": 1 + completion_tokens}
    return {
        "text": text,
        "is_finished": finish_reason != "",
        "finish_reason": finish_reason,
        "index": 0,
        "tool_use": None,
        "usage": usage if finish_reason else None,
    }


solver = Solver()
