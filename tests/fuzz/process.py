"""One target under atheris, in a process of its own: it is instrumented, and ends with the run.

`python -m tests.fuzz.process TARGET CORPUS [libFuzzer flags]`; `tests.fuzz.run` starts it.
"""

import sys
from importlib import import_module
from pathlib import Path

import atheris


def main(name: str, corpus: Path, flags: list[str]) -> None:
    """Instruments the product alone, writes the seeds, runs until the flags say stop."""
    with atheris.instrument_imports(include=["pfi"]):
        targets = import_module("tests.fuzz.targets").TARGETS
        planted = import_module("tests.fuzz.planted").PLANTED
    target = {**targets, **planted}[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    words = corpus.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))

    def once(data: bytes) -> None:
        target.check(data)

    fixed = [f"-dict={words}", f"-max_len={target.longest}", "-len_control=20", "-timeout=60"]
    atheris.Setup([name, *fixed, *flags, str(corpus)], once)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
