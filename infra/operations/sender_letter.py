"""A letter to the house that sends: what to mend, how often it happened, what the texts ask.

One self-contained HTML page to print or to attach. It holds counts, codes and rules: no patient, no
document, no mail.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Final

from infra.operations.sender_wording import RULES_FR, Rule
from infra.operations.senders import Card, Month
from pfi.ins.wording import LABELS_FR
from pfi.names import Reason

MONTHS_FR: Final = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
    "octobre", "novembre", "décembre",
)  # fmt: skip
_STYLE: Final = """
body { font: 11pt/1.45 Georgia, serif; color: #1a1a1a; max-width: 17cm; margin: 2cm auto; }
h1 { font-size: 15pt; } h2 { font-size: 12pt; margin-top: 1.6em; }
table { border-collapse: collapse; width: 100%; margin: .6em 0; }
th, td { border: 1px solid #999; padding: .25em .5em; text-align: left; vertical-align: top; }
td.n { text-align: right; white-space: nowrap; }
section { break-inside: avoid; } .code { font-family: monospace; white-space: nowrap; }
@media print { body { margin: 0; } }
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """To one domain, about one month."""

    card: Card
    month: Month
    day: date

    def html(self) -> str:
        """The whole page."""
        title = f"Qualité de vos envois MSSanté – {month_fr(self.month)}"
        body = "\n".join(self._body(title))
        return (
            '<!DOCTYPE html>\n<html lang="fr">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def _body(self, title: str) -> Iterator[str]:
        yield f"<p>Le {self.day.day} {MONTHS_FR[self.day.month - 1]} {self.day.year}</p>"
        yield f"<h1>{escape(title)}</h1>"
        yield f"<p>À l'attention de l'équipe informatique de <b>{escape(self.card.domain)}</b></p>"
        yield "<p>Madame, Monsieur,</p>"
        yield (
            "<p>Nous intégrons automatiquement dans le dossier patient informatisé les documents "
            "que vous nous adressez par MSSanté (archive IHE_XDM). Voici, pour le mois, ce qui a "
            "été reçu de votre domaine et ce qui a empêché l'intégration. Ce courrier ne contient "
            "aucune donnée de patient.</p>"
        )
        yield _table(_figures(self.card))
        yield from self._mended()
        yield "<p>Nous vous remercions et restons à votre disposition.</p>"
        yield "<p>Service informatique de l'établissement</p>"

    def _mended(self) -> Iterator[str]:
        known = [(Reason(code), n) for code, n in self.card.faults.most_common() if _told(code)]
        if not known:
            yield "<p><b>Rien n'est à corriger de votre côté pour ce mois.</b></p>"
            return
        yield "<h2>Ce qui est à corriger, du plus fréquent au plus rare</h2>"
        for reason, count in known:
            yield from _fault(reason, RULES_FR[reason], count)


def month_fr(month: Month) -> str:
    """``mai 2026``."""
    return f"{MONTHS_FR[month.first.month - 1]} {month.first.year}"


def _told(code: str) -> bool:
    """What the sender can mend; what lies in our own base is not told outside."""
    return any(code == reason.value for reason in RULES_FR)


def _figures(card: Card) -> Iterator[tuple[str, str]]:
    share = "–" if card.share is None else f"{card.share:.0%}".replace("%", " %")
    yield "Courriels reçus", str(card.mails)
    yield "dont intégrés automatiquement", f"{card.integrated} ({share})"
    yield "dont sans archive IHE_XDM", str(card.without_archive)
    yield "dont archive ou document non conforme", str(card.archive_faults)
    own = sum(count for code, count in card.faults.items() if not _told(code))
    yield "dont non intégrés pour une raison propre à notre établissement", str(own)
    yield "Courriels reçus une seconde fois à l'identique", str(card.duplicates)
    yield "Accusés de traitement (MDN) demandés", str(card.mdn_asked)
    yield "Documents lus", str(card.documents)
    yield "dont portant une INS", str(card.with_ins)
    yield "dont INS bien formée, avec ses cinq traits stricts", str(card.usable)
    yield "Demandes de remplacement", str(card.replacements)
    yield "Demandes de suppression", str(card.deletions)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f'<tr><td>{escape(a)}</td><td class="n">{escape(b)}</td></tr>' for a, b in rows)
    return f"<table>\n{''.join(cells)}\n</table>"


def _fault(reason: Reason, rule: Rule, count: int) -> Iterator[str]:
    outward = "" if reason.outward == reason.value else f" (code transmis : {reason.outward})"
    yield "<section>"
    yield (
        f'<h2><span class="code">{reason.value}</span> {escape(LABELS_FR[reason])} : '
        f"{count} courriel{'s' if count > 1 else ''}</h2>"
    )
    yield f"<p><b>Ce que demande le texte</b>{escape(outward)} : {escape(rule.asks)}</p>"
    yield f"<p><b>À corriger</b> : {escape(rule.mend)}</p>"
    yield f"<p><small>Référence : {escape(rule.source)}</small></p>"
    yield "</section>"
