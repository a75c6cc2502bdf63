"""What argparse says by itself, in French: who runs `pfi` speaks it, whatever the machine's locale.

argparse looks each of its sentences up by the name ``_`` of its own module, which is gettext's;
a catalogue of gettext would need a locale and a binary file for these few sentences.
"""

import argparse
from typing import Final

SENTENCES: Final = {
    "usage: ": "usage : ",
    "positional arguments": "arguments",
    "show this help message and exit": "montrer cette aide",
    "%(prog)s: error: %(message)s\n": "%(prog)s : %(message)s\n",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s : %(message)s",
    "the following arguments are required: %s": "il manque : %s",
    "unrecognized arguments: %s": "de trop ou inconnu : %s",
    "expected one argument": "une valeur est attendue",
    "expected at most one argument": "une valeur au plus est attendue",
    "expected at least one argument": "une valeur au moins est attendue",
    "ignored explicit argument %r": "n'attend pas de valeur (%r)",
    "not allowed with argument %s": "pas en même temps que %s",
    "one of the arguments %s is required": "il faut l'un de : %s",
    "invalid choice: %(value)r (choose from %(choices)s)": (
        "%(value)r est inconnu (au choix : %(choices)s)"
    ),
    "invalid %(type)s value: %(value)r": "%(value)r n'est pas une valeur admise",
    "ambiguous option: %(option)s could match %(matches)s": ("%(option)s est ambigu (%(matches)s)"),
}
"""Those that the options of `pfi` can bring about; "options" is the same word in both languages."""


def speak_french() -> None:
    """From now on, in this process."""
    setattr(argparse, "_", lambda sentence: SENTENCES.get(sentence, sentence))  # noqa: B010  (no name for the type checker)
