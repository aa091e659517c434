"""The texts that every engine embeds, as token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TokenIds = list[int]
Tokenize = Callable[[list[str]], list[TokenIds]]


@dataclass(frozen=True)
class Workload:
    """Texts that go through an engine together.

    ragged: lengths differ, so that an engine that pads may gain from sorting them.
    calls:  how often a visit runs it; more than once where one call is too short to time.
    """

    name: str
    title: str
    texts: list[TokenIds]
    ragged: bool = False
    calls: int = 1

    @property
    def tokens(self) -> int:
        return sum(map(len, self.texts))

    def sample(self, tokens: int) -> list[TokenIds]:
        """Every k-th text, so that about `tokens` tokens are left, in the order they come."""
        return self.texts[:: max(1, round(self.tokens / tokens))]


def read_texts(paths: list[Path]) -> list[str]:
    """Lines of text files, and the column `sentence1` (else the first) of tab-separated ones, but no empty ones."""
    texts: list[str] = []
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".tsv":
            names = lines[0].split("\t")
            column = names.index("sentence1") if "sentence1" in names else 0
            lines = [line.split("\t")[column] for line in lines[1:]]
        texts += [line.strip() for line in lines if line.strip()]
    return texts


def make_workloads(texts: list[str], tokenize: Tokenize, documents: int = 64) -> list[Workload]:
    """Five workloads from the texts, the same ones for the same texts.

    Sentences are texts of 8 to 40 tokens, taken evenly from all of them. Documents are texts of at least 80 tokens
    where there are enough, else consecutive texts joined until a length is reached that varies between 80 and 320
    tokens; cut at 256.
    """
    ids = tokenize(texts)
    sentences = [one for one in ids if 8 <= len(one) <= 40]
    if len(sentences) < 64:
        raise SystemExit(f"{len(sentences)} texts have 8 to 40 tokens; 64 are needed")
    sentences = sentences[:: len(sentences) // 64][:64]

    joined = _joined(texts, tokenize)
    long_texts = [one[:256] for one in ids if len(one) >= 80]
    if len(long_texts) < documents:
        long_texts = [joined(80 + 149 * i % 241)[:256] for i in range(documents)]

    return [
        Workload("a", "1 x 512", [joined(512)[:512]]),
        Workload("b", "8 x 64", [joined(64)[:64] for _ in range(8)]),
        Workload("c", f"64 sentences, {min(map(len, sentences))}-{max(map(len, sentences))}", sentences, ragged=True),
        Workload(
            "d",
            f"{documents} documents, {min(map(len, long_texts[:documents]))}-256",
            long_texts[:documents],
            ragged=True,
        ),
        Workload("e", "1 x 16", [joined(16)[:16]], calls=5),
    ]


def _joined(texts: list[str], tokenize: Tokenize) -> Callable[[int], TokenIds]:
    """A function that joins the next texts, from the first again after the last, until they have so many tokens."""

    def forever() -> Iterator[TokenIds]:
        spaced = tokenize([" " + text for text in texts])
        if not any(spaced):
            raise SystemExit("the texts have no tokens")
        while True:
            yield from spaced

    source = forever()

    def join(tokens: int) -> TokenIds:
        ids: TokenIds = []
        while len(ids) < tokens:
            ids += next(source)
        return ids

    return join
