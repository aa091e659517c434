"""Hugging Face tokenizers beside embedpool's, one thread, the same texts, in turn; ids must be equal.

Each text is a line of the data (short) and forty lines joined (long). Rates are the fastest of several rounds, in MB of
UTF-8 a second; both have seen the texts before, so their caches of words are warm.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from peers import TEXTS
from process import Engine, EngineSpec, Settings
from workloads import read_texts


def hugging_face_tokenizer(model: Path) -> Tokenizer:
    """The tokenizer in a GGUF file of the SmolLM family: byte-level BPE behind single digits."""
    fields = gguf.GGUFReader(model).fields
    kind = (fields["tokenizer.ggml.model"].contents(), fields["tokenizer.ggml.pre"].contents())
    if kind != ("gpt2", "smollm"):
        raise SystemExit(f"{model}: tokenizer {kind} is not the one of SmolLM")
    tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
    kinds: list[int] = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = 3
    tokenizer.add_special_tokens([token for token, kind in zip(tokens, kinds, strict=True) if kind == control])
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Path, required=True, help="the program embedpool_server")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--texts", type=Path, nargs="+", default=TEXTS)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()

    lines = read_texts(arguments.texts)
    sets = {"short": lines, "long": [" ".join(lines[i : i + 40]) for i in range(0, len(lines), 40)]}
    theirs = hugging_face_tokenizer(arguments.model)
    settings = Settings(arguments.server.resolve(), arguments.model, Path(), 1, 2048, "passive")
    ours = Engine(EngineSpec("embedpool:f32"), settings)
    try:
        print(
            "| texts | bytes a text | Hugging Face, MB/s | embedpool, MB/s | ratio |\n| --- | --- | --- | --- | --- |"
        )
        for name, texts in sets.items():
            size = sum(len(text.encode()) for text in texts)
            their_seconds, our_seconds = [], []
            for _ in range(arguments.rounds):
                start = time.perf_counter()
                encodings = theirs.encode_batch_fast(texts, add_special_tokens=False)
                their_seconds.append(time.perf_counter() - start)
                with ours.awake():
                    answer = ours.ask({"op": "tokenize", "texts": texts})
                our_seconds.append(answer["seconds"])
                pairs = zip(texts, encodings, answer["ids"], strict=True)
                different = [text for text, encoding, ids in pairs if encoding.ids != ids]
                if different:
                    raise SystemExit(f"ids of {len(different)} texts differ, the first of them: {different[0][:200]!r}")
            rates = [size / min(seconds) / 1e6 for seconds in (their_seconds, our_seconds)]
            ratio = rates[1] / rates[0]
            print(f"| {name} | {size / len(texts):.0f} | {rates[0]:.1f} | {rates[1]:.1f} | **{ratio:.1f}** |")
    finally:
        ours.close()


if __name__ == "__main__":
    main()
